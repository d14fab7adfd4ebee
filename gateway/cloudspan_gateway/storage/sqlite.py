"""The database of a single gateway: one SQLite file, written by one connection.

Opened by `engine.open_database`. Statements take microseconds and run on the loop; only what waits for the disk, the
COMMIT, and reads of many rows have threads. aiosqlite, or a thread for whole batches, gives the interpreter lock away
at each row and gets it back when the loop pleases (ADR 7).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from cloudspan_common.errors import PreconditionFailed, Unreachable
from cloudspan_gateway.storage import migrations
from cloudspan_gateway.storage.engine import Memo, full, unavailable
from cloudspan_gateway.storage.tables import gateways, group_members, locks, operations, writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine, Transaction

    from cloudspan_common.clock import Clock
    from cloudspan_common.errors import CloudspanError

T = TypeVar("T")

_READERS = 2
_BUSY_S = 5.0  # another program holds the file for a moment: a backup, somebody's sqlite3
_BUSY_PAUSE_S = 0.02
_JOURNAL_BYTES = 64 * 1024 * 1024


class SqliteDatabase:
    """A file that this process alone works on."""

    shared = False

    def __init__(self, file: Path, lock: IO[str], clock: Clock, folder: TemporaryDirectory[str] | None = None) -> None:
        self._file = file
        self._folder = folder
        self._lock_file = lock
        self._clock = clock
        # What is removed when it is closed need not outlive a power cut.
        synchronous = "FULL" if folder is None else "OFF"
        self._writing = _engine(file, 1, synchronous)
        event.listen(self._writing, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
        self._connection: Connection | None = None
        self._reading = _engine(file, 1 + _READERS, synchronous, isolation_level="AUTOCOMMIT")
        self._commits = ThreadPoolExecutor(1, "cloudspan-store-commit")
        self._readers = ThreadPoolExecutor(_READERS, "cloudspan-store-read")
        self.memo = Memo(used=True)
        self._turn = asyncio.Lock()
        self._announced: list[str] = []
        self._then: list[Callable[[], None]] = []
        self._heard: list[Callable[[str | None], None]] = []

    def __repr__(self) -> str:
        return f"<SqliteDatabase {self._file}>"

    @classmethod
    async def opened(cls, path: str, clock: Clock) -> SqliteDatabase:
        """Take the file, make its folder and tables, and free what earlier processes held."""
        file = Path(path)
        database = cls(file, _taken(file), clock)
        try:
            await database.transact(_begin)
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    async def temporary(cls, clock: Clock) -> SqliteDatabase:
        """Open an empty one that is removed when it is closed."""
        folder = TemporaryDirectory(prefix="cloudspan-", ignore_cleanup_errors=True)
        file = Path(folder.name) / "gateway.db"
        if _Empty.image:
            file.write_bytes(_Empty.image)
            return cls(file, _taken(file), clock, folder)
        database = cls(file, _taken(file), clock, folder)
        await database.transact(_begin)
        _Empty.image = await database.read(_image_of)
        return database

    async def read(self, ask: Callable[[Connection], T], *, long: bool = False) -> T:
        with self._explained():
            return await _in(self._readers, lambda: self._asked(ask)) if long else self._asked(ask)

    def _asked(self, ask: Callable[[Connection], T]) -> T:
        with self._reading.connect() as conn:
            return ask(conn)

    async def transact(self, batch: Callable[[Connection], T]) -> T:
        async with self._turn:
            self._announced.clear()
            self._then.clear()
            with self._explained():
                kept = await self._kept(batch)
            for then in self._then:
                then()
            for message in dict.fromkeys(self._announced):
                for heard in tuple(self._heard):
                    heard(message)
        return kept

    async def _kept(self, batch: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._writing.connect()
        transaction = await _begun(self._connection)
        try:
            kept = batch(self._connection)
            await _in(self._commits, transaction.commit)
        except BaseException as error:
            self.memo.clear()  # it may hold what was not kept
            if isinstance(error, DBAPIError):
                self._drop()  # after a failed write its state is anybody's guess
            elif transaction.is_active:
                transaction.rollback()
            raise
        return kept

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            trouble = _trouble(error, str(self._file))
            if trouble is None:
                raise
            raise trouble from error

    def announce(self, conn: Connection, message: str) -> None:
        self._announced.append(message)

    def once_committed(self, conn: Connection, then: Callable[[], None]) -> None:
        self._then.append(then)

    def subscribe(self, heard: Callable[[str | None], None]) -> Callable[[], None]:
        self._heard.append(heard)
        return lambda: self._heard.remove(heard)

    def now(self, conn: Connection) -> float:
        return self._clock.monotonic()  # leases end with the process, and so may its clock's zero

    async def close(self) -> None:
        async with self._turn:
            for pool in (self._commits, self._readers):
                pool.shutdown()
            self._drop()
            for engine in (self._writing, self._reading):
                engine.dispose()
            self._lock_file.close()
            if self._folder is not None:
                self._folder.cleanup()


class _Empty:
    """A database with its tables and nothing in them, as a file: making the tables takes 15 ms, copying them 1 ms."""

    image: ClassVar[bytes] = b""


def _image_of(conn: Connection) -> bytes:
    driver: Any = conn.connection.driver_connection
    return bytes(driver.serialize())


def _taken(file: Path) -> IO[str]:
    """Lock the file for this process; the kernel takes the lock back however the process ends."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # what lies beside it gets the same mode
        lock = Path(f"{file}.lock").open("a+", encoding="ascii")  # noqa: SIM115 - held as long as the database is open
    except OSError as error:
        raise unavailable(str(file), error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read(20).strip() or "unknown"
        lock.close()
        text = f"{file} is open in another gateway (process {holder}), and SQLite serves one at a time"
        raise PreconditionFailed(
            f"{text}; stop that one, choose another file, or use PostgreSQL for many gateways", reason="STORE_IN_USE"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _begin(conn: Connection) -> None:
    migrations.upgrade(conn)
    held = operations.update().where(text("end_time IS NULL AND owner <> ''"))  # whose owner can't be alive
    conn.execute(held.values(owner=""))
    conn.execute(gateways.delete())
    conn.execute(writers.delete())
    conn.execute(locks.update().values(lease_until=0.0))  # its fences go on
    conn.execute(group_members.delete())


async def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    running = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])  # it goes on whether or not anyone waits: its connection is in use until then
        raise


async def _begun(conn: Connection) -> Transaction:
    """Begin a transaction that writes; wait for a program that has the file, without holding the loop up."""
    give_up = time.monotonic() + _BUSY_S
    while True:
        try:
            return conn.begin()
        except OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        await asyncio.sleep(_BUSY_PAUSE_S)


def _engine(file: Path, connections: int, synchronous: str, **options: Any) -> Engine:
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # what callers sent is nobody's to read in a log
        connect_args={"check_same_thread": False, "timeout": 0},
        **options,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin and commit by itself
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",  # in WAL the default loses what was acknowledged before a power cut
            "foreign_keys=ON",
            f"journal_size_limit={_JOURNAL_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _code(error: DBAPIError) -> int:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _trouble(error: DBAPIError, what: str) -> CloudspanError | None:
    """Return the callers' error; None when the cause is not the database's state but a defect of the gateway."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return full(what, error)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        text = f"the store of operations ({what}) is damaged: {error.orig}; restore it from a backup"
        return Unreachable(text, reason="STORE_DAMAGED")
    return unavailable(what, error) if isinstance(error, OperationalError) else None
