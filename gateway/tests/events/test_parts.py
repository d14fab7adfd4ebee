"""The events of a gateway as a whole: who purges them, and what its metrics say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from gateway.tests.events.event_lab import EventLab, event_lab
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from cloudspan_common.registry.coordination.memory import World
from cloudspan_gateway.events.parts import MEASURE_EVERY_S, PURGE_EVERY_S, EventNeeds, Events, EventSettings
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.routing.snapshot import Snapshot
from cloudspan_gateway.storage.tables import events

KEEP_S = 3600.0


class NoClusters:
    """A route table in which nothing is known."""

    snapshot = Snapshot()

    def subscribe(self, listener) -> None:
        """Nobody is told."""


@pytest.fixture
async def lab():
    async with event_lab() as opened:
        yield opened


def made(lab: EventLab, world: World) -> Events:
    needs = EventNeeds(lab.database, NoClusters(), world.coordinator(10.0), lab.clock, CollectorRegistry())  # type: ignore[arg-type] # as much of a table as it needs
    return Events(needs, EventSettings(KEEP_S, 600.0))


@asynccontextmanager
async def running(*all_events: Events):
    tasks = [asyncio.create_task(one.run()) for one in all_events]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for one in all_events:
            await one._needs.coordinator.close()


def value(one: Events, name: str, **labels: str) -> float | None:
    return one._needs.metrics.get_sample_value(name, labels or None)


async def test_old_events_are_purged_by_one_gateway(lab: EventLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at a time, until none is left that is older than they are kept; the others purge nothing."""
    monkeypatch.setattr("cloudspan_gateway.events.parts._PURGED_AT_ONCE", 2)
    purged: dict[Events, int] = {}
    now = lab.clock.now()
    await lab.happens(*range(5), time=now - KEEP_S - 1)
    await lab.happens("kept", time=now)
    world = World(lab.clock)
    both = [made(lab, world) for _ in range(2)]
    for one in both:
        purge = one._purge_some

        def counted(conn, one=one, purge=purge):
            purged[one] = purged.get(one, 0) + 1
            return purge(conn)

        monkeypatch.setattr(one, "_purge_some", counted)
    asked = select(func.count()).select_from(events)
    async with running(*both), asyncio.timeout(10):
        while await lab.database.read(lambda conn: conn.execute(asked).scalar()) > 1:
            await lab.clock.advance(1.0)
        await lab.clock.advance(PURGE_EVERY_S)
        await lab.clock.advance(PURGE_EVERY_S)
    assert len(purged) == 1
    assert sum(purged.values()) >= 4


async def test_metrics_say_how_far_each_consumer_is_behind(lab: EventLab) -> None:
    """The age of the oldest event that it has not acknowledged; also after the numbers began anew."""
    one = made(lab, World(lab.clock))
    now = lab.clock.now()
    await lab.happens(1, time=now - 100.0)
    await lab.happens(2, time=now - 40.0)
    place = await lab.place()
    for name, at in (("all", place), ("one", place._replace(sequence=1)), ("none", place._replace(sequence=2)),
                     ("anew", Place(9, "0" * 32))):  # fmt: skip
        await one.consumers.begun("acme", name, at)
    async with running(one), asyncio.timeout(10):
        lag = "cloudspan_gateway_event_consumer_lag_seconds"
        while value(one, lag, tenant="acme", consumer="all") is None:
            await lab.clock.advance(0.0)
        found = {name: value(one, lag, tenant="acme", consumer=name) for name in ("all", "one", "none", "anew")}
        assert found == {"all": 100.0, "one": 40.0, "none": 0.0, "anew": 100.0}
        await one.consumers.forget("acme", "all")
        while value(one, lag, tenant="acme", consumer="all") is not None:
            await lab.clock.advance(MEASURE_EVERY_S)
        assert value(one, lag, tenant="acme", consumer="one") >= 40.0


async def test_metrics_count_streams_under_way(lab: EventLab) -> None:
    one = made(lab, World(lab.clock))
    assert value(one, "cloudspan_gateway_event_streams") == 0
    with one.streams._counted():
        assert value(one, "cloudspan_gateway_event_streams") == 1
    await one._needs.coordinator.close()
