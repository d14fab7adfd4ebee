"""The breaker opens on illness only, probes one at a time with growing pauses, and trusts again slowly."""

from __future__ import annotations

import asyncio
import random

import pytest

from cloudspan_common.breaker import Breaker, BreakerSettings, BreakerState
from cloudspan_common.errors import NotFound, OutOfTime, RateLimited, Unreachable
from cloudspan_common.testing import FakeClock


class Middle(random.Random):
    """No jitter."""

    def random(self) -> float:
        return 0.5


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def breaker(clock):
    settings = BreakerSettings(open_after=3, close_after=2, pause_s=1.0, max_pause_s=4.0)
    return Breaker("http://nova", clock, settings, Middle())


def fail(breaker, error=None):
    error = error or Unreachable("gone")
    with pytest.raises(type(error)), breaker.call():
        raise error


def succeed(breaker):
    with breaker.call():
        pass


def opened(breaker):
    for _ in range(3):
        fail(breaker)


def test_it_opens_after_failures_in_a_row_and_refuses_with_the_time_left(breaker):
    """A success in between starts the count again."""
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    opened(breaker)
    assert breaker.state is BreakerState.OPEN
    with pytest.raises(Unreachable, match="http://nova failed repeatedly") as refused, breaker.call():
        pytest.fail("the call passed")
    assert refused.value.retry_after_s == 1.0
    assert refused.value.reason == "BREAKER_OPEN"


@pytest.mark.parametrize("error", [NotFound("no such server"), RateLimited("slow down")])
def test_answers_are_health_whatever_they_say(breaker, error):
    """A 404 or a 429 comes from a living server."""
    for _ in range(10):
        fail(breaker, error)
    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("error", [KeyError("ours"), asyncio.CancelledError()])
async def test_own_defects_and_cancellation_do_not_count(breaker, error):
    """They neither count nor wipe the count."""
    fail(breaker)
    fail(breaker)
    with pytest.raises(type(error)), breaker.call():
        raise error
    fail(breaker)
    assert breaker.state is BreakerState.OPEN


async def test_running_out_of_time_counts_only_after_a_real_silence(breaker, clock):
    """A caller with 50 ms left must not cut everyone off; one who heard nothing for 5 s may."""
    for _ in range(10):
        fail(breaker, OutOfTime("in a hurry"))
    assert breaker.state is BreakerState.CLOSED

    async def silent_call() -> None:
        with breaker.call():
            await clock.advance(5.0)
            raise OutOfTime("silence")

    for _ in range(3):
        with pytest.raises(OutOfTime):
            await silent_call()
    assert breaker.state is BreakerState.OPEN


async def test_half_open_lets_one_probe_pass_at_a_time(breaker, clock):
    """And trusts only after two good ones."""
    opened(breaker)
    await clock.advance(1.0)
    with breaker.call():
        with pytest.raises(Unreachable), breaker.call():
            pytest.fail("a second probe passed")
        assert breaker.state is BreakerState.HALF_OPEN
    assert repr(breaker) == "<Breaker http://nova: half-open | 1 of 2 probes passed>"
    succeed(breaker)
    assert breaker.state is BreakerState.CLOSED


async def test_a_cancelled_probe_frees_the_place(breaker, clock):
    """Else the breaker would stay half-open for ever."""
    opened(breaker)
    await clock.advance(1.0)
    with pytest.raises(asyncio.CancelledError), breaker.call():
        raise asyncio.CancelledError
    succeed(breaker)
    succeed(breaker)
    assert breaker.state is BreakerState.CLOSED


async def test_each_failed_probe_doubles_the_pause_up_to_the_cap(breaker, clock):
    """1, 2, 4, 4 s."""
    opened(breaker)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.retry_after_s())
        await clock.advance(pauses[-1])
        fail(breaker)
    assert pauses == pytest.approx([1.0, 2.0, 4.0, 4.0])


async def test_a_far_side_that_flaps_is_probed_ever_more_rarely_until_it_was_steady(breaker, clock):
    """Closed for less than the last pause: the doubling goes on. Longer: it starts again."""
    opened(breaker)
    await clock.advance(1.0)
    succeed(breaker)
    succeed(breaker)
    opened(breaker)
    assert breaker.retry_after_s() == pytest.approx(2.0)
    await clock.advance(2.0)
    succeed(breaker)
    succeed(breaker)
    await clock.advance(10.0)
    opened(breaker)
    assert breaker.retry_after_s() == pytest.approx(1.0)


async def test_calls_from_before_it_opened_do_not_count(breaker, clock):
    """A hundred calls in flight fail at once: that is one outage, not a hundred doublings."""
    late_failure, late_success = breaker.call(), breaker.call()
    late_failure.__enter__()
    late_success.__enter__()
    opened(breaker)
    await clock.advance(1.0)
    late_success.__exit__(None, None, None)
    assert repr(breaker) == "<Breaker http://nova: half-open | 0 of 2 probes passed>"
    error = Unreachable("late")
    assert not late_failure.__exit__(Unreachable, error, None)
    assert breaker.state is BreakerState.HALF_OPEN


def test_the_far_side_may_ask_for_a_longer_pause(breaker):
    """Retry-After of a 503 counts more than our own guess."""
    fail(breaker)
    fail(breaker)
    fail(breaker, Unreachable("maintenance", retry_after_s=120.0))
    assert repr(breaker) == "<Breaker http://nova: open | 120 s left>"


def test_pauses_of_many_processes_differ(clock):
    """+-10 %, or they would all probe in the same instant."""
    pauses = set()
    for seed in range(20):
        rng = random.Random(seed)  # noqa: S311 - jitter that repeats
        breaker = Breaker("x", clock, BreakerSettings(open_after=1, pause_s=10.0), rng)
        breaker.failed()
        pauses.add(round(breaker.retry_after_s(), 3))
    assert len(pauses) > 15
    assert min(pauses) >= 9.0
    assert max(pauses) <= 11.0
