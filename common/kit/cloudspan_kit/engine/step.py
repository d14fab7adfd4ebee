"""Takes operations forward: answers `StepService.Step`, and drives a mutation that was called straight at an adapter.

The servicer calls both; a driver sees only its `Operation`.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from typing import TYPE_CHECKING, Any

import structlog
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import Busy, CloudspanError
from cloudspan_common.telemetry import collecting, counted
from cloudspan_kit.engine.run import OperationRun
from cloudspan_kit.engine.suspension import Phase, Suspended, Unwound
from cloudspan_kit.engine.undo import fail, finish, undo
from cloudspan_kit.engine.validate import validate
from cloudspan_kit.error_context import locate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message
    from google.rpc import status_pb2

    from cloudspan_common.clock import Clock
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.operation import Operation

    Mutation = Callable[[Operation, Any], Awaitable[Message | None]]

log = structlog.get_logger(__name__)

DIRECT_INSTALLATION = "direct"
"""Marks what was made by calls straight at an adapter."""
_KEPT_SHARE, _MOST_KEPT_S = 0.1, 0.25


async def take_step(
    mutation: Mutation,
    request: Message,
    step: step_pb2.StepRequest,
    call: Call,
    *,
    settle_s: float,
    clock: Clock | None = None,
) -> step_pb2.StepResponse:
    """Do the next missing step of `mutation`, or look how the last one goes on; or only check the request.

    What ends the operation comes inside the answer; only a fault of ours, or a cancelled call, is raised.
    """
    with collecting() as calls:
        try:
            # Either will do: whoever asked only for a check must never get a step.
            if step.validate_only or getattr(request, "validate_only", False):
                answer = await _validated(mutation, request, call)
            else:
                run = OperationRun(call, step, settle_s=settle_s, clock=clock or SystemClock())
                answer = await _stepped(run, mutation, request)
        except CloudspanError as error:
            taken = [f"{one.count} x {one.method} {one.template}: {one.status}" for one in counted(calls)]
            log.info("step ended without an answer", reason=error.reason, error=error.message, native_calls=taken)
            raise
    answer.calls.extend(counted(calls))
    return answer


async def _validated(mutation: Mutation, request: Message, call: Call) -> step_pb2.StepResponse:
    try:
        resource = await validate(mutation, request, call)
    except CloudspanError as error:
        return failed(errors.to_status(locate(error, call.cluster)))
    answer = _succeeded(None)
    answer.resource = resource
    return answer


async def _stepped(run: OperationRun, mutation: Mutation, request: Message) -> step_pb2.StepResponse:
    try:
        answer = await _ended(run, mutation, request)
    except Suspended as suspended:
        if run.suspicious:  # an answer would end the suspicion: the cursor says nothing of it
            raise Busy(f"{suspended.stage}: waits before a step that may have been sent") from suspended
        answer = _going_on(suspended)
    answer.cursor = run.cursor.SerializeToString()
    answer.resource = run.resource
    answer.native_ids.update({r.name: r.native_id for r in run.cursor.steps if r.native_id})
    answer.left_overs.extend(run.cursor.left_overs)
    return answer


def _going_on(suspended: Suspended) -> step_pb2.StepResponse:
    answer = step_pb2.StepResponse(stage=suspended.stage, percent=suspended.percent, phase=suspended.phase)
    answer.retry_after.FromMilliseconds(math.ceil(suspended.retry_after_s * 1000))  # no look comes too soon
    if suspended.watch is not None:
        answer.transit.collection, answer.transit.native_id = suspended.watch.collection, suspended.watch.native_id
    return answer


async def _ended(run: OperationRun, mutation: Mutation, request: Message) -> step_pb2.StepResponse:
    cause = None
    try:
        result = await mutation(run, request)
        run.clear_suspicion()
        if not run.undoing:
            await finish(run)
            return _succeeded(result)
    except Unwound:
        run.clear_suspicion()  # everything that was begun is known now
    except CloudspanError as error:
        if not run.undoing:
            return failed(fail(run, error))
        cause = error
    await undo(run, cause)
    return failed(run.cursor.failure)


def _succeeded(result: Message | None) -> step_pb2.StepResponse:
    packed = any_pb2.Any()
    packed.Pack(result if result is not None else empty_pb2.Empty())
    return step_pb2.StepResponse(stage="done", percent=100, phase=Phase.PHASE_DONE, done=True, response=packed)


def failed(status: status_pb2.Status) -> step_pb2.StepResponse:
    return step_pb2.StepResponse(stage="failed", phase=Phase.PHASE_DONE, done=True, error=status)


async def drive(
    mutation: Mutation,
    request: Message,
    method: str,
    call: Call,
    *,
    settle_s: float,
    clock: Clock | None = None,
) -> operations_pb2.Operation:
    """Drive a mutation that was called straight at the adapter to its end, inside the call's deadline.

    Raises:
        OutOfTime: The deadline came first. Nobody goes on with it; the message names what was made so far.
    """
    clock = clock or SystemClock()
    step = step_pb2.StepRequest(
        operation_id=uuid.uuid4().hex, attempt=1, method=method, installation=DIRECT_INSTALLATION
    )
    answer = step_pb2.StepResponse(stage="its first step")
    try:
        async with asyncio.timeout(time_to_drive(call)):
            while True:
                answer = await take_step(mutation, request, step, call, settle_s=settle_s, clock=clock)
                if answer.done:
                    return _operation(step, answer, method, call)
                pause_s = answer.retry_after.ToNanoseconds() / 1e9
                if step.cursor == answer.cursor and not pause_s:
                    raise _out_of_time(answer, method)  # too little is left to begin anything
                step.cursor = answer.cursor
                await clock.sleep(pause_s)
    except TimeoutError as error:
        raise _out_of_time(answer, method) from error


def time_to_drive(call: Call) -> float:
    """Return how long may be driven, in seconds, so that the answer that says what was made is not too late."""
    remaining = call.deadline.remaining()
    return remaining - min(remaining * _KEPT_SHARE, _MOST_KEPT_S)


def _out_of_time(answer: step_pb2.StepResponse, method: str) -> errors.OutOfTime:
    made = ", ".join(f"{step} {native_id}" for step, native_id in sorted(answer.native_ids.items())) or "nothing known"
    text = (
        f"{method} was at {answer.stage!r} or just behind it when the call's deadline came; made so far: {made}. "
        "Nobody goes on with a mutation called straight at an adapter: look at what is there, or call the gateway"
    )
    return errors.OutOfTime(text, resource=answer.resource)


def _operation(
    step: step_pb2.StepRequest, answer: step_pb2.StepResponse, method: str, call: Call
) -> operations_pb2.Operation:
    metadata = operation_pb2.OperationMetadata(
        method=method,
        cluster=str(call.cluster),
        resource=answer.resource,
        phase=Phase.PHASE_DONE,
        stage=answer.stage,
        percent=answer.percent,
        native_ids=answer.native_ids,
        left_overs=answer.left_overs,
        request_id=call.request_id,
    )
    operation = operations_pb2.Operation(name=f"operations/{step.operation_id}", done=True)
    operation.metadata.Pack(metadata)
    if answer.HasField("error"):
        operation.error.CopyFrom(answer.error)
    else:
        operation.response.CopyFrom(answer.response)
    return operation
