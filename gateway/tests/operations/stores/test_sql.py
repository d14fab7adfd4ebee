"""Operations in a SQLite file: the shared suite, and what only a file brings."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import resource
import sqlite3
from pathlib import Path

import pytest
from gateway.tests.operation_store_suite import (
    CANCELLED,
    DONE,
    LEASE_S,
    PROGRESS,
    OperationStoreSuite,
    claimed,
    intent,
    on_server,
    twin,
)
from google.protobuf import any_pb2

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import CloudspanError, InvalidRequest, PreconditionFailed, QuotaExceeded, Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.audit.chain import Chain
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.stores.base import Fenced
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.operations.stores.sql import SqlStore, open_store
from cloudspan_gateway.storage import sqlite
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database


class TestSqliteStore(OperationStoreSuite):
    """The suite over a file."""

    @pytest.fixture
    async def store(self, clock: FakeClock, tmp_path: Path):
        store = await open_store(f"sqlite:{tmp_path}/some/folder/gateway.db", Cipher.new(), clock, LEASE_S)
        yield store
        await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def store(file: Path):
    store = await open_store(f"sqlite:{file}", Cipher.new())
    yield store
    await store.close()


async def test_a_store_is_opened_by_its_url(file: Path) -> None:
    """What it is says its repr; an unknown form is refused with the ones there are."""
    assert isinstance(await open_store("memory:", Cipher.new()), MemoryStore)
    store = await open_store(f"sqlite:{file}", Cipher.new())
    assert f"on <SqliteDatabase {file}>: <Writer 0 queued, 0 batches written>, <Notifier 0 waiting" in repr(store)
    await store.close()
    for url in ("mysql://x", "sqlite:", "sqlite:///tmp/x.db", ""):
        with pytest.raises(InvalidRequest, match="sqlite:PATH"):
            await open_store(url, Cipher.new())


async def test_everything_is_there_after_a_restart(file: Path) -> None:
    """Rows as they were, what they took, who queues; claims of the earlier process are free at once."""
    cipher = Cipher.new()
    store = await open_store(f"sqlite:{file}", cipher)
    first, second = [await store.accept(on_server("DeleteServer", also=("x",))) for _ in range(2)]
    ended = await store.end((await store.accept(intent())).intent.id, PROGRESS, CANCELLED)
    ((claim, _),) = await store.claim(10)
    await store.begin_attempt(claim)
    before = await store.advance(claim, PROGRESS, b"told")
    await store._database.close()  # without a word to the store: as a killed process leaves it

    store = await open_store(f"sqlite:{file}", cipher)
    assert await store.page(10) == [ended, second, before]
    assert await store.explained(first.intent.id) == b"told"
    await asyncio.wait_for(store.work(), 5)
    ((again, row),) = await store.claim(10)
    assert (again.id, row) == (first.intent.id, dataclasses.replace(before, epoch=2))
    with pytest.raises(Fenced):
        await store.advance(claim, PROGRESS)
    await store.finish(again, PROGRESS, DONE)
    assert (await claimed(store)).id == second.intent.id
    await store.close()


async def test_a_number_is_never_given_twice(file: Path) -> None:
    """A page token stays good when the newest operation is deleted, also over a restart."""
    for expected in (1, 2):
        store = await open_store(f"sqlite:{file}", Cipher.new())
        row = await store.end((await store.accept(intent())).intent.id, PROGRESS, CANCELLED)
        await store.delete(row.intent.id)
        assert row.sequence == expected
        await store.close()


async def test_a_second_gateway_on_the_file_is_refused(store: SqlStore, file: Path) -> None:
    """It says who has it and what to do; once that one is closed it may."""
    told = rf"is open in another gateway .process {os.getpid()}.*PostgreSQL"
    with pytest.raises(PreconditionFailed, match=told) as caught:
        await open_store(f"sqlite:{file}", Cipher.new())
    assert caught.value.reason == "STORE_IN_USE"
    await store.accept(intent())
    await store.close()
    await (await open_store(f"sqlite:{file}", Cipher.new())).close()


async def test_a_closed_store_accepts_nothing(file: Path) -> None:
    """What was queued when it was closed is written."""
    cipher = Cipher.new()
    store = await open_store(f"sqlite:{file}", cipher)
    rows = [asyncio.create_task(store.accept(intent())) for _ in range(150)]
    await asyncio.sleep(0)
    await store.close()
    kept = [row.intent.id for row in await asyncio.gather(*rows)]
    with pytest.raises(Unreachable, match="closed"):
        await store.accept(intent())
    store = await open_store(f"sqlite:{file}", cipher)
    assert [row.intent.id for row in reversed(await store.page(1000))] == kept
    await store.close()


async def test_two_owners_on_one_file_never_hold_the_same(file: Path) -> None:
    """They race for a hundred operations; each is claimed once, and a write under the other's claim is refused."""
    database = await open_database(f"sqlite:{file}")
    one, other = [SqlStore(Chain(database), cipher) for cipher in [Cipher.new()] * 2]
    for _ in range(100):
        await one.accept(intent())
    rounds = await asyncio.gather(*(store.claim(7) for _ in range(10) for store in (one, other)))
    ids = [claim.id for claims in rounds for claim, _ in claims]
    assert len(ids) == len(set(ids)) == 100
    claims = [claim for claim, _ in rounds[0]]
    watching = asyncio.create_task(other.changed(claims[0].id, 0))
    await asyncio.sleep(0.01)
    await one.advance(claims[0], PROGRESS)
    assert (await asyncio.wait_for(watching, 5)).progress == PROGRESS
    working = asyncio.create_task(other.work())
    await other.claim(1)
    await one.close()
    await asyncio.wait_for(working, 5)
    assert len(await other.claim(100)) == sum(len(claims) for claims in rounds[::2])
    with pytest.raises(Fenced):
        await other.advance(claims[0], PROGRESS)
    await other.close()
    await database.close()


