"""A gateway with `--auth sessions` from its first start on, by the command line alone: administrator, teams, audit."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from contextlib import asynccontextmanager
from functools import partial

import pytest
from click.testing import CliRunner
from tests.flows.conftest import program

from cloudspan.cli.main import cli
from cloudspan.client import AsyncClient, Forbidden, waiting
from cloudspan.v1 import server_pb2, session_pb2

MAIN = "platforms/memory/clusters/main"
ROOT, BOB, EVE = (f"the password of {name}" for name in ("root", "bob", "eve"))


class Installation:
    """A gateway with a memory platform, and people at the command line, each with a home of its own."""

    def __init__(self, folder, address):
        self.folder, self.address = folder, address
        self.log = folder / "gateway.log"

    async def run(self, who, *words, typed="", code=0):
        """Run a command as somebody; return what it printed."""
        own = {key: None for key in os.environ if key.startswith("CLOUDSPAN_")}
        home = {"XDG_CONFIG_HOME": str(self.folder / who), "CLOUDSPAN_GATEWAY": self.address, "COLUMNS": "250"}
        # In this process: twenty programs of a second each are the whole test's time.
        invoke = partial(CliRunner().invoke, cli, words, input=typed, env=own | home)
        result = await asyncio.to_thread(invoke)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    @property
    def bootstrap_token(self):
        return re.search(r"csb_[\w-]+", self.log.read_text())[0]

    async def token(self, user, password):
        """Log in as a program does."""
        async with AsyncClient(self.address) as cloud:
            request = session_pb2.CreateSessionRequest(user=user, password=password)
            return (await cloud.sessions.CreateSession(request)).token


@asynccontextmanager
async def _logged(file, *words):
    """A gateway whose output goes to a file: `program` shares the test's."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
    with file.open("wb") as out:
        process = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)


@pytest.fixture
async def installation(tmp_path, until):
    registry = f"static:{tmp_path}/registry.yaml"
    (tmp_path / "registry.yaml").write_text("adapters: []\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = Installation(tmp_path, f"127.0.0.1:{probe.getsockname()[1]}")
    gateway = (
        "-m", "cloudspan_gateway", "--auth", "sessions", "--listen", found.address, "--metrics", "", "--drain", "0",
        "--no-inventory", "--registry", registry, "--database", f"sqlite:{tmp_path}/db",
        "--audit-log", str(tmp_path / "audit.jsonl"),
    )  # fmt: skip
    memory = ("-m", "cloudspan_memory", "--registry", registry, "--drain", "0")
    async with _logged(found.log, *gateway), program(*memory):

        async def started():
            log = found.log.read_text()
            return "gateway started" in log and '"state":"READY"' in log

        await until(started, limit_s=30)
        yield found


async def test_two_teams_from_the_first_start_to_who_deleted_it(installation):
    """What one team does the other can't see; the administrator sees both, and that nobody changed the record."""
    run = installation.run
    await run("root", "bootstrap", "root", "--password-stdin", typed=f"{installation.bootstrap_token}\n{ROOT}\n")
    await run("root", "login", "root", "--password-stdin", typed=ROOT)
    for tenant, user, password, role in (("acme", "bob", BOB, "member"), ("zoo", "eve", EVE, "viewer")):
        await run("root", "tenants", "create", tenant)
        await run("root", "pools", "create", "prod", "--tenant", tenant, "--cluster", "memory/main")
        await run("root", "users", "create", user, "--tenant", tenant, "--password-stdin", typed=password)
        await run("root", "policy", "grant", user, role, "--tenant", tenant, "--pool", "prod")
        await run(user, "login", user, "--password-stdin", typed=password)
    assert "missing  delete" in await run("eve", "policy", "test", "memory/main", "read", "delete", code=1)

    name = await _create_and_delete(installation)
    assert "users/bob of acme" in await run("bob", "operations")
    assert await run("eve", "operations") == "nothing found\n"
    assert "you have no role in every tenant" in await run("eve", "audit", "verify", code=1)
    assert f"users/bob of acme deleted {name}" in await run("root", "audit", "who-deleted", name, "--all-tenants")
    refused = await run("root", "audit", "list", "--all-tenants", "--type", "refusal", "--subject", "eve")
    assert f"DeleteServer  PERMISSION_DENIED PERMISSION_MISSING\n├── {name}" in refused
    verified = await run("root", "audit", "verify")
    assert "the chain is whole" in verified
    head = re.search(r"--from (\d+) --hash (\w+)", verified)
    kept = ("--from", head[1], "--hash", head[2])
    assert "the chain is whole" in await run("root", "audit", "verify", *kept)
    assert "the chain is whole" in await run(
        "root", "audit", "verify", *kept, "--file", str(installation.folder / "audit.jsonl")
    )
    await run("bob", "logout")
    assert "`cloudspan login`" in await run("bob", "operations", code=1)
    written = installation.log.read_text() + (installation.folder / "audit.jsonl").read_text()
    assert [secret for secret in (ROOT, BOB, EVE) if secret in written] == []


async def _create_and_delete(installation):
    """Bob creates a server; Eve of another team tries to delete it, then Bob does. Return its name."""
    async with AsyncClient(installation.address, token=await installation.token("bob", BOB)) as cloud:
        server = server_pb2.Server(display_name="web", flavor=f"{MAIN}/flavors/small")
        request = server_pb2.CreateServerRequest(parent=MAIN, server=server)
        made = await (await cloud.servers.CreateServer(request, metadata=waiting(10))).result(20)
        delete = server_pb2.DeleteServerRequest(name=made.name)
        async with AsyncClient(installation.address, token=await installation.token("eve", EVE)) as other:
            with pytest.raises(Forbidden, match="permission `delete`"):
                await other.servers.DeleteServer(delete)
        await (await cloud.servers.DeleteServer(delete, metadata=waiting(10))).result(20)
    return made.name
