"""The limiter bounds concurrency, learns from complaints, lets foreground go first and refuses callers at once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudspan_common.errors import NotFound, OutOfTime, RateLimited, ServiceUnavailable
from cloudspan_common.limits import Limiter, LimitSettings, Priority
from cloudspan_common.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def limiter_of(clock, **settings):
    return Limiter("http://nova", clock, LimitSettings(**settings))


async def hold(limiter, clock, seconds, *, log=None, tag="", timeout_s=None, priority=Priority.FOREGROUND):
    async with limiter.slot(timeout_s=timeout_s, priority=priority):
        if log is not None:
            log.append(tag)
        await clock.sleep(seconds)


async def test_no_more_calls_than_the_limit_run_and_the_rest_go_in_order(clock):
    """First come, first served."""
    limiter, log = limiter_of(clock, max_concurrency=2), []
    calls = [asyncio.ensure_future(hold(limiter, clock, 1.0, log=log, tag=n)) for n in range(5)]
    await clock.advance(0.5)
    assert repr(limiter) == "<Limiter http://nova: 2 of 2 in flight, 3 waiting | gate open>"
    await clock.advance(3.0)
    await asyncio.gather(*calls)
    assert log == [0, 1, 2, 3, 4]
    assert limiter.in_flight == 0


async def test_a_complaint_closes_the_gate_until_the_time_it_named(clock):
    """Whoever can wait waits, whoever can't is refused at once, with the time to retry."""
    limiter = limiter_of(clock)
    limiter.learn(10.0)
    with pytest.raises(RateLimited, match=r"http://nova asks for a pause of 10\.0 s, the caller has 3\.0 s") as refused:
        async with limiter.slot(timeout_s=3.0):
            pytest.fail("the gate is closed")
    assert refused.value.retry_after_s == pytest.approx(10.0)
    patient = asyncio.ensure_future(hold(limiter, clock, 0.0, timeout_s=30.0))
    await clock.advance(9.9)
    assert not patient.done()
    await clock.advance(0.2)
    await patient


async def test_a_pause_that_no_time_was_named_for_is_told_with_the_limiters_own(clock):
    """Callers that give up know when to come again."""
    with pytest.raises(RateLimited) as caught:
        async with limiter_of(clock, default_pause_s=4.0).slot(timeout_s=1.0):
            raise RateLimited("slow down")
    assert caught.value.retry_after_s == 4.0


@pytest.mark.parametrize("complaint", [RateLimited, ServiceUnavailable])
async def test_whoever_is_refused_at_the_gate_hears_what_closed_it(clock, complaint):
    """Too many requests, or a service that is away for some time."""
    limiter = limiter_of(clock)
    with pytest.raises(complaint):
        async with limiter.slot(timeout_s=1.0):
            raise complaint("not now", retry_after_s=10.0)
    with pytest.raises(complaint) as refused:
        async with limiter.slot(timeout_s=1.0):
            pytest.fail("the gate is closed")
    assert (type(refused.value), refused.value.retry_after_s) == (complaint, 10.0)


async def test_waiting_callers_without_time_fail_when_the_gate_closes(clock):
    """The one with time stays in the queue and is served after the pause."""
    limiter = limiter_of(clock, max_concurrency=1)
    running = asyncio.ensure_future(hold(limiter, clock, 1.0))
    await clock.settle()
    hurried = asyncio.ensure_future(hold(limiter, clock, 0.0, timeout_s=5.0))
    patient = asyncio.ensure_future(hold(limiter, clock, 0.0, timeout_s=60.0))
    await clock.settle()
    limiter.learn(20.0)
    await clock.settle()
    with pytest.raises(RateLimited):
        await hurried
    await clock.advance(19.9)
    assert running.done()
    assert not patient.done()
    await clock.advance(0.2)
    await patient


async def test_a_crowd_at_a_closed_gate_is_let_in_by_the_halved_limit(clock):
    """Not all at once into a server that has just recovered."""
    limiter = limiter_of(clock, max_concurrency=8)
    limiter.learn(1.0)
    calls = [asyncio.ensure_future(hold(limiter, clock, 1.0)) for _ in range(100)]
    await clock.advance(1.1)
    assert repr(limiter) == "<Limiter http://nova: 4 of 4 in flight, 96 waiting | gate open>"
    await clock.advance(30.0)
    await asyncio.gather(*calls)
    assert limiter.limit == 8