async def test_an_owner_that_stops_renewing_loses_its_claims_to_another(file: Path) -> None:
    """After its lease, and at its next heartbeat it gets nothing back."""
    clock, cipher = FakeClock(), Cipher.new()
    database = await open_database(f"sqlite:{file}", clock)
    silent, other = [SqlStore(Chain(database), cipher, clock, LEASE_S) for _ in range(2)]
    await silent.accept(intent())
    lost = await claimed(silent)
    assert not await other.claim(1)
    working = asyncio.create_task(other.work())
    await clock.advance(LEASE_S + 1)
    await asyncio.wait_for(working, 5)
    taken = await claimed(other)
    await silent.heartbeat()
    with pytest.raises(Fenced):
        await silent.begin_attempt(lost)
    assert (await other.begin_attempt(taken)).attempt == 1
    await silent.close()
    await other.close()
    await database.close()


async def test_one_write_that_breaks_its_batch_fails_alone(store: SqlStore) -> None:
    """Those that were committed together with it are kept."""
    broken = dataclasses.replace(intent(), tenant=object())
    answers = await asyncio.gather(
        store.accept(intent()), store.accept(broken), store.accept(intent()), return_exceptions=True
    )
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert len(await store.page(10)) == 2


async def test_while_the_database_is_away_every_call_fails_at_once(
    store: SqlStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that queue behind the write that found out: not each batch after a wait of its own."""
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(store.accept(intent()) for _ in range(1_000)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unreachable}
    assert asyncio.get_running_loop().time() - began < 1
    other.close()
    await store.accept(intent())


# ------------------------------------------------------------------ the disk


async def _full(store: SqlStore) -> None:
    """Accept until the disk has no room left; everything acknowledged is there, and nothing else."""
    kept = []

    async def fill() -> None:
        while True:
            kept.append((await store.accept(intent(request=os.urandom(4_000)))).intent.id)

    with pytest.raises((QuotaExceeded, Unreachable)) as caught:
        await fill()
    assert caught.value.retry_after_s
    assert caught.value.reason in ("STORE_FULL", "STORE_UNAVAILABLE")
    large = [store.accept(intent(request=os.urandom(40_000))) for _ in range(5)]
    answers = await asyncio.gather(*large, return_exceptions=True)
    kept += [answer.intent.id for answer in answers if isinstance(answer, Row)]  # a checkpoint may have made room
    assert {type(answer) for answer in answers} <= {type(caught.value), Row}
    assert [row.intent.id for row in reversed(await store.page(1000))] == kept


async def test_a_full_database_refuses_and_goes_on_once_there_is_room(store: SqlStore) -> None:
    """SQLITE_FULL: nothing is half kept, and no restart is needed."""

    def limit(connection: sqlite3.Connection, _record: object = None) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database, pages = store._database, 60
    sqlite.event.listen(database._writing, "connect", limit)  # a new connection after a failure has it too
    database._drop()
    await _full(store)
    pages = 1_000_000
    database._drop()
    assert (await store.accept(on_server("StopServer"))).sequence


async def test_a_store_goes_on_after_its_disk_was_full(store: SqlStore) -> None:
    """The system refuses to let the file grow: an I/O error in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        await _full(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (await store.accept(on_server("StopServer"))).sequence


async def test_another_program_on_the_file_is_waited_for(
    store: SqlStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup, or somebody's sqlite3: for a while, without holding up reads; then callers get an error."""
    row = await store.accept(intent())
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.accept(intent()))
    await asyncio.sleep(0.05)
    assert await store.get(row.intent.id) == row
    assert not waiting.done()
    other.execute("COMMIT")
    await asyncio.wait_for(waiting, 5)
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.05)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match=r"database is locked.*retry") as caught:
        await store.accept(intent())
    assert caught.value.reason == "STORE_UNAVAILABLE"
    other.close()
    await store.accept(intent())


