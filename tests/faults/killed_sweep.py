"""A process that sweeps a cluster into a database and kills itself at the n-th point of the sweep.

Run as `python -m tests.faults.killed_sweep URL N`. Points are before each thing that is asked of the cloud, and before,
within and after each transaction. It prints the point at which it dies, and ends by itself when there are fewer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER

from cloudspan_common.clock import SystemClock
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import Unsupported
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.collection import Environment
from cloudspan_gateway.inventory.sync.config import SyncSettings
from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
from cloudspan_gateway.inventory.sync.sync import Sync
from cloudspan_gateway.storage.coordination import coordinator_in
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_gateway.inventory.model import Observed
    from cloudspan_gateway.inventory.sync.source import Page, PageRequest
    from cloudspan_gateway.storage.engine import Database

LEASE_S = 1.5
BEFORE = {f"s{n:02}": "as before" for n in range(30)}
AFTER = {f"s{n:02}": "as before" if n % 3 else "renamed" for n in range(5, 35)}
"""Five are gone, five are new, eight of the others have another name."""


class Servers(ListedCloud):
    """Servers alone."""

    async def page(self, request: PageRequest) -> Page:
        if request.collection != "servers":
            raise Unsupported("there are servers alone here", reason="METHOD_ABSENT")
        return await super().page(request)


def sync_over(database: Database, source: Any, name: str) -> Sync:
    """Return the sweeps of one gateway, with its locks in the database."""
    clock = SystemClock()
    settings = SyncSettings(fastest_s=600.0, slowest_s=600.0)
    environment = Environment(InventoryStore(database), source, clock, settings, SyncMetrics(), name)
    return Sync(
        environment, database, coordinator_in(database, clock, LEASE_S), lambda: [CLUSTER], lambda _: frozenset()
    )


class Points:
    """Counts the points of a sweep, and dies at one."""

    def __init__(self, last: int) -> None:
        self._left: int | None = None
        self._last = last

    def begin(self) -> None:
        """Count from here on."""
        self._left = self._last

    def pass_by(self, what: str) -> None:
        """Die here if this is the one."""
        if self._left is None:
            return
        self._left -= 1
        if not self._left:
            os.write(1, f"{what}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


class Watched(Servers):
    """A cloud that counts what is asked of it."""

    points: Points

    async def page(self, request: PageRequest) -> Page:
        if request.collection == "servers":
            self.points.begin() if not request.cursor else None
            self.points.pass_by(f"page {request.cursor or '0'}")
        return await super().page(request)

    async def get(self, name: str) -> Observed | None:
        self.points.pass_by("proof")
        return await super().get(name)


def watch(database: Any, points: Points) -> None:
    """Have a database count its transactions."""
    transact: Callable[..., Any] = database.transact

    async def watched(batch: Callable[[Any], Any]) -> Any:
        def within(conn: Any) -> Any:
            done = batch(conn)
            points.pass_by("before a commit")
            return done

        points.pass_by("before a transaction")
        answer = await transact(within)
        points.pass_by("after a commit")
        return answer

    database.transact = watched


async def main(url: str, last: str) -> None:
    """Sweep once."""
    database: Any = await open_database(url)
    points = Points(int(last))
    watch(database, points)
    cloud = Watched(dict(AFTER), page_size=7)
    cloud.points = points
    sync = sync_over(database, cloud, "killed")
    running = asyncio.create_task(sync.run())
    await sync.now([CLUSTER], ["servers"], deadline=Deadline.after(30))
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
