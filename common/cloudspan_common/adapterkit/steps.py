"""Runs a driver's mutation one step at a time, each write at most once: the kit's side of `StepService`.

`OperationRun` is what a mutation's function is handed (`driver.Operation`). It lives for one Step call: finished steps
are answered from the cursor, the next missing one is done, and `Suspended` leaves the function so that the gateway
stores the outcome before the next side effect. Undoing is in `undoing`. Spec: design, section 4; platform facts,
"Lost replies".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.adapterkit import cursors
from cloudspan_common.adapterkit.cursors import poll_interval
from cloudspan_common.adapterkit.driver import BY_KEY, BY_MARKER, UNSAFE, Made
from cloudspan_common.adapterkit.located import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.rpc import status_pb2

    from cloudspan_common.adapterkit.driver import Call, CreateSafety
    from cloudspan_common.clock import Clock

Record = step_pb2.Cursor.Step
Phase = operation_pb2.OperationMetadata.Phase

MAX_MARKER_CHARS = 60
# A write that is cut off by the call's own deadline has an unknown outcome; with less time left it is not begun.
MIN_WRITE_S = 2.0
FIRST_LOOK_S = 0.5
RETRY_S = 1.0

_OPEN = (Record.STATE_UNSPECIFIED, Record.STATE_SENT, Record.STATE_RECONCILING)

# These prove that a write was not carried out.
NOT_CARRIED_OUT = (errors.RateLimited, errors.Unreachable, errors.LoginRefused)
# These prove nothing about a write.
UNKNOWN = (errors.OutcomeUnknown, errors.OutOfTime, errors.PlatformFault)
# These prove nothing about the resource: an operation goes on watching.
TRANSIENT = (*NOT_CARRIED_OUT, *UNKNOWN)


class Suspended(BaseException):  # a driver's `except Exception` must not catch it
    """Leaves the function until the gateway has stored the cursor."""

    def __init__(self, stage: str, phase: Phase, retry_after_s: float, percent: int = 0) -> None:
        super().__init__(stage)
        self.stage, self.phase, self.retry_after_s, self.percent = stage, phase, retry_after_s, percent


class Unwound(BaseException):
    """Leaves the function while undoing, at the first step behind which nothing was begun or is left to undo."""


@dataclass(frozen=True, slots=True)
class Create:
    """What `create` was asked."""

    step: str
    collection: str
    send: Callable[[str], Any]
    find: Callable[[str], Any]
    undo: Callable[[str], Any] | None
    safety: CreateSafety


@dataclass(frozen=True, slots=True)
class Begun:
    """A step that may have to be undone, or looked at again before the end."""

    record: Record
    undo: Callable[[str], Any] | None
    create: Create | None = None


class OperationRun:
    """One Step call of one operation; implements `driver.Operation`."""

    def __init__(self, call: Call, request: step_pb2.StepRequest, *, settle_s: float, clock: Clock) -> None:
        self._call = call
        self._request = request
        self._changed = False  # whether the cursor holds something that the gateway has not stored yet
        self.settle_s, self.clock = settle_s, clock
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

    def clear_suspicion(self) -> None:
        """Note that every step was come to, or that what can't be come to was listed."""
        self._reached = True

    def marker(self, step: str) -> str:
        marker = f"{self.marker_prefix}{step}"
        if len(marker) > MAX_MARKER_CHARS or "," in marker or "/" in marker:
            raise errors.Defect(
                f"the marker {marker!r} is no valid one: {MAX_MARKER_CHARS} characters, no comma or slash"
            )
        return marker

    @property
    def marker_prefix(self) -> str:
        """What the markers of all steps of this operation begin with."""
        return f"cs-{self._request.installation}-{self._request.operation_id.replace('-', '')}-"

    def touches(self, resource: str) -> None:
        self.resource = resource

    def status_of(self, error: errors.CloudspanError) -> status_pb2.Status:
        """Return what callers get for `error`, with where it was."""
        return errors.to_status(locate(error, self._call.cluster))

    # ------------------------------------------------------------------ the three kinds of steps

    async def create(
        self,
        step: str,
        *,
        send: Callable[[str], Any],
        find: Callable[[str], Any],
        undo: Callable[[str], Any] | None = None,
        safety: CreateSafety = BY_MARKER,
        collection: str = "",
    ) -> Made:
        trip = Create(step, collection or f"{step}s", send, find, undo, safety)
        record = self._find_record(step)
        if record is None or record.state in _OPEN:
            self._reach(step)
            if self._may_be_sent(record):
                await self._reconcile(self._record(step), trip)
            if self.undoing:
                raise Unwound
            await self._send(trip)
        return cursors.made_of(self._done(record, undo, trip))

    async def act(
        self, step: str, do: Callable[[], Any], *, undo: Callable[[], Any] | None = None
    ) -> Mapping[str, Any]:
        back = (lambda _id: undo()) if undo else None
        record = self._find_record(step)
        if record is None or record.state in _OPEN:
            self._reach(step)
            if self._may_be_sent(record):
                record = self._record(step)
                record.state = Record.STATE_RECONCILING
            if self.undoing and record is not None and record.state == Record.STATE_RECONCILING:
                record.state = Record.STATE_DONE  # as far as undoing goes: its undo is harmless when it was not
                self.begun.append(Begun(record, back))
            if self.undoing:
                raise Unwound
            await self._do(step, do)
        return cursors.result_of(self._done(record, back))

    async def until(self, step: str, poll: Callable[[], Any], *, percent: int = 0) -> Any:
        record = self._find_record(step)
        is_done = record is not None and record.state == Record.STATE_DONE
        if record is not None and is_done and cursors.has_value(record):
            return cursors.kept_value(record)
        if not is_done:
            self._reached = True  # behind a wait that has not ended nothing was sent
            if self.undoing:
                raise Unwound
        phase = Phase.PHASE_UNDOING if self.undoing else Phase.PHASE_RUNNING
        try:
            value = await poll()
        except TRANSIENT as error:
            pause = max(error.retry_after_s or 0.0, self._next_look(self._record(step)))
            raise Suspended(f"{step}: {error.message}", phase, pause, percent) from error
        if value is None and self.undoing:
            raise errors.PreconditionFailed(f"{step} was reached once and holds no more")
        if value is None:
            raise Suspended(step, phase, self._next_look(self._record(step)), percent)
        if not is_done:
            record = self._record(step)
            record.state, self._changed = Record.STATE_DONE, True
            cursors.keep_value(record, value)
        return value

    def _done(self, record: Record | None, undo: Callable[[str], Any] | None, create: Create | None = None) -> Record:
        """Note a step that was begun before; behind one that is undone nothing is left to undo."""
        if record is None:
            raise errors.Defect("a step that was not begun can't be done")
        if record.state != Record.STATE_DONE:
            raise Unwound
        self.begun.append(Begun(record, undo, create))
        return record

    # ------------------------------------------------------------------ writes

    def _reach(self, step: str) -> None:
        """Come to the first step that is missing in the cursor; what came before it must be stored first."""
        if self._changed:
            raise Suspended(step, Phase.PHASE_RUNNING, 0.0)
        self._reached = True

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
            self._wait_out(step, error)
        except UNKNOWN as error:
            record = self._record(step)
            record.state = Record.STATE_RECONCILING
            total = cursors.waited(record, self.clock)
            if isinstance(error, errors.PlatformFault) and total >= self.settle_s:
                raise  # the platform does answer, and goes on answering this
            pause = max(error.retry_after_s or RETRY_S, poll_interval(total))
            self.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
        record = self._record(step)
        record.result.update(dict(result or {}))
        cursors.forget_waiting(record)
        self.suspend(record, Record.STATE_DONE)

    async def _send(self, trip: Create) -> NoReturn:
        self.check_time(trip.step)
        try:
            made = await trip.send(self.marker(trip.step))
        except NOT_CARRIED_OUT as error:
            self._wait_out(trip.step, error)
        except UNKNOWN:
            record = self._record(trip.step)
            cursors.waited(record, self.clock)
            self.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=FIRST_LOOK_S)
        except errors.CloudspanError:
            record = self._record(trip.step)
            if not record.generation:
                raise
            # The first send may have come through after all, and be what this one was refused for.
            record.state = Record.STATE_RECONCILING
            found = await self._find(record, trip)
            if not found:
                raise
            made = found[0]
        self._keep(self._record(trip.step), made)

    async def _reconcile(self, record: Record, trip: Create) -> NoReturn:
        """Find out what became of a create without a reply; the next step knows, or sends it again."""
        record.state = Record.STATE_RECONCILING
        found = await self._find(record, trip)
        # Of a send and its repetition, both without a reply, the other one may still come.
        if len(found) > record.generation or (found and trip.safety == BY_KEY):
            await self._settled_on(record, trip, found)
        if trip.safety == UNSAFE:
            self._give_up(record, trip, "it has nothing to find it by")
        total = cursors.waited(record, self.clock)
        # A second send with the same key is refused; when there will be none the first must have had its time.
        if total < self.settle_s and (trip.safety == BY_MARKER or self.undoing):
            pause = min(poll_interval(total), self.settle_s - total)
            self.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
        if found:
            await self._settled_on(record, trip, found)
        if self.undoing:
            self.suspend(record, Record.STATE_UNDONE, Phase.PHASE_UNDOING)
        record.generation += 1
        cursors.forget_waiting(record)
        self.suspend(record, Record.STATE_SENT)

    async def _settled_on(self, record: Record, trip: Create, found: Sequence[Made]) -> NoReturn:
        kept = next((made for made in found if made.id == record.native_id), found[0])
        record.native_id = kept.id
        await self.weed(trip, kept.id, found, Phase.PHASE_RECONCILING)
        self._keep(record, kept)

    async def _find(self, record: Record, trip: Create) -> Sequence[Made]:
        """Look for the marker of a create without a reply; nothing is decided while it can't be looked for."""
        try:
            found: Sequence[Made] = await trip.find(self.marker(trip.step))
        except errors.CloudspanError as error:
            if not isinstance(error, TRANSIENT) and cursors.waited(record, self.clock) >= self.settle_s:
                self._give_up(record, trip, f"it can't be looked for: {error.message}")
            pause = max(error.retry_after_s or 0.0, RETRY_S)
            stage = f"{trip.step}: {error.message}"
            raise Suspended(stage, Phase.PHASE_RECONCILING, pause) from error
        return found

    def _keep(self, record: Record, made: Made) -> NoReturn:
        record.native_id = made.id
        record.result.update(dict(made.data))
        cursors.forget_waiting(record)
        self.suspend(record, Record.STATE_DONE)

    def _give_up(self, record: Record, trip: Create, why: str) -> NoReturn:
        """End with an unknown outcome, after undoing the rest."""
        where, marker = str(self._call.cluster), self.marker(trip.step)
        text = f"{trip.step} was sent to {where} and got no reply, and {why}; look there before calling again"
        self.leave("", f"{text}; its marker is {marker}")
        if not self.undoing:
            unknown = errors.OutcomeUnknown(text, metadata={"marker": marker})
            self.cursor.failure.CopyFrom(self.status_of(unknown))
        self.suspend(record, Record.STATE_STUCK, Phase.PHASE_UNDOING)

    async def weed(self, trip: Create, kept_id: str, found: Sequence[Made], phase: Phase) -> None:
        """Remove duplicates, one a step; each is listed in the stored cursor before it goes."""
        reason = f"{trip.step} is a duplicate of a create without a reply"
        extras = {self.name(trip.collection, made.id): made for made in found if made.id != kept_id}
        known = {left.name: left for left in self.cursor.left_overs if left.reason.startswith(reason)}
        new = extras.keys() - known.keys()
        for name in sorted(new):
            self.leave(name, reason if trip.undo else f"{reason}; delete it")
        if new:
            raise Suspended(trip.step, phase, 0.0)
        for name in known.keys() - extras.keys():
            if name == self.name(trip.collection, kept_id):  # the one kept before is no longer there
                self.cursor.left_overs.remove(known[name])
            else:
                known[name].removed = True  # by a step whose answer was lost
        for name, made in extras.items():
            if trip.undo is not None and not known[name].removed and known[name].reason == reason:
                await self._remove(trip, made, known[name], phase)

    async def _remove(self, trip: Create, made: Made, left: operation_pb2.LeftOver, phase: Phase) -> NoReturn:
        self.check_time(trip.step)
        try:
            if trip.undo is not None:
                await trip.undo(made.id)
            left.removed = True
        except TRANSIENT as error:
            raise Suspended(f"{trip.step}: {error.message}", phase, error.retry_after_s or RETRY_S) from error
        except errors.CloudspanError as error:
            left.reason += f"; it could not be removed: {error.message}"
        raise Suspended(trip.step, phase, 0.0)

    # ------------------------------------------------------------------ the cursor

    def _find_record(self, step: str) -> Record | None:
        return next((record for record in self.cursor.steps if record.name == step), None)

    def _record(self, step: str) -> Record:
        """The cursor's record of a step, made when it begins."""
        return self._find_record(step) or self.cursor.steps.add(name=step)

    def check_time(self, step: str) -> None:
        """Suspend when too little time is left for a write."""
        if self._call.deadline.remaining() < MIN_WRITE_S:
            raise Suspended(step, Phase.PHASE_UNDOING if self.undoing else Phase.PHASE_RUNNING, 0.0)

    def _wait_out(self, step: str, error: errors.CloudspanError) -> NoReturn:
        """The write was not carried out: wait if the cloud asks to slow down, or if anything was begun.

        Else it is the caller's to decide whether to come again. A 429 is no failure (pain 12).
        """
        if not self.cursor.steps and not isinstance(error, errors.RateLimited):
            raise error
        pause = max(error.retry_after_s or 0.0, RETRY_S)
        raise Suspended(f"{step}: {error.message}", Phase.PHASE_RUNNING, pause) from error

    def _next_look(self, record: Record) -> float:
        return poll_interval(cursors.waited(record, self.clock))

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
