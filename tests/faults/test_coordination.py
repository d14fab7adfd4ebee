"""Holders of locks that are killed, frozen and cut off, as real processes over a real Consul and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from contextlib import ExitStack

import pytest
from common.base.tests.registry.conftest import ConsulServer, find_consul
from gateway.tests.postgres_server import needed
from tests.harness.lock_holder import holds
from tests.harness.partition import Partition
from tests.harness.processes import Program

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]

LEASE_S = 2.0
LATE_S = 0.5  # for the test's own eyes and a busy machine
START_S = 30.0


class Place:
    """A store, and processes that want one lock of it."""

    def __init__(self, directory, stack, url, port):
        self._directory, self._stack, self._url, self.port = directory, stack, url, port
        self._numbers = itertools.count()
        self.files = []

    def start(self, port=None):
        """Start a process that reaches the store at its own port or at another."""
        number = next(self._numbers)
        file = self._directory / f"{number}.holds"
        file.touch()
        self.files.append(file)
        command = ("-m", "tests.harness.lock_holder", self._url(port or self.port), "x", str(LEASE_S), str(file))
        program = self._stack.enter_context(Program(self._directory / f"{number}.log", *command))
        return Holder(program, file)

    def check(self):
        """Check that no two had it at the same time, and that fences grew from each to the next."""
        every = sorted(hold for file in self.files for hold in holds(file))
        for (before, _, last), (after, first, _) in itertools.pairwise(every):
            assert before < after
            assert last < first, every
        return every


class Holder:
    def __init__(self, program, file):
        self.program, self._file = program, file

    @property
    def holds(self):
        return holds(self._file)

    def has_it(self, times=1):
        return len(self.holds) >= times and time.monotonic() - self.holds[-1][2] < 0.2

    def signal(self, number):
        os.kill(self.program.pid, number)


@pytest.fixture(params=["consul", "postgres"])
async def place(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "consul":
            server = ConsulServer(find_consul(), tmp_path)
            server.settings = ('session_ttl_min = "1s"',)
            stack.callback(server.stop)
            server.start()
            yield Place(tmp_path, stack, lambda port: f"consul://127.0.0.1:{port}", server.http_port)
        else:
            url = needed().new_database()
            own = needed().port
            yield Place(tmp_path, stack, lambda port: url.replace(f":{own}/", f":{port}/"), own)


async def _until(true, within_s=START_S):
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what other processes write sets no event here
            await asyncio.sleep(0.005)
    return time.monotonic()


async def _two(place, port=None):
    """Start one that has the lock and one that waits for it."""
    first = place.start(port)
    await _until(first.has_it)
    second = place.start()
    await asyncio.to_thread(second.program.event, "asks")
    await asyncio.sleep(LEASE_S / 4)
    return first, second


async def test_a_killed_holder_is_followed_within_two_leases(place):
    first, second = await _two(place)
    first.program.kill()
    killed = time.monotonic()
    took_s = await _until(second.has_it) - killed
    print(f"followed {took_s:.2f} s after it was killed")
    assert took_s <= 2 * LEASE_S + LATE_S
    place.check()


async def test_a_frozen_holder_does_nothing_after_another_has_it(place):
    """Thawed, the first thing that it sees is that it has lost; it gets the lock again once that is free."""
    first, second = await _two(place)
    first.signal(signal.SIGSTOP)
    frozen = time.monotonic()
    took_s = await _until(second.has_it) - frozen
    print(f"followed {took_s:.2f} s after it was frozen")
    assert took_s <= 2 * LEASE_S + LATE_S
    first.signal(signal.SIGCONT)
    await asyncio.sleep(LEASE_S)  # for what it may have been about to do
    assert second.has_it()
    assert first.holds[0][2] <= frozen + 0.05
    second.program.kill()
    await _until(lambda: first.has_it(2))
    assert len(place.check()) == 3


async def test_a_holder_that_is_cut_off_has_lost_within_the_lease(place):
    """Before another has it; and takes part again once it is connected."""
    async with Partition("127.0.0.1", place.port) as line:
        first, second = await _two(place, line.port)
        line.cut()
        cut = time.monotonic()
        took_s = await _until(second.has_it) - cut
        (_, _, last) = first.holds[0]
        print(f"lost {last - cut:.2f} s after it was cut off, followed after {took_s:.2f} s")
        assert last - cut <= LEASE_S
        assert took_s <= 2 * LEASE_S + LATE_S
        line.mend()
        second.program.kill()
        await _until(lambda: first.has_it(2))
        assert len(place.check()) == 3


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_to_four_processes_one_has_it_at_a_time(place, seed):
    """Killed and replaced, frozen for longer than the lease, frozen for a moment; for twenty seconds at least."""
    chance = random.Random(seed)  # noqa: S311 - a history, no secret
    async with Partition("127.0.0.1", place.port) as line:
        alive = [place.start(line.port if number % 2 else None) for number in range(4)]
        await _until(lambda: any(each.holds for each in alive))
        end = time.monotonic() + 20
        # Longer where a busy machine lets less happen in that time.
        while time.monotonic() < end or (len(place.check()) < 3 and time.monotonic() < end + 60):
            holder = max(alive, key=lambda each: each.holds[-1:] or [(0,)])
            victim = chance.choice([holder, holder, *alive])
            how = chance.choice(["kill", "freeze", "blink", "cut"])
            if how == "kill":
                victim.program.kill()
                alive[alive.index(victim)] = place.start(line.port if chance.random() < 0.5 else None)
            elif how == "cut":
                line.cut()
                await asyncio.sleep(chance.uniform(0.1, 1.5) * LEASE_S)
                line.mend()
            else:
                victim.signal(signal.SIGSTOP)
                await asyncio.sleep((chance.uniform(1, 2) if how == "freeze" else 0.2) * LEASE_S)
                victim.signal(signal.SIGCONT)
            await asyncio.sleep(chance.uniform(0, 1))
        before = len(place.check())
        assert before >= 3
        for each in alive:
            each.signal(signal.SIGCONT)
        await _until(lambda: any(each.has_it() for each in alive), 3 * LEASE_S + LATE_S)
        place.check()
