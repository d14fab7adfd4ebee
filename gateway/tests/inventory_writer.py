"""Writes rows of the inventory as its store does: each change numbered within its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from cloudspan_gateway.inventory.columns import columns_of
from cloudspan_gateway.inventory.model import Observed
from cloudspan_gateway.storage.tables import change_sequence, resource_changes, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message
    from sqlalchemy import Connection

    from cloudspan_gateway.storage.engine import Database

EPOCH = "epoch-1"


class InventoryWriter:
    """Puts resources in and takes them away, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 1_700_000_000.0
        self._changed: list[Callable[[], None]] = []

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._changed.append(changed)
        return lambda: self._changed.remove(changed)

    async def put(self, collection: str, *found: Any) -> None:
        """Keep resources of a collection as they are now."""
        await self.write(lambda conn: [self._put(conn, collection, one) for one in found])

    async def remove(self, *names: str) -> None:
        await self.write(lambda conn: [self._remove(conn, name) for name in names])

    async def purge(self, upto: int | None = None) -> None:
        """Forget changes up to one of them, or all of them, and the rows of what is deleted."""

        def batch(conn: Connection) -> None:
            last = upto if upto is not None else conn.execute(select(change_sequence.c.sequence)).scalar_one()
            conn.execute(delete(resource_changes).where(resource_changes.c.sequence <= last))
            changed = select(resource_changes.c.resource)
            gone = resources.c.deleted_time.is_not(None), resources.c.id.not_in(changed)
            conn.execute(delete(resources).where(*gone))
            conn.execute(update(change_sequence).values(oldest=last))

        await self.database.transact(batch)

    async def begin_anew(self, epoch: str) -> None:
        await self.database.transact(lambda conn: conn.execute(update(change_sequence).values(epoch=epoch)))

    async def write(self, *steps: Callable[[Connection], Any]) -> None:
        """Run steps in one transaction, then tell the subscribers."""

        def batch(conn: Connection) -> None:
            for step in steps:
                step(conn)

        await self.database.transact(batch)
        for changed in tuple(self._changed):
            changed()

    def _put(self, conn: Connection, collection: str, resource: Message) -> None:
        observed = Observed.of(resource)
        kept = conn.execute(select(resources).where(resources.c.name == observed.name)).first()
        values = {
            **columns_of(collection, resource).fields,
            "payload": observed.payload,
            "digest": observed.digest,
            "observe_time": self.now,
            "source": "sweep",
            "deleted_time": None,
        }
        if kept is None:
            key = conn.execute(resources.insert().values(values)).inserted_primary_key
            assert key is not None
            self._number(conn, values, key[0], "added", None)
        elif kept.deleted_time is not None or kept.digest != observed.digest:
            previous = None if kept.deleted_time is not None else kept.payload
            conn.execute(update(resources).where(resources.c.id == kept.id).values(values))
            self._number(conn, values, kept.id, "added" if previous is None else "updated", previous)

    def _remove(self, conn: Connection, name: str) -> None:
        there = resources.c.name == name, resources.c.deleted_time.is_(None)
        kept = conn.execute(select(resources).where(*there)).first()
        if kept is not None:
            conn.execute(update(resources).where(resources.c.id == kept.id).values(deleted_time=self.now))
            self._number(conn, kept._mapping, kept.id, "removed", kept.payload)

    def _number(self, conn: Connection, of: Any, key: int, what: str, previous: bytes | None) -> None:
        number = update(change_sequence).values(sequence=change_sequence.c.sequence + 1)
        sequence = conn.execute(number.returning(change_sequence.c.sequence)).scalar()
        if sequence is None:
            sequence = 1
            conn.execute(change_sequence.insert().values(only=1, sequence=1, oldest=0, epoch=EPOCH))
        named = {column: of[column] for column in ("name", "collection", "cluster")}
        conn.execute(
            resource_changes.insert().values(
                sequence=sequence, time=self.now, resource=key, what=what, previous=previous, **named
            )
        )


def names(rows: Sequence[Any]) -> list[str]:
    """Return the last segments of names, sorted."""
    return sorted(row.name.rpartition("/")[2] for row in rows)
