"""Takes operations from the store and has them executed: claims, leases, and what is to be forgotten.

Started by the composition root; woken by the store. Several runners on one PostgreSQL share the work, and one that
died loses its claims with its lease.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations.execution import Environment, Execution, Waiting, WakeSignal
from cloudspan_gateway.operations.metrics import OperationMetrics
from cloudspan_gateway.operations.shared_waits import SharedWaits
from cloudspan_gateway.operations.slots import Slots
from cloudspan_gateway.operations.stores.base import Claim, Fenced, OperationStore
from cloudspan_gateway.routing.forward import Question, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.operations.config import OperationsConfig
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router

log = structlog.get_logger(__name__)

OBSERVE = "cloudspan.adapter.v1.StepService/Observe"
MAX_RUNNING = 20_000  # they cost memory, some 10 kB each; how many are stepped at once is for the slots to say
CLAIM_AT_ONCE = 200
_OBSERVE_S = 30.0
_PURGE_EVERY_S, _PURGE_AT_ONCE = 60.0, 1_000
_AGAIN_S = 1.0  # after the store could not be asked


class Runner:
    """Runs every operation that its store lets it claim."""

    def __init__(
        self,
        store: OperationStore,
        router: Router,
        forwarder: Forwarder,
        config: OperationsConfig,
        clock: Clock | None = None,
        metrics: OperationMetrics | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock or SystemClock()
        self.wake_signal = WakeSignal()
        """To be sent when something changed that operations may wait for."""
        self._environment = Environment(
            store=store,
            router=router,
            forwarder=forwarder,
            shared_waits=SharedWaits(self._observe, self._clock),
            slots=Slots(config.steps_per_cluster, config.steps_per_tenant),
            wake_signal=self.wake_signal,
            clock=self._clock,
            installation=config.installation,
            step_timeout_s=config.step_timeout_s,
            removed_after_s=config.removed_after_s,
            waiting=Waiting(self._clock),
            metrics=metrics or OperationMetrics(),
        )
        self._tasks: dict[asyncio.Task[None], Claim] = {}
        self._executions: dict[str, Execution] = {}
        self._heard: list[Callable[[Row, float], None]] = []

    def __repr__(self) -> str:
        return f"<Runner {len(self._tasks)} running | {self._environment.slots!r} | {self._environment.shared_waits!r}>"

    def subscribe(self, heard: Callable[[Row, float], None]) -> None:
        """Call `heard` for each operation that ends here, with when its last step was sent (Unix seconds)."""
        self._heard.append(heard)

    @property
    def running(self) -> Sequence[Row]:
        """The operations that it executes, as they are now."""
        return [execution.row for execution in tuple(self._executions.values())]

    def trace(self, operation_id: str) -> bytes:
        """Return what an operation took so far, where this runner executes it; else nothing."""
        execution = self._executions.get(operation_id)
        return execution.trace.whole() if execution else b""

    async def run(self) -> None:
        """Claim and execute until cancelled; then lets go of what it held."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._claim(), self._beat(), self._purge()):
                    group.create_task(work)
        finally:
            held = dict(self._tasks)
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            await self._environment.shared_waits.close()
            await self._store.release(list(held.values()))

    async def _claim(self) -> None:
        while True:
            await self._store.work()
            free = min(MAX_RUNNING - len(self._tasks), CLAIM_AT_ONCE)
            if free <= 0:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                continue
            try:
                claimed = await self._store.claim(free)
            except CloudspanError as error:
                await self._store_is_away("claim", error)
                continue
            for claim, row in claimed:
                self._start(claim, row)

    def _start(self, claim: Claim, row: Row) -> None:
        execution = Execution(self._environment, claim, row)
        task = asyncio.create_task(self._held(claim, execution), name=row.name)
        self._tasks[task] = claim
        self._executions[claim.id] = execution
        task.add_done_callback(self._tasks.pop)

    async def _held(self, claim: Claim, execution: Execution) -> None:
        """Execute one operation; whatever goes wrong with it is its own trouble."""
        try:
            await execution.run()
            self._has_ended(execution.row, execution.sent_time)
        except Fenced:
            await self._fenced(claim, execution)
        except CloudspanError as error:  # the store can't be written: what is kept there stands
            await self._store_is_away("operation", error)
            await self._let_go(claim)
        except Exception:  # one operation's defect must not end the others; it is tried again after a while
            log.exception("operation failed with a defect of the gateway", operation=execution.row.name)
            await self._clock.sleep(self._config.lease_s)
            await self._let_go(claim)
        finally:
            if self._executions.get(claim.id) is execution:
                del self._executions[claim.id]

    def _has_ended(self, row: Row, sent_time: float) -> None:
        self._environment.metrics.ended(row)
        for heard in self._heard:
            heard(row, sent_time)

    async def _fenced(self, claim: Claim, execution: Execution) -> None:
        """Count an operation that was ended by hand, or by a Delete, while a step was under way.

        Its end raises the epoch by one; another runner that had claimed it before raises it by two, and counts it.
        """
        row = execution.row
        try:
            row = await self._store.get(claim.id)
        except CloudspanError as error:  # it was deleted right after its end, or the store is away
            log.warning("operation lost", operation=row.name, reason=error.reason, message=error.message)
            return
        if row.done and row.epoch == claim.epoch + 1:
            self._has_ended(row, execution.sent_time)
            log.info("operation was ended during a step", operation=row.name, method=row.intent.method)
        else:
            log.warning("operation lost to another runner", operation=row.name)

    async def _let_go(self, claim: Claim) -> None:
        """Release a claim, however long the store can't be written: the lease of this gateway goes on meanwhile."""
        while True:
            try:
                await self._store.release([claim])
                return
            except CloudspanError as error:
                await self._store_is_away("release", error)

    async def _store_is_away(self, what: str, error: CloudspanError) -> None:
        log.warning("operations can't be stored", at=what, reason=error.reason, message=error.message)
        await self._clock.sleep(max(error.retry_after_s or 0.0, _AGAIN_S))

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._config.lease_s / 4)
            try:
                await self._store.heartbeat()
            except CloudspanError as error:
                log.warning("lease could not be renewed", reason=error.reason, message=error.message)

    async def _purge(self) -> None:
        while True:
            await self._clock.sleep(_PURGE_EVERY_S)
            ended_before = self._clock.now() - self._config.keep_s
            try:
                while await self._store.purge(ended_before, _PURGE_AT_ONCE) == _PURGE_AT_ONCE:
                    pass
            except CloudspanError as error:
                log.warning("old operations could not be removed", reason=error.reason, message=error.message)

    async def _observe(self, ref: ClusterRef, collection: str, native_ids: Sequence[str]) -> Collection[str]:
        request = step_pb2.ObserveRequest(cluster=str(ref), collection=collection, native_ids=native_ids)
        question = Question(f"/{OBSERVE}", request.SerializeToString(), Deadline.after(_OBSERVE_S), again=True)
        answer = await self._environment.forwarder.ask(
            lambda: self._environment.router.endpoints(ref, OBSERVE), question
        )
        return read_answer(step_pb2.ObserveResponse, answer, f"the adapter of {ref}").in_transit
