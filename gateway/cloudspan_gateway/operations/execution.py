"""Takes one operation to its end: one step at a time, each known to the store before it is sent.

The runner starts an `Execution` for each operation that it claimed. The store has the attempt before a step is sent,
and the cursor before the next one is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import annotations_pb2
from cloudspan_common import contract, errors
from cloudspan_common.clock import finished
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, NotFound, Recovery
from cloudspan_common.polling import FIRST_POLL_S, MAX_UNSEEN_S
from cloudspan_gateway.metadata import outgoing
from cloudspan_gateway.operations import outcomes
from cloudspan_gateway.operations.model import Phase, Progress, summary_of
from cloudspan_gateway.operations.trace import StepCall, Trace
from cloudspan_gateway.routing.forward import INSTANCE_AWAY, Question, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from google.protobuf import any_pb2
    from google.rpc import status_pb2

    from cloudspan.v1 import operation_pb2
    from cloudspan_common.clock import Clock
    from cloudspan_gateway.operations.metrics import OperationMetrics
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.shared_waits import SharedWaits
    from cloudspan_gateway.operations.slots import Slots
    from cloudspan_gateway.operations.stores.base import Claim, OperationStore
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router

log = structlog.get_logger(__name__)

STEP = "cloudspan.adapter.v1.StepService/Step"
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries of a step that no adapter answered; the last one repeats
# What gives way to a Delete is undone meanwhile; after this time it is ended as it is.
MAKE_WAY_S = 60.0
_LOG_EVERY_S = 60.0
_MOST_PAUSE_S = 3600.0
_STALLS = (Phase.PHASE_UNSPECIFIED, Phase.PHASE_QUEUED, Phase.PHASE_RUNNING, Phase.PHASE_RECONCILING)


class WakeSignal:
    """Wakes everybody who waits for something to be different: an adapter that came back, a cluster that is ready."""

    def __init__(self) -> None:
        self._sent = asyncio.Event()

    def send(self) -> None:
        """Wake all who wait now."""
        sent, self._sent = self._sent, asyncio.Event()
        sent.set()

    async def received(self) -> None:
        """Return at the next ring."""
        await self._sent.wait()


class Waiting:
    """Logs operations that wait, a line a minute with their count: an adapter that is away may hold up thousands."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: set[str] = set()
        self._logged_at = -math.inf

    def __repr__(self) -> str:
        return f"<Waiting {len(self._names)} operations>"

    def add(self, name: str, why: CloudspanError) -> None:
        """Count an operation that had no answer."""
        self._names.add(name)
        now = self._clock.monotonic()
        if now - self._logged_at < _LOG_EVERY_S:
            return
        log.warning("operations wait", count=len(self._names), one=name, reason=why.reason, message=why.message)
        self._names.clear()
        self._logged_at = now


@dataclass(frozen=True, slots=True)
class Environment:
    """What all executions of a runner share."""

    store: OperationStore
    router: Router
    forwarder: Forwarder
    shared_waits: SharedWaits
    slots: Slots
    wake_signal: WakeSignal
    clock: Clock
    installation: str
    step_timeout_s: float
    removed_after_s: float
    """How long a cluster must be missing, while its platform serves, to count as removed."""
    waiting: Waiting
    metrics: OperationMetrics


