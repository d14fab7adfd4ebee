"""P7: what sweeps of 100 000 resources cost the gateway, and how long a write waits beside the first one."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from gateway.tests.observed_servers import CLUSTER, name_of
from sqlalchemy import text
from tests.bench.measure import quantile

from cloudspan.adapter.v1 import sweep_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common.clock import SystemClock
from cloudspan_gateway.inventory.model import CollectionState, Completeness, digest_of
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.source import Page, PageRequest, page_of
from cloudspan_gateway.inventory.sync.sweep import CollectionSweep, Swept
from cloudspan_gateway.routing.forward import read_answer
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.inventory.model import Observed
    from cloudspan_gateway.storage.engine import Database

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROWS, PAGE_ROWS = 100_000, 1_000
UNCHANGED_S = 3.0
WAIT_S = 0.25
"""Of this process's CPU: what a create has in front of it."""


def _server(n: int) -> server_pb2.Server:
    server = server_pb2.Server(
        name=name_of(f"{n:08x}-0000-4000-8000-000000000000"),
        display_name=f"server-{n}",
        state=server_pb2.Server.STATE_RUNNING,
        project=f"{CLUSTER}/projects/p{n % 50}",
        flavor=f"{CLUSTER}/flavors/f{n % 10}",
        zone=f"{CLUSTER}/zones/z{n % 3}",
        vcpus=4,
        memory_mib=8192,
        labels={"team": f"t{n % 20}", "tier": "web"},
    )
    server.create_time.seconds = 1_700_000_000 + n
    return server


class Recorded:
    """An adapter's pages as they come off the wire; `etags` has it answer that a known page has not changed."""

    def __init__(self) -> None:
        self.etags = False
        self._pages = [self._recorded(start) for start in range(0, ROWS, PAGE_ROWS)]

    def _recorded(self, start: int) -> tuple[str, bytes, bytes]:
        page = sweep_pb2.SweepPageResponse(etag=f"{start:032x}")
        if start + PAGE_ROWS < ROWS:
            page.next_cursor = str(start // PAGE_ROWS + 1)
        same = sweep_pb2.SweepPageResponse(next_cursor=page.next_cursor, etag=page.etag, unchanged=True)
        for n in range(start, start + PAGE_ROWS):
            server = _server(n)
            payload = server.SerializeToString(deterministic=True)
            page.rows.add(name=server.name, resource=payload, digest=digest_of(payload))
        return page.etag, page.SerializeToString(), same.SerializeToString()

    async def page(self, request: PageRequest) -> Page:
        etag, whole, same = self._pages[int(request.cursor or 0)]
        answer = same if self.etags and request.etag == etag else whole
        return page_of(read_answer(sweep_pb2.SweepPageResponse, answer, "the adapter"), request)

    async def get(self, name: str) -> Observed | None:
        raise AssertionError(name)


class Waits:
    """Writes one row again and again, as an operation's acceptance does; notes how long each took."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.took_s: list[float] = []
        self.cpu_s: list[float] = []
        """What this process worked meanwhile: the same however busy the machine is."""

    async def _write(self) -> None:
        statement = text("UPDATE policy_revision SET revision = revision")
        while True:
            began, cpu = time.perf_counter(), time.process_time()
            await self._database.transact(lambda conn: conn.execute(statement) and None)
            self.took_s.append(time.perf_counter() - began)
            self.cpu_s.append(time.process_time() - cpu)
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        writing = asyncio.create_task(self._write())
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait([writing])


class Sweeps:
    """One collection, swept again and again."""

    def __init__(self, database: Database, source: Recorded) -> None:
        self.store = InventoryStore(database)
        self._sweep = CollectionSweep(self.store, source, SystemClock(), brake=0.3)
        self._state = CollectionState(CLUSTER, "servers")

    async def timed(self) -> tuple[Swept, float, float]:
        """Return what a sweep came to, its CPU and its time."""
        cpu, began = time.process_time(), time.perf_counter()
        swept = await self._sweep.sweep(self._state, None)
        cpu_s, took_s = time.process_time() - cpu, time.perf_counter() - began
        await self.store.save_state(swept.state)
        self._state = swept.state
        return swept, cpu_s, took_s


async def test_sweeps_of_a_hundred_thousand_servers(tmp_path, table):
    """The gateway's part: pages as bytes to rows in SQLite; what gRPC takes to bring them is not in it."""
    source = Recorded()
    database = await open_database(f"sqlite:{tmp_path / 'gateway.db'}")
    found = table("P7: sweeps of 100 000 servers", "sweep", "CPU s", "s", "written", "pages unchanged", "bar CPU s")
    waits = Waits(database)
    sweeps = Sweeps(database, source)
    try:
        async with waits.noted():
            first, cpu_s, took_s = await sweeps.timed()
        found.add("first", cpu_s, took_s, first.written.added, first.unchanged_pages, "-")
        assert first.state.completeness is Completeness.COMPLETE
        compared = [await sweeps.timed() for _ in range(3)]
        swept, whole_s, took_s = min(compared, key=lambda each: each[1])
        found.add("unchanged, all digests", whole_s, took_s, 0, swept.unchanged_pages, UNCHANGED_S)
        assert swept.written.unchanged == ROWS
        source.etags = True
        await sweeps.timed()
        swept, etags_s, took_s = min([await sweeps.timed() for _ in range(3)], key=lambda each: each[1])
        found.add("unchanged, etags", etags_s, took_s, 0, swept.unchanged_pages, UNCHANGED_S)
        assert swept.unchanged_pages == ROWS // PAGE_ROWS
    finally:
        await database.close()
    waited = table(
        "P7: a small write beside the first sweep", "waits", "writes", "p50 ms", "p99 ms", "most ms", "bar ms"
    )
    for name, seconds, bar in (("time", waits.took_s, "-"), ("CPU meanwhile", waits.cpu_s, 1e3 * WAIT_S)):
        found_ms = [1e3 * each for each in (quantile(seconds, 0.5), quantile(seconds, 0.99), max(seconds))]
        waited.add(name, len(seconds), *found_ms, bar)
    assert max(whole_s, etags_s) <= UNCHANGED_S
    assert max(waits.cpu_s) <= WAIT_S
