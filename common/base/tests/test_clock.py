"""Server time is learned from whole-second stamps without being fooled by slow answers; fake time is exact."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan_common.clock import ServerClock, SystemClock, finished
from cloudspan_common.testing import FakeClock


def stamp_of(clock: FakeClock, skew_s: float) -> float:
    return float(int(clock.now() + skew_s))


async def test_several_answers_narrow_the_skew_below_a_second():
    """Stamps have whole seconds, their intersection does not."""
    clock = FakeClock()
    server = ServerClock(clock)
    for _ in range(40):
        await clock.advance(0.37)
        server.observe(stamp_of(clock, 9.3), sent_at=clock.now())
    assert server.skew_s == pytest.approx(9.3, abs=0.05)
    assert repr(server) == "<ServerClock +9.3 s>"
    assert server.now() == pytest.approx(clock.now() + 9.3, abs=0.05)


async def test_a_slow_answer_does_not_count_as_clock_skew():
    """A stamp made when a call of 40 s began is 40 s old when it comes."""
    clock = FakeClock()
    server = ServerClock(clock)
    for sent_at in (clock.now(), None):
        stamp = stamp_of(clock, 0.0)
        await clock.advance(40.0)
        assert not server.observe(stamp, sent_at=sent_at)
    assert server.skew_s == 0.0


async def test_a_clock_that_is_set_is_noticed_at_the_next_answer():
    """The new interval contradicts the old one and replaces it."""
    clock = FakeClock()
    server = ServerClock(clock)
    server.observe(stamp_of(clock, 0.0), sent_at=clock.now())
    true_skew = 0.0
    for step_s in (-120.0, 500.0):
        clock.step_wall(step_s)
        true_skew -= step_s
        assert server.observe(stamp_of(clock, true_skew), sent_at=clock.now())
        assert server.skew_s == pytest.approx(true_skew, abs=1.0)


async def test_a_local_clock_set_during_a_call_is_not_used():
    """Sent after received: the interval is empty."""
    clock = FakeClock()
    server = ServerClock(clock)
    sent_at = clock.now()
    clock.step_wall(-3600.0)
    assert not server.observe(sent_at, sent_at=sent_at)
    assert server.skew_s == 0.0


@pytest.mark.parametrize("header", ["", "yesterday", "Sun, 99 Nov 2026 03:16:25 GMT"])
def test_a_malformed_date_header_teaches_nothing(header):
    """Clouds behind odd proxies send anything."""
    server = ServerClock(FakeClock())
    assert not server.observe_date(header)
    assert server.skew_s == 0.0


async def test_fake_sleepers_wake_in_order_and_may_sleep_again_within_one_advance():
    """Each sees exactly its own due time."""
    clock, woken = FakeClock(now=0.0), []

    async def tick(name: str, pause_s: float) -> None:
        for _ in range(2):
            await clock.sleep(pause_s)
            woken.append((name, clock.now()))

    tasks = [asyncio.ensure_future(tick("slow", 3.0)), asyncio.ensure_future(tick("fast", 2.0))]
    await clock.advance(3.5)
    assert woken == [("fast", 2.0), ("slow", 3.0)]
    assert repr(clock) == "<FakeClock 3.500: 2 asleep>"
    await clock.advance(10.0)
    assert woken[2:] == [("fast", 4.0), ("slow", 6.0)]
    await asyncio.gather(*tasks)


async def test_waiting_with_a_time_out_never_cancels_what_is_shared():
    """Neither the time-out nor a cancelled waiter does."""
    clock = FakeClock()
    shared = asyncio.get_running_loop().create_future()
    timed, cancelled = (asyncio.ensure_future(finished(clock, shared, 1.0)) for _ in range(2))
    await clock.settle()
    cancelled.cancel()
    await clock.advance(1.0)
    assert await timed is False
    assert not shared.cancelled()
    shared.set_result(None)
    assert await finished(clock, shared, 0.0) is True
    assert clock.sleepers == 0


async def test_the_systems_clock_is_the_systems():
    """Now is unix time, monotonic passes while sleeping."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.005)
    assert clock.monotonic() - before >= 0.004
    assert clock.now() > 1_700_000_000
