"""An adapter whose clusters stand in a file, and a platform that they log in to: what the tests of reloading start."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from common.kit.tests.acme import AcmeCluster
from prometheus_client import CollectorRegistry

from cloudspan.client import AsyncClient
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest, LoginRefused, Unreachable
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.telemetry import new_registry
from cloudspan_common.testing import FakeClock
from cloudspan_common.tokens import IssuedToken, Token, TokenKeeper, TokenKey
from cloudspan_kit import Call, Capability, ClusterConfigs, ClusterFile, revision_of, state_of
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve


@dataclass
class Acme:
    """A platform that accepts some passwords, and counts who logs in with which."""

    clock: FakeClock
    accepted: set[str] = field(default_factory=lambda: {"one", "two"})
    away: bool = False
    logins: Counter[str] = field(default_factory=Counter)
    logouts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Entry:
    """One line of the file: `TAG PASSWORD`."""

    password: str

    @property
    def revision(self) -> str:
        return revision_of(self.password)


class Issuer:
    """Logs in with one password."""

    def __init__(self, acme: Acme, password: str) -> None:
        self.acme, self.password = acme, password

    async def issue(self) -> IssuedToken:
        self.acme.logins[self.password] += 1
        if self.acme.away:
            raise Unreachable("acme does not answer")
        if self.password not in self.acme.accepted:
            raise LoginRefused(f"login refused for number {self.acme.logins[self.password]}")
        now = self.acme.clock.now()
        return IssuedToken(self.password, now + 36_000, now)

    async def revoke(self, token: Token) -> None:
        self.acme.logouts[token.value] += 1


class Servers:
    """A server that shows the password of the token that it was read with."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, ref: ClusterRef, keeper: TokenKeeper, acme: Acme) -> None:
        self.ref, self.keeper, self.acme = ref, keeper, acme
        self.hold = asyncio.Event()
        self.hold.set()
        self.called = asyncio.Event()

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        self.called.set()
        token = await self.keeper.token(timeout_s=5)
        await self.hold.wait()
        while token.value not in self.acme.accepted and self.keeper.retire(token):
            token = await self.keeper.token(timeout_s=5)
        if token.value not in self.acme.accepted:
            raise LoginRefused("401")
        return server_pb2.Server(name=self.ref.resource("servers", call.id), display_name=token.value)


class Cluster(AcmeCluster[Servers]):
    """A cluster with a login."""

    def __init__(self, ref: ClusterRef, entry: Entry, acme: Acme) -> None:
        key = TokenKey(ref.cluster, entry.revision)
        self.keeper = TokenKeeper(Issuer(acme, entry.password), key, clock=acme.clock)
        super().__init__(Servers(ref, self.keeper, acme))
        self.ref, self.entry, self.digest, self.closed = ref, entry, "acme", False

    async def open(self) -> None:
        if self.entry.password == "crash":
            raise RuntimeError("a mistake of the adapter's author")
        self.keeper.start()

    async def close(self) -> None:
        self.closed = True
        await self.keeper.close()

    def describe(self) -> cluster_pb2.Cluster:
        state, message = state_of(self.keeper)
        return cluster_pb2.Cluster(state=state, message=message)


class Running:
    """An adapter that follows a file, and who calls it."""

    def __init__(self, acme: Acme, file: Path, options: tuple[str, ...]) -> None:
        self.acme, self.file, self.options = acme, file, options
        self.made: list[Cluster] = []
        self.metrics: CollectorRegistry = new_registry()
        self.client: AsyncClient

    def write(self, text: str) -> None:
        draft = self.file.with_name("draft")
        draft.write_text(text)
        draft.replace(self.file)

    def read(self) -> ClusterConfigs[Entry]:
        lines = self.file.read_text().splitlines()
        if lines == ["broken"]:
            raise InvalidRequest(f"{self.file} is broken", reason="NO_CLOUDS_FILE")
        if lines == ["mistake"]:
            raise ValueError("of the adapter's author")
        found: dict[str, Entry | InvalidRequest] = {}
        for line in lines:
            tag, password = line.split()
            found[tag] = InvalidRequest("odd entry", reason="BAD_CLOUD") if password == "bad" else Entry(password)
        missing = [tag for tag in self.options if tag not in found]
        found |= {tag: InvalidRequest(f"{tag} is not there", reason="BAD_CLOUD") for tag in missing}
        return ClusterConfigs(found, [self.file], missing)

    def make(self, ref: ClusterRef, entry: Entry) -> Cluster:
        if entry.password == "defect":
            raise RuntimeError("a mistake of the adapter's author")
        if entry.password == "no-file":
            raise InvalidRequest("ca.pem can't be read", reason="BAD_TLS_FILE")
        self.made.append(Cluster(ref, entry, self.acme))
        return self.made[-1]

    async def password(self, tag: str = "east") -> str:
        request = server_pb2.GetServerRequest(name=f"platforms/acme/clusters/{tag}/servers/1")
        return (await self.client.servers.GetServer(request)).display_name

    async def cluster(self, tag: str = "east") -> cluster_pb2.Cluster:
        return await self.client.clusters.GetCluster(
            cluster_pb2.GetClusterRequest(name=f"platforms/acme/clusters/{tag}")
        )

    async def tags(self) -> list[str]:
        listed = await self.client.clusters.ListClusters(cluster_pb2.ListClustersRequest())
        return [cluster.name.rpartition("/")[2] for cluster in listed.clusters]

    def count(self, outcome: str, tag: str = "east") -> float:
        labels = {"platform": "acme", "cluster": tag, "outcome": outcome}
        return self.metrics.get_sample_value("cloudspan_cluster_configurations_total", labels) or 0.0

    async def until(self, condition: Callable[[], object], *, step_s: float = 1.0) -> None:
        """Let time pass until it holds; the file is read on a thread."""
        async with asyncio.timeout(10):
            while not condition():
                await self.acme.clock.advance(step_s)
                await asyncio.sleep(0.005)

    async def read_again(self) -> None:
        """Let the file be looked at a few times."""
        for _ in range(4):
            await self.acme.clock.advance(1.0)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(tmp_path: Path, text: str, *options: str) -> AsyncIterator[Running]:
    clock = FakeClock()
    running = Running(Acme(clock), tmp_path / "clusters", options)
    running.write(text)
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    adapter = Adapter("acme", "Acme", "none", ClusterFile(running.read, running.make, clock))
    work = asyncio.create_task(
        serve(
            adapter, AdapterConfig(drain_s=0.0), stop, registry=MemoryRegistry(), ready=bound.set_result,
            metrics=running.metrics,
        )
    )  # fmt: skip
    await asyncio.wait({work, bound}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        await work
    async with AsyncClient(await bound, timeout_s=10) as running.client:
        yield running
        stop.set()
        await work
