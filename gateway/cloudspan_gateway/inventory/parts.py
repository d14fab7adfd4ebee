"""The inventory of one gateway, as the composition root has it: its store, its sweeps, and who reads it.

`app` makes one unless it was told to keep none, and runs it as the part `inventory`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cloudspan_gateway.inventory.query import Query
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.summary import Summaries
from cloudspan_gateway.inventory.sync.collection import Environment
from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
from cloudspan_gateway.inventory.sync.source import AdapterSource
from cloudspan_gateway.inventory.sync.sync import Sync
from cloudspan_gateway.inventory.watch.change_log import ChangeLog
from cloudspan_gateway.inventory.watch.feed import Feed
from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
from cloudspan_gateway.storage.coordination import coordinator_in

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.coordination import Coordinator
    from cloudspan_gateway.inventory.sync.config import SyncSettings
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database


@dataclass(frozen=True, slots=True)
class InventoryNeeds:
    """What the inventory works with."""

    database: Database
    table: Table
    forwarder: Forwarder
    coordinator: Coordinator | None
    """The registry's; that of the database where it has none."""
    clock: Clock
    metrics: CollectorRegistry
    cipher: Cipher


class Inventory:
    """All parts of the inventory."""

    def __init__(self, needs: InventoryNeeds, settings: SyncSettings) -> None:
        """Make the parts; nothing is read before `run`."""
        self._table = needs.table
        self.clock = needs.clock
        self.store = InventoryStore(needs.database, needs.clock)
        self.query = Query(needs.database)
        self.summaries = Summaries(needs.database)
        self.tokens = ResumeTokens(needs.cipher)
        self.feed = Feed(ChangeLog(needs.database), self.store.subscribe, self.tokens, needs.clock)
        environment = Environment(
            store=self.store,
            source=AdapterSource(lambda: needs.table.snapshot, needs.forwarder),
            clock=needs.clock,
            settings=settings,
            metrics=SyncMetrics(needs.metrics, needs.clock),
            owner=f"gateway-{uuid.uuid4().hex[:16]}",
        )
        self._own_coordinator = None if needs.coordinator else coordinator_in(needs.database, needs.clock)
        coordinator = needs.coordinator or cast("Coordinator", self._own_coordinator)
        self.sync = Sync(environment, needs.database, coordinator, self._clusters)
        needs.table.subscribe(lambda _snapshot: self.sync.wake())

    def __repr__(self) -> str:
        return f"<Inventory {self.sync!r}>"

    def _clusters(self) -> list[str]:
        """Return the clusters of the route table."""
        platforms = self._table.snapshot.platforms.values()
        return [str(route.ref) for platform in platforms for route in platform.clusters.values()]

    async def run(self) -> None:
        """Keep it up to date, and its watches, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sync.run())
            group.create_task(self.feed.run())

    def drain(self) -> None:
        """End its watches: their callers go on at another gateway."""
        self.feed.stop()

    async def close(self) -> None:
        """Let go of locks that it keeps in the database."""
        if self._own_coordinator is not None:
            await self._own_coordinator.close()