class Execution:
    """One operation under way."""

    def __init__(self, environment: Environment, claim: Claim, row: Row) -> None:
        self._environment = environment
        self._claim = claim
        self.row = row
        self.trace = Trace()
        self.sent_time = row.create_time
        """When the last step was sent, Unix seconds: what came of it was read later."""
        self._failures = 0
        self._lost_since: float | None = None
        self._was_sent = bool(row.attempt or row.progress.cursor)

    def __repr__(self) -> str:
        return f"<Execution {self.row.name} {self.row.progress.stage or 'queued'}, attempt {self.row.attempt}>"

    async def run(self) -> None:
        """Take steps until the operation has ended.

        Raises:
            Fenced: Another runner has it, or it was ended.
            CloudspanError: The store can't be written.
        """
        store = self._environment.store
        if self.row.attempt or self.row.progress.cursor:
            self.trace = Trace(await store.explained(self.row.intent.id))
        if self._deletes() and not self.row.progress.cursor:
            await self._make_way()
        while not self.row.done:
            await self._take_turn()
        word = "failed" if self.row.failed else "done"
        log.info("operation ended", operation=self.row.name, method=self.row.intent.method, outcome=word)

    async def _take_turn(self) -> None:
        """Send one step, keep what came of it, and wait for as long as it says."""
        intent, before, clock = self.row.intent, self.row.attempt, self._environment.clock
        asked: list[str] = []
        ready = clock.monotonic()
        async with self._environment.slots.taken(intent.cluster, intent.tenant):
            self.sent_time = began = clock.now()
            waited_s = clock.monotonic() - ready
            answer = await self._step(asked.append)
        took = StepCall(asked[-1] if asked else "", began, clock.now())
        if asked:
            self._count(took, waited_s)
        if isinstance(answer, CloudspanError):
            self.trace.failed(answer.message, took)
            await self._missed(answer, before, was_asked=bool(asked))
            return
        self._failures, self._lost_since = 0, None
        cursor = self.row.progress.cursor
        self.trace.answered(answer.stage, answer.calls, took)
        await self._keep(answer)
        if not self.row.done:
            await self._wait(answer, cursor)

    def _count(self, took: StepCall, waited_s: float) -> None:
        metrics, cluster = self._environment.metrics, self.row.intent.cluster
        metrics.step(cluster, waited_s, took.ended - took.began)
        if not self._was_sent:
            self._was_sent = True
            metrics.first_step(cluster, took.began - self.row.create_time)

    # ------------------------------------------------------------------ one step

    async def _step(self, asks: Callable[[str], None]) -> step_pb2.StepResponse | CloudspanError:
        """Return the answer of a step, or why there is none; what the store can't write is raised."""
        environment, intent = self._environment, self.row.intent
        # Before the attempt is counted: a process that sleeps in between must not send it afterwards.
        deadline = Deadline.after(environment.step_timeout_s)
        endpoints = partial(environment.router.endpoints, intent.cluster, intent.method)
        try:
            endpoints()  # with nobody to ask the cursor is not sent, nor counted
        except CloudspanError as error:
            return error
        self.row = await environment.store.begin_attempt(self._claim)
        metadata = outgoing(intent.request_id, intent.traceparent)
        question = Question(f"/{STEP}", self._request().SerializeToString(), deadline, metadata, intent.behalf)
        try:
            answer = await environment.forwarder.ask(endpoints, question, asks)
            return read_answer(step_pb2.StepResponse, answer, f"the adapter of {intent.cluster}")
        except CloudspanError as error:
            return error

    def _request(self) -> step_pb2.StepRequest:
        row = self.row
        return step_pb2.StepRequest(
            operation_id=row.intent.id,
            attempt=row.attempt,
            method=row.intent.method,
            request=row.intent.request,
            cursor=row.progress.cursor,
            undo=row.cancel_requested,
            installation=self._environment.installation,
        )

    async def _keep(self, answer: step_pb2.StepResponse) -> None:
        progress = Progress(
            cursor=answer.cursor,
            phase=self._phase(answer.phase),
            stage=answer.stage,
            percent=max(answer.percent, self.row.progress.percent),
            resource=answer.resource or self.row.progress.resource,
            native_ids=dict(answer.native_ids),
            left_overs=tuple(answer.left_overs),
        )
        if answer.done:
            await self._finish(progress, answer.error if answer.WhichOneof("result") == "error" else answer.response)
        else:
            self.row = await self._environment.store.advance(self._claim, progress, self.trace.fresh())

    def _phase(self, reported: Phase) -> Phase:
        if reported in _STALLS and self._environment.clock.now() > self.row.deadline_time:
            return Phase.PHASE_STALLED
        return reported or Phase.PHASE_RUNNING

    async def _finish(self, progress: Progress, outcome: any_pb2.Any | status_pb2.Status) -> None:
        self.row = await self._environment.store.finish(self._claim, progress, outcome, self.trace.whole())

    # ------------------------------------------------------------------ a step without an answer

    async def _missed(self, error: CloudspanError, before: int, *, was_asked: bool) -> None:
        """Decide what a step means that nobody answered; mostly that it is tried again.

        `before` is how often the cursor had been sent before this step.
        """
        if isinstance(error, NotFound) and not was_asked:
            if await self._is_removed(error):
                return
        # A try before this one that got no answer may have begun: then nothing is refused any more.
        elif error.recovery is Recovery.FIX_REQUEST and not self.row.progress.cursor and not before:
            progress = dataclasses.replace(self.row.progress, stage="refused")
            await self._finish(progress, errors.to_status(error))
            return
        self._environment.waiting.add(self.row.name, error)
        sent = was_asked and error.reason != INSTANCE_AWAY
        progress = dataclasses.replace(
            self.row.progress, stage=error.message, phase=self._phase(self._running()), error=self._why(error)
        )
        is_counted = self.row.attempt > before
        # Written once, not again with each look for an adapter that is away.
        if was_asked or is_counted or progress != self.row.progress:
            self.row = await self._environment.store.note(
                self._claim, progress, self.trace.fresh(), sent=sent or not is_counted
            )
        pause = max(error.retry_after_s or 0.0, BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)])
        self._failures += 1
        await self._pause(pause, None if sent else self._environment.wake_signal.received())

    def _why(self, error: CloudspanError) -> operation_pb2.ErrorSummary:
        """Return why it is retried, with the time at which that began."""
        before, summary = self.row.progress.error, summary_of(errors.to_status(error), self._environment.clock.now())
        same = before is not None and (before.reason, before.message) == (summary.reason, summary.message)
        return before if before is not None and same else summary

    def _running(self) -> Phase:
        phase = self.row.progress.phase
        return Phase.PHASE_RUNNING if phase == Phase.PHASE_QUEUED else phase

    async def _is_removed(self, error: NotFound) -> bool:
        """End the operation if its platform has served without its cluster for long."""
        if error.reason != "CLUSTER_UNKNOWN":
            return False  # the platform may come back
        now = self._environment.clock.monotonic()
        self._lost_since = now if self._lost_since is None else self._lost_since
        if now - self._lost_since < self._environment.removed_after_s:
            return False
        await self._finish(*outcomes.of_a_lost_cluster(self.row, error))
        return True

    # ------------------------------------------------------------------ waiting

    async def _wait(self, answer: step_pb2.StepResponse, before: bytes) -> None:
        """Wait for as long as the adapter says; `before` is the cursor that the step was sent with."""
        pause = min(max(answer.retry_after.seconds + answer.retry_after.nanos / 1e9, 0.0), _MOST_PAUSE_S)
        if not pause and self.row.progress.cursor == before:
            # Nothing has changed: an adapter that does not say when is not asked without end.
            pause = FIRST_POLL_S
        if not answer.HasField("transit"):
            if pause:
                await self._pause(pause)
            return
        settled = self._environment.shared_waits.settled(
            self.row.intent.cluster, answer.transit.collection, answer.transit.native_id, not_before_s=pause
        )
        await self._pause(max(pause, MAX_UNSEEN_S), settled)

    async def _pause(self, seconds: float, sooner: Coroutine[Any, Any, None] | None = None) -> None:
        """Wait, but not past a cancel, nor past the end of `sooner`."""
        row, environment = self.row, self._environment
        changed = asyncio.ensure_future(environment.store.changed(row.intent.id, row.revision))
        first = [changed, *([asyncio.ensure_future(sooner)] if sooner else [])]
        either = asyncio.ensure_future(asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED))
        try:
            await finished(environment.clock, either, seconds)
            if changed.done():
                self.row = changed.result()
        finally:
            for waiting in (either, *first):
                waiting.cancel()

    # ------------------------------------------------------------------ a Delete

    def _deletes(self) -> bool:
        method = contract.methods().get(self.row.intent.method)
        return method is not None and method.concurrency == annotations_pb2.Mutation.CONCURRENCY_PREEMPTING

    async def _make_way(self) -> None:
        """Wait until what worked on the resource has ended, and end it where that takes too long."""
        environment, end = self._environment, self._environment.clock.monotonic() + MAKE_WAY_S
        while others := await environment.store.preempted_by(self.row.intent.id):
            other, left = others[0], end - environment.clock.monotonic()
            changed = asyncio.ensure_future(environment.store.changed(other.intent.id, other.revision))
            try:
                if left > 0:
                    await finished(environment.clock, changed, left)
                    continue
            finally:
                changed.cancel()
            log.warning("operation ended by a delete", operation=other.name, by=self.row.name)
            await environment.store.end(other.intent.id, *outcomes.preempted(other, self.row))
