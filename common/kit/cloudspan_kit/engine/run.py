"""Runs a driver's mutation one step at a time, each write at most once: the kit's side of `StepService`.

`OperationRun` is what a mutation's function is handed (`Operation`). It lives for one Step call: finished steps are
answered from the cursor, the next missing one is done, and `Suspended` leaves the function so that the gateway stores
the outcome before the next side effect. So a step is in one of four cases when the function comes to it:

1. **The cursor has its result.** It was done and stored: the result is returned, nothing is sent.
2. **The cursor says SENT or RECONCILING.** A write was begun and is not known to have ended: `create.reconcile` looks
   for what a create made, a `change` is done again, which is harmless.
3. **The cursor has no word of it, and this is the first attempt at this step call.** Nothing was sent: it is sent.
4. **The cursor has no word of it, and the attempt is a later one.** Whoever took the step before may have sent it and
   died, or its answer was lost, before the gateway stored anything: it is treated as case 2 (`suspicious`). Only the
   first missing step can be meant, since every outcome is stored before the next write; what was read before it is
   stored first (`_reach`).

`create` has the cases of a lost reply and a late commit, `undo` those of a crash while undoing, `step` what leaves
the adapter. `verbs` has the short forms for kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cloudspan_common import errors
from cloudspan_common.polling import poll_interval
from cloudspan_kit.cluster import BY_MARKER
from cloudspan_kit.engine import create as creating
from cloudspan_kit.engine import cursor as cursors
from cloudspan_kit.engine.create import Create
from cloudspan_kit.engine.markers import MAX_MARKER_CHARS, installation_prefix
from cloudspan_kit.engine.suspension import (
    NOT_CARRIED_OUT,
    RETRY_S,
    TRANSIENT,
    UNKNOWN,
    Phase,
    Record,
    Suspended,
    Unwound,
)
from cloudspan_kit.engine.verbs import KindVerbs
from cloudspan_kit.error_context import locate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from google.rpc import status_pb2

    from cloudspan.adapter.v1 import step_pb2
    from cloudspan_common.clock import Clock
    from cloudspan_kit.cluster import Call, CreateSafety
    from cloudspan_kit.operation import Made, Watch

__all__ = [
    "MIN_WRITE_S",
    "TRANSIENT",
    "Begun",
    "OperationRun",
]

# A write that is cut off by the call's own deadline has an unknown outcome; with less time left it is not begun.
MIN_WRITE_S = 2.0

T = TypeVar("T")
V = TypeVar("V")

_OPEN = (Record.STATE_UNSPECIFIED, Record.STATE_SENT, Record.STATE_RECONCILING)


@dataclass(frozen=True, slots=True)
class Begun:
    """A step that may have to be undone, or looked at again before the end."""

    record: Record
    undo: Callable[[str], Any] | None
    create: Create | None = None


class OperationRun(KindVerbs):
    """One Step call of one operation; implements `Operation`."""

    def __init__(self, call: Call, request: step_pb2.StepRequest, *, settle_s: float, clock: Clock) -> None:
        self._call = call
        self._request = request
        self._changed = False  # whether the cursor holds something that the gateway has not stored yet
        self.settle_s, self.clock = settle_s, clock
        self._read: set[str] = set()  # looks and waits that were come to
        self.begun: list[Begun] = []
        self.resource = ""
        self.cursor = cursors.read_cursor(request.cursor)
        # With a failure in the cursor only undos were sent since; else a cursor that was sent before may have led to
        # one write more than it tells: that of the first step that is missing in it.
        self._suspect = request.attempt > 1 and not self.cursor.HasField("failure")
        self._reached = False  # whether that step was reached, and what is suspected was written down
        if request.undo and not self.cursor.HasField("failure"):
            cancelled = errors.Cancelled("the operation was cancelled; what it had done was undone or is listed")
            self.cursor.failure.CopyFrom(self.status_of(cancelled))

    def __repr__(self) -> str:
        steps = ", ".join(f"{r.name} {Record.State.Name(r.state)[6:].lower()}" for r in self.cursor.steps)
        return f"<OperationRun {self._request.operation_id} attempt {self._request.attempt} | {steps or 'no steps'}>"

    @property
    def call(self) -> Call:
        return self._call

    @property
    def undoing(self) -> bool:
        """Whether the function is replayed only to reach the undos of what was done."""
        return self.cursor.HasField("failure")

    @property
    def suspicious(self) -> bool:
        """Whether a write may have been sent that neither the cursor nor this run knows of."""
        return self._suspect and not self._reached

    @property
    def has_begun(self) -> bool:
        """Whether a write was begun; looks and waits that were come to are none."""
        return any(record.name not in self._read for record in self.cursor.steps)

    def clear_suspicion(self) -> None:
        """Note that every step was come to, or that what can't be come to was listed."""
        self._reached = True

    def marker(self, step: str) -> str:
        marker = f"{self.marker_prefix}{step}"
        if len(marker) > MAX_MARKER_CHARS or "," in marker or "/" in marker:
            raise errors.Defect(
                f"the marker {marker!r} is not valid: it may have {MAX_MARKER_CHARS} characters, no comma or slash"
            )
        return marker

    @property
    def marker_prefix(self) -> str:
        """What the markers of all steps of this operation begin with."""
        return f"{installation_prefix(self._request.installation)}{self._request.operation_id.replace('-', '')}-"

    def set_resource(self, resource: str) -> None:
        self.resource = resource

    def status_of(self, error: errors.CloudspanError) -> status_pb2.Status:
        """Return what callers get for `error`, with where it was."""
        return errors.to_status(locate(error, self._call.cluster))

    # ------------------------------------------------------------------ the four kinds of steps

    async def create_step(
        self,
        step: str,
        *,
        send: Callable[[str], Awaitable[Made[T]]],
        find: Callable[[str], Awaitable[Sequence[Made[T]]]],
        undo: Callable[[str], Awaitable[None]] | None = None,
        safety: CreateSafety = BY_MARKER,
        collection: str = "",
    ) -> Made[T]:
        trip = Create(step, collection or f"{step}s", send, find, undo, safety)
        record = self._find_record(step)
        if record is None or record.state in _OPEN:
            self._reach(step)
            if self._may_be_sent(record):
                await creating.reconcile(self, self.record(step), trip)
            if self.undoing:
                raise Unwound
            await creating.send(self, trip)
        return cursors.made_of(self._done(record, undo, trip))

    async def change(
        self,
        step: str,
        do: Callable[[], Awaitable[Mapping[str, V] | None]],
        *,
        undo: Callable[[], Awaitable[None]] | None = None,
    ) -> Mapping[str, V]:
        back = (lambda _id: undo()) if undo else None
        record = self._find_record(step)
        if record is None or record.state in _OPEN:
            self._reach(step)
            if self._may_be_sent(record):
                record = self.record(step)
                record.state = Record.STATE_RECONCILING
            if self.undoing and record is not None and record.state == Record.STATE_RECONCILING:
                record.state = Record.STATE_DONE  # as far as undoing goes: its undo is harmless when it was not
                self.begun.append(Begun(record, back))
            if self.undoing:
                raise Unwound
            await self._do(step, do)
        return cursors.result_of(self._done(record, back))

    async def read_once(self, step: str, look: Callable[[], Awaitable[Mapping[str, V] | None]]) -> Mapping[str, V]:
        record = self._read_record(step)
        if record is None or record.state != Record.STATE_DONE:
            # A version before this one may have had no look here, and sent what now comes behind it.
            if self.undoing and not self._suspect and not self._has_more():
                raise Unwound
            try:
                result = await look()
            except TRANSIENT as error:
                self._look_again(step, error)
            record = self._done_reading(step)
            record.result.update(_kept(result))
        return cursors.result_of(record)

    async def wait_until(
        self, step: str, poll: Callable[[], Awaitable[T | None]], *, percent: int = 0, watch: Watch | None = None
    ) -> T:
        record = self._read_record(step)
        is_done = record is not None and record.state == Record.STATE_DONE
        if record is not None and is_done and cursors.has_value(record):
            return cursors.kept_value(record)
        if not is_done:
            self._reached = True  # behind a wait that has not ended nothing was sent
        if not is_done and self.undoing:
            raise Unwound
        try:
            value = await poll()
        except TRANSIENT as error:
            self._look_again(step, error, percent, watch)
        if value is None and self.undoing:
            raise errors.PreconditionFailed(f"{step} was reached once and holds no more")
        if value is None:
            raise Suspended(step, Phase.PHASE_RUNNING, self._next_look(step), percent, watch)
        if not is_done:
            cursors.keep_value(self._done_reading(step), value)
        return value

    def _done(self, record: Record | None, undo: Callable[[str], Any] | None, create: Create | None = None) -> Record:
        """Note a step that was begun before; behind one that is undone nothing is left to undo."""
        if record is None:
            raise errors.Defect("a step that was not begun can't be done")
        if record.state != Record.STATE_DONE:
            raise Unwound
        self.begun.append(Begun(record, undo, create))
        return record

    # ------------------------------------------------------------------ reads

    def _read_record(self, step: str) -> Record | None:
        self._read.add(step)
        return self._find_record(step)

    def _look_again(
        self, step: str, error: errors.CloudspanError, percent: int = 0, watch: Watch | None = None
    ) -> NoReturn:
        pause = max(error.retry_after_s or 0.0, self._next_look(step))
        phase = Phase.PHASE_UNDOING if self.undoing else Phase.PHASE_RUNNING
        raise Suspended(f"{step}: {error.message}", phase, pause, percent, watch) from error

    def _next_look(self, step: str) -> float:
        return poll_interval(cursors.waited(self.record(step), self.clock))

    def _done_reading(self, step: str) -> Record:
        """What was read has to be stored before anything is written that goes by it."""
        record = self.record(step)
        record.state, self._changed = Record.STATE_DONE, True
        return record

    # ------------------------------------------------------------------ writes

    def _has_more(self) -> bool:
        """Whether the cursor holds steps that this run has not come to yet."""
        met = self._read | {begun.record.name for begun in self.begun}
        return any(record.name not in met for record in self.cursor.steps)

    def _reach(self, step: str) -> None:
        """Come to the first step that is missing in the cursor; what came before it must be stored first."""
        self._reached = True
        if self._changed and self._suspect:
            self.record(step).state = Record.STATE_RECONCILING
        if self._changed:
            raise Suspended(step, Phase.PHASE_UNDOING if self.undoing else Phase.PHASE_RUNNING, 0.0)

    def _may_be_sent(self, record: Record | None) -> bool:
        if record is not None and record.state == Record.STATE_RECONCILING:
            return True
        # What was sent again may have come through twice, and only going forward another send would tell.
        return self._suspect or (record is not None and record.generation > 0 and self.undoing)

    async def _do(self, step: str, do: Callable[[], Any]) -> NoReturn:
        self.check_time(step)
        try:
            result = await do()
        except NOT_CARRIED_OUT as error:
            self.wait_out(step, error)
        except UNKNOWN as error:
            record = self.record(step)
            record.state = Record.STATE_RECONCILING
            total = cursors.waited(record, self.clock)
            if isinstance(error, errors.PlatformFault) and total >= self.settle_s:
                raise  # the platform does answer, and goes on answering this
            pause = max(error.retry_after_s or RETRY_S, poll_interval(total))
            self.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
        record = self.record(step)
        record.result.update(_kept(result))
        cursors.forget_waiting(record)
        self.suspend(record, Record.STATE_DONE)

    def check_time(self, step: str) -> None:
        """Suspend when too little time is left for a write."""
        if self._call.deadline.remaining() < MIN_WRITE_S:
            raise Suspended(step, Phase.PHASE_UNDOING if self.undoing else Phase.PHASE_RUNNING, 0.0)

    def wait_out(self, step: str, error: errors.CloudspanError) -> NoReturn:
        """The write was not carried out: wait if the cloud asks to slow down, or if anything was begun.

        Else it is the caller's to decide whether to come again. A 429 is no failure.
        """
        if not self.has_begun and not isinstance(error, errors.RateLimited):
            raise error
        pause = max(error.retry_after_s or 0.0, RETRY_S)
        raise Suspended(f"{step}: {error.message}", Phase.PHASE_RUNNING, pause) from error

    # ------------------------------------------------------------------ the cursor

    def _find_record(self, step: str) -> Record | None:
        return next((record for record in self.cursor.steps if record.name == step), None)

    def record(self, step: str) -> Record:
        """The cursor's record of a step, made when it begins."""
        return self._find_record(step) or self.cursor.steps.add(name=step)

    def suspend(
        self, record: Record, state: Record.State, phase: Phase = Phase.PHASE_RUNNING, *, retry_after_s: float = 0.0
    ) -> NoReturn:
        """Give a step its state and leave, so that the cursor is stored."""
        record.state = state
        raise Suspended(record.name, phase, retry_after_s)

    def name(self, collection: str, native_id: str) -> str:
        """Return the resource name of what a step made."""
        return self._call.cluster.resource(collection, native_id)

    def leave(self, name: str, why: str, *, removed: bool = False) -> None:
        """List something that the operation leaves behind, or removed."""
        if not any(left.name == name and left.reason == why for left in self.cursor.left_overs):
            self.cursor.left_overs.add(name=name, reason=why, removed=removed)


def _kept(result: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(result or {})