def test_a_file_that_is_not_a_database_is_refused(file: Path) -> None:
    """And not overwritten."""
    file.write_bytes(b"no database, whatever its name says" * 100)
    with pytest.raises(Unreachable, match="damaged"):
        asyncio.run(open_store(f"sqlite:{file}", Cipher.new()))
    assert file.read_bytes().startswith(b"no database")
    with pytest.raises(Unreachable, match="does not answer"):
        asyncio.run(open_store("sqlite:/dev/null/gateway.db", Cipher.new()))


# ------------------------------------------------------------------ secrets


def _secret(text: bytes) -> any_pb2.Any:
    outcome = any_pb2.Any()
    outcome.Pack(server_pb2.Server(generated_password=text.decode()))
    return outcome


async def test_no_secret_is_in_the_files(store: SqlStore, file: Path) -> None:
    """Request, cursor, outcome, and what it took; only its owner may read them."""
    secrets = [f"s3cr3t-{part}-".encode() * 3 for part in ("request", "cursor", "outcome", "explained")]
    row = await store.accept(intent(request=secrets[0]))
    claim = await claimed(store)
    await store.advance(claim, dataclasses.replace(PROGRESS, cursor=secrets[1]), secrets[3])
    files = [f for f in file.parent.iterdir() if f.name.startswith(file.name)]
    assert {f.name for f in files} >= {"gateway.db", "gateway.db-wal"}
    written = b"".join(f.read_bytes() for f in files)
    await store.finish(claim, PROGRESS, _secret(secrets[2]))
    assert (await store.reveal(row.intent.id)).secret
    await store.close()
    written += b"".join(f.read_bytes() for f in files if f.exists())
    assert row.intent.id.encode() in written
    assert b"s3cr3t" not in written
    assert all(f.stat().st_mode & 0o077 == 0 for f in files if f.exists() and f.suffix != ".lock")


async def test_keys_are_changed_while_operations_go_on(file: Path, tmp_path: Path) -> None:
    """A new first key encrypts, the old one still opens; without it that operation alone can't be read."""
    keys = tmp_path / "keys"
    old = Cipher.load(keys)
    store = await open_store(f"sqlite:{file}", old)
    first = await store.accept(intent())
    ended = await store.end((await store.accept(intent())).intent.id, PROGRESS, CANCELLED)
    await store.close()
    fresh = base64.b64encode(os.urandom(32)).decode()
    keys.write_text(f"{fresh}\n{keys.read_text()}")
    store = await open_store(f"sqlite:{file}", Cipher.load(keys))
    assert await store.page(10) == [ended, first]
    second = await store.accept(intent())
    await store.close()

    keys.write_text(fresh)
    store = await open_store(f"sqlite:{file}", Cipher.load(keys))
    for reading in (store.get(first.intent.id), store.request_cancel(first.intent.id), store.known(first.intent)):
        with pytest.raises(PreconditionFailed, match=r"encrypted under key .* missing; put that key back") as caught:
            await reading
        assert caught.value.reason == "STORE_KEY_MISSING"
    assert await store.get(second.intent.id) == second
    shown = await store.page(10)
    assert [row.intent.id for row in shown] == [row.intent.id for row in (second, ended, first)]
    assert "is missing" in shown[1].outcome.message
    assert "is missing" in shown[2].progress.stage
    assert [claim.id for claim, _ in await store.claim(1)] == [second.intent.id]
    assert (await store.accept(twin(second.intent))).intent.id == second.intent.id
    await store.close()


_ALTERED = {
    "progress": b"\xff\xff\xff",
    "cluster": "nowhere",
    "also": "{not json",
    "request": b"\x00",
    "digest": "text instead of bytes",
    "cursor": b"\xff",
}


@pytest.mark.parametrize("column", _ALTERED)
async def test_one_altered_row_is_set_aside_and_shown_and_the_others_go_on(file: Path, column: str) -> None:
    """After a restart nobody claims it; it is listed with what is wrong, and can be abandoned by an operator."""
    store = await open_store(f"sqlite:{file}", Cipher.new())
    rows = [await store.accept(intent()) for _ in range(3)]
    await store.advance(await claimed(store, rows[1].intent.id), PROGRESS)
    await store.close()
    with sqlite3.connect(file) as database:
        statement = f"UPDATE operations SET {column} = ?, epoch = epoch WHERE id = ?"  # noqa: S608 - of the test's own
        database.execute(statement, (_ALTERED[column], rows[1].intent.id))
    store = await open_store(f"sqlite:{file}", store._cipher)
    try:
        assert {row.intent.id for _, row in await store.claim(10)} <= {rows[0].intent.id, rows[2].intent.id}
        listed = {row.intent.id: row for row in await store.page(10)}
        assert len(listed) == 3
        assert "can't be read" in listed[rows[1].intent.id].progress.stage
        assert (await store.accept(intent())).intent.id
        with pytest.raises(CloudspanError, match="can't be read"):
            await store.get(rows[1].intent.id)
    finally:
        await store.close()
