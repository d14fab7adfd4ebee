"""The gateway's database, SQLite or PostgreSQL, behind one small interface.

`open_database` is called by the stores above (`operations.sql`). What they ask and write is a function of a plain
SQLAlchemy `Connection`, for either driver. Knows no operations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import ARRAY, String, any_, bindparam, func, select

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import InvalidRequest, QuotaExceeded, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection

T = TypeVar("T")

RETRY_AFTER_S = 1.0
MEMO_ROWS, MEMO_ROW_BYTES = 4_096, 8_192  # 32 MiB at the very most


class Memo:
    """Rows that this process wrote and that nobody else can have changed, the latest `MEMO_ROWS` of them.

    Kept within the transaction that writes them, by its thread, and forgotten as a whole when that fails.
    """

    def __init__(self, *, used: bool) -> None:
        self._used = used
        self._rows: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Memo {len(self._rows)} rows>"

    def get(self, key: str) -> Any | None:
        """Return a row, if it is known."""
        return self._rows.get(key)

    def keep(self, rows: Mapping[str, tuple[Any, int]]) -> None:
        """Keep rows, each with the size of what it holds; the large ones are read again instead."""
        if not self._used:
            return
        for key, (row, size) in rows.items():
            self._rows.pop(key, None)
            if size <= MEMO_ROW_BYTES:
                self._rows[key] = row
        while len(self._rows) > MEMO_ROWS:
            del self._rows[next(iter(self._rows))]

    def forget(self, keys: Iterable[str]) -> None:
        """Forget rows."""
        for key in keys:
            self._rows.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()


class Database(Protocol):
    """A database that was opened and has the tables of this build."""

    shared: bool
    """Whether other gateways work on it: PostgreSQL, else SQLite."""
    memo: Memo
    """What this process need not read again; empty where others write too."""

    async def read(self, ask: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run `ask`, which only reads, beside whatever is being written; `long` if it may read many rows.

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

    def once_committed(self, conn: Connection, then: Callable[[], None]) -> None:
        """Call `then`, on the loop and in this process alone, once the transaction of `conn` is committed."""
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
    """Open `sqlite:PATH`, `postgresql://...` or `memory:`, and make its tables those of this build.

    What `memory:` holds lies in a temporary folder until it is closed.

    Raises:
        InvalidRequest: Another form.
        PreconditionFailed: Another process has the SQLite file.
        Unreachable: It does not answer.
    """
    kind, _, rest = url.partition(":")
    if kind == "sqlite" and rest and not rest.startswith("//"):
        from cloudspan_gateway.storage.sqlite import SqliteDatabase  # noqa: PLC0415 - only the driver that is used

        return await SqliteDatabase.opened(rest, clock or SystemClock())
    if url == "memory:":
        from cloudspan_gateway.storage.sqlite import SqliteDatabase  # noqa: PLC0415 - as above

        return await SqliteDatabase.temporary(clock or SystemClock())
    if kind in ("postgresql", "postgres"):
        from cloudspan_gateway.storage.postgres import PostgresDatabase  # noqa: PLC0415 - only the one that is used

        return await PostgresDatabase.opened(url)
    raise InvalidRequest(
        f"the database is {kind}:...; expected sqlite:PATH, such as sqlite:/var/lib/cloudspan/gateway.db, or "
        "postgresql://USER@HOST/NAME"
    )


def among(asked: ColumnElement[Any], values: str, shared: bool) -> ColumnElement[bool]:
    """Return the condition that a text column is one of those bound as `values`, by `listed`.

    One parameter however many: the statement stays the same text, which both databases prepare once.
    """
    if not shared:
        each = func.json_each(bindparam(values)).table_valued("value")
        return asked.in_(select(each.c.value))
    return asked == any_(bindparam(values, type_=ARRAY(String)))


def listed(values: Collection[str], shared: bool) -> Any:
    """Return texts as the one parameter that `among` takes."""
    return list(values) if shared else json.dumps(list(values))


def unavailable(what: str, error: BaseException) -> Unreachable:
    """Return the error for a database that does not answer."""
    text = f"the store of operations ({what}) does not answer: {said(error)}; nothing was stored, retry"
    return Unreachable(text, reason="STORE_UNAVAILABLE", retry_after_s=RETRY_AFTER_S)


def full(what: str, error: BaseException) -> QuotaExceeded:
    """Return the error for a disk without room."""
    text = f"the store of operations ({what}) has no room left: {said(error)}; nothing was stored, free disk space"
    return QuotaExceeded(text, reason="STORE_FULL", retry_after_s=RETRY_AFTER_S)


def said(error: BaseException) -> str:
    """Return what the driver said, without the statement and its parameters: they may hold what callers sent."""
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip().splitlines() or [type(origin).__name__])[0][:200]
