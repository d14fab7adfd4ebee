"""Clusters that come, go and change their state are told of by events: each state once, whichever gateway sees it."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests import postgres_server
from sqlalchemy import select
from tests.harness.clouds import MAIN, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.v1 import cluster_pb2, event_pb2
from cloudspan_common.names import parse_cluster
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.events import cluster_states
from cloudspan_gateway.routing.snapshot import ClusterRoute, PlatformRoute, Snapshot
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import events


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_states, "PAUSE_S", 0.01)


async def told(running: Deployment) -> list[event_pb2.Event]:
    request = event_pb2.ListEventsRequest(filter='type : "cluster."', oldest_first=True)
    return list((await running.client.events.ListEvents(request)).events)


async def until_told(running: Deployment, kind: str) -> event_pb2.Event:
    """Wait until a type is the last that was told."""
    async with asyncio.timeout(10):
        while not (found := await told(running)) or found[-1].type != kind:  # noqa: ASYNC110 - the table has no event
            await asyncio.sleep(0.02)
    return found[-1]


async def test_a_cluster_is_told_of_when_it_can_be_used_and_when_no_longer() -> None:
    """With its name and why; nothing of its credentials or its endpoint."""
    async with deployment(memory_cluster()) as running:
        ready = await until_told(running, "cluster.ready")
        assert (ready.subject, ready.cluster, ready.tenant) == (MAIN, MAIN, "")
        assert ready.cluster_state.state == cluster_pb2.Cluster.STATE_READY
        await running.kill()
        running.forget()
        gone = await until_told(running, "cluster.unreachable")
        assert "no adapter" in gone.cluster_state.message
        await running.plug([memory_cluster()])
        await until_told(running, "cluster.ready")


class HandMadeTable:
    """What the states are read from."""

    def __init__(self) -> None:
        cluster = cluster_pb2.Cluster(name=MAIN, state=cluster_pb2.Cluster.STATE_READY)
        route = PlatformRoute("memory", clusters={"main": ClusterRoute(parse_cluster(MAIN), cluster)})
        self.known = Snapshot({"memory": route})
        self.snapshot = self.known

    def subscribe(self, listener) -> None:
        """Nobody is told: the test asks."""


async def test_a_cluster_that_is_gone_for_long_is_removed() -> None:
    """Told once, and told of again when it comes back; one that is missing for a moment is not."""
    clock, table = FakeClock(), HandMadeTable()
    database = await open_database("memory:", clock)
    states = cluster_states.ClusterStates(database, table, clock, 600.0)  # type: ignore[arg-type] # as much as it needs
    for seconds, snapshot in (
        (0.0, table.known), (1.0, Snapshot()), (599.0, Snapshot()), (0.5, table.known),
        (1.0, Snapshot()), (601.0, Snapshot()), (1.0, Snapshot()), (1.0, table.known),
    ):  # fmt: skip
        await clock.advance(seconds)
        table.snapshot = snapshot
        await states.tell_once()
    asked = select(events.c.type).order_by(events.c.sequence)
    found = await database.read(lambda conn: list(conn.execute(asked).scalars()))
    assert found == ["cluster.unreachable", "cluster.removed", "cluster.unreachable"]
    await database.close()


async def test_a_state_that_stays_is_told_once_over_restarts_and_gateways(tmp_path) -> None:
    """What was told is kept with the events."""
    url = postgres_server.needed().new_database()
    Cipher.load(tmp_path / "operations.key")
    shared = {"database": url, "operations_key": tmp_path / "operations.key"}
    async with deployment(memory_cluster(), **shared) as running:
        await until_told(running, "cluster.ready")
        before = [each.id for each in await told(running)]
        registry = MemoryRegistry()
        for instance in [seen.instance for seen in running.gateway.table.snapshot.platforms["memory"].instances]:
            registry.put(instance)
        config = GatewayConfig(
            listen="127.0.0.1:0", metrics="", drain_s=0.0, no_inventory=True, wait_for_adapters=2.0, **shared
        )  # fmt: skip
        other = Gateway(config, registry)
        async with other.running():
            await other.events._states.tell_once()
        assert [each.id for each in await told(running)] == before