async def test_many_complaints_of_one_burst_halve_the_limit_once(clock):
    """They were all sent before the first answer came; the longest pause counts."""
    limiter = limiter_of(clock, max_concurrency=16)
    for retry_after_s in (2.0, 5.0, 1.0):
        limiter.learn(retry_after_s)
    assert limiter.limit == 8
    assert limiter.retry_after_s() == pytest.approx(5.0)
    await clock.advance(6.0)
    limiter.learn(0.0)
    assert limiter.limit == 4
    assert limiter.retry_after_s() == 0.0


async def test_rate_limits_without_a_time_pause_ever_longer_until_a_call_succeeds(clock):
    """1, 2, 4 s, then 1 again."""
    limiter, pauses = limiter_of(clock), []
    for _ in range(3):
        limiter.learn(None)
        pauses.append(limiter.retry_after_s())
        await clock.advance(10.0)
    await hold(limiter, clock, 0.0)
    limiter.learn(None)
    assert [*pauses, limiter.retry_after_s()] == pytest.approx([1.0, 2.0, 4.0, 1.0])


async def test_successful_answers_to_calls_sent_before_the_rate_limit_do_not_count(clock):
    """They neither raise the limit nor shorten the next pause."""
    limiter = limiter_of(clock, max_concurrency=16)
    calls = [asyncio.ensure_future(hold(limiter, clock, 0.1)) for _ in range(16)]
    await clock.settle()
    limiter.learn(None)
    await clock.advance(0.5)
    await asyncio.gather(*calls)
    await clock.advance(1.0)
    assert limiter.limit == 8
    limiter.learn(None)
    assert limiter.retry_after_s() == pytest.approx(2.0)


async def test_newcomers_do_not_overtake_when_the_gate_has_just_opened(clock):
    """The time has come, but those who waited for it have not run yet."""
    limiter, log = limiter_of(clock, max_concurrency=1), []
    limiter.learn(1.0)
    first = asyncio.ensure_future(hold(limiter, clock, 0.1, log=log, tag="first"))
    await clock.settle()
    clock._monotonic += 1.0
    sweep = asyncio.ensure_future(hold(limiter, clock, 0.1, log=log, tag="sweep", priority=Priority.BACKGROUND))
    second = asyncio.ensure_future(hold(limiter, clock, 0.1, log=log, tag="second"))
    await clock.advance(1.0)
    await asyncio.gather(first, second, sweep)
    assert log == ["first", "second", "sweep"]


async def test_an_absurd_retry_after_is_capped(clock):
    """A broken proxy must not lock a cluster out for a day."""
    limiter = limiter_of(clock, max_pause_s=300.0)
    limiter.learn(86_400.0)
    assert limiter.retry_after_s() == pytest.approx(300.0)


async def test_a_body_that_raises_rate_limited_teaches_and_other_errors_do_not(clock):
    """The session need not call learn by itself."""
    limiter = limiter_of(clock, max_concurrency=4)
    with pytest.raises(NotFound):
        async with limiter.slot(timeout_s=None):
            raise NotFound("no such server")
    assert limiter.limit == 4
    with pytest.raises(RateLimited):
        async with limiter.slot(timeout_s=None):
            raise RateLimited("slow down", retry_after_s=7.0)
    assert repr(limiter) == "<Limiter http://nova: 0 of 2 in flight, 0 waiting | gate closed for 7.0 s>"


async def test_background_fills_only_its_share_and_yields_to_whoever_waits(clock):
    """A sweep of the inventory can't slow a user down."""
    limiter, log = limiter_of(clock, max_concurrency=4, background_share=0.5), []
    sweep = [
        asyncio.ensure_future(hold(limiter, clock, 1.0, log=log, tag="back", priority=Priority.BACKGROUND))
        for _ in range(4)
    ]
    await clock.settle()
    assert log == ["back", "back"]
    users = [asyncio.ensure_future(hold(limiter, clock, 1.0, log=log, tag="fore")) for _ in range(6)]
    await clock.advance(10.0)
    await asyncio.gather(*sweep, *users)
    assert log == ["back"] * 2 + ["fore"] * 6 + ["back"] * 2


async def test_callers_are_served_in_the_same_order_and_at_the_same_times_while_a_sweep_waits(clock):
    """As long as there is a queue of them, a sweep's calls come to nothing but the last place."""

    async def served(*, sweeps):
        limiter, log, began = limiter_of(clock, max_concurrency=2), [], clock.monotonic()

        async def call(number):
            async with limiter.slot(timeout_s=None):
                log.append((number, clock.monotonic() - began))
                await clock.sleep(1.0)

        running = [asyncio.ensure_future(call(0)), asyncio.ensure_future(call(1))]
        await clock.settle()
        back = [asyncio.ensure_future(hold(limiter, clock, 1.0, priority=Priority.BACKGROUND)) for _ in range(sweeps)]
        await clock.settle()
        running += [asyncio.ensure_future(call(number)) for number in range(2, 12)]
        await clock.advance(30.0)
        await asyncio.gather(*running, *back)
        return log

    assert await served(sweeps=4) == await served(sweeps=0)


