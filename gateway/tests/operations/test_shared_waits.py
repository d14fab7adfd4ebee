"""Shared waits: one question for many, a few for themselves, nobody for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cloudspan_common.errors import Unreachable, Unsupported
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.shared_waits import FEW, SharedWaits

EAST = ClusterRef("p", "east")


class Cloud:
    """Tells what is in transit, and notes each question."""

    def __init__(self, clock: FakeClock, *in_transit: str) -> None:
        self.in_transit = set(in_transit)
        self.asked: list[int] = []
        self.at: list[float] = []
        self.fault: Exception | None = None
        self.takes_s = 0.0
        self.clock = clock

    async def __call__(self, _ref: ClusterRef, _collection: str, native_ids: Sequence[str]) -> set[str]:
        self.asked.append(len(native_ids))
        self.at.append(self.clock.monotonic())
        await self.clock.sleep(self.takes_s)
        if self.fault is not None:
            raise self.fault
        return self.in_transit & set(native_ids)


def waiting(shared_waits: SharedWaits, *ids: str, not_before_s: float = 0.1) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(shared_waits.settled(EAST, "servers", i, not_before_s=not_before_s)) for i in ids]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_ten_thousand_waits_are_one_question_at_a_time(clock: FakeClock) -> None:
    """And each ends as soon as its resource is no longer in transit."""
    ids = [str(n) for n in range(10_000)]
    cloud = Cloud(clock, *ids)
    shared_waits = SharedWaits(cloud, clock)
    tasks = waiting(shared_waits, *ids)
    await clock.advance(60)
    assert 10 < len(cloud.asked) < 40
    assert set(cloud.asked) == {10_000}
    cloud.in_transit -= set(ids[:5_000])
    await clock.advance(6)
    assert [task.done() for task in tasks].count(True) == 5_000
    assert repr(shared_waits) == "<SharedWaits platforms/p/clusters/east servers: 5000 wait>"
    cloud.in_transit.clear()
    await clock.advance(6)
    assert all(task.done() for task in tasks)
    assert repr(shared_waits) == "<SharedWaits idle>"


async def test_a_few_look_for_themselves(clock: FakeClock) -> None:
    """Each when it wanted to; a shared question would cost as much."""
    cloud = Cloud(clock, "1", "2")
    shared_waits = SharedWaits(cloud, clock)
    first = waiting(shared_waits, *"12", not_before_s=0.1)
    late = waiting(shared_waits, "3", not_before_s=2.0)
    await clock.advance(0.15)
    assert [task.done() for task in first + late] == [True, True, False]
    await clock.advance(2)
    assert late[0].done()
    assert not cloud.asked


async def test_a_new_wait_is_looked_at_soon(clock: FakeClock) -> None:
    """The interval follows the youngest: its first look does not wait for the old ones' next one."""
    old = [f"old-{n}" for n in range(FEW + 2)]
    cloud = Cloud(clock, *old)
    shared_waits = SharedWaits(cloud, clock)
    tasks = waiting(shared_waits, *old)
    await clock.advance(100)
    before = len(cloud.asked)
    tasks += waiting(shared_waits, "new")
    await clock.advance(0.3)
    assert len(cloud.asked) > before
    assert tasks[-1].done()
    await shared_waits.close()


async def test_a_slow_listing_is_asked_for_less_often(clock: FakeClock) -> None:
    """At most a fifth of the time."""
    ids = [str(n) for n in range(10)]
    cloud = Cloud(clock, *ids)
    cloud.takes_s = 2.0
    shared_waits = SharedWaits(cloud, clock)
    waiting(shared_waits, *ids)
    await clock.advance(61)
    assert len(cloud.asked) <= 7
    await shared_waits.close()


async def test_a_cluster_that_does_not_answer_is_asked_again(clock: FakeClock) -> None:
    """No watcher wakes."""
    ids = [str(n) for n in range(10)]
    cloud = Cloud(clock)
    cloud.fault = Unreachable("away")
    shared_waits = SharedWaits(cloud, clock)
    tasks = waiting(shared_waits, *ids)
    await clock.advance(5)
    assert len(cloud.asked) > 3
    assert not any(task.done() for task in tasks)
    cloud.fault = None
    await clock.advance(5)
    assert all(task.done() for task in tasks)


async def test_under_an_adapter_of_the_version_before_everybody_looks_for_itself(clock: FakeClock) -> None:
    """It is asked once."""
    cloud = Cloud(clock)
    cloud.fault = Unsupported("unknown method")
    shared_waits = SharedWaits(cloud, clock)
    tasks = waiting(shared_waits, *map(str, range(10)))
    more = waiting(shared_waits, "slow", not_before_s=3)
    await clock.advance(1)
    assert all(task.done() for task in tasks)
    await clock.advance(3)
    assert more[0].done()
    assert len(cloud.asked) == 1


async def test_a_wait_that_is_given_up_leaves_nothing_behind(clock: FakeClock) -> None:
    """The watch ends with the last of them, and a new one begins anew."""
    cloud = Cloud(clock, "1")
    shared_waits = SharedWaits(cloud, clock)
    for _ in range(2):
        (task,) = waiting(shared_waits, "1", not_before_s=5)
        await clock.advance(1)
        task.cancel()
        await clock.settle()
        assert repr(shared_waits) == "<SharedWaits idle>"
