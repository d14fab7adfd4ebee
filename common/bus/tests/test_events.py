"""Events on a topic exchange: as CloudEvents JSON, at least once, in their order, whichever process publishes them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pika
import pytest
from common.bus.tests.conftest import CLUSTER, SERVERS, World
from common.bus.tests.test_bus_page import program

from cloudspan.v1 import event_pb2
from cloudspan_bus import events
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent

pytestmark = [
    pytest.mark.timeout(180),
    # kombu leaves the sockets of a broker that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SERVER = {"display_name": "web", "flavor": f"{CLUSTER}/flavors/small"}


class Queue:
    """A durable queue of a reader of events, who comes and goes."""

    def __init__(self, world: World, key: str) -> None:
        self._world = world
        self.name = f"events-{world.topic}-{key}"
        with pika.BlockingConnection(world.pika) as connection:
            channel = connection.channel()
            channel.exchange_declare(world.topic, exchange_type="topic", durable=True)
            channel.queue_declare(self.name, durable=True)
            channel.queue_bind(self.name, world.topic, key)

    def taken(self) -> list[tuple[str, pika.BasicProperties, dict]]:
        found = []
        with pika.BlockingConnection(self._world.pika) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(self.name, auto_ack=True)
                if method is None:
                    return found
                found.append((method.routing_key, properties, json.loads(body)))

    async def until(self, count: int) -> list[tuple[str, pika.BasicProperties, dict]]:
        """Take messages until there were that many with different ids."""
        found: list = []
        async with asyncio.timeout(60):
            while len({each[1].message_id for each in found}) < count:
                found += await asyncio.to_thread(self.taken)
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def publishing(world: World, **options):
    """Run a bus that publishes on an exchange of the test's own."""
    async with world.bus(events_exchange=world.topic, **options):
        yield


async def keep(world: World, *subjects: object) -> None:
    database = world.deployment.gateway.database
    happened = [OutboxEvent("operation.succeeded", 1000.0, subject=f"{CLUSTER}/servers/{one}") for one in subjects]
    await database.transact(lambda conn: outbox.append(conn, database, happened))


async def begun(world: World) -> None:
    """Wait until the consumer is there: what happens from now on is published."""
    name = f"tenants/default/eventConsumers/bus-{world.topic}"
    async with asyncio.timeout(20):
        while True:
            found = await world.deployment.client.events.ListEventConsumers(event_pb2.ListEventConsumersRequest())
            if name in [each.name for each in found.event_consumers]:
                return
            await asyncio.sleep(0.05)


def numbers(found) -> list[str]:
    """Which servers the messages are about, without repeats."""
    first = {each[1].message_id: each[2]["subject"].rpartition("/")[2] for each in reversed(found)}
    return list(reversed(first.values()))


async def test_an_operations_end_is_published_as_a_cloud_event(world: World) -> None:
    """Under its outcome; who is bound to another key gets nothing of it."""
    async with publishing(world):
        queue, other = Queue(world, "operation.*"), Queue(world, "resource.#")
        await begun(world)
        operation = await world.caller().call(SERVERS, "CreateServer", parent=CLUSTER, server=SERVER)
        ((key, properties, event),) = await queue.until(1)
    assert key == properties.type == "operation.succeeded"
    assert (properties.content_type, properties.delivery_mode) == ("application/cloudevents+json", 2)
    assert properties.message_id == event["id"]
    assert event["specversion"] == "1.0"
    assert event["type"] == "dev.cloudspan.operation.succeeded.v1"
    assert event["source"] == f"/{CLUSTER}"
    assert event["subject"] == operation["response"]["name"]
    assert event["data"]["name"] == operation["name"]
    assert event["data"]["metadata"]["method"] == "cloudspan.v1.ServerService/CreateServer"
    assert "response" not in event["data"]
    assert other.taken() == []


async def test_what_happens_while_no_bus_is_there_is_published_later(world: World) -> None:
    """The gateway keeps the consumer's place."""
    async with publishing(world):
        await begun(world)
        queue = Queue(world, "operation.*")
    await keep(world, 1, 2, 3)
    async with publishing(world):
        assert numbers(await queue.until(3)) == ["1", "2", "3"]


async def test_one_process_publishes_and_another_takes_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_IN_USE_S", 0.05)
    async with publishing(world, host="two"):
        async with publishing(world):
            await begun(world)
            queue = Queue(world, "operation.*")
            await keep(world, *range(5))
            assert numbers(await queue.until(5)) == ["0", "1", "2", "3", "4"]
        await keep(world, 5, 6)
        assert numbers(await queue.until(2)) == ["5", "6"]
    assert queue.taken() == []


@pytest.mark.faults
async def test_a_broker_that_restarts_loses_no_event(world: World) -> None:
    """In the order of the gateway, apart from repeats."""
    async with publishing(world):
        await begun(world)
        queue = Queue(world, "operation.*")
        await keep(world, *range(3))
        found = await queue.until(3)
        await asyncio.to_thread(world.broker.kill)
        await keep(world, *range(3, 6))
        await asyncio.to_thread(world.broker.start)
        await keep(world, *range(6, 9))
        async with asyncio.timeout(60):
            while len(numbers(found)) < 9:
                found += await queue.until(1)
    assert numbers(found) == [str(number) for number in range(9)]


async def test_events_that_the_gateway_no_longer_keeps_are_passed_over(world: World) -> None:
    """And those that it keeps are published."""
    async with publishing(world):
        await begun(world)
        queue = Queue(world, "operation.*")
    await keep(world, *range(5))
    database = world.deployment.gateway.database
    await database.transact(lambda conn: outbox.purge(conn, 1001.0, 3))
    async with publishing(world):
        assert numbers(await queue.until(2))[-1] == "4"


async def test_the_program_of_the_page_reads_the_ends_of_operations(world: World) -> None:
    """As it stands in docs/bus.md, from a queue that keeps them."""
    ends_of_operations = program("ends_of_operations")["ends_of_operations"]
    async with publishing(world):
        await begun(world)
        reading = asyncio.create_task(asyncio.to_thread(lambda: next(ends_of_operations(world.pika, world.topic))))
        while not reading.done():
            await keep(world, 1)  # it has bound its queue by one of them
            await asyncio.sleep(0.05)
        assert (await reading)["subject"] == f"{CLUSTER}/servers/1"


async def test_no_events_are_published_with_no_events(world: World) -> None:
    async with publishing(world, no_events=True):
        await world.caller().call(SERVERS, "CreateServer", parent=CLUSTER, server=SERVER)
        found = await world.deployment.client.events.ListEventConsumers(event_pb2.ListEventConsumersRequest())
    assert not found.event_consumers
