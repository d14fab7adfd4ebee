"""Sweeps of one or several gateways over clouds in memory; time passes as the test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, OTHER

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import Unsupported
from cloudspan_common.registry.coordination.memory import World
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.model import CollectionState
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.collection import Environment
from cloudspan_gateway.inventory.sync.config import SyncSettings
from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
from cloudspan_gateway.inventory.sync.source import Page, PageRequest
from cloudspan_gateway.inventory.sync.sync import Sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cloudspan_gateway.inventory.model import Observed
    from cloudspan_gateway.storage.engine import Database

LEASE_S = 10.0


@dataclass
class Clouds:
    """Several clusters with servers, and nothing else."""

    clouds: dict[str, ListedCloud] = field(
        default_factory=lambda: {each: ListedCloud({"a": "a"}, cluster=each) for each in (CLUSTER, OTHER)}
    )
    listed: list[str] = field(default_factory=list)
    """The clusters whose servers were listed, in order."""
    held: asyncio.Event | None = None
    """Until it is set no page is answered."""

    async def page(self, request: PageRequest) -> Page:
        if request.collection != "servers":
            raise Unsupported("there are servers alone here", reason="METHOD_ABSENT")
        if request.since is None and not request.cursor:
            self.listed.append(request.project or request.cluster)
        if self.held is not None:
            await self.held.wait()
        return await self.clouds[request.cluster].page(request)

    async def get(self, name: str) -> Observed | None:
        cluster = next(each for each in self.clouds if name.startswith(f"{each}/"))
        return await self.clouds[cluster].get(name)


class Installation:
    """Clouds, a clock, the coordination and the table that gateways share."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.world = World(self.clock)
        self.clouds = Clouds()
        self.clusters: list[str] = [CLUSTER]
        self.projects: dict[str, frozenset[str] | None] = {}
        self.settings = SyncSettings(fastest_s=15.0, slowest_s=600.0, removed_after_s=60.0)
        self.databases: list[Database] = []

    @asynccontextmanager
    async def gateway(self, database: Database, name: str) -> AsyncIterator[Sync]:
        """Run the sweeps of one gateway."""
        store = InventoryStore(database, self.clock)
        environment = Environment(store, self.clouds, self.clock, self.settings, SyncMetrics(clock=self.clock), name)
        coordinator = self.world.coordinator(LEASE_S)
        sync = Sync(environment, database, coordinator, lambda: list(self.clusters), self._projects)
        running = asyncio.create_task(sync.run())
        try:
            yield sync
        finally:
            running.cancel()
            await asyncio.wait([running])
            await coordinator.close()

    def _projects(self, cluster: str) -> frozenset[str] | None:
        return self.projects.get(cluster, frozenset())

    async def until(self, condition: Callable[[], object], *, each_s: float = 0.0) -> None:
        """Wait until a condition is true; let time pass meanwhile, if asked to."""
        async with asyncio.timeout(10):
            while not condition():
                if each_s:
                    await self.clock.advance(each_s)
                await asyncio.sleep(0.002)

    async def passes(self, seconds: float) -> None:
        """Let time pass, and whatever begins then come to its end: the database has threads."""
        for _ in range(int(seconds / 5.0)):
            await self.clock.advance(5.0)
            for _ in range(3):
                await asyncio.sleep(0.002)


async def state_of(
    database: Database, cluster: str = CLUSTER, collection: str = "servers", project: str = ""
) -> CollectionState:
    states = await InventoryStore(database).states([cluster])
    of_collection = (state for state in states if (state.collection, state.project) == (collection, project))
    return next(of_collection, CollectionState(cluster, collection, project=project))


async def kept(database: Database, cluster: str = CLUSTER) -> set[str]:
    return {name.rpartition("/")[2] for name in await InventoryStore(database).known(cluster, "servers")}


def within(seconds: float = 5.0) -> Deadline:
    return Deadline.after(seconds)
