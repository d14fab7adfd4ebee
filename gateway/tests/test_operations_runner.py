"""The runner over a store and a scripted adapter: attempts, leases, fences; one operation's trouble stays its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.tests.operation_store_suite import intent
from google.protobuf import any_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common import errors
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Progress, Row
from cloudspan_gateway.operations.config import LEASE_S, OperationsConfig
from cloudspan_gateway.operations.memory import MemoryStore
from cloudspan_gateway.operations.runner import OBSERVE, Runner
from cloudspan_gateway.routing.forward import Question

CONFIG = OperationsConfig(installation="test")
Answer = Callable[[step_pb2.StepRequest], Awaitable[step_pb2.StepResponse]]
DONE = step_pb2.StepResponse(
    stage="done", done=True, response=any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
)


class Adapter:
    """Stands for router and forwarder: answers each step as told, notes what it was sent."""

    def __init__(self, *answers: step_pb2.StepResponse | Exception) -> None:
        self.answers = list(answers)
        self.steps: list[step_pb2.StepRequest] = []
        self.away: errors.CloudspanError | None = None
        self.hold: asyncio.Event | None = None
        self.in_transit: set[str] = set()
        self.looks: list[list[str]] = []

    def observed(self, request: step_pb2.ObserveRequest) -> step_pb2.ObserveResponse:
        self.looks.append(list(request.native_ids))
        return step_pb2.ObserveResponse(in_transit=[i for i in request.native_ids if i in self.in_transit])

    def links(self, _ref: object, _method: str) -> list[object]:
        if self.away is not None:
            raise self.away
        return [object()]

    async def ask(self, candidates: Any, question: Question, asks: Any = None) -> bytes:
        assert 0 < question.deadline.remaining() <= CONFIG.step_timeout_s < LEASE_S
        candidates()
        if question.path == f"/{OBSERVE}":
            return self.observed(step_pb2.ObserveRequest.FromString(question.body)).SerializeToString()
        asks("adapter-1")
        self.steps.append(step_pb2.StepRequest.FromString(question.body))
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer.SerializeToString()


@asynccontextmanager
async def running(store: MemoryStore, adapter: Adapter, clock: FakeClock) -> AsyncIterator[Runner]:
    runner = Runner(store, adapter, adapter, CONFIG, clock)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.wait({task})


async def ended(store: MemoryStore, clock: FakeClock, operation_id: str) -> Row:
    for _ in range(200):
        row = await store.get(operation_id)
        if row.done:
            return row
        await clock.advance(1.0)
    raise AssertionError(f"not ended: {await store.get(operation_id)}")


def waits(cursor: bytes = b"c", retry_s: int = 0, **fields: Any) -> step_pb2.StepResponse:
    answer = step_pb2.StepResponse(cursor=cursor, stage="on its way", **fields)
    answer.retry_after.seconds = retry_s
    return answer


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