async def test_a_sweep_goes_on_at_an_endpoint_that_has_a_queue_all_day(clock):
    """One of its calls at a time, once they have waited for ten seconds; callers have all other slots."""
    limiter, log = limiter_of(clock, max_concurrency=2, background_share=1.0, background_wait_s=10.0), []

    async def user():
        while clock.monotonic() - began < 60:
            await hold(limiter, clock, 1.0, log=log, tag="fore")

    began = clock.monotonic()
    users = [asyncio.ensure_future(user()) for _ in range(6)]
    await clock.settle()
    sweep = [
        asyncio.ensure_future(hold(limiter, clock, 1.0, log=log, tag="back", priority=Priority.BACKGROUND))
        for _ in range(3)
    ]
    for _ in range(80):
        await clock.advance(1.0)
    await asyncio.gather(*users, *sweep)
    assert log.index("back") == 20
    assert log[20:26].count("back") == 3
    assert limiter.in_flight == 0


async def test_a_caller_whose_time_ends_in_the_queue_leaves_it(clock):
    """OutOfTime that says why, and the slot goes to the next."""
    limiter = limiter_of(clock, max_concurrency=1)
    running = asyncio.ensure_future(hold(limiter, clock, 2.0))
    await clock.settle()
    hurried = asyncio.ensure_future(hold(limiter, clock, 0.0, timeout_s=1.0))
    patient = asyncio.ensure_future(hold(limiter, clock, 0.0, timeout_s=9.0))
    await clock.advance(1.1)
    with pytest.raises(OutOfTime, match=r"http://nova is busy: no slot was free within 1.0 s \(1 calls at once\)"):
        await hurried
    await clock.advance(1.0)
    await asyncio.gather(running, patient)


async def test_a_caller_cancelled_in_the_turn_it_was_granted_gives_the_slot_back(clock):
    """The slot must not leak."""
    limiter = limiter_of(clock, max_concurrency=1)
    release = asyncio.Event()

    async def run() -> None:
        async with limiter.slot(timeout_s=None):
            await release.wait()

    first, second = asyncio.ensure_future(run()), asyncio.ensure_future(run())
    await clock.settle()
    release.set()
    while not first.done():  # noqa: ASYNC110 - any other way of waiting lets the second run before it is cancelled
        await asyncio.sleep(0)
    second.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await second
    await first
    assert limiter.in_flight == 0


async def test_a_rate_spaces_the_calls_after_a_burst(clock):
    """Two at once, then two a second."""
    limiter = limiter_of(clock, max_concurrency=2, rate_per_s=2.0)
    starts = []

    async def run() -> None:
        async with limiter.slot(timeout_s=None):
            starts.append(clock.monotonic() - 1_000.0)

    calls = [asyncio.ensure_future(run()) for _ in range(5)]
    await clock.advance(10.0)
    await asyncio.gather(*calls)
    assert starts == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.5])


@settings(deadline=None, max_examples=50)  # a shared machine may stall any single example
@given(st.lists(st.sampled_from(["call", "background", "learn", "cancel", "tick"]), max_size=60))
def test_whatever_happens_slots_neither_leak_nor_exceed_the_limit(events):
    """After every history, waiting long enough serves everybody and leaves nothing in flight."""

    async def scenario() -> None:
        clock = FakeClock()
        limiter = limiter_of(clock, max_concurrency=3)
        calls = []
        for event in events:
            if event == "learn":
                limiter.learn(1.0)
            elif event == "cancel" and calls:
                calls[-1].cancel()
            elif event == "tick":
                await clock.advance(0.5)
            else:
                priority = Priority.BACKGROUND if event == "background" else Priority.FOREGROUND
                calls.append(asyncio.ensure_future(hold(limiter, clock, 0.7, priority=priority)))
            await asyncio.sleep(0)
            assert limiter.in_flight <= 3
        await clock.advance(200.0)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(o) for o in outcomes} <= {type(None), asyncio.CancelledError}
        assert repr(limiter).startswith("<Limiter http://nova: 0 of ")
        assert "0 waiting" in repr(limiter)

    asyncio.run(scenario())
