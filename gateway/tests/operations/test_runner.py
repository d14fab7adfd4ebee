"""The runner over a store and a scripted adapter: attempts, leases, fences; one operation's trouble stays its own."""

from __future__ import annotations

import asyncio

from gateway.tests.operation_store_suite import intent
from gateway.tests.scripted_adapter import DONE, Adapter, ended, running, waits

from cloudspan_common import errors
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.config import LEASE_S
from cloudspan_gateway.operations.model import Progress
from cloudspan_gateway.operations.stores.memory import MemoryStore


async def test_a_step_without_an_answer_is_sent_again_as_the_next_attempt() -> None:
    """With the same cursor; an answer begins anew at one."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(errors.Unreachable("lost"), errors.Defect("broken"), waits(b"1"))
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await ended(store, clock, row.intent.id)
    assert [(step.attempt, step.cursor) for step in adapter.steps] == [(1, b""), (2, b""), (3, b""), (1, b"1")]
    assert {step.installation for step in adapter.steps} == {"test"}


async def test_nothing_is_counted_while_there_is_nobody_to_ask() -> None:
    """A cursor that was not sent can't have been taken."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter()
    adapter.away = errors.Unreachable("no instance serves it")
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(30)
        assert (await store.get(row.intent.id)).progress.stage == "no instance serves it"
        adapter.away = None
        await ended(store, clock, row.intent.id)
    assert [step.attempt for step in adapter.steps] == [1]


async def test_a_refusal_ends_only_what_cannot_have_begun() -> None:
    """Behind a try without an answer a refusal proves nothing."""
    clock = FakeClock()
    refused = errors.InvalidRequest("no such option")
    store = MemoryStore(clock)
    first = await store.accept(intent())
    async with running(store, Adapter(refused), clock):
        row = await ended(store, clock, first.intent.id)
        assert row.outcome is not None
        assert row.outcome.message == "no such option"
    second = await store.accept(intent())
    adapter = Adapter(errors.Unreachable("lost"), refused)
    async with running(store, adapter, clock):
        row = await ended(store, clock, second.intent.id)
    assert row.outcome == DONE.response
    assert [step.attempt for step in adapter.steps] == [1, 2, 3]


async def test_a_cancel_interrupts_a_pause() -> None:
    """The next step is sent at once, with undo."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(waits(retry_s=500))
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(1)
        await store.request_cancel(row.intent.id)
        await clock.settle()
        assert (await store.get(row.intent.id)).done
    assert [step.undo for step in adapter.steps] == [False, True]


async def test_a_pause_is_as_long_as_the_adapter_asks() -> None:
    """Three seconds, or the error's retry time."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(waits(retry_s=3), errors.RateLimited("slow", retry_after_s=9.0))
    await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(2.9)
        assert len(adapter.steps) == 1
        await clock.advance(0.2)
        assert len(adapter.steps) == 2
        await clock.advance(8.5)
        assert len(adapter.steps) == 2
        await clock.advance(0.6)
        assert len(adapter.steps) == 3


async def test_a_defect_of_one_operation_leaves_the_others_alone() -> None:
    """It is tried again when its lease has run out."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(ValueError("defect"))
    rows = [await store.accept(intent()) for _ in range(3)]
    async with running(store, adapter, clock):
        await clock.advance(1)
        assert [(await store.get(row.intent.id)).done for row in rows] == [False, True, True]
        await clock.advance(LEASE_S + 1)
        assert (await store.get(rows[0].intent.id)).done


async def test_a_lease_is_renewed_while_a_step_lasts() -> None:
    """A second runner finds nothing to do, however long the first one is at it."""
    clock = FakeClock()
    store, first, second = MemoryStore(clock), Adapter(), Adapter()
    first.hold = asyncio.Event()
    row = await store.accept(intent())
    async with running(store, first, clock):
        await clock.settle()
        async with running(store, second, clock):
            await clock.advance(5 * LEASE_S)
            assert not second.steps
            first.hold.set()
            await ended(store, clock, row.intent.id)
    assert len(first.steps) == 1


async def test_a_runner_that_lost_its_lease_writes_nothing() -> None:
    """Its answer comes after another runner took over: the other's word stands."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(waits(b"stale"))
    adapter.hold = asyncio.Event()
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.settle()
        store._kept[row.intent.id].lease_end = 0.0  # as if its process had slept through its lease
        ((claim, taken),) = await store.claim(1)
        assert taken.attempt == 1
        await store.advance(claim, Progress(cursor=b"fresh"))
        adapter.hold.set()
        await clock.advance(LEASE_S / 2)
        assert (await store.get(row.intent.id)).progress.cursor == b"fresh"
    assert len(adapter.steps) == 1


async def test_a_runner_that_stops_lets_go_at_once() -> None:
    """The next one need not wait for the lease."""
    clock = FakeClock()
    store, first, second = MemoryStore(clock), Adapter(waits(retry_s=500)), Adapter()
    row = await store.accept(intent())
    async with running(store, first, clock):
        await clock.settle()
    async with running(store, second, clock):
        await clock.settle()
        assert (await store.get(row.intent.id)).done


class FullStore(MemoryStore):
    """A store whose disk may be full: then no write of a runner is kept."""

    full = False

    async def note(self, *args, **kwargs):
        self._check()
        return await super().note(*args, **kwargs)

    async def begin_attempt(self, claim):
        self._check()
        return await super().begin_attempt(claim)

    async def release(self, claims):
        self._check()
        await super().release(claims)

    def _check(self) -> None:
        if self.full:
            raise errors.QuotaExceeded("the store has no room left", reason="STORE_FULL")


async def test_an_operation_goes_on_once_the_store_has_room_again() -> None:
    """Its claim is let go of as soon as that can be written, however long it takes; nobody has to restart anything."""
    clock = FakeClock()
    store, adapter = FullStore(clock), Adapter(waits(b"1", retry_s=1))
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(0.5)
        store.full = True
        await clock.advance(20)
        store.full = False
        await clock.advance(3)
        assert (await store.get(row.intent.id)).done
    assert [step.attempt for step in adapter.steps] == [1, 1]


async def test_an_end_is_announced_with_when_its_last_step_was_sent() -> None:
    """What came of that step was read after it was sent."""
    clock = FakeClock()
    store, adapter = MemoryStore(clock), Adapter(waits(b"1", retry_s=5))
    heard: list[tuple[str, float]] = []
    row = await store.accept(intent())
    async with running(store, adapter, clock) as runner:
        runner.subscribe(lambda operation, sent_time: heard.append((operation.name, sent_time)))
        done = await ended(store, clock, row.intent.id)
        await clock.settle()
    assert heard == [(row.name, done.end_time)]
    assert done.end_time is not None
    assert done.end_time >= row.create_time + 5
