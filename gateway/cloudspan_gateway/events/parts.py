"""The events of one gateway, as the composition root has them: what reads, keeps, tells and purges them.

`app` makes one, with or without an inventory, and runs it as the part `events`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_common.registry.coordination import while_held
from cloudspan_gateway.events.cluster_states import ClusterStates
from cloudspan_gateway.events.consumers import Consumers
from cloudspan_gateway.events.log import EventLog
from cloudspan_gateway.events.streams import Streams
from cloudspan_gateway.outbox import outbox

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.coordination import Coordinator
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.storage.engine import Database

LEADER = "events"
PURGE_EVERY_S, MEASURE_EVERY_S = 300.0, 60.0
_PURGED_AT_ONCE = 1_000
_AGAIN_S = 1.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EventNeeds:
    """What events work with."""

    database: Database
    table: Table
    coordinator: Coordinator
    """Says which gateway tells of clusters and purges, and which stream reads as a consumer."""
    clock: Clock
    metrics: CollectorRegistry


@dataclass(frozen=True, slots=True)
class EventSettings:
    """How long events are kept, and when a cluster counts as removed."""

    keep_s: float
    removed_after_s: float


class Events:
    """All parts of the events."""

    def __init__(self, needs: EventNeeds, settings: EventSettings) -> None:
        """Make the parts; nothing is read before `run`."""
        self.log = EventLog(needs.database, needs.clock)
        self.consumers = Consumers(needs.database, needs.coordinator, needs.clock)
        self.streams = Streams(self.log, needs.clock)
        self._needs = needs
        self._settings = settings
        self._states = ClusterStates(needs.database, needs.table, needs.clock, settings.removed_after_s)
        under_way = Gauge("cloudspan_gateway_event_streams", "WatchEvents under way.", registry=needs.metrics)
        under_way.set_function(lambda: self.streams.count)
        self._lag = Gauge(
            "cloudspan_gateway_event_consumer_lag_seconds",
            "How old the oldest event is that a consumer has not acknowledged, whoever it is for.",
            ["tenant", "consumer"],
            registry=needs.metrics,
        )

    def __repr__(self) -> str:
        return f"<Events {self.log!r}>"

    async def begin(self) -> None:
        """See to it that there are numbers: who follows from the first event on needs their epoch."""
        await self._needs.database.transact(outbox.begin)

    async def run(self) -> None:
        """Wake who follows, and lead where nobody else does, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.log.run())
            group.create_task(self._measure())
            group.create_task(self._lead())

    def drain(self) -> None:
        """End all streams: their callers go on at another gateway."""
        self.streams.stop()

    async def _lead(self) -> None:
        while True:
            leader = await self._needs.coordinator.leader(LEADER)
            if leader is None:
                return  # the coordinator is closed
            async with leader:
                await while_held(leader, self._work())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._states.tell())
            group.create_task(self._purge())

    async def _purge(self) -> None:
        while True:
            try:
                while await self._needs.database.transact(self._purge_some):
                    pass  # one transaction after the other, so that others come in between
            except CloudspanError as error:
                log.warning("old events could not be purged", reason=error.reason)
            await self._needs.clock.sleep(PURGE_EVERY_S)

    def _purge_some(self, conn: Connection) -> int:
        return outbox.purge(conn, self._needs.clock.now() - self._settings.keep_s, _PURGED_AT_ONCE)

    async def _measure(self) -> None:
        while True:
            try:
                await self._measure_once()
            except CloudspanError as error:
                log.debug("consumers not measured", reason=error.reason)
            await self._needs.clock.sleep(MEASURE_EVERY_S)

    async def _measure_once(self) -> None:
        """Set how far each consumer is behind."""
        lags, epoch = {}, (await self.log.head()).epoch
        for one in await self.consumers.of():
            # One of numbers that began anew since has all events in front of it.
            time = await self.log.time_behind(one.place.sequence if one.place.epoch == epoch else 0)
            lags[one.tenant, one.consumer] = 0.0 if time is None else self._needs.clock.now() - time
        self._lag.clear()
        for labels, lag_s in lags.items():
            self._lag.labels(*labels).set(lag_s)
