"""Calls, casts and events over the bus while bus, gateway, adapter and broker are killed: each done once, none lost.

CLOUDSPAN_BUS_FAULTS=2000 make faults ARGS=tests/faults/test_bus.py
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pika
import pytest
from common.bus.tests import broker as rabbit
from common.bus.tests.conftest import VOLUMES, Caller
from tests.harness.clouds import OpenStack
from tests.harness.fleet import Fleet, until
from tests.harness.processes import Program

from cloudspan.client import Client
from cloudspan.v1 import event_pb2, volume_pb2, zone_pb2
from cloudspan_bus.oslo import oslo_messaging

MESSAGES = int(os.environ.get("CLOUDSPAN_BUS_FAULTS", "300"))
SEED = int(os.environ.get("CLOUDSPAN_BUS_SEED", "1"))
CALLERS = 8
EVERY_S = (1.0, 4.0)
TURNS = ("bus", "gateway", "adapter", "broker")
DELETED = 10
"""Each tenth message is a call, and what it made is deleted: two operations of one resource."""
PAUSE_S = 0.15
"""Between a caller's messages: they must not all be done before the first kill."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(240 + 2 * MESSAGES),
    # kombu, on the callers' side, leaves the sockets of a broker that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect them before the next test, which does not expect them."""
    yield
    gc.collect()


class Crashing:
    """What is killed, and started again."""

    def __init__(self, fleet: Fleet, broker, topic: str) -> None:
        self.fleet, self.broker, self.topic = fleet, broker, topic
        self.dice, self.kills = random.Random(SEED), Counter[str]()  # noqa: S311 - which is killed next
        self._bus: Program | None = None
        self._started = 0

    def start_bus(self) -> None:
        self._started += 1
        command = (
            "-m", "cloudspan_bus", "--broker", self.broker.url, "--gateway", self.fleet.address("gateway"),
            "--topic", self.topic, "--host", "one", "--max-wait", "60", "--events-exchange", self.topic,
        )  # fmt: skip
        self._bus = Program(self.fleet.directory / f"bus-{self._started}.log", *command)

    def end(self) -> None:
        if self._bus is not None:
            self._bus.kill()

    async def run(self, done: asyncio.Event) -> None:
        """Kill one after the other until all messages have been sent and answered."""
        while not done.is_set():
            await asyncio.sleep(self.dice.uniform(*EVERY_S))
            who = TURNS[self.kills.total() % 4] if self.kills.total() < 4 else self.dice.choice(TURNS)
            self.kills[who] += 1
            if who == "bus":
                await asyncio.to_thread(self.end)
                self.start_bus()
            elif who == "broker":
                await asyncio.to_thread(self.broker.kill)
                await asyncio.to_thread(self.broker.start)
            else:
                self.fleet.children[who].kill()
                await (self.fleet.gateway() if who == "gateway" else self.fleet.adapter())


class Sender:
    """One program that calls and casts; a call whose reply did not come is made again with its request_id."""

    def __init__(self, url: str, topic: str, ref: str) -> None:
        self._caller = Caller(url, topic, "amq.topic")
        self._client = self._caller.client(VOLUMES, timeout=20)
        self._ref, self.tally = ref, Counter[str]()

    def send(self, numbers: range) -> None:
        for number in numbers:
            volume = {"display_name": f"v-{number}", "size_bytes": str(1024**3)}
            request = {"parent": self._ref, "volume": volume, "request_id": str(uuid.uuid4())}
            if number % 2:
                self._client.cast({}, "CreateVolume", **request)
                self.tally["casts"] += 1
                time.sleep(PAUSE_S)
                continue
            made = self._call(request)
            if number % DELETED == 0:
                self._call({"name": made["response"]["name"], "request_id": str(uuid.uuid4())}, "DeleteVolume")
            time.sleep(PAUSE_S)
        self._caller.close()

    def _call(self, request: dict, method: str = "CreateVolume") -> dict:
        self.tally["calls"] += 1
        while True:
            try:
                operation = self._client.call({}, method, **request)
            except oslo_messaging.MessagingTimeout:
                self.tally["asked again"] += 1
                continue
            except oslo_messaging.RemoteError as error:
                assert "UNAVAILABLE" in error.value, error  # noqa: PT017 - whatever else it says is a fault
                self.tally["unavailable"] += 1
                continue
            if operation["done"]:
                assert "error" not in operation
                self.tally["answered"] += 1
                return dict(operation)


class Reader:
    """A durable queue of events, and what came to it."""

    def __init__(self, broker, exchange: str) -> None:
        login = pika.PlainCredentials(rabbit.USER, rabbit.PASSWORD)
        self._where = pika.ConnectionParameters("127.0.0.1", broker.port, "tests", login)
        self._exchange, self._queue = exchange, f"{exchange}.events"
        self.events: list[dict] = []
        with pika.BlockingConnection(self._where) as connection:
            channel = connection.channel()
            channel.exchange_declare(exchange, exchange_type="topic", durable=True)
            channel.queue_declare(self._queue, durable=True)
            channel.queue_bind(self._queue, exchange, "#")

    def take(self) -> None:
        """Take what is there; once a queue of the bus's own holds nothing either."""
        with pika.BlockingConnection(self._where) as connection:
            channel = connection.channel()
            while True:
                method, _, body = channel.basic_get(self._queue, auto_ack=True)
                if method is None:
                    return
                self.events.append(json.loads(body))

    def ended(self) -> Counter[str]:
        """How many operations ended on each resource, repeats apart."""
        ids = {each["id"]: each for each in self.events if ".operation." in each["type"]}
        return Counter(each["subject"] for each in ids.values())

    def out_of_order(self) -> list[tuple[str, str]]:
        """Events that came behind later ones of their resource, other than as repeats."""
        latest, wrong, seen = dict[str, str](), [], set[str]()
        for each in self.events:
            if each["id"] in seen:
                continue
            seen.add(each["id"])
            subject, kind = each.get("subject", ""), each["type"].split(".")[2]
            if each["time"] < latest.get(f"{subject} {kind}", ""):
                wrong.append((subject, each["id"]))
            latest[f"{subject} {kind}"] = each["time"]
        return wrong

    def dead_letters(self) -> Counter[str]:
        """Take the dead letters; return how many there were of each reason."""
        found = Counter[str]()
        with pika.BlockingConnection(self._where) as connection:
            channel = connection.channel()
            while (taken := channel.basic_get(f"{self._exchange}.dead", auto_ack=True))[0] is not None:
                found[str(taken[1].headers["x-cloudspan-reason"])] += 1
        return found


