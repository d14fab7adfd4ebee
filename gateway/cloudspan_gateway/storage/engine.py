"""The gateway's database, SQLite or PostgreSQL, behind one small interface.

`open_database` is called by the stores above (`operations.sql`). What they ask and write is a function of a plain
SQLAlchemy `Connection`: on SQLite it runs in a thread of its own, on PostgreSQL on the loop. Knows no operations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import String, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import InvalidRequest, QuotaExceeded, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import ColumnElement, Connection

T = TypeVar("T")

RETRY_AFTER_S = 1.0


class Database(Protocol):
    """A database that was opened and has the tables of this build."""

    shared: bool
    """Whether other gateways work on it."""

    async def read(self, ask: Callable[[Connection], T]) -> T:
        """Run `ask`, which only reads, beside whatever is being written.

        Raises:
            Unreachable: The database does not answer.
        """
        ...

    async def transact(self, batch: Callable[[Connection], T]) -> T:
        """Run `batch` in one transaction; return what it returned once that is durable. May run it more than once.

        Raises:
            Unreachable: The database does not answer; nothing was kept.
            OutcomeUnknown: The connection was lost for good while it was committed.
            QuotaExceeded: Its disk is full; nothing was kept.
        """
        ...

    def announce(self, conn: Connection, message: str) -> None:
        """Tell every subscriber, here and at other gateways, once the transaction of `conn` is committed."""
        ...

    def subscribe(self, heard: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `heard` for each announcement, on the loop; with None after some may have been missed.

        Returns what ends it.
        """
        ...

    def now(self, conn: Connection) -> float:
        """Return the time that leases go by: one clock for whoever works on this database."""
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of it."""
        ...


async def open_database(url: str, clock: Clock | None = None) -> Database:
    """Open `sqlite:PATH` or `postgresql://...`, and make its tables those of this build.

    Raises:
        InvalidRequest: Another form.
        PreconditionFailed: Another process has the SQLite file.
        Unreachable: It does not answer.
    """
    kind, _, rest = url.partition(":")
    if kind == "sqlite" and rest and not rest.startswith("//"):
        from cloudspan_gateway.storage.sqlite import SqliteDatabase  # noqa: PLC0415 - only the driver that is used

        return await SqliteDatabase.opened(rest, clock or SystemClock())
    if kind in ("postgresql", "postgres"):
        from cloudspan_gateway.storage.postgres import PostgresDatabase  # noqa: PLC0415 - only the one that is used

        return await PostgresDatabase.opened(url)
    raise InvalidRequest(
        f"the database is {kind}:...; expected sqlite:PATH, such as sqlite:/var/lib/cloudspan/gateway.db, or "
        "postgresql://USER@HOST/NAME"
    )


def among(asked: ColumnElement[Any], values: str, conn: Connection) -> ColumnElement[bool]:
    """Return the condition that a text column is one of those bound as `values`, by `listed`.

    One parameter however many: the statement stays the same text, which both databases prepare once.
    """
    if conn.dialect.name == "sqlite":
        each = func.json_each(bindparam(values)).table_valued("value")
        return asked.in_(select(each.c.value))
    return asked == any_(bindparam(values, type_=ARRAY(String)))


def listed(conn: Connection, values: Collection[str]) -> Any:
    """Return texts as the one parameter that `among` takes."""
    return json.dumps(list(values)) if conn.dialect.name == "sqlite" else list(values)


def unavailable(what: str, error: BaseException) -> Unreachable:
    """Return the error for a database that does not answer."""
    told = f"the store of operations ({what}) does not answer: {_said(error)}; nothing was kept, ask again"
    return Unreachable(told, reason="STORE_UNAVAILABLE", retry_after_s=RETRY_AFTER_S)


def full(what: str, error: BaseException) -> QuotaExceeded:
    """Return the error for a disk without room."""
    told = f"the store of operations ({what}) has no room left: {_said(error)}; nothing was kept, free disk space"
    return QuotaExceeded(told, reason="STORE_FULL", retry_after_s=RETRY_AFTER_S)


def _said(error: BaseException) -> str:
    """What the driver said, without the statement and its parameters: they may hold what callers sent."""
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip().splitlines() or [type(origin).__name__])[0][:200]
