"""Takes operations forward: answers `StepService.Step`, and drives a mutation that was called straight at an adapter.

The servicer calls both; a driver sees only its `Operation`. Spec: design, section 4.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.adapterkit.steps import OperationRun, Phase, Record, Suspended, Unwound
from cloudspan_common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message
    from google.rpc import status_pb2

    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_common.clock import Clock

    Mutation = Callable[[Operation, Any], Awaitable[Message | None]]

DIRECT_INSTALLATION = "direct"
"""Marks what was made by calls straight at an adapter."""


async def take_step(
    mutation: Mutation,
    request: Message,
    step: step_pb2.StepRequest,
    call: Call,
    *,
    settle_s: float,
    clock: Clock | None = None,
) -> step_pb2.StepResponse:
    """Do the next missing step of `mutation`, or look how the last one goes on.

    What ends the operation comes inside the answer; only a fault of ours, or a cancelled call, is raised.
    """
    run = OperationRun(call, step, settle_s=settle_s, clock=clock or SystemClock())
    try:
        answer = await _ended(run, mutation, request)
    except Suspended as suspended:
        answer = step_pb2.StepResponse(stage=suspended.stage, percent=suspended.percent, phase=suspended.phase)
        answer.retry_after.FromMilliseconds(round(suspended.retry_after_s * 1000))
    answer.cursor = run.cursor.SerializeToString()
    answer.resource = run.resource
    answer.native_ids.update({r.name: r.native_id for r in run.cursor.steps if r.native_id})
    answer.left_overs.extend(run.cursor.left_overs)
    return answer


async def _ended(run: OperationRun, mutation: Mutation, request: Message) -> step_pb2.StepResponse:
    try:
        result = await mutation(run, request)
        if not run.undoing:
            await run.finish()
            return _succeeded(result)
    except Unwound:
        pass  # everything that was begun is known now
    except errors.CloudspanError as error:
        if not run.undoing and run.fail(error):
            raise Suspended("undo", Phase.PHASE_UNDOING, 0.0) from error
        if not run.undoing:
            return _failed(errors.to_status(error))
    await run.undo()
    return _failed(run.cursor.failure if run.cursor.HasField("failure") else _cancelled())


def _succeeded(result: Message | None) -> step_pb2.StepResponse:
    packed = any_pb2.Any()
    packed.Pack(result if result is not None else empty_pb2.Empty())
    return step_pb2.StepResponse(stage="done", percent=100, phase=Phase.PHASE_DONE, done=True, response=packed)


def _failed(status: status_pb2.Status) -> step_pb2.StepResponse:
    return step_pb2.StepResponse(stage="failed", phase=Phase.PHASE_DONE, done=True, error=status)


def _cancelled() -> status_pb2.Status:
    return errors.to_status(errors.Cancelled("the operation was cancelled; what it had done was undone or is listed"))


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
    while True:
        answer = await take_step(mutation, request, step, call, settle_s=settle_s, clock=clock)
        if answer.done:
            return _operation(step, answer, method, call)
        step.cursor = answer.cursor
        pause_s = answer.retry_after.ToNanoseconds() / 1e9
        if call.deadline.remaining() <= max(pause_s, _least_left(answer)):
            raise _out_of_time(answer, method)
        await clock.sleep(pause_s)


def _least_left(answer: step_pb2.StepResponse) -> float:
    """Nothing new can be begun in the last moments of a call; looking on can."""
    begun = any(r.state != Record.STATE_UNSPECIFIED for r in step_pb2.Cursor.FromString(answer.cursor).steps)
    return 0.0 if begun and answer.retry_after.ToNanoseconds() else 0.05


def _out_of_time(answer: step_pb2.StepResponse, method: str) -> errors.OutOfTime:
    made = ", ".join(f"{step} {native_id}" for step, native_id in sorted(answer.native_ids.items())) or "nothing"
    text = (
        f"{method} was at {answer.stage!r} when the call's deadline ended; made so far: {made}. Nobody goes on with a "
        "mutation called straight at an adapter: look at what is there, or call the gateway, which does"
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