async def until_taken(reader: Reader, condition, limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.to_thread(reader.take)
            await asyncio.sleep(0.2)


async def test_each_call_and_cast_is_done_once_and_every_call_answered(tmp_path, nursery):
    """Whatever is killed; nothing that is waited for is a dead letter, and each end of an operation is published."""
    broker, topic = rabbit.needed(), f"cs{uuid.uuid4().hex[:8]}"
    site = OpenStack(settle_s=0.2)
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter()
        crashing, done = Crashing(fleet, broker, topic), asyncio.Event()
        crashing.start_bus()
        await until(lambda: "bus takes messages" in (tmp_path / "bus-1.log").read_text(), 60)
        reader = Reader(broker, topic)
        await until(lambda: consumers(fleet), 60)
        killing = asyncio.create_task(crashing.run(done))
        try:
            with ThreadPoolExecutor(CALLERS) as pool:
                loop = asyncio.get_running_loop()
                senders = [Sender(broker.url, topic, site.ref) for _ in range(CALLERS)]
                works = [
                    loop.run_in_executor(pool, sender.send, range(at, MESSAGES, CALLERS))
                    for at, sender in enumerate(senders)
                ]
                await asyncio.gather(*works)
            done.set()
            await killing
            kept = [number for number in range(MESSAGES) if number % 2 or number % DELETED]
            await until(lambda: all(site.named("volume", f"v-{n}") for n in kept), 120)
            operations = sum(sender.tally["calls"] + sender.tally["casts"] for sender in senders)
            await until_taken(reader, lambda: reader.ended().total() >= operations, 120)
        finally:
            done.set()
            killing.cancel()
            crashing.end()
        made = Counter(site.named("volume", f"v-{number}") for number in range(MESSAGES))
        dead = await asyncio.to_thread(reader.dead_letters)
    tally = sum((sender.tally for sender in senders), Counter())
    print(dict(tally), dict(crashing.kills), dict(made), f"{len(reader.events)} events")
    assert made == Counter({1: len(kept), 0: MESSAGES - len(kept)})
    assert tally["answered"] == tally["calls"]
    assert reader.ended().total() == operations
    assert set(reader.ended().values()) == {1, 2}
    assert reader.out_of_order() == []
    assert dead.keys() <= {"EXPIRED"}  # of a call whose time was over while there was no broker: it was made again
    assert set(crashing.kills) == set(TURNS)


def consumers(fleet: Fleet) -> list[str]:
    with Client(fleet.address("gateway")) as client:
        found = client.events.ListEventConsumers(event_pb2.ListEventConsumersRequest())
    return [each.name for each in found.event_consumers]


async def test_a_broker_that_is_away_for_a_minute_is_noticed_by_nobody_else(tmp_path, nursery):
    """Callers over gRPC go on; what happened meanwhile is published, and messages are taken, once it is back."""
    broker, topic = rabbit.needed(), f"cs{uuid.uuid4().hex[:8]}"
    site = OpenStack(settle_s=0.2)
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter()
        crashing = Crashing(fleet, broker, topic)
        crashing.start_bus()
        try:
            await until(lambda: "bus takes messages" in (tmp_path / "bus-1.log").read_text(), 60)
            reader = Reader(broker, topic)
            await until(lambda: consumers(fleet), 60)
            before = await asyncio.to_thread(called, fleet, site, 20, 0)
            await asyncio.to_thread(broker.kill)
            meanwhile = await asyncio.to_thread(called, fleet, site, 60, 5)
            await asyncio.to_thread(broker.start)
            began = time.monotonic()
            sender = Sender(broker.url, topic, site.ref)
            await asyncio.to_thread(sender.send, range(1, 2))  # a cast
            await until(lambda: site.named("volume", "v-1"), 60)
            await until_taken(reader, lambda: reader.ended().total() >= 6, 60)
            took_s = time.monotonic() - began
        finally:
            crashing.end()
    print(f"p99 {before * 1e3:.1f} ms, {meanwhile * 1e3:.1f} ms without the broker; back in {took_s:.1f} s")
    assert reader.ended().total() == 6
    assert meanwhile < max(3 * before, 0.1)


def called(fleet: Fleet, site: OpenStack, seconds: float, creates: int) -> float:
    """Call for so long, each call answered; create volumes beside, and return p99 of the calls in seconds."""
    took: list[float] = []
    with Client(fleet.address("gateway")) as client:
        end = time.monotonic() + seconds
        for number in range(creates):
            volume = volume_pb2.Volume(display_name=f"w-{number}", size_bytes=1024**3)
            client.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=site.ref, volume=volume))
        while (began := time.monotonic()) < end:
            client.zones.ListZones(zone_pb2.ListZonesRequest(parent=site.ref))
            took.append(time.monotonic() - began)
            time.sleep(0.02)
    return sorted(took)[int(len(took) * 0.99)]
