"""What a type checker knows of the client's answers; and that what is generated covers the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

from cloudspan.client import AsyncClient
from cloudspan_common import contract

ROOT = Path(__file__).parents[3]

SNIPPET = """
from cloudspan.client import AsyncClient, Client
from cloudspan.v1.server_pb2 import CreateServerRequest, DeleteServerRequest, GetServerRequest, ListServersRequest

def block(client: Client) -> None:
    reveal_type(client.servers.GetServer(GetServerRequest()))
    operation = client.servers.CreateServer(CreateServerRequest())
    reveal_type(operation)
    reveal_type(operation.result())
    for server in client.each(client.servers.ListServers, ListServersRequest()):
        reveal_type(server)
    for change in operation.changes():
        reveal_type(change)
    client.servers.GetServer(ListServersRequest())

async def run(client: AsyncClient) -> None:
    operation = await client.servers.CreateServer(CreateServerRequest())
    reveal_type(await operation.result(5))
    reveal_type(await (await client.servers.DeleteServer(DeleteServerRequest())).result())
    async for server in client.each(client.servers.ListServers, ListServersRequest()):
        reveal_type(server)
"""


def test_results_items_and_changes_have_the_resource_s_type(tmp_path):
    """Mypy names the message; a request of another method is an error."""
    (tmp_path / "snippet.py").write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", str(tmp_path / "snippet.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    revealed = [line.partition('type is "')[2].rstrip('"') for line in done.stdout.splitlines() if "Revealed" in line]
    server = "cloudspan.v1.server_pb2.Server"
    operation = f"cloudspan.client.generated.sync_calls.Operation[{server}]"
    empty = "google.protobuf.empty_pb2.Empty"
    assert revealed == [server, operation, server, server, operation, server, empty, server], done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, done.stdout
    assert 'incompatible type "ListServersRequest"; expected "GetServerRequest"' in errors[0]


async def test_services_have_the_names_of_what_they_are_about_and_those_of_callers_are_not_among_them():
    """`client.policies`; the gateway serves no HandshakeVerifier, it calls one."""
    async with AsyncClient() as client:
        offered = set(vars(client))
    assert {"servers", "key_pairs", "policies", "audits", "sessions", "users", "tenants"} <= offered
    assert [name for name in offered if "handshake" in name] == []


async def test_each_method_of_the_contract_is_offered_and_no_read_misses_its_retries():
    """Of all services; what has side effects is in no retry policy."""
    async with AsyncClient() as client:
        offered = {name for service in vars(client).values() for name in getattr(service, "__dict__", {})}
    assert {method.name for method in contract.methods().values()} <= offered
    config = json.loads(resources.files("cloudspan.client.generated").joinpath("service_config.json").read_text())
    retried = {f"{entry['service']}/{entry['method']}" for entry in config["methodConfig"][0]["name"]}
    kinds = {method.full_name: method.kind for method in contract.methods().values()}
    reads = {name for name, kind in kinds.items() if kind in (contract.Kind.READ, contract.Kind.LIST)}
    assert {name for name in retried if name.startswith("cloudspan.v1.")} == reads
