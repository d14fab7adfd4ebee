"""What people do with operations at the command line: see, explain, cancel, abandon, and clean up what is nobody's."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest
import yaml
from tests.flows.conftest import gateway, program

from cloudspan.client import waiting
from cloudspan.v1 import server_pb2

MAIN = "platforms/memory/clusters/main"
NEVER_S = "1000"


async def _cli(address, *words, fails=False):
    """Run a command against a gateway; return what it printed, on stdout and stderr."""
    command = (sys.executable, "-m", "cloudspan.cli", *words, "--gateway", address)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert bool(process.returncode) == fails, out.decode()
    return out.decode()


def _create(name):
    server = server_pb2.Server(display_name=name, flavor=f"{MAIN}/flavors/small")
    return server_pb2.CreateServerRequest(parent=MAIN, server=server)


@pytest.fixture
async def cloud(tmp_path, until):
    """A gateway and a memory platform on which nothing that is begun ever ends."""
    registry = f"static:{tmp_path}/registry.yaml"
    (tmp_path / "registry.yaml").write_text("adapters: []\n")
    words = ("-m", "cloudspan_memory", "--registry", registry, "--drain", "0", "--delay", NEVER_S)
    async with gateway(registry) as client, program(*words):
        await until(lambda: _served(client))
        yield client


async def _served(client):
    request = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
    return (await client.servers.ListServers(request, timeout=5)).cluster_status


async def test_an_operation_is_listed_explained_and_cancelled(cloud):
    """Each command shows names that the next one takes."""
    operation = await cloud.servers.CreateServer(_create("web"), metadata=waiting(0.5))
    listed = await _cli(cloud.address, "operations", "--filter", 'method = "cloudspan.v1.ServerService/CreateServer"')
    assert re.search(rf"{operation.name} +CreateServer +RUNNING", listed)
    assert f"{MAIN}/servers/" in listed
    explained = await _cli(cloud.address, "explain", operation.name.removeprefix("operations/"))
    assert [word in explained for word in ("server", "running", "steps")] == [True] * 3
    cancelled = await _cli(cloud.address, "cancel", operation.name)
    assert re.search(rf"{operation.name} +CreateServer +FAILED", cancelled)
    assert "removed: " in cancelled
    assert "there is no operations/none" in await _cli(cloud.address, "explain", "none", fails=True)


async def test_what_was_abandoned_is_found_reviewed_and_cleaned_up(cloud, tmp_path):
    """Nothing is deleted that the reviewed file does not mark; what is no longer an orphan is kept and reported."""
    kept, gone = [await cloud.servers.CreateServer(_create(name), metadata=waiting(0.5)) for name in ("kept", "gone")]
    assert "0 orphans among 2 marked" in await _cli(cloud.address, "orphans", "memory/main")
    for operation in (kept, gone):
        ended = await _cli(cloud.address, "abandon", operation.name, "--reason", "the rack is on fire")
        assert "the rack is on fire" in ended
    plan = tmp_path / "orphans.yaml"
    assert "2 orphans among 2 marked" in await _cli(cloud.address, "orphans", "memory/main", "--plan", str(plan))
    entries = yaml.safe_load(plan.read_text())
    assert {(entry["display_name"], entry["kind"], entry["delete"]) for entry in entries} == {
        ("kept", "LEFT_BEHIND", False),
        ("gone", "LEFT_BEHIND", False),
    }
    for entry in entries:
        entry["delete"] = entry["display_name"] == "gone"
    plan.write_text(yaml.safe_dump(entries))
    applied = await _cli(cloud.address, "orphans", "memory/main", "--apply", str(plan))
    assert applied.count("deleted ") == 1
    servers = await cloud.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    assert [server.display_name for server in servers.servers] == ["kept"]
    again = await _cli(cloud.address, "orphans", "memory/main", "--apply", str(plan), fails=True)
    assert "1 of 1 were kept" in again


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- name: x", "is not as --plan writes it"),
        ("[{name: platforms/memory/clusters/other/servers/1, delete: true}]", "which is not on"),
        ("{", "is not as --plan writes it"),
    ],
)
async def test_a_malformed_reviewed_file_deletes_nothing(tmp_path, text, says):
    """It says what is wrong before any gateway is asked."""
    file = tmp_path / "orphans.yaml"
    file.write_text(text)
    assert says in await _cli("127.0.0.1:1", "orphans", "memory/main", "--apply", str(file), fails=True)
