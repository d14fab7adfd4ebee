# Two commands do all the set-up: `make up` runs the main job, `make test` runs the tests.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
PYTHON := python3
UV_VERSION := 0.13.9
# Bytecode is kept whatever the environment says: without it each process compiles its thousand modules anew.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.state/bytecode
PROTOS = $(shell cd protos && find cloudspan -name '*.proto' | sort)

# What .venv/.ready needs is judged by .ci/install.py, not by file times.
.PHONY: .venv/.ready help up test check proto faults soak fuzz e2e clients bench capabilities certs clean

help: ## show the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /  make \1\t/' | expand -t 20

# Whole after it, whatever was there before: half an environment, one for another Python, none.
.venv/.ready:
	@$(PYTHON) .ci/install.py $(UV_VERSION)

up: .venv/.ready ## start gateway, adapters and fake clouds; Ctrl-C stops them: make up [ARGS="--port-base 8070"]
	@$(PY) -m cloudspan.cli up $(ARGS)

test: .venv/.ready ## run the tests
	@$(PY) -m pytest -n 3 --dist worksteal -m "not faults and not e2e and not bench and not soak and not clients" $(ARGS)

check: .venv/.ready ## check lint, types, layers, contract, compose file
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(PY) -m mypy $(wildcard common/*/cloudspan_* common/client/cloudspan gateway/cloudspan_* adapters/*/cloudspan_* adapters/*/fake/cloudspan_*)
	.venv/bin/lint-imports
	.venv/bin/docker-compose config --quiet
	.venv/bin/buf lint
	.venv/bin/buf format --diff --exit-code --path protos/cloudspan
	@if git rev-parse --verify --quiet main:buf.yaml >/dev/null; then echo 'buf breaking'; .venv/bin/buf breaking --against '.git#branch=main'; fi
	@$(MAKE) --no-print-directory proto GEN=.state/gen-check/contract OWN_GEN=.state/gen-check/ DRIVERS=.state/gen-check/drivers ERRORS_PAGE=.state/gen-check/errors.md
	diff docs/errors.md .state/gen-check/errors.md
	diff -r -x __pycache__ protos/gen .state/gen-check/contract
	diff -r -x __pycache__ common/kit/cloudspan_kit/drivers .state/gen-check/drivers
	@cd .state/gen-check && for file in $$(find adapters common -type f); do diff $$file ../../$$file || exit 1; done
	@rm -r .state/gen-check

GEN := protos/gen
ERRORS_PAGE := docs/errors.md
# An adapter's own services: generated beside their .proto.
ADAPTER_PROTOS = $(shell find adapters -name '*.proto' -not -path '*/node_modules/*' | sort)
OWN_GEN :=
# What drivers implement, a protocol for each service of the contract.
DRIVERS := common/kit/cloudspan_kit/drivers
proto: .venv/.ready ## generate protos/gen, the drivers' protocols and the Python client's services
	@mkdir -p $(GEN) && rm -rf $(GEN)/cloudspan
	@$(PY) -m grpc_tools.protoc -Iprotos -Iprotos/third_party --plugin=.venv/bin/protoc-gen-mypy_grpc \
	  --python_out=$(GEN) --pyi_out=$(GEN) --grpc_python_out=$(GEN) --mypy_grpc_out=quiet:$(GEN) $(PROTOS)
	@find $(GEN)/cloudspan -type d -exec touch {}/py.typed \;
	@$(PY) protos/comments.py $(GEN)/cloudspan/v1/comments.binpb --imports --include=protos --include=protos/third_party \
	  $(PROTOS) google/rpc/error_details.proto
	@$(PY) common/kit/generate_drivers.py $(DRIVERS)
	@$(PY) protos/errors_page.py $(ERRORS_PAGE)
	@for proto in $(ADAPTER_PROTOS); do root=$$(echo $$proto | cut -d/ -f1-2); out=$(OWN_GEN)$$root; mkdir -p $$out; \
	  $(PY) -m grpc_tools.protoc -I$$root -Iprotos -Iprotos/third_party --plugin=.venv/bin/protoc-gen-mypy_grpc \
	    --python_out=$$out --pyi_out=$$out --grpc_python_out=$$out --mypy_grpc_out=quiet:$$out $${proto#$$root/} || exit 1; done
	@for folder in $(sort $(dir $(ADAPTER_PROTOS))); do root=$$(echo $$folder | cut -d/ -f1-2); \
	  $(PY) protos/comments.py $(OWN_GEN)$${folder}comments.binpb --include=$$root --include=protos \
	    --include=protos/third_party $$(cd $$root && ls $${folder#$$root/}*.proto) || exit 1; done
	@$(PY) common/client/generate.py $(OWN_GEN)common/client/cloudspan/client/generated

capabilities: .venv/.ready ## write the README's capability table from running adapters
	@mkdir -p .state; $(PY) -m cloudspan.cli up --no-seed >.state/capabilities.log 2>&1 & up=$$!; trap "kill $$up" EXIT; \
	  for try in $$(seq 120); do grep -q '^ready' .state/capabilities.log && break; sleep 0.5; done; \
	  .venv/bin/cloudspan capabilities --write README.md

faults: .venv/.ready ## run the long fault proofs
	@$(PY) -m pytest -n 2 -m faults $(ARGS)

soak: .venv/.ready ## operations under random kills: make soak COUNT=24000 SEED=1
	@CLOUDSPAN_SOAK_COUNT=$(COUNT) CLOUDSPAN_SOAK_SEED=$(SEED) $(PY) -m pytest -m soak tests/soak -s $(ARGS)

fuzz: .venv/.ready ## random requests for minutes: make fuzz SECONDS=600 SEED=1
	@CLOUDSPAN_FUZZ_SECONDS=$(SECONDS) CLOUDSPAN_FUZZ_SEED=$(SEED) $(PY) -m pytest -m soak tests/fuzz -s $(ARGS)

e2e: .venv/.ready ## run against real clusters: make e2e CLOUDS=clouds.yaml
	@CLOUDSPAN_E2E_CLOUDS=$(CLOUDS) $(PY) -m pytest -m e2e tests/e2e $(ARGS)

clients: .venv/.ready ## build and run the clients in Go, Java and Node: make clients [GATEWAY=127.0.0.1:7070]
	@CLOUDSPAN_CLIENTS_GATEWAY=$(GATEWAY) $(PY) -m pytest -m clients tests/clients $(ARGS)

bench: .venv/.ready ## run the benchmarks, as ratios against a peer in the same run
	@$(PY) -m pytest -m bench tests/bench -s $(ARGS)

certs: .venv/.ready ## create certificates for trials of mTLS, in .state/certs: make certs IDENTITIES="gateway.cloudspan acme"
	@$(PY) -m cloudspan_common.trial_certificates .state/certs $(IDENTITIES)

IDENTITIES := gateway.cloudspan memory openstack zstack

clean: ## remove what was built; .state, with operations and certificates, stays
	rm -rf .venv .state/gen-check .state/bytecode .pytest_cache .mypy_cache .ruff_cache
