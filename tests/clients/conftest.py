"""A gateway to call, and each language's example built and run against it once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.clients import building

from cloudspan.client import Client, Unreachable
from cloudspan.v1.server_pb2 import ListServersRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTER = "platforms/memory/clusters/main"
# Two clusters of these make two of the examples' pages of 100.
_SERVERS = 60
# Long enough for a stream to be open before a change is done.
_CHANGE_S = "1"
_START_S = 20.0
_STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Run:
    """What an example printed, and the gateway it called."""

    gateway: str
    lines: tuple[str, ...]
    servers: tuple[str, ...]

    def after(self, word: str) -> list[str]:
        """Return the lines that begin with `word`, without it."""
        return [line.removeprefix(word).strip() for line in self.lines if line.startswith(word)]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway that CLOUDSPAN_CLIENTS_GATEWAY names (of a `make up`), else one over two clusters in memory."""
    if running := os.environ.get("CLOUDSPAN_CLIENTS_GATEWAY"):
        yield running
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = f"127.0.0.1:{probe.getsockname()[1]}"
    registry = f"static:{tmp_path_factory.mktemp('clients') / 'registry.yaml'}"
    clusters = ("--cluster", "main", "--cluster", "spare", "--servers", str(_SERVERS), "--delay", _CHANGE_S)
    with ExitStack() as processes:
        processes.enter_context(_program("cloudspan_memory", "--registry", registry, "--drain", "0", *clusters))
        options = ("--listen", free, "--metrics", "", "--drain", "0", "--database", "memory:", "--no-inventory")
        processes.enter_context(_program("cloudspan_gateway", "--registry", registry, *options))
        _wait_for(free, servers=2 * _SERVERS)
        yield free


@pytest.fixture(scope="module", params=building.LANGUAGES, ids=lambda language: language.name)
def example(request: pytest.FixtureRequest, address: str) -> Run:
    """The run of one language's example; skipped where its toolchain is missing."""
    language: building.Language = request.param
    if missing := language.missing():
        pytest.skip(f"no toolchain for {language.name}: {', '.join(missing)} not found")
    servers = _servers(address)
    building.build(language)
    printed = building.run(language, address, CLUSTER)
    return Run(address, tuple(printed.splitlines()), servers)


@contextmanager
def _program(module: str, *arguments: str) -> Iterator[None]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
    process = subprocess.Popen((sys.executable, "-m", module, *arguments), env=environment)
    try:
        yield
        assert process.poll() is None, f"{module} ended by itself"
    finally:
        process.terminate()
        process.wait(_STOP_S)


def _wait_for(address: str, *, servers: int) -> None:
    until = time.monotonic() + _START_S
    while (found := _count(address)) != servers:
        assert time.monotonic() < until, f"{found} servers of {servers} after {_START_S} s"
        time.sleep(0.05)


def _count(address: str) -> int:
    try:
        return len(_servers(address))
    except Unreachable:
        return 0


def _servers(address: str) -> tuple[str, ...]:
    with Client(address, retries=False) as client:
        listed = client.each(client.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-"))
        return tuple(sorted(server.name for server in listed))
