"""Writes what of the Python client is made: services from the contract, and the blocking client from the asyncio one.

`make proto` calls it: python common/client/generate.py OUTPUT_FOLDER
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from cloudspan.v1 import annotations_pb2

HERE = Path(__file__).parent
PROTOS = HERE.parents[1] / "protos"
LONGRUNNING = "google/longrunning/operations.proto"
OPERATION = ".google.longrunning.Operation"
# google.longrunning says nothing about side effects; these have none.
LONGRUNNING_READS = ("GetOperation", "ListOperations", "WaitOperation")
RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",  # 0.1, 0.2, 0.4 s
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # CANCELLED: what a gateway cancels whose server ended; a caller's own cancel is never sent again.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
# A gateway that is down is not asked four times by each of a thousand callers.
THROTTLING = {"maxTokens": 10, "tokenRatio": 0.1}

# What makes the blocking client of the asyncio one, in this order.
BLOCKING = (
    (r"  # noqa: ASYNC109.*", ""),
    (r"import asyncio\n", ""),
    (r"from asyncio import", "from threading import"),
    (r"from collections\.abc import Awaitable, ", "from collections.abc import "),
    (r"Awaitable\[(\w+)\]", r"\1"),
    (r"await asyncio\.sleep", "time.sleep"),
    (r"\bawait ", ""),
    (r"\basync (def|for|with) ", r"\1 "),
    (r"__a(iter|enter|exit)__", r"__\1__"),
    (r"\bAsync(Iterator|Client|Events|Listing|Operation|Watch)", r"\1"),
    (r"grpc\.aio\.AioRpcError", "grpc.RpcError"),
    (r"grpc\.aio\.", "grpc."),
    (r"cloudspan\.client\.aio_credentials", "cloudspan.client.generated.sync_credentials"),
    (r"cloudspan\.client import aio_calls", "cloudspan.client.generated import sync_calls"),
    (r"cloudspan\.client\.generated import aio_services", "cloudspan.client.generated import sync_services"),
    (r"\baio_", "sync_"),
    (r"`Client`, from which `make proto` writes `Client`", "`Client`"),
)


@dataclass(frozen=True)
class Method:
    """One rpc, as the client offers it."""

    name: str
    path: str
    shape: str
    """`unary`, `pages`, `mutation` or `stream`: a function of the client's `Calls`."""
    types: tuple[str, ...]
    """Python names of the request and of what comes back; of a page also that of its items."""
    comment: str
    reads: bool


@dataclass(frozen=True)
class Service:
    """A service of the contract."""

    full_name: str
    comment: str
    methods: tuple[Method, ...]

    @property
    def attribute(self) -> str:
        """`cloudspan.v1.KeyPairService` -> `key_pairs`, `PolicyService` -> `policies`."""
        noun = self.full_name.rpartition(".")[2].removesuffix("Service").removesuffix("s")
        if noun in _UNCOUNTED:
            return noun.lower()
        return re.sub(r"y(?=s$)", "ie", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", noun).lower() + "s")


_UNCOUNTED = frozenset({"Inventory"})


class Contract:
    """The contract's files with their comments."""

    def __init__(self) -> None:
        own = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "cloudspan" / "v1").glob("*.proto"))
        with tempfile.NamedTemporaryFile() as out:
            builtin = resources.files("grpc_tools") / "_proto"
            roots = [f"-I{root}" for root in (PROTOS, PROTOS / "third_party", builtin)]
            options = [*roots, "--include_imports", "--include_source_info"]
            if protoc.main(["protoc", *options, f"--descriptor_set_out={out.name}", *own]):
                sys.exit("protoc failed")
            files = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes()).file
        self._python = {}
        self._messages = {}
        for file in files:
            module = file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
            for message in file.message_type:
                name = f".{file.package}.{message.name}"
                self._python[name] = f"{module}.{message.name}"
                self._messages[name] = message
        self.services = [s for file in files if file.name in (LONGRUNNING, *own) for s in self._services(file)]

    def _services(self, file: descriptor_pb2.FileDescriptorProto) -> list[Service]:
        # Of a file's path in descriptor.proto, 6 are its services and 2 a service's methods.
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        found = []
        for at, service in enumerate(file.service):
            if service.options.Extensions[annotations_pb2.implemented_by_callers]:
                continue
            full_name = f"{file.package}.{service.name}"
            methods = [
                self._method(full_name, method, comments.get((6, at, 2, n), ""))
                for n, method in enumerate(service.method)
            ]
            found.append(Service(full_name, comments.get((6, at), ""), tuple(methods)))
        return found

    def _method(self, service: str, method: descriptor_pb2.MethodDescriptorProto, comment: str) -> Method:
        request, answer = method.input_type, method.output_type
        result = method.options.Extensions[operations_pb2.operation_info].response_type
        reads = method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
        shape, types = "unary", (request, answer)
        if method.server_streaming:
            shape = "stream"
        elif answer == OPERATION and result and service.startswith("cloudspan."):
            shape, types = "mutation", (request, f".{result}" if "." in result else f".cloudspan.v1.{result}")
        elif self._is_paged(request, answer):
            item = next(field for field in self._messages[answer].field if field.number == 1)
            shape, types = "pages", (request, answer, item.type_name)
        return Method(
            name=method.name,
            path=f"/{service}/{method.name}",
            shape=shape,
            types=tuple(self._python[name] for name in types),
            comment=comment,
            reads=reads or (service == "google.longrunning.Operations" and method.name in LONGRUNNING_READS),
        )

    def _is_paged(self, request: str, answer: str) -> bool:
        """AIP-158: the first field of the answer holds the resources."""
        asks = any(field.name == "page_token" for field in self._messages[request].field)
        first = [field for field in self._messages[answer].field if field.number == 1]
        return asks and bool(first) and first[0].label == first[0].LABEL_REPEATED and bool(first[0].type_name)


