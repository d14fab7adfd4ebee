"""The audit in the gateway's database: events that no other transaction keeps are written here, and all are read here.

The audit stage hands its events to `AuditStore.keep`; `services.audit` reads pages. Nothing here changes or deletes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, text

from cloudspan_gateway.audit.chain import Chain
from cloudspan_gateway.audit.event import Type
from cloudspan_gateway.audit.refused import refused
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.tables import audit_events
from cloudspan_gateway.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select
    from sqlalchemy.engine import Row

    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.storage.engine import Database

LOOKED_THROUGH = 100_000
"""Events in one page's search for what no index finds: 0.1 s of a database's time."""
CLOCKS_APART_S = 3600.0
"""How much earlier an event may be dated than those before it in the chain: gateways have clocks of their own."""
_FOUND_BY = frozenset({"resource", "operation", "subject"})  # by an index that ends in the sequence, or has few rows

c = audit_events.c
_ALL = select(audit_events)
_TIME_AT = select(c.create_time).where(c.sequence == bindparam("at"))
_NEWEST = select(c.sequence).order_by(c.sequence.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Search:
    """Which events a page is to hold, as far as the database can tell; more may be asked of what it returns."""

    equal: tuple[tuple[str, str], ...] = ()
    """Columns with their values."""
    failed: bool = False
    """Only what ended with another code than OK."""
    since: float | None = None
    """Unix seconds."""
    oldest_first: bool = False

    @property
    def has_index(self) -> bool:
        return any(column in _FOUND_BY for column, _ in self.equal)


class AuditStore:
    """Writes to the chain and reads it."""

    def __init__(self, database: Database) -> None:
        self.chain = Chain(database)
        """What other stores append to within their own transactions."""
        self._database = database
        self._writer: Writer[Sequence[Event], None] = Writer(database, self._apply, lambda _jobs, _results: None)

    def __repr__(self) -> str:
        return f"<AuditStore {self.chain!r}: {self._writer!r}>"

    async def keep(self, events: Sequence[Event]) -> None:
        """Append events; returns once they are durable.

        Raises:
            CloudspanError: They can't be written; see `Database.transact`.
        """
        await self._writer.write(events)

    def _apply(self, conn: Connection, jobs: Sequence[Sequence[Event]]) -> list[None]:
        links = self.chain.append(conn, [event for events in jobs for event in events])
        refusals = [refused(link) for link in links if link.type == Type.TYPE_REFUSAL]
        outbox.append(conn, self._database, refusals)
        return [None] * len(jobs)

    async def page(self, limit: int, search: Search, beyond: int | None = None) -> tuple[Sequence[Row[Any]], int]:
        """Return at most `limit` events beyond a sequence, and the sequence up to which all were looked through.

        That one is 0 where the search has come to its end.
        """
        return await self._database.read(lambda conn: _page(conn, limit, search, beyond), long=True)

    async def close(self) -> None:
        """Write what is queued."""
        await self._writer.close()


def _page(conn: Connection, limit: int, search: Search, beyond: int | None) -> tuple[Sequence[Row[Any]], int]:
    first, last = _range(conn, search, beyond)
    low, high = first, last
    if not search.has_index:
        low, high = max(first, last - LOOKED_THROUGH), min(last, first + LOOKED_THROUGH)
        low, high = (first, high) if search.oldest_first else (low, last)
    order = c.sequence if search.oldest_first else c.sequence.desc()
    found = conn.execute(_narrowed(search).where(c.sequence.between(low, high)).order_by(order).limit(limit)).all()
    if len(found) == limit:
        return found, found[-1].sequence
    reached = high if search.oldest_first else low
    return found, 0 if reached == (last if search.oldest_first else first) else reached


def _range(conn: Connection, search: Search, beyond: int | None) -> tuple[int, int]:
    """Return the first and the last sequence that may be among what is searched."""
    first, last = 1, conn.execute(_NEWEST).scalar() or 0
    if search.since is not None:
        first = _first_since(conn, search.since - CLOCKS_APART_S, last)
    if beyond is None:
        return first, last
    return (max(first, beyond + 1), last) if search.oldest_first else (first, min(last, beyond - 1))


def _first_since(conn: Connection, since: float, newest: int) -> int:
    """Return about where the chain comes to a time, by bisection: an index would cost every change a page to write."""
    low, high = 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        if (conn.execute(_TIME_AT, {"at": middle}).scalar() or since) < since:
            low = middle + 1
        else:
            high = middle
    return low


def _narrowed(search: Search) -> Select[Any]:
    asked = _ALL
    for column, value in search.equal:
        asked = asked.where(c[column] == value)
        if column in ("resource", "operation", "subject", "tenant"):
            asked = asked.where(text(f"{column} <> ''"))  # in full: so the databases see that a partial index serves
    if search.failed:
        asked = asked.where(text("outcome <> 'OK'"))
    if search.since is not None:
        asked = asked.where(c.create_time >= search.since - 1e-6)
    return asked
