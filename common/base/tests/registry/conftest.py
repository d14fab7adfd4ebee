"""What the registry's tests share: a real Consul agent, adapters that answer health probes, one harness per driver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import consul
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from cloudspan_common.registry import Instance
from cloudspan_common.registry.consul import ConsulRegistry, ConsulTimes
from cloudspan_common.registry.consul_agent import Agent
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.registry.static import StaticRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from cloudspan_common.registry import Registry, View

QUICK = ConsulTimes(ttl_s=1.0, probe_s=1.0, wait_s=2.0, hold_s=2.0)  # Consul probes once a second at most
_TICK_S = 0.02


class ConsulServer:
    """A single-server Consul of our own on free loopback ports; killed, frozen and restarted as a test likes.

    It keeps everything in memory and so forgets it at a restart, as a container without a volume does; with
    `on_disk` it remembers, and needs a second more for its election.
    """

    on_disk = False
    settings: tuple[str, ...] = ()
    """More of its configuration, in HCL."""
    token = ""
    """What it is asked with, if its settings ask for one."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._data = program, folder / "consul"
        self._log = folder / "consul.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.http_port, self._serf_port, self._rpc_port = free_ports(3)

    @property
    def api(self) -> consul.Consul:
        return consul.Consul("127.0.0.1", self.http_port, token=self.token or None)

    def start(self) -> None:
        """Start on the same ports as before, and return when there is a leader."""
        self.launch()
        deadline = time.monotonic() + 20
        while not self._has_leader():
            assert self._process
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(_TICK_S)

    def launch(self) -> None:
        """Start without waiting."""
        role = ["-server", "-bootstrap-expect", "1", "-data-dir", str(self._data)] if self.on_disk else ["-dev"]
        ports = {
            "http": self.http_port, "serf-lan": self._serf_port, "server": self._rpc_port,
            "serf-wan": -1, "dns": -1, "grpc": -1,
        }  # fmt: skip
        command = [self._program, "agent", *role, "-node", "test", "-disable-host-node-id"]
        command += ["-bind", "127.0.0.1", "-client", "127.0.0.1"]
        command += [word for name, port in ports.items() for word in (f"-{name}-port", str(port))]
        settings = ("disable_update_check = true", "performance { raft_multiplier = 1 }", *self.settings)
        command += [word for setting in settings for word in ("-hcl", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def _has_leader(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.http_port}/v1/health/service/consul?passing&token={self.token}"
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(json.load(answer))
        except OSError:
            return False

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self.thaw()
            self.kill()

    def checks_of(self, service: str) -> dict[str, str]:
        """Return the status of each service check by its name."""
        _, rows = self.api.health.service(service)
        return {check["Name"]: check["Status"] for row in rows for check in row["Checks"] if check["ServiceID"]}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def find_consul() -> str:
    """Return the Consul program; without one skip, or fail where a skip would hide that nothing was proven."""
    home = Path.home() / ".local" / "bin" / "consul"
    for program in (os.environ.get("CLOUDSPAN_CONSUL"), shutil.which("consul"), str(home)):
        if program and Path(program).is_file():
            return program
    missing = "the real Consul agent is missing: set CLOUDSPAN_CONSUL or put consul on PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def consul_program() -> str:
    """The Consul program, see `find_consul`."""
    return find_consul()


@pytest.fixture(scope="session")
def shared_consul(consul_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """An agent that tests share and leave alone; each uses a service name of its own."""
    server = ConsulServer(consul_program, tmp_path_factory.mktemp("consul"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_consul(consul_program: str, tmp_path: Path) -> Iterator[ConsulServer]:
    """An agent that the test may kill and freeze; not started."""
    server = ConsulServer(consul_program, tmp_path)
    yield server
    server.stop()


class Place:
    """Where one driver keeps its entries; `open` is what another process would do."""

    def __init__(self, opener: Callable[[], Registry]) -> None:
        self._opener = opener
        self._opened: list[Registry] = []

    def open(self) -> Registry:
        registry = self._opener()
        self._opened.append(registry)
        return registry

    async def restart_of(self, instance: Instance) -> None:
        """Enter `instance` as its next process does, whose predecessor has not left."""
        registry = self.open()
        if isinstance(registry, MemoryRegistry):
            registry.put(instance)
        else:
            await registry.register(instance)

    async def close(self) -> None:
        for registry in self._opened:
            await registry.close()


@pytest.fixture
def service() -> str:
    return f"adapters-{uuid.uuid4().hex[:8]}"


@pytest.fixture(params=["memory", "static", "consul"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, service: str) -> AsyncIterator[Place]:
    """Each driver in turn."""
    if request.param == "memory":
        registry = MemoryRegistry()
        place = Place(lambda: registry)
    elif request.param == "static":
        place = Place(lambda: StaticRegistry(tmp_path / "adapters.yaml"))
    else:
        server: ConsulServer = request.getfixturevalue("shared_consul")
        place = Place(lambda: consul_registry(server, service))
    yield place
    await place.close()


def consul_registry(server: ConsulServer, service: str, **options) -> ConsulRegistry:
    call_s = options.pop("call_s", 2.0)
    agent = Agent("127.0.0.1", server.http_port, call_s=call_s)
    return ConsulRegistry(agent, service, **{"times": QUICK, **options})


@pytest.fixture
async def east() -> AsyncIterator[Instance]:
    """An instance whose address answers health probes."""
    async with adapter("os-east") as instance:
        yield instance


@pytest.fixture
async def west() -> AsyncIterator[Instance]:
    """Another one."""
    async with adapter("zs-west", platform="zstack") as instance:
        yield instance


@pytest.fixture
def unused_address() -> str:
    """An address where nobody listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@contextlib.asynccontextmanager
async def adapter(instance_id: str, platform: str = "openstack") -> AsyncIterator[Instance]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    servicer = health.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Instance(instance_id, platform, f"127.0.0.1:{port}", contract=(1, 3), build="1.4.0+g1a2b3c")
    await server.stop(None)


async def _until(views: AsyncIterator[View], wanted: Callable[[View], bool], within_s: float = 10) -> View:
    async with asyncio.timeout(within_s):
        async for view in views:
            if wanted(view):
                return view
    pytest.fail("the watch ended")


@pytest.fixture
def until() -> Callable[..., Awaitable[View]]:
    """Return the function that gives the first view that is as wanted."""
    return _until


async def _eventually(true: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what it looks at is an agent's state, which sets no Event
            await asyncio.sleep(_TICK_S)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Return the function that waits until something is true."""
    return _eventually


@pytest.fixture
async def open_consul(service: str) -> AsyncIterator[Callable[..., ConsulRegistry]]:
    """Return the function that opens a registry on an agent, under the test's service name."""
    opened: list[ConsulRegistry] = []

    def open_one(server: ConsulServer, **options) -> ConsulRegistry:
        opened.append(consul_registry(server, service, **options))
        return opened[-1]

    yield open_one
    for registry in opened:
        await registry.close()
