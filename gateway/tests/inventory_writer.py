"""Puts resources into the inventory of a database and takes them away, each time as read a second later."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, update

from cloudspan_gateway.inventory.model import Observed, Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.tables import change_sequence, resource_changes

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cloudspan_gateway.storage.engine import Database


class InventoryWriter:
    """The store, with a clock of its own."""

    def __init__(self, database: Database, store: InventoryStore | None = None) -> None:
        self.database = database
        self.store = store or InventoryStore(database)
        self.now = 1_700_000_000.0

    async def put(self, collection: str, *found: Any) -> None:
        """Keep resources of a collection as they are now, one after the other."""
        for one in found:
            await self.put_together(collection, one)

    async def put_together(self, collection: str, *found: Any) -> None:
        """Keep resources in one transaction, in whatever order."""
        self.now += 1
        await self.store.apply(collection, [Observed.of(one) for one in found], self.now, Origin.SWEEP)

    async def remove(self, *names: str) -> None:
        self.now += 1
        await self.store.remove(names, self.now)

    async def purge(self) -> None:
        """Forget all changes, and the rows of what is deleted."""
        await self.database.transact(lambda conn: outbox.purge(conn, math.inf, 1_000))
        await self.store.purge(math.inf)

    async def purge_upto(self, sequence: int) -> None:
        """Forget changes up to one of them."""

        def batch(conn: Connection) -> None:
            conn.execute(delete(resource_changes).where(resource_changes.c.sequence <= sequence))
            conn.execute(update(change_sequence).values(oldest=sequence))

        await self.database.transact(batch)

    async def begin_anew(self, epoch: str) -> None:
        await self.database.transact(lambda conn: conn.execute(update(change_sequence).values(epoch=epoch)))
