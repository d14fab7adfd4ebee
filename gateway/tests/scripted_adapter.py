"""Stands for router and forwarder under a runner: answers each step as a test scripts it, notes what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf import any_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common import errors
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.config import LEASE_S, OperationsConfig
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.runner import OBSERVE, Runner
from cloudspan_gateway.operations.stores.base import OperationStore
from cloudspan_gateway.routing.forward import Question

CONFIG = OperationsConfig(installation="test")
DONE = step_pb2.StepResponse(
    stage="done", done=True, response=any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
)


class Adapter:
    """One adapter."""

    def __init__(self, *answers: step_pb2.StepResponse | Exception) -> None:
        self.answers = list(answers)
        self.steps: list[step_pb2.StepRequest] = []
        self.away: errors.CloudspanError | None = None
        self.hold: asyncio.Event | None = None
        self.in_transit: set[str] = set()
        self.looks: list[list[str]] = []

    def endpoints(self, _ref: object, _method: str) -> list[object]:
        if self.away is not None:
            raise self.away
        return [object()]

    async def ask(self, endpoints: Any, question: Question, asks: Any = None) -> bytes:
        assert 0 < question.deadline.remaining() <= CONFIG.step_timeout_s < LEASE_S
        endpoints()
        if question.path == f"/{OBSERVE}":
            return self._observed(step_pb2.ObserveRequest.FromString(question.body)).SerializeToString()
        asks("adapter-1")
        self.steps.append(step_pb2.StepRequest.FromString(question.body))
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer.SerializeToString()

    def _observed(self, request: step_pb2.ObserveRequest) -> step_pb2.ObserveResponse:
        self.looks.append(list(request.native_ids))
        return step_pb2.ObserveResponse(in_transit=[i for i in request.native_ids if i in self.in_transit])


def waits(cursor: bytes = b"c", retry_s: int = 0, **fields: Any) -> step_pb2.StepResponse:
    """Return the answer of a step that has not ended its operation."""
    answer = step_pb2.StepResponse(cursor=cursor, **({"stage": "on its way"} | fields))
    answer.retry_after.seconds = retry_s
    return answer


@asynccontextmanager
async def running(
    store: OperationStore, adapter: Adapter, clock: FakeClock, config: OperationsConfig = CONFIG
) -> AsyncIterator[Runner]:
    """Run a runner inside the `with` block."""
    runner = Runner(store, adapter, adapter, config, clock)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.wait({task})


async def ended(store: OperationStore, clock: FakeClock, operation_id: str) -> Row:
    """Return the operation once it has ended; time passes meanwhile."""
    for _ in range(200):
        row = await store.get(operation_id)
        if row.done:
            return row
        await clock.advance(1.0)
    raise AssertionError(f"not ended: {await store.get(operation_id)}")
