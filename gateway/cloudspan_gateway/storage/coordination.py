"""Locks and groups of gateways whose registry keeps none, in their database: tables `locks` and `group_members`.

The composition root makes a coordinator by `coordinator_in`. Leases go by `Database.now`, so that no clock of a
gateway's host decides about another's; whoever waits is woken by an announcement or by the end of the first lease.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import String, and_, literal, select, union_all, update

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.registry.coordination import LEASE_S
from cloudspan_common.registry.coordination.claims import LEADER, LOCK, MEMBER, Claim, Entry, Key, least_fence
from cloudspan_common.registry.coordination.leased import LeasedCoordinator
from cloudspan_gateway.storage.engine import unavailable
from cloudspan_gateway.storage.tables import group_members, locks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from cloudspan_gateway.storage.engine import Database

T = TypeVar("T")

_ANNOUNCEMENT = "coordination||"  # as operations' stores expect it: who, whether there is work, what changed
_CALL_S = 5.0  # the database itself tries for longer, and whoever asks for a lock is to hear of it
_FENCES = "fences"  # the row that counts them; names of locks begin with their kind
_TABLES = (locks, group_members)


def coordinator_in(database: Database, clock: Clock | None = None, lease_s: float = LEASE_S) -> LeasedCoordinator:
    """Return a coordinator for one gateway; to be closed before the database is."""
    clock = clock or SystemClock()
    return LeasedCoordinator(DatabaseClaims(database, clock, lease_s), clock, lease_s)


class DatabaseClaims:
    """Claims as rows, each with its holder and the end of its lease."""

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self.owner = uuid.uuid4().hex[:16]
        self._database, self._clock, self._lease_s = database, clock, lease_s
        self._changed = asyncio.Event()
        self._first_end_s = lease_s
        self._unsubscribe = database.subscribe(self._heard)

    def __repr__(self) -> str:
        return f"<DatabaseClaims of {self.owner} in {self._database!r}>"

    async def renew(self, held: Collection[Key]) -> Collection[Key]:
        return await self._transact(self._renew) if held else ()

    async def claim(self, key: Key, data: str) -> Claim | None:
        # A read beside whatever is written: who asks again and again for what another has costs no transaction.
        row = await self._read(lambda conn: self._others(conn, key))
        return None if row else await self._transact(lambda conn: self._claim(conn, key, data))

    async def release(self, key: Key, version: int) -> None:
        table, here = _row_of(key)
        ours = table.delete().where(here, table.c.holder == self.owner, table.c.fence == version)
        await self._transact(lambda conn: self._announced(conn, conn.execute(ours).rowcount))

    async def entries(self, *, fresh: bool) -> Mapping[Key, Entry]:
        if not fresh:
            await self._until_changed()
        self._changed.clear()
        return await self._read(self._entries)

    async def close(self) -> None:
        self._unsubscribe()
        await self._transact(self._leave)

    # -------------------------------------------------------------- waiting

    def _heard(self, message: str | None) -> None:
        if message is None or message == _ANNOUNCEMENT:
            self._changed.set()

    async def _until_changed(self) -> None:
        waiting = asyncio.ensure_future(self._changed.wait())
        try:
            await finished(self._clock, waiting, self._first_end_s)
        finally:
            waiting.cancel()

    async def _read(self, ask: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(_CALL_S):
                return await self._database.read(ask)
        except TimeoutError as error:
            raise unavailable(repr(self._database), error) from error

    async def _transact(self, batch: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(_CALL_S):
                return await self._database.transact(batch)
        except TimeoutError as error:
            raise unavailable(repr(self._database), error) from error

    # -------------------------------------------------------------- within a transaction

    def _renew(self, conn: Connection) -> set[Key]:
        now = self._database.now(conn)
        kept: set[Key] = set()
        for table in _TABLES:
            # One that has run out stays so: its holder has been told.
            ours = update(table).where(table.c.holder == self.owner, table.c.lease_until > now)
            rows = conn.execute(ours.values(lease_until=now + self._lease_s).returning(*_names(table)))
            kept |= {_key_of(row) for row in rows}
        return kept

    def _others(self, conn: Connection, key: Key) -> bool:
        """Whether another has it."""
        table, here = _row_of(key)
        alive = table.c.lease_until > self._database.now(conn)
        return conn.execute(select(table.c.fence).where(here, alive, table.c.holder != self.owner)).first() is not None

    def _claim(self, conn: Connection, key: Key, data: str) -> Claim | None:
        # Locks the row of fences until the end: of those who claim, one after the other gets here.
        fence = self._next_fence(conn)
        now = self._database.now(conn)
        table, here = _row_of(key)
        ended = (table.c.lease_until <= now) & (table.c.holder != "")
        conn.execute(table.delete().where(ended | (here & (table.c.holder == self.owner))))
        if conn.execute(select(table.c.fence).where(here)).first() is not None:
            return None
        values = {"holder": self.owner, "fence": fence, "lease_until": now + self._lease_s, **_names_of(key)}
        conn.execute(table.insert().values(values | ({"data": data} if key.kind == MEMBER else {})))
        self._announced(conn, 1)
        return Claim(fence, fence)

    def _next_fence(self, conn: Connection) -> int:
        least = least_fence(self._clock)
        here = locks.c.name == _FENCES
        last = conn.execute(update(locks).where(here).values(fence=locks.c.fence + 1).returning(locks.c.fence)).scalar()
        if last is None:
            conn.execute(locks.insert().values(name=_FENCES, fence=least, holder="", lease_until=0.0))
            return least
        if last < least:
            conn.execute(update(locks).where(here).values(fence=least))
        return max(last, least)

    def _entries(self, conn: Connection) -> dict[Key, Entry]:
        now = self._database.now(conn)
        found = conn.execute(union_all(*(_alive(table, now) for table in _TABLES))).all()
        self._first_end_s = min((row.lease_until - now for row in found), default=self._lease_s)
        return {_key_of(row): Entry(row.holder, row.fence, row.data) for row in found}

    def _leave(self, conn: Connection) -> None:
        left = [conn.execute(table.delete().where(table.c.holder == self.owner)).rowcount for table in _TABLES]
        self._announced(conn, sum(left))

    def _announced(self, conn: Connection, changes: int) -> None:
        if changes:
            self._database.announce(conn, _ANNOUNCEMENT)


def _names(table: Table) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Return what names a row of either table: the group, or nothing, and the lock or member."""
    if table is locks:
        return literal("", String).label("group_name"), locks.c.name.label("member")
    return group_members.c.group_name, group_members.c.member


def _alive(table: Table, now: float) -> Select[Any]:
    data = literal("", String).label("data") if table is locks else group_members.c.data
    columns = (*_names(table), data, table.c.holder, table.c.fence, table.c.lease_until)
    return select(*columns).where(table.c.lease_until > now)


def _key_of(row: Any) -> Key:
    if row.group_name:
        return Key(MEMBER, row.group_name, row.member)
    kind, _, name = row.member.partition("/")
    return Key(LOCK if kind == LOCK else LEADER, name)


def _names_of(key: Key) -> dict[str, str]:
    if key.kind == MEMBER:
        return {"group_name": key.name, "member": key.member}
    return {"name": f"{key.kind}/{key.name}"}


def _row_of(key: Key) -> tuple[Table, ColumnElement[bool]]:
    table = group_members if key.kind == MEMBER else locks
    return table, and_(*(table.c[column] == value for column, value in _names_of(key).items()))
