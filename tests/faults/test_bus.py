"""Calls and casts over the bus while bus, gateway, adapter and broker are killed at random: each done once, none lost.

CLOUDSPAN_BUS_FAULTS=2000 make faults ARGS=tests/faults/test_bus.py
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from common.bus.tests import broker as rabbit
from common.bus.tests.conftest import VOLUMES, Caller
from tests.harness.clouds import OpenStack
from tests.harness.fleet import Fleet, until
from tests.harness.processes import Program

from cloudspan_bus.oslo import oslo_messaging

MESSAGES = int(os.environ.get("CLOUDSPAN_BUS_FAULTS", "300"))
SEED = int(os.environ.get("CLOUDSPAN_BUS_SEED", "1"))
CALLERS = 8
EVERY_S = (1.0, 4.0)
TURNS = ("bus", "gateway", "adapter", "broker")
PAUSE_S = 0.15
"""Between a caller's messages: they must not all be done before the first kill."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(240 + 2 * MESSAGES),
    # kombu, on the callers' side, leaves the sockets of a broker that was killed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


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
            "--topic", self.topic, "--host", "one", "--max-wait", "60",
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
            else:
                self._call(request)
            time.sleep(PAUSE_S)
        self._caller.close()

    def _call(self, request: dict) -> None:
        self.tally["calls"] += 1
        while True:
            try:
                operation = self._client.call({}, "CreateVolume", **request)
            except oslo_messaging.MessagingTimeout:
                self.tally["asked again"] += 1
                continue
            except oslo_messaging.RemoteError as error:
                assert "UNAVAILABLE" in error.value, error  # noqa: PT017 - whatever else it says is a fault
                self.tally["unavailable"] += 1
                continue
            if operation["done"]:
                assert operation["response"]["display_name"] == request["volume"]["display_name"]
                self.tally["answered"] += 1
                return


async def test_each_call_and_cast_is_done_once_and_every_call_answered(tmp_path, nursery):
    """Whatever is killed meanwhile; nothing ends among the dead letters."""
    broker, topic = rabbit.needed(), f"cs{uuid.uuid4().hex[:8]}"
    site = OpenStack(settle_s=0.2)
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter()
        crashing, done = Crashing(fleet, broker, topic), asyncio.Event()
        crashing.start_bus()
        await until(lambda: "bus takes messages" in (tmp_path / "bus-1.log").read_text(), 60)
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
            await until(lambda: all(site.named("volume", f"v-{n}") for n in range(MESSAGES)), 120)
        finally:
            done.set()
            killing.cancel()
            crashing.end()
        made = Counter(site.named("volume", f"v-{number}") for number in range(MESSAGES))
    tally = sum((sender.tally for sender in senders), Counter())
    print(dict(tally), dict(crashing.kills), dict(made))
    assert made == {1: MESSAGES}
    assert tally["answered"] == tally["calls"]
    assert set(crashing.kills) == set(TURNS)