def module(services: list[Service], calls: str) -> str:
    """Return the text of a module with a class for each attribute of a client."""
    by_attribute: dict[str, list[Service]] = defaultdict(list)
    for service in services:
        by_attribute[service.attribute].append(service)
    imports = sorted({name.rpartition(".")[0] for s in services for m in s.methods for name in m.types})
    lines = ['"""The services of the contract. Written by `make proto`; do not edit."""', ""]
    lines += ["from __future__ import annotations", "", "from typing import TYPE_CHECKING", ""]
    lines += [f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]}" for name in imports]
    lines += ["", "if TYPE_CHECKING:", f"    from {calls} import Calls"]
    for parts in by_attribute.values():
        lines += ["", "", f"class {_class(parts)}:", *_docstring(parts[-1].comment), ""]
        lines += ["    def __init__(self, calls: Calls) -> None:"]
        for method in (method for part in parts for method in part.methods):
            types = ", ".join(".".join(name.rsplit(".", 2)[-2:]) for name in method.types)
            lines += [f'        self.{method.name} = calls.{method.shape}("{method.path}", {types})']
            lines += _docstring(method.comment, indent=8)
    lines += ["", "", "class Services:", '    """An attribute for each service of the contract."""', ""]
    lines += ["    def __init__(self, calls: Calls) -> None:"]
    lines += [f"        self.{attribute} = {_class(parts)}(calls)" for attribute, parts in by_attribute.items()]
    return "\n".join(lines) + "\n"


def _class(parts: list[Service]) -> str:
    return parts[-1].full_name.rpartition(".")[2]


def _docstring(comment: str, indent: int = 4) -> list[str]:
    """The first paragraph: the rest stands in the contract."""
    text = " ".join(comment.strip().partition("\n\n")[0].split()).replace("\\", "\\\\").replace('"""', "'''")
    pad = " " * indent
    return textwrap.wrap(f'"""{text}"""', 118, initial_indent=pad, subsequent_indent=pad) if text else []


def blocking(text: str) -> str:
    """Return the text of an asyncio module as that of one that blocks."""
    for pattern, replacement in BLOCKING:
        text = re.sub(pattern, replacement, text)
    return f"# Written by `make proto` from its asyncio twin; do not edit.\n{text}"


def service_config(services: list[Service]) -> str:
    """Return the gRPC service config: what changes nothing is sent again when nobody answered."""
    reads = [{"service": s.full_name, "method": m.name} for s in services for m in s.methods if m.reads]
    config = {"methodConfig": [{"name": reads, "retryPolicy": RETRY}], "retryThrottling": THROTTLING}
    return json.dumps(config, indent=1) + "\n"


def main(folder: str) -> None:
    """Write all of it."""
    services = Contract().services
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "__init__.py").write_text("")
    (out / "aio_services.py").write_text(module(services, "cloudspan.client.aio_calls"))
    (out / "sync_services.py").write_text(module(services, "cloudspan.client.generated.sync_calls"))
    for part in ("calls", "client", "credentials"):
        text = (HERE / "cloudspan" / "client" / f"aio_{part}.py").read_text()
        (out / f"sync_{part}.py").write_text(blocking(text))
    (out / "service_config.json").write_text(service_config(services))


if __name__ == "__main__":
    main(sys.argv[1])
