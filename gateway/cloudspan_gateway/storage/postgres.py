"""The database of many gateways: PostgreSQL by asyncpg, one connection that writes, some that read, one that listens.

Opened by `engine.open_database`. A batch whose COMMIT got no answer is not guessed about: each batch leaves its number
in this writer's own row, in its own transaction, and the row is read again, locked, before anything else is done.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from cloudspan_common.errors import InvalidRequest, OutcomeUnknown, PreconditionFailed
from cloudspan_gateway.storage import migrations
from cloudspan_gateway.storage.engine import RETRY_AFTER_S, Memo, full, said, unavailable
from cloudspan_gateway.storage.listener import CHANNEL, Listener
from cloudspan_gateway.storage.tables import gateways, writers

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection


T = TypeVar("T")

PATIENCE_S = 5.0
"""How long a batch is tried again while the database is away; afterwards its callers get an error."""
_CONNECT_S = 5.0
_BATCH_S = 20.0  # a connection whose far end vanished says nothing by itself
_READERS = 4
_PAUSE_S = (0.02, 0.1, 0.3, 0.5)  # the last one repeats
_MIGRATING = 0x436C6F75  # the advisory lock of whoever makes the tables; resources use the whole range beside it
_DAY_S = 86_400.0

_SETTINGS = {
    "application_name": "cloudspan-gateway",
    "lock_timeout": "5s",
    # A connection that was cut in the middle keeps its locks until the server notices.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

_TAKEN, _TRIES_IF_TAKEN = "23505", 5  # another gateway accepted the same request_id: the next try finds its row
_AGAIN = {"40001", "40P01", "55P03", _TAKEN}  # serialization, deadlock, lock timeout
_FULL = {"53100"}
_REFUSED = {"28", "3D"}  # no such user, a wrong password, no such database
_AWAY = {
    "57P01", "57P02", "57P03", "57P05", "25P03",  # shut down, starting, a session that was idle for too long
    "25006", "53300",  # read-only, too many connections
    "53200", "57014", "58030",  # no memory, a statement that its operator or a timeout cancelled, a disk's error
}  # fmt: skip
_MAY_PASS = (DBAPIError, OSError, TimeoutError, PoolTimeout, asyncpg.PostgresError, asyncpg.InterfaceError)

_NOW_SQL = func.extract("epoch", func.clock_timestamp())
_NOW = select(_NOW_SQL)
_NOTIFY = text("SELECT pg_notify(:channel, :message)")


class PostgresDatabase:
    """A database that other gateways work on too."""

    shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = uuid.uuid4().hex[:16]
        self._batches = count(1)
        self.memo = Memo(used=False)
        self._turn = asyncio.Lock()
        self._writing: AsyncConnection | None = None
        self._heard: list[Callable[[str | None], None]] = []
        self._then: list[Callable[[], None]] = []
        self._listener = Listener(self._connect, self._deliver)
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=1 + _READERS,
            max_overflow=0,
            pool_timeout=_CONNECT_S,
            hide_parameters=True,  # what callers sent is nobody's to read in a log
        )

    def __repr__(self) -> str:
        return f"<PostgresDatabase {self._shown}: {self._listener!r}>"

    @property
    def _shown(self) -> str:
        # What is behind the last @ holds no password, whatever characters that has.
        return self._url.rpartition("@")[2].partition("?")[0].removeprefix("postgresql://")

    @classmethod
    async def opened(cls, url: str) -> PostgresDatabase:
        """Connect, make the tables, and listen to other gateways.

        Raises:
            InvalidRequest: The URL can't be taken apart.
            Unreachable: Nobody answers there.
        """
        database = cls(url)
        try:
            await database.transact(_prepare)
            await database._listener.start()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await database.close()
            raise unavailable(database._shown, error) from error
        except ValueError:
            await database.close()
            text = (
                "--database is not a PostgreSQL URL that can be taken apart; percent-encode what is special in user "
                "and password, such as %2F for / and %23 for #"
            )
            raise InvalidRequest(text) from None  # its cause quotes the password
        except BaseException:
            await database.close()
            raise
        return database

    async def _connect(self, *_args: object, **_options: object) -> Any:
        return await asyncpg.connect(self._url, timeout=_CONNECT_S, server_settings=_SETTINGS)

    # -------------------------------------------------------------- reads

    async def read(self, ask: Callable[[Connection], T], *, long: bool = False) -> T:
        patience = _Patience(self._shown)
        while True:
            try:
                async with asyncio.timeout(_BATCH_S), self._engine.connect() as conn:
                    return await (await conn.execution_options(isolation_level="AUTOCOMMIT")).run_sync(ask)
            except _MAY_PASS as error:
                await patience.after(error)

    # -------------------------------------------------------------- writes

    async def transact(self, batch: Callable[[Connection], T]) -> T:
        async with self._turn:
            attempt, patience = _Attempt(batch, next(self._batches)), _Patience(self._shown)
            while True:
                try:
                    async with asyncio.timeout(_BATCH_S):
                        kept = await self._try(attempt)
                except _MAY_PASS as error:
                    await self._let_go(keep=_sqlstate(error) in _AGAIN)
                    await patience.after(error, unknown=attempt.sent)
                except BaseException:
                    await self._let_go()
                    raise
                else:
                    for then in self._then:
                        then()
                    return kept

    async def _try(self, attempt: _Attempt[T]) -> T:
        conn = await self._connected()
        async with conn.begin():
            if attempt.sent and await self._last_batch(conn) == attempt.number:
                return attempt.answer
            attempt.sent = False
            self._then.clear()
            attempt.answer = await conn.run_sync(attempt.batch)
            await self._leave_number(conn, attempt.number)
            attempt.sent = True
        return attempt.answer

    async def _last_batch(self, conn: AsyncConnection) -> int | None:
        """Return the number of the last batch of ours that took effect.

        The lock waits for a COMMIT that is still on its way: whoever began it has the row until it ends.
        """
        kept = select(writers.c.batch).where(writers.c.writer == self._name).with_for_update()
        found: int | None = (await conn.execute(kept)).scalar()
        return found

    async def _leave_number(self, conn: AsyncConnection, number: int) -> None:
        values = {"batch": number, "seen": _NOW_SQL}
        mine = update(writers).where(writers.c.writer == self._name).values(values)
        if not (await conn.execute(mine)).rowcount:
            await conn.execute(writers.insert().values(writer=self._name, **values))

    async def _connected(self) -> AsyncConnection:
        if self._writing is None:
            self._writing = await self._engine.connect()
        return self._writing

    async def _let_go(self, *, keep: bool = False) -> None:
        """Give the writing connection up, unless it is known to be good: the next try begins on a new one."""
        if self._writing is None or keep:
            return
        writing, self._writing = self._writing, None
        await writing.invalidate()
        await writing.close()

    # -------------------------------------------------------------- announcements and time

    def announce(self, conn: Connection, message: str) -> None:
        conn.execute(_NOTIFY, {"channel": CHANNEL, "message": message})

    def once_committed(self, conn: Connection, then: Callable[[], None]) -> None:
        self._then.append(then)

    def subscribe(self, heard: Callable[[str | None], None]) -> Callable[[], None]:
        self._heard.append(heard)
        return lambda: self._heard.remove(heard)

    def _deliver(self, message: str | None) -> None:
        for heard in tuple(self._heard):
            heard(message)

    def now(self, conn: Connection) -> float:
        return float(conn.execute(_NOW).scalar_one())

    async def close(self) -> None:
        await self._listener.close()
        async with self._turn:
            await self._let_go()
            await self._engine.dispose()


@dataclass(slots=True)
class _Attempt(Generic[T]):
    """A batch on its way."""

    batch: Callable[[Connection], T]
    number: int
    sent: bool = False
    """Whether its COMMIT may have been sent, so that it may have taken effect."""
    answer: Any = None


class _Patience:
    """How often and how long one thing is tried."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._began = time.monotonic()
        self._tries = 0

    async def after(self, error: BaseException, *, unknown: bool = False) -> None:
        """Wait before the next try; raise the callers' error if there is none."""
        state = _sqlstate(error)
        if state[:2] in _REFUSED:
            text_ = f"the store of operations ({self._shown}) refuses this gateway: {said(error)}"
            raise PreconditionFailed(f"{text_}; fix its URL or its permissions", reason="STORE_REFUSED") from error
        if not _passes(error, state) or (state == _TAKEN and self._tries == _TRIES_IF_TAKEN):
            raise error
        pause = _PAUSE_S[min(self._tries, len(_PAUSE_S) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._tries += 1
        if state in _FULL:
            raise full(self._shown, error) from error
        if time.monotonic() + pause > self._began + PATIENCE_S:
            raise _unknown(self._shown, error) if unknown else unavailable(self._shown, error) from error
        await asyncio.sleep(pause)


def _sqlstate(error: BaseException) -> str:
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")


def _passes(error: BaseException, state: str) -> bool:
    """Whether it is the database's state rather than a defect of ours."""
    if state:
        return state in _AGAIN | _FULL | _AWAY or state.startswith("08")
    return not isinstance(error, DBAPIError) or error.connection_invalidated


def _unknown(shown: str, error: BaseException) -> OutcomeUnknown:
    text_ = (
        f"the store of operations ({shown}) was lost while it wrote: {said(error)}; whether it was stored is unknown"
    )
    return OutcomeUnknown(
        f"{text_}: retry with the same request_id, or read the operation",
        reason="STORE_OUTCOME_UNKNOWN",
        retry_after_s=RETRY_AFTER_S,
    )


def _prepare(conn: Connection) -> None:
    """Make the tables, one gateway at a time, and clear away what long gone ones left."""
    conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
    migrations.upgrade(conn)
    conn.execute(writers.delete().where(writers.c.seen < _NOW_SQL - _DAY_S))
    conn.execute(gateways.delete().where(gateways.c.lease_until == 0))
