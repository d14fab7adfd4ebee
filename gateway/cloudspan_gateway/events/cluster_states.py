"""Tells by events how clusters come, go and change their state: one gateway of an installation does, its leader.

What was told of a cluster is kept in the transaction of its event, so that a state is told once, whoever leads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from cloudspan.v1 import cluster_pb2, event_pb2
from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.storage.tables import cluster_states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.routing.snapshot import PlatformRoute
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.storage.engine import Database

REMOVED = "removed"
PAUSE_S = 1.0
"""A cluster whose state goes to and fro is told of no more often than this."""

c = cluster_states.c
log = get_logger(__name__)


class ClusterStates:
    """Compares the route table with what was told."""

    def __init__(self, database: Database, table: Table, clock: Clock, removed_after_s: float) -> None:
        self._database = database
        self._table = table
        self._clock = clock
        self._removed_after_s = removed_after_s
        self._missing_since: dict[str, float] = {}
        self._changed = asyncio.Event()
        table.subscribe(lambda _snapshot: self._changed.set())

    def __repr__(self) -> str:
        return f"<ClusterStates of {self._table!r}>"

    async def tell(self) -> None:
        """Tell what differs, again and again until cancelled, as the leader."""
        while True:
            self._changed.clear()
            try:
                await self.tell_once()
            except CloudspanError as error:
                log.warning("states of clusters not told", reason=error.reason)
            await self._clock.sleep(PAUSE_S)
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await finished(self._clock, changed, max(self._removed_after_s / 10, PAUSE_S))
            finally:
                changed.cancel()

    async def tell_once(self) -> None:
        """Tell each cluster whose state is another one than was told last."""
        asked = select(c.cluster, c.state)
        rows = await self._database.read(lambda conn: conn.execute(asked).all())
        told = {row.cluster: row.state for row in rows}
        now = self._states()
        for cluster, seen in now.items():
            state = _name_of(seen)
            if told.get(cluster) != state:
                await self._write(cluster, told.get(cluster), state, seen)
        for cluster in self._removed(told, now):
            await self._write(cluster, told[cluster], REMOVED, cluster_pb2.Cluster(name=cluster))

    def _states(self) -> dict[str, cluster_pb2.Cluster]:
        platforms = self._table.snapshot.platforms.values()
        return {
            str(route.ref): _seen(route.cluster, platform)
            for platform in platforms
            for route in platform.clusters.values()
        }

    def _removed(self, told: Mapping[str, str], now: Mapping[str, object]) -> list[str]:
        """Return clusters that nobody has described for so long that they count as removed."""
        at = self._clock.monotonic()
        self._missing_since = {cluster: self._missing_since.get(cluster, at) for cluster in told.keys() - now.keys()}
        return sorted(name for name, since in self._missing_since.items() if at - since >= self._removed_after_s)

    async def _write(self, cluster: str, before: str | None, state: str, seen: cluster_pb2.Cluster) -> None:
        data = event_pb2.Event()
        shown = data.cluster_state
        shown.name, shown.display_name, shown.state = cluster, seen.display_name, seen.state
        shown.message, shown.disabled = seen.message, seen.disabled
        event = OutboxEvent(f"cluster.{state}", self._clock.now(), cluster, cluster, data=data)

        def write(conn: Connection) -> None:
            # Another leader, who does not know yet that it is none, may have told the same.
            if not _replaced(conn, cluster, before, state):
                return
            outbox.append(conn, self._database, [event])

        await self._database.transact(write)


def _replaced(conn: Connection, cluster: str, before: str | None, state: str) -> bool:
    """Whether what was told of a cluster was `before`, and is `state` now."""
    if before is None:
        if conn.execute(select(c.state).where(c.cluster == cluster)).first() is not None:
            return False
        conn.execute(insert(cluster_states).values(cluster=cluster, state=state))
        return True
    here = (c.cluster == cluster, c.state == before)
    if state == REMOVED:
        return bool(conn.execute(delete(cluster_states).where(*here)).rowcount)
    return bool(conn.execute(update(cluster_states).where(*here).values(state=state)).rowcount)


def _seen(cluster: cluster_pb2.Cluster, platform: PlatformRoute) -> cluster_pb2.Cluster:
    """Return a cluster as last described; one that no adapter serves now is unreachable."""
    if platform.serving:
        return cluster
    seen = cluster_pb2.Cluster(name=cluster.name, display_name=cluster.display_name, disabled=cluster.disabled)
    seen.state = cluster_pb2.Cluster.STATE_UNREACHABLE
    seen.message = f"no adapter of platform {platform.tag!r} serves it"
    return seen


def _name_of(cluster: cluster_pb2.Cluster) -> str:
    if cluster.disabled:
        return "disabled"
    return cluster_pb2.Cluster.State.Name(cluster.state).removeprefix("STATE_").lower()
