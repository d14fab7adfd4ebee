"""Drives operations to their end: claims them from the store and steps adapters until they are done.

Started by the composition root; woken by the store. One step at a time per operation: the store has the attempt
before a step is sent, and the cursor before the next one is. Spec: design, section 4.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from google.rpc import status_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common import errors
from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, Recovery
from cloudspan_gateway.operations.model import Phase, Progress, Row
from cloudspan_gateway.operations.store import Claim, Fenced, OperationStore, waiting
from cloudspan_gateway.routing.calls import REQUEST_ID, TRACEPARENT

if TYPE_CHECKING:
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router

log = structlog.get_logger(__name__)

STEP = "cloudspan.adapter.v1.StepService/Step"
LEASE_S = 60.0
# The call's deadline ends before the lease does, so that a step never outlives the right to take it.
STEP_TIMEOUT_S = 30.0
RENEW_EVERY_S = LEASE_S / 4
MAX_RUNNING = 1_000
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries of a step that no adapter answered; the last one repeats


class Runner:
    """Runs every operation that its store lets it claim."""

    def __init__(
        self,
        store: OperationStore,
        router: Router,
        forwarder: Forwarder,
        *,
        installation: str = "cloudspan",
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._router = router
        self._forwarder = forwarder
        self._installation = installation[:8]
        self._clock = clock or SystemClock()
        self._tasks: dict[asyncio.Task[None], Claim] = {}

    def __repr__(self) -> str:
        return f"<Runner {len(self._tasks)} running>"

    async def run(self) -> None:
        """Claim and drive until cancelled; then lets go of what it held."""
        try:
            while True:
                await self._store.work()
                free = MAX_RUNNING - len(self._tasks)
                for claim, row in await self._store.claim(LEASE_S, free) if free else ():
                    task = asyncio.create_task(self._held(claim, row))
                    self._tasks[task] = claim
                    task.add_done_callback(self._tasks.pop)
                if not free:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            held = dict(self._tasks)
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            for claim in held.values():
                await self._store.release(claim)

    async def _held(self, claim: Claim, row: Row) -> None:
        """Drive one operation while its lease is renewed beside it."""
        renewing = asyncio.create_task(self._renew(claim))
        try:
            await self._drive(claim, row)
        except Fenced:
            log.warning("operation lost to another runner", operation=row.name)
        except Exception:  # one operation's defect must not end the others; its lease runs out and it is tried again
            log.exception("operation failed by a defect of the gateway", operation=row.name)
        finally:
            renewing.cancel()

    async def _renew(self, claim: Claim) -> None:
        try:
            while True:
                await self._clock.sleep(RENEW_EVERY_S)
                await self._store.renew(claim, LEASE_S)
        except Fenced:
            log.warning("lease lost", operation=claim.id)  # the driving task meets it at its next write

    async def _drive(self, claim: Claim, row: Row) -> None:
        failures = 0
        while not row.done:
            try:
                answer = await self._step(claim, row)
            except CloudspanError as error:
                # A try before this one that got no answer may have begun: then nothing is refused any more.
                if error.recovery is Recovery.FIX_REQUEST and not row.progress.cursor and not row.attempt:
                    row = await self._refused(claim, row, error)
                    continue
                pause = max(error.retry_after_s or 0.0, _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                row = await self._note_wait(claim, row, error)
            else:
                failures = 0
                pause = answer.retry_after.ToNanoseconds() / 1e9
                row = await self._keep(claim, row, answer)
            if pause and not row.done:
                row = await self._pause(row, pause)
        log.info("operation ended", operation=row.name, method=row.intent.method, ok=not _failed(row))

    async def _step(self, claim: Claim, row: Row) -> step_pb2.StepResponse:
        intent = row.intent
        self._router.links(intent.cluster, intent.method)  # with nobody to ask the cursor is not sent, nor counted
        row = await self._store.begin_attempt(claim)
        request = step_pb2.StepRequest(
            operation_id=intent.id,
            attempt=row.attempt,
            method=intent.method,
            request=intent.request,
            cursor=row.progress.cursor,
            undo=row.cancel_requested,
            installation=self._installation,
        )
        answer = await self._forwarder.ask(
            lambda: self._router.links(intent.cluster, intent.method),
            f"/{STEP}",
            request.SerializeToString(),
            deadline=Deadline.after(STEP_TIMEOUT_S),
            metadata=((REQUEST_ID, intent.request_id), (TRACEPARENT, intent.traceparent)),
        )
        return step_pb2.StepResponse.FromString(answer)

    async def _keep(self, claim: Claim, row: Row, answer: step_pb2.StepResponse) -> Row:
        progress = Progress(
            cursor=answer.cursor,
            phase=answer.phase or Phase.PHASE_RUNNING,
            stage=answer.stage,
            percent=max(answer.percent, row.progress.percent),
            resource=answer.resource or row.progress.resource,
            native_ids=dict(answer.native_ids),
            left_overs=tuple(answer.left_overs),
        )
        if answer.done:
            return await self._store.finish(claim, progress, answer.error if _is_error(answer) else answer.response)
        return await self._store.advance(claim, progress)

    async def _note_wait(self, claim: Claim, row: Row, error: CloudspanError) -> Row:
        """Show why nothing goes on. The attempt stays counted: the step may have been taken without an answer."""
        log.warning("operation waits", operation=row.name, reason=error.reason, message=error.message)
        return await self._store.note(claim, waiting(row.progress, error.message))

    async def _refused(self, claim: Claim, row: Row, error: CloudspanError) -> Row:
        """The adapter refused the request itself, before anything was done."""
        progress = waiting(row.progress, "refused")
        return await self._store.finish(claim, progress, errors.to_status(error))

    async def _pause(self, row: Row, seconds: float) -> Row:
        """Wait, but not past a cancel."""
        changed = asyncio.ensure_future(self._store.changed(row.intent.id, row.revision))
        try:
            return changed.result() if await finished(self._clock, changed, seconds) else row
        finally:
            changed.cancel()


def _is_error(answer: step_pb2.StepResponse) -> bool:
    return answer.WhichOneof("result") == "error"


def _failed(row: Row) -> bool:
    return isinstance(row.outcome, status_pb2.Status)
