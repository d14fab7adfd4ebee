"""One effect and no lost message: brokers that restart, processes that die, gateways and callers that are away."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from contextlib import contextmanager

import oslo_messaging
import pika
import pytest
from common.bus.tests.conftest import CLUSTER, OPERATIONS, SERVERS, VOLUMES
from common.bus.tests.test_delivery import envelope
from google.longrunning.operations_pb2 import ListOperationsRequest
from prometheus_client.parser import text_string_to_metric_families
from tests.harness.processes import Program, free_port
from tests.harness.processes import world as gateway_world

from cloudspan.client import Client
from cloudspan.v1 import volume_pb2
from cloudspan_bus import gateway

pytestmark = [
    pytest.mark.timeout(180),
    # kombu leaves the sockets of a broker that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEED = f"{CLUSTER}/servers/seed-000000"
VOLUME = {"display_name": "data", "size_bytes": "1073741824"}


async def volumes(world) -> list[str]:
    """The names of the volumes that there are."""
    answer = await world.deployment.client.volumes.ListVolumes(volume_pb2.ListVolumesRequest(parent=CLUSTER))
    return [volume.display_name for volume in answer.volumes]


async def until_there_are(world, count: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(found := await volumes(world)) < count:  # noqa: ASYNC110 - the cloud has no event
            await asyncio.sleep(0.05)
    return found


async def test_a_message_delivered_again_is_the_same_operation(bus):
    """Its own id is the request_id, as here where the same message is sent twice."""
    message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
    body = envelope(**message, _unique_id=uuid.uuid4().hex)
    for _ in range(2):
        await asyncio.to_thread(bus.publish, body)
    await until_there_are(bus, 1)
    found = await bus.caller().call(OPERATIONS, "ListOperations", name="operations")
    assert len(found["operations"]) == 1
    assert await volumes(bus) == ["data"]


@pytest.mark.faults
async def test_a_cast_is_kept_while_no_bus_is_there_and_over_a_restart_of_the_broker(world):
    """What the broker has confirmed is done once a bus is there again."""
    async with world.bus():
        caller = world.caller(exchange="amq.topic")
        await caller.call(SERVERS, "GetServer", name=SEED)
    await caller.cast(VOLUMES, "CreateVolume", parent=CLUSTER, volume=VOLUME)
    await asyncio.to_thread(world.broker.kill)
    await asyncio.to_thread(world.broker.start)
    assert await volumes(world) == []
    async with world.bus():
        assert await until_there_are(world, 1) == ["data"]


@pytest.mark.faults
async def test_a_bus_takes_messages_again_after_a_restart_of_the_broker(bus):
    """With the queue still bound; callers of gRPC notice nothing meanwhile."""
    await asyncio.to_thread(bus.broker.kill)
    assert await volumes(bus) == []
    await asyncio.to_thread(bus.broker.start)
    found = await bus.caller(exchange="amq.topic").call(SERVERS, "GetServer", name=SEED)
    assert found["name"] == SEED


@pytest.mark.faults
async def test_a_call_under_way_when_the_broker_restarts_is_answered_once_by_asking_again(bus):
    """The caller's oslo.messaging waits on; if its reply was in the broker's memory, it asks again by request_id."""
    bus.slow(2.0)
    caller, request = bus.caller(exchange="amq.topic"), {"parent": CLUSTER, "volume": VOLUME}
    request["request_id"] = str(uuid.uuid4())
    asked = asyncio.create_task(caller.call(VOLUMES, "CreateVolume", **request))
    begun = ListOperationsRequest(name="operations")
    async with asyncio.timeout(20):
        while not (await bus.deployment.client.operations.ListOperations(begun)).operations:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    await asyncio.to_thread(bus.broker.kill)
    await asyncio.to_thread(bus.broker.start)
    try:
        answer = await asked
    except oslo_messaging.MessagingTimeout:
        answer = await caller.call(VOLUMES, "CreateVolume", **request)
    assert answer["name"].startswith("operations/")
    assert await until_there_are(bus, 1) == ["data"]


async def test_a_caller_that_is_gone_holds_nobody_up_and_its_change_is_made(bus):
    """Its reply queue does not exist."""
    message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
    body = envelope(**message, _unique_id=uuid.uuid4().hex, _msg_id="m", _reply_q="reply_of_nobody")
    await asyncio.to_thread(bus.publish, body)
    assert (await bus.caller().call(SERVERS, "GetServer", name=SEED))["name"] == SEED
    assert await until_there_are(bus, 1) == ["data"]
    async with asyncio.timeout(10):
        while await asyncio.to_thread(left_in, bus, bus.topic):  # noqa: ASYNC110 - the broker has no event
            await asyncio.sleep(0.1)


def left_in(world, queue: str) -> int:
    """How many messages wait in a queue."""
    with pika.BlockingConnection(world.pika) as connection:
        return connection.channel().queue_declare(queue, passive=True).method.message_count


async def test_no_more_messages_are_taken_than_are_worked_on(world):
    """Back-pressure: the rest waits in the broker, for this process or another one."""
    world.slow(20.0)
    async with world.bus(at_once=2, max_wait=60.0, drain_s=0.5, reply_for=0.0):
        message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
        for _ in range(6):
            body = envelope(**message, _unique_id=uuid.uuid4().hex, _msg_id="m", _reply_q="reply_of_nobody")
            await asyncio.to_thread(world.publish, body)
        async with asyncio.timeout(20):
            while await asyncio.to_thread(left_in, world, world.topic) != 4:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.05)
        for _ in range(10):  # and no other is taken meanwhile
            await asyncio.sleep(0.05)
            assert await asyncio.to_thread(left_in, world, world.topic) == 4


async def test_a_stop_answers_what_is_under_way_and_hands_the_rest_back(world, monkeypatch):
    """A call whose change goes on gets its operation; the next process serves what was not taken."""
    monkeypatch.setattr(gateway, "_ROUND_S", 0.5)
    world.slow(30.0)
    async with world.bus():
        caller = world.caller()
        asked = asyncio.create_task(caller.call(VOLUMES, "CreateVolume", parent=CLUSTER, volume=VOLUME))
        async with asyncio.timeout(10):
            while not (await caller.call(OPERATIONS, "ListOperations", name="operations")).get("operations"):  # noqa: ASYNC110 - same
                await asyncio.sleep(0.05)
    began = time.monotonic()
    answer = await asked
    assert (answer["done"], time.monotonic() - began < 1) == (False, True)
    assert await asyncio.to_thread(left_in, world, world.topic) == 0


class Processes:
    """A gateway, a memory adapter and a bus as programs, to be killed."""

    def __init__(self, directory, running, broker, topic) -> None:
        self.directory, self.running, self.broker, self.topic = directory, running, broker, topic
        self.metrics = free_port()

    def bus(self, *options: str, name: str = "bus") -> Program:
        """Start a bus and wait until it takes messages."""
        command = (
            "-m", "cloudspan_bus", "--broker", self.broker.url, "--gateway", self.running.address,
            "--topic", self.topic, "--host", name, "--metrics", f"127.0.0.1:{self.metrics}", *options,
        )  # fmt: skip
        program = self.running.stack.enter_context(Program(self.directory / f"{name}.log", *command))
        program.event("bus takes messages", 60)
        return program


@contextmanager
def processes(directory, broker, *options: str):
    with gateway_world(directory) as running:
        running.adapter("cloudspan_memory", "--servers", "3", *options)
        yield Processes(directory, running, broker, f"cs{uuid.uuid4().hex[:8]}")


def send(broker, topic: str, body: bytes) -> None:
    login = pika.PlainCredentials("tester", broker.url.partition("tester:")[2].partition("@")[0])
    with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port, "tests", login)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="application/json", content_encoding="utf-8", delivery_mode=2)
        channel.basic_publish("amq.topic", topic, body, properties, mandatory=True)


@pytest.mark.faults
def test_a_process_killed_between_accept_and_acknowledge_has_one_effect(tmp_path, broker):
    """Killed while it waits for the change that the gateway has accepted; another one goes on with the same."""
    with processes(tmp_path, broker, "--delay", "2") as running, Client(running.running.address) as client:
        first = running.bus(name="one")
        message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
        body = envelope(**message, _unique_id=uuid.uuid4().hex, _msg_id="m", _reply_q="reply_of_the_test")
        send(broker, running.topic, body)
        running.running.gateway.event("operation accepted")
        first.kill()
        running.metrics = free_port()
        running.bus("--reply-for", "0", name="two")
        listing = volume_pb2.ListVolumesRequest(parent=CLUSTER)
        give_up = time.monotonic() + 30
        while (
            not (found := client.volumes.ListVolumes(listing).volumes)
            or found[0].state != volume_pb2.Volume.STATE_AVAILABLE
        ):
            assert time.monotonic() < give_up, (tmp_path / "two.log").read_text()
            time.sleep(0.05)
        assert [volume.display_name for volume in found] == ["data"]
        assert len(client.operations.ListOperations(ListOperationsRequest(name="operations")).operations) == 1


@pytest.mark.faults
def test_a_gateway_that_is_away_loses_no_cast_and_no_secret_is_in_the_log(tmp_path, broker):
    """Casts wait with the bus, tried again with back-off, until the gateway is there."""
    with processes(tmp_path, broker) as running:
        running.bus()
        running.running.gateway.kill()
        token = "cs_never-in-a-log"
        message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
        body = envelope(**message, _unique_id=uuid.uuid4().hex, _context_cloudspan_token=token)
        send(broker, running.topic, body)
        metrics = scraped(running, "cloudspan_bus_gateway_retries_total", lambda value: value >= 2)
        assert metrics["cloudspan_bus_in_flight"] == 1
        assert metrics["cloudspan_bus_connected"] == 1
        port = running.running.address.rpartition(":")[2]
        again = running.running.stack.enter_context(
            Program(
                tmp_path / "gateway-again.log",
                "-m",
                "cloudspan_gateway",
                "--listen",
                f"127.0.0.1:{port}",
                "--metrics",
                "",
                "--no-inventory",
                "--registry",
                f"static:{running.running.registry}",
                "--database",
                f"sqlite:{tmp_path / 'operations.db'}",
            )
        )
        again.event("operation accepted", 30)
        logs = (tmp_path / "bus.log").read_text()
        assert token not in logs
        assert broker.url.partition("tester:")[2].partition("@")[0] not in logs


def scraped(running, name: str, holds) -> dict[str, float]:
    """Return the metrics without labels, once one of them is as it is to be."""
    import urllib.request  # noqa: PLC0415 - of this function alone

    give_up = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.metrics}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        found = {sample.name: sample.value for sample in samples if not sample.labels}
        if holds(found.get(name, 0.0)):
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.05)


@pytest.mark.faults
async def test_a_message_that_ends_processes_again_and_again_is_a_dead_letter(world):
    """It is counted in a header each time that it comes back; until then it is done, once."""

    def hand_out(topic: str) -> None:  # to a process that ends with it
        with pika.BlockingConnection(world.pika) as connection:
            assert connection.channel().basic_get(topic)[0] is not None

    async with world.bus():
        pass
    message = {"namespace": VOLUMES, "method": "CreateVolume", "args": {"parent": CLUSTER, "volume": VOLUME}}
    for deliveries in (3, 19):
        body = envelope(**message, _unique_id=uuid.uuid4().hex)
        await asyncio.to_thread(world.publish, body, headers={"x-cloudspan-deliveries": deliveries})
        await asyncio.to_thread(hand_out, world.topic)
        async with world.bus():
            if deliveries == 3:
                await until_there_are(world, 1)
                assert await asyncio.to_thread(world.dead_letters) == []
            else:
                headers, kept = await world.dead_letter()
                assert headers["x-cloudspan-reason"] == "DELIVERY_LIMIT"
                assert kept == body
    assert await volumes(world) == ["data"]


@pytest.mark.faults
def test_a_stopped_process_ends_though_the_broker_is_away(tmp_path, broker):
    """It waits for nobody at a stop."""
    with processes(tmp_path, broker) as running:
        bus = running.bus("--drain", "1")
        broker.kill()
        try:
            bus.event("bus has lost the broker", 30)
            began = time.monotonic()
            bus._process.send_signal(signal.SIGTERM)
            assert bus._process.wait(20) == 0
            assert time.monotonic() - began < 15
        finally:
            broker.start()


def test_a_process_that_the_broker_refuses_ends_and_says_why(tmp_path, broker):
    """A queue of other arguments; the password is not in what it says."""
    topic = f"cs{uuid.uuid4().hex[:8]}"
    login = pika.PlainCredentials("tester", broker.url.partition("tester:")[2].partition("@")[0])
    with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port, "tests", login)) as connection:
        connection.channel().queue_declare(topic, durable=True, arguments={"x-max-length": 7})
    command = ("-m", "cloudspan_bus", "--broker", broker.url, "--topic", topic)
    with Program(tmp_path / "bus.log", *command) as program:
        assert program._process.wait(60) == 1
    said = (tmp_path / "bus.log").read_text()
    assert "inequivalent arg" in said.splitlines()[-1]
    assert login.password not in said
