"""A gateway that is killed in the middle of a sweep: another one takes over, and nothing is lost or there twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest
from gateway.tests.observed_servers import CLUSTER, name_of, server
from gateway.tests.postgres_server import needed
from sqlalchemy import select
from tests.faults.killed_sweep import AFTER, BEFORE, LEASE_S, Servers, sync_over

from cloudspan_common.deadlines import Deadline
from cloudspan_gateway.inventory.model import Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import resource_changes, resources

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PARTS = 6


async def _changes(database: Any) -> list[Any]:
    asked = select(resource_changes).order_by(resource_changes.c.sequence)
    return await database.read(lambda conn: list(conn.execute(asked)))


async def _killed(url: str, point: int) -> str:
    """Have a gateway sweep until that point; return where it died, nothing if it came to its end."""
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.faults.killed_sweep", url, str(point)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if child.returncode == 0:
        return ""
    assert child.returncode == -signal.SIGKILL, child.stderr
    return child.stdout.strip().splitlines()[-1]


async def _taken_over(url: str, where: str) -> None:
    """Sweep with another gateway, and look at what is kept."""
    began = time.monotonic()
    database = await open_database(url)
    sync = sync_over(database, Servers(dict(AFTER), page_size=7), "other")
    running = asyncio.create_task(sync.run())
    try:
        await sync.now([CLUSTER], ["servers"], deadline=Deadline.after(30))
        took_s = time.monotonic() - began
        assert took_s < 2 * LEASE_S + 2.0, f"killed {where}: taken over after {took_s:.1f} s"
        kept = select(resources.c.name, resources.c.digest).where(resources.c.deleted_time.is_(None))
        assert dict(await database.read(lambda conn: conn.execute(kept).all())) == {
            name_of(one): server(one, name).digest for one, name in AFTER.items()
        }, f"killed {where}"
        _check(await _changes(database), where)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await sync._coordinator.close()
        await database.close()


def _check(changes: list[Any], where: str) -> None:
    """Each change is numbered, once."""
    assert [change.sequence for change in changes] == list(range(1, len(changes) + 1)), f"killed {where}"
    renamed = sum(name == "renamed" for one, name in AFTER.items() if one in BEFORE)
    added, removed = len(BEFORE) + len(AFTER.keys() - BEFORE.keys()), len(BEFORE.keys() - AFTER.keys())
    counted = Counter(change.what for change in changes)
    assert counted == {"added": added, "updated": renamed, "removed": removed}, f"killed {where}"


@pytest.mark.parametrize("part", range(PARTS))
async def test_a_gateway_killed_anywhere_in_a_sweep_loses_and_doubles_nothing(part: int) -> None:
    """Each n-th point of a sweep on PostgreSQL; the next owner is done within two leases."""
    places = []
    for point in range(part + 1, 1_000, PARTS):
        url = needed().new_database()
        database = await open_database(url)
        rows = [server(one, name) for one, name in BEFORE.items()]
        await InventoryStore(database).apply("servers", rows, time.time(), Origin.SWEEP)
        await database.close()
        where = await _killed(url, point)
        await _taken_over(url, where or "nowhere")
        if not where:
            break
        places.append(where)
    assert len(places) >= 3, places
