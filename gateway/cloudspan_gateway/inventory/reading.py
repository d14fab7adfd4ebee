"""What answers List and Get from the inventory, put together for one gateway.

`parts` makes it beside the store and the sweeps; `app` hands it to dispatch, to lists and to the runner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_gateway.inventory.kept_collections import Sources
from cloudspan_gateway.inventory.own_changes import OwnChanges
from cloudspan_gateway.inventory.stored_reads import StoredReads
from cloudspan_gateway.inventory.write_through import WriteThrough

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_common.listing.page_token import Check
    from cloudspan_gateway.inventory.base import Reads
    from cloudspan_gateway.inventory.own_changes import EndedOperations
    from cloudspan_gateway.inventory.store import InventoryStore
    from cloudspan_gateway.inventory.sync.source import Source
    from cloudspan_gateway.inventory.sync.sync import Sync
    from cloudspan_gateway.routing.table import Table

CLOCKS_APART_S = 2.0
"""By how much clocks of gateways on one database may differ: an end and a listing may be told by two of them."""


class Reading:
    """Stored answers, and the operations that are written for them."""

    def __init__(
        self, store: InventoryStore, query: Reads, source: Source, sync: Sync, clock: Clock, *, shared: bool
    ) -> None:
        """Make it; `shared` says whether other gateways work on the database."""
        self._store = store
        self._query = query
        self._sync = sync
        self._clock = clock
        self._apart_s = CLOCKS_APART_S if shared else 0.0
        self.write_through = WriteThrough(store, source, clock, sync.soon, self._apart_s)

    def __repr__(self) -> str:
        return f"<Reading {self.write_through!r}>"

    def stored_reads(self, operations: EndedOperations, table: Table, check: Check) -> StoredReads:
        """Return what dispatch and lists ask; `check` proves that a page token is this installation's own."""
        own = OwnChanges(operations, self._apart_s)
        sources = Sources(self._query, self._store, own, self._sync, self.write_through)
        return StoredReads(sources, table, check, self._clock)
