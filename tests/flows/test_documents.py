"""What the documents promise is tried: the README's calls, its table, the options listed, the smallest adapter."""

from __future__ import annotations

import re
import shlex
import subprocess
import urllib.request

import pytest
from google.protobuf import json_format
from prometheus_client import generate_latest
from tests.flows.conftest import gateway, program
from tests.flows.demo import ROOT, cli

from cloudspan.cli import capability_table
from cloudspan.v1 import zone_pb2
from cloudspan_common import contract
from cloudspan_common.config import config_command
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.app import build
from cloudspan_gateway.config import GatewayConfig
from cloudspan_memory.__main__ import MemoryConfig
from cloudspan_openstack.config import OpenStackConfig
from cloudspan_zstack.config import ZStackConfig

README = (ROOT / "README.md").read_text()


def _blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


def test_the_five_calls_of_the_readme_work_as_they_stand(running_demo):
    """Only the port is another one here."""
    calls = [block for block in _blocks("README.md", "sh") if "buf curl" in block]
    assert len(calls) == 5
    for call in calls:
        words = shlex.split(call.replace("127.0.0.1:7070", running_demo.gateway))
        words[0] = str(ROOT / words[0]) if (ROOT / words[0]).exists() else "buf"
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == 0, f"{call}: {done.stderr}"
        assert '"error"' not in done.stdout


def _words(line, gateway):
    """A line of a document as a command of this environment, against the gateway of this run."""
    words = shlex.split(line.replace("127.0.0.1:7070", gateway), comments=True)
    if words[0].endswith("cloudspan"):
        return [str(ROOT / words[0]), *words[1:], "--gateway", gateway]
    return [str(ROOT / words[0]) if (ROOT / words[0]).exists() else "buf", *words[1:]]


@pytest.fixture
def listed_demo(running_demo):
    """The demo, once its inventory has listed everything."""
    done = cli("sync", "--gateway", running_demo.gateway, timeout_s=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return running_demo


@pytest.mark.parametrize("document", ["README.md", "docs/inventory.md"])
def test_what_documents_ask_the_inventory_works_as_it_stands(listed_demo, document):
    """Each command line and each call finds something."""
    blocks = [block for block in _blocks(document, "sh") if "cloudspan find" in block or "InventoryService" in block]
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("grpcurl")]
    assert len(lines) >= 3
    for line in lines:
        words = _words(line, listed_demo.gateway)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert len(done.stdout) > 20, line


def test_what_the_page_of_events_says_works_as_it_stands(running_demo):
    """Each command line and each call; those of a receiver of one's own are tried by the tests of webhooks."""
    blocks = [block for block in _blocks("docs/events.md", "sh") if "cloudspan webhooks" not in block]
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("grpcurl")]
    assert len(lines) == 4
    for line in lines:
        words = _words(line, running_demo.gateway)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert len(done.stdout) > 20, line


@pytest.mark.parametrize(("document", "count"), [("docs/inventory.md", 2), ("docs/events.md", 1)])
def test_grpcurl_s_calls_of_a_page_are_requests(document, count):
    """Grpcurl itself is not needed here."""
    lines = [line for block in _blocks(document, "sh") for line in block.splitlines() if line[:7] == "grpcurl"]
    assert len(lines) == count
    for line in lines:
        *_, data, _, method = shlex.split(line)
        json_format.Parse(data, contract.methods()[method].request())


def test_the_readme_s_table_is_what_the_running_adapters_say(running_demo):
    """`cloudspan capabilities --write README.md` beside `make up` brings it up to date."""
    table = cli("capabilities", "--gateway", running_demo.gateway).stdout.strip()
    written = README.partition(capability_table.BEGIN)[2].partition(capability_table.END)[0].strip()
    assert written == table
    assert "| ServerService | " in table


@pytest.mark.parametrize("config", [GatewayConfig, OpenStackConfig, ZStackConfig, MemoryConfig])
def test_each_option_is_in_the_operators_document(config):
    """As `--name` in a table's row."""
    operating = (ROOT / "docs" / "operating.md").read_text()
    flags = [param.opts[0] for param in config_command(config, print).params if param.name != "print_config"]
    assert [flag for flag in flags if f"| `{flag}` |" not in operating] == []


def test_the_code_of_the_guide_to_a_new_rpc_is_that_of_the_example():
    """The rpc in the contract and its function in the memory adapter, at whatever depth they are indented."""
    for language, source in (
        ("proto", "protos/cloudspan/v1/security_group.proto"),
        ("python", "adapters/memory/cloudspan_memory/network/security_groups.py"),
    ):
        [block] = _blocks("docs/add-an-rpc.md", language)
        lines = [line.strip() for line in (ROOT / source).read_text().splitlines()]
        assert "\n".join(line.strip() for line in block.splitlines()) in "\n".join(lines), source


def test_links_between_documents_lead_somewhere():
    """Relative ones, to files and folders."""
    documents = ("docs/*.md", "docs/adr/*.md", "adapters/*/README.md")
    found = (str(path.relative_to(ROOT)) for pattern in documents for path in ROOT.glob(pattern))
    for document in ("README.md", "CONTRIBUTING.md", *found):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
            assert (ROOT / document).parent.joinpath(link).exists(), f"{document}: {link}"


@pytest.fixture
async def metrics_with_auth():
    config = GatewayConfig(
        listen="127.0.0.1:0", database="memory:", no_inventory=True, auth=("sessions",), wait_for_adapters=0
    )
    async with build(config, MemoryRegistry()).working() as asking:
        return generate_latest(asking.metrics.registry).decode()


def test_each_metric_of_the_operators_document_is_served(running_demo, metrics_with_auth):
    """By the gateway, and by an adapter; those of tenants where callers are authenticated."""
    operating = (ROOT / "docs" / "operating.md").read_text()
    for port, names in ((1, "gateway"), (14, "adapter|native")):
        named = re.findall(rf"^\| `(cloudspan_(?:{names})_\w+)`", operating, re.MULTILINE)
        with urllib.request.urlopen(f"http://127.0.0.1:{running_demo.base + port}/metrics", timeout=5) as answer:
            served = answer.read().decode() + metrics_with_auth
        assert len(named) > 3
        assert [name for name in named if f"# TYPE {name} " not in served] == []
        assert "cloudspan_build_info{" in served


async def test_the_smallest_adapter_of_the_document_runs(tmp_path, until):
    """Saved as it stands, it registers and answers through a gateway."""
    script = tmp_path / "hello.py"
    script.write_text(_blocks("docs/writing-an-adapter.md", "python")[0])
    registry = f"static:{tmp_path / 'registry.yaml'}"
    async with program(str(script), "--registry", registry, "--drain", "0"), gateway(registry) as cloud:

        async def zones():
            request = zone_pb2.ListZonesRequest(parent="platforms/-/clusters/-", page_size=1)
            return [zone.display_name async for zone in cloud.each(cloud.zones.ListZones, request)]

        assert await until(zones) == ["east", "west"]
        zone = await cloud.zones.GetZone(zone_pb2.GetZoneRequest(name="platforms/hello/clusters/main/zones/west"))
        assert zone.available
