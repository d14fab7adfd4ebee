"""kill -9 of a gateway in the middle of its writes: what was acknowledged is there, with its events."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from gateway.tests import postgres_server
from gateway.tests.audit_chains import broken_at, rows
from gateway.tests.operation_store_suite import DONE
from sqlalchemy import select

from cloudspan.v1.event_pb2 import Event
from cloudspan_gateway.operations.model import PREFIX
from cloudspan_gateway.operations.stores.base import Wanted
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import events, operations

ROOT = Path(__file__).parents[4]
Told = dict[str, tuple[int, int, bool]]


def _until_killed(url: str, keys: Path, writes: int) -> Told:
    """Run a gateway until it has acknowledged so many writes and a little longer; return the last of each operation."""
    command = [sys.executable, "-m", "gateway.tests.killed_gateway", url, str(keys)]
    told: Told = {}
    # Compiled once for all that are to be killed, whatever this machine's habits are.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(keys.parent / "compiled")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=env, **pipes) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if number == writes:
                process.kill()
            if line.endswith("\n"):
                key, revision, attempt, done = line.split()
                told[key] = max(told.get(key, (0, 0, False)), (int(revision), int(attempt), done == "1"))
        assert process.stderr is not None
        assert process.wait() == -9, process.stderr.read()
    return told


async def _check(url: str, keys: Path, told: Told, last: Told) -> None:
    store = await open_store(url, Cipher.load(keys))
    rows = {row.intent.id: row for row in await store.find(list(told))}
    for key, (revision, attempt, done) in told.items():
        row = rows[key]  # nothing acknowledged is lost
        assert (row.revision, row.attempt, row.done) >= (revision, attempt, done)
        if key in last and row.revision == revision and not done:
            assert row.attempt - attempt in (0, 1)  # what was on its way may be kept, once
    await store.close()


async def _check_events(url: str) -> None:
    """An operation is there exactly where its event of the audit is, and its end where the two events of that are."""
    database = await open_database(url)
    found = await rows(database)
    kept = await database.read(lambda conn: conn.execute(select(operations.c.id, operations.c.end_time)).all())
    told = await database.read(lambda conn: conn.execute(select(events.c.sequence, events.c.data)).all())
    await database.close()
    assert sorted(row.sequence for row in told) == list(range(1, len(told) + 1))
    assert broken_at(found) is None
    accepted, ended = (
        sorted(row["operation"] for row in found if row["type"] == kind)
        for kind in ("TYPE_MUTATION", "TYPE_OPERATION_ENDED")
    )
    assert accepted == sorted(PREFIX + row.id for row in kept)
    assert ended == sorted(PREFIX + row.id for row in kept if row.end_time is not None)
    assert ended == sorted(Event.FromString(row.data).operation.name for row in told)


async def _finish_everything(url: str, keys: Path) -> None:
    """What the killed ones had in their hands is claimed and ended."""
    store = await open_store(url, Cipher.load(keys))
    async with asyncio.timeout(30):
        while await store.page(1, wanted=Wanted(done=False)):
            claims = await store.claim(1_000)
            await asyncio.gather(*(store.finish(claim, row.progress, DONE) for claim, row in claims))
            await asyncio.sleep(0.05)
    await store.close()


async def _kill(url: str, keys: Path, kills: int) -> None:
    everything: Told = {}
    for _ in range(kills):
        last = await asyncio.to_thread(_until_killed, url, keys, random.randint(1, 400))  # noqa: S311 - no secret
        everything |= last
        await _check(url, keys, everything, last)
        await _check_events(url)
    assert everything
    await _finish_everything(url, keys)
    await _check_events(url)


async def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Twice here; the long proof is below."""
    await _kill(f"sqlite:{tmp_path}/gateway.db", tmp_path / "keys", 2)


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_over_many_kills(tmp_path: Path) -> None:
    """SQLite, twenty times at random moments, one database all along."""
    await _kill(f"sqlite:{tmp_path}/gateway.db", tmp_path / "keys", 20)


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_over_many_kills_on_postgresql(tmp_path: Path) -> None:
    """Twenty times, and what a killed gateway held is free once its lease has ended."""
    await _kill(postgres_server.needed().new_database(), tmp_path / "keys", 20)
