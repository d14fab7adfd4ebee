"""The inventory of one gateway, as the composition root has it: its store, its sweeps, and who reads it.

`app` makes one unless it was told to keep none, and runs it as the part `inventory`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from cloudspan.v1.cluster_pb2 import Cluster
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.inventory.query.query import Query
from cloudspan_gateway.inventory.query.summary import Summaries
from cloudspan_gateway.inventory.reads.kept_collections import Sources
from cloudspan_gateway.inventory.reads.own_changes import OwnChanges
from cloudspan_gateway.inventory.reads.stored_reads import StoredReads
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.collection import Environment
from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
from cloudspan_gateway.inventory.sync.source import AdapterSource
from cloudspan_gateway.inventory.sync.sync import Sync
from cloudspan_gateway.inventory.watch.change_log import ChangeLog
from cloudspan_gateway.inventory.watch.feed import Feed
from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
from cloudspan_gateway.inventory.write_through import WriteThrough

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from cloudspan_common.clock import Clock
    from cloudspan_common.listing.page_token import Check
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.registry.coordination import Coordinator
    from cloudspan_gateway.inventory.reads.own_changes import EndedOperations
    from cloudspan_gateway.inventory.sync.config import SyncSettings
    from cloudspan_gateway.inventory.write_through import Operation
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database

CLOCKS_APART_S = 2.0
"""By how much clocks of gateways on one database may differ: an end and a listing may be told by two of them."""


@dataclass(frozen=True, slots=True)
class InventoryNeeds:
    """What the inventory works with."""

    database: Database
    table: Table
    forwarder: Forwarder
    coordinator: Coordinator
    """Says which gateway sweeps a cluster."""
    clock: Clock
    metrics: CollectorRegistry
    cipher: Cipher
    projects: Callable[[ClusterRef], frozenset[str]]
    """Returns the ids of the projects of a cluster that pools have; none where adapters can't be told of them."""


class Inventory:
    """All parts of the inventory."""

    def __init__(self, needs: InventoryNeeds, settings: SyncSettings) -> None:
        """Make the parts; nothing is read before `run`."""
        self._table = needs.table
        self._projects_of_pools = needs.projects
        self.clock = needs.clock
        self.store = InventoryStore(needs.database, needs.clock)
        self.query = Query(needs.database)
        self.summaries = Summaries(needs.database)
        self.tokens = ResumeTokens(needs.cipher)
        self.feed = Feed(ChangeLog(needs.database), self.store.subscribe, self.tokens, needs.clock)
        watches = Gauge("cloudspan_gateway_inventory_watches", "Watches under way.", registry=needs.metrics)
        watches.set_function(lambda: self.feed.watches)
        source = AdapterSource(lambda: needs.table.snapshot, needs.forwarder)
        environment = Environment(
            store=self.store,
            source=source,
            clock=needs.clock,
            settings=settings,
            metrics=SyncMetrics(needs.metrics, needs.clock),
            owner=f"gateway-{uuid.uuid4().hex[:16]}",
        )
        self.sync = Sync(environment, needs.database, needs.coordinator, self._clusters, self._projects)
        self._clocks_apart_s = CLOCKS_APART_S if needs.database.shared else 0.0
        self.write_through = WriteThrough(self.store, source, needs.clock, self.sync.soon, self._clocks_apart_s)
        needs.table.subscribe(lambda _snapshot: self.sync.wake())

    def __repr__(self) -> str:
        return f"<Inventory {self.sync!r}>"

    def _clusters(self) -> list[str]:
        """Return the clusters of the route table."""
        platforms = self._table.snapshot.platforms.values()
        return [str(route.ref) for platform in platforms for route in platform.clusters.values()]

    def _projects(self, cluster: str) -> frozenset[str] | None:
        """Return the names of the projects of a cluster that are to be listed by themselves; None if not known yet.

        Those that pools have, without the one that its credentials list.
        """
        ref = parse_cluster(cluster)
        platform = self._table.snapshot.platforms.get(ref.platform)
        route = platform.clusters.get(ref.cluster) if platform is not None else None
        if route is None or (not route.cluster.project and route.cluster.state != Cluster.STATE_READY):
            return None
        if not route.cluster.project:  # they list all projects
            return frozenset()
        found = {ref.resource("projects", project) for project in self._projects_of_pools(ref)}
        return frozenset(found - {route.cluster.project})

    def stored_reads(
        self,
        operations: EndedOperations,
        subscribe: Callable[[Callable[[Operation, float], None]], object],
        check: Check,
    ) -> StoredReads:
        """Return what answers List and Get.

        Args:
            operations: Where they are kept.
            subscribe: Calls what it gets with each operation that ends here.
            check: Proves that a page token is this installation's own.
        """
        subscribe(self.write_through.operation_ended)
        own = OwnChanges(operations, self._clocks_apart_s)
        sources = Sources(self.query, self.store, own, self.sync, self.write_through)
        return StoredReads(sources, self._table, check, self.clock)

    async def run(self) -> None:
        """Keep it up to date, its watches and what operations have changed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sync.run())
            group.create_task(self.feed.run())
            group.create_task(self.write_through.run())

    def drain(self) -> None:
        """End its watches: their callers go on at another gateway."""
        self.feed.stop()
