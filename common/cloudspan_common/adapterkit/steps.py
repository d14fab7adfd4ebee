"""Runs a driver's mutation one step at a time, each write at most once: the kit's side of `StepService`.

`OperationRun` is what a mutation's function is handed (`driver.Operation`). It lives for one Step call: finished steps
are answered from the cursor, the next missing one is done, and `Suspended` leaves the function so that the gateway
stores the outcome before the next side effect. Spec: design, section 4; platform facts, "Lost replies".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf import json_format

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.adapterkit.driver import BY_MARKER, UNSAFE, Made

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call, CreateSafety
    from cloudspan_common.clock import Clock

Record = step_pb2.Cursor.Step
Phase = operation_pb2.OperationMetadata.Phase

CURSOR_VERSION = 1
MAX_MARKER_CHARS = 60
# A write that is cut off by the call's own deadline has an unknown outcome; with less time left it is not begun.
MIN_WRITE_S = 2.0
FIRST_LOOK_S = 0.5
FIRST_POLL_S, MAX_POLL_S, POLL_SHARE = 0.1, 5.0, 0.25  # 0.1 s, then a quarter of the time waited so far, 5 s at most

_OPEN = (Record.STATE_UNSPECIFIED, Record.STATE_SENT, Record.STATE_RECONCILING)

# These prove nothing about the resource: an operation goes on watching.
TRANSIENT = (
    errors.RateLimited,
    errors.Unreachable,
    errors.OutOfTime,
    errors.OutcomeUnknown,
    errors.PlatformFault,
    errors.LoginRefused,
)
# These prove that a write was not carried out.
NOT_CARRIED_OUT = (errors.RateLimited, errors.Unreachable)


class Suspended(BaseException):  # a driver's `except Exception` must not catch it
    """Leaves the function until the gateway has stored the cursor."""

    def __init__(self, stage: str, phase: Phase, retry_after_s: float, percent: int = 0) -> None:
        super().__init__(stage)
        self.stage, self.phase, self.retry_after_s, self.percent = stage, phase, retry_after_s, percent


class Unwound(BaseException):
    """Leaves the function while undoing, at the first step that was never begun."""


@dataclass(frozen=True, slots=True)
class _Create:
    """What `create` was asked."""

    step: str
    collection: str
    send: Callable[[str], Any]
    find: Callable[[str], Any]
    undo: Callable[[str], Any] | None
    safety: CreateSafety


@dataclass(frozen=True, slots=True)
class _Begun:
    """A step that may have to be undone, or looked at again before the end."""

    record: Record
    collection: str
    undo: Callable[[str], Any] | None
    find: Callable[[str], Any] | None = None


class OperationRun:
    """One Step call of one operation; implements `driver.Operation`."""

    def __init__(self, call: Call, request: step_pb2.StepRequest, *, settle_s: float, clock: Clock) -> None:
        self._call = call
        self._request = request
        self._settle_s = settle_s
        self._clock = clock
        self._changed = False  # whether the cursor holds something that the gateway has not stored yet
        self._begun: list[_Begun] = []
        self.cursor = read_cursor(request.cursor)
        self.resource = ""

    def __repr__(self) -> str:
        steps = ", ".join(f"{r.name} {Record.State.Name(r.state)[6:].lower()}" for r in self.cursor.steps)
        return f"<OperationRun {self._request.operation_id} attempt {self._request.attempt} | {steps or 'no steps'}>"

    @property
    def call(self) -> Call:
        return self._call

    @property
    def undoing(self) -> bool:
        """Whether the function is replayed only to reach the undos of what was done."""
        return self._request.undo or self.cursor.HasField("failure")

    def marker(self, step: str) -> str:
        operation = self._request.operation_id.replace("-", "")
        marker = f"cs-{self._request.installation}-{operation}-{step}"
        if len(marker) > MAX_MARKER_CHARS or "," in marker or "/" in marker:
            raise errors.Defect(
                f"the marker {marker!r} is no valid one: {MAX_MARKER_CHARS} characters, no comma or slash"
            )
        return marker

    def touches(self, resource: str) -> None:
        self.resource = resource

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
        record = self._find_record(step)
        if record is None or record.state in _OPEN:
            trip = _Create(step, collection or f"{step}s", send, find, undo, safety)
            if self._may_be_sent(record):
                await self._reconcile(self._record(step), trip)
            if self.undoing:
                raise Unwound
            await self._send(trip)
        assert record is not None  # noqa: S101 - both ways above leave the function
        self._begun.append(_Begun(record, collection or f"{step}s", undo=undo, find=find))
        return _made(record)

    async def act(
        self, step: str, do: Callable[[], Any], *, undo: Callable[[], Any] | None = None
    ) -> Mapping[str, Any]:
        record = self._find_record(step)
        undo_any = (lambda _id: undo()) if undo else None
        if record is not None and record.state not in _OPEN:
            self._begun.append(_Begun(record, "", undo=undo_any))
            return json_format.MessageToDict(record.result)
        if self.undoing:
            if self._may_be_sent(record):
                record = self._record(step)
                record.state = Record.STATE_DONE  # as far as undoing goes: its undo is harmless when it was not
                self._begun.append(_Begun(record, "", undo=undo_any))
            raise Unwound
        self._before_write(step)
        try:
            result = await do()
        except NOT_CARRIED_OUT as error:
            self._wait_out(step, error)
        except (errors.OutcomeUnknown, errors.OutOfTime):
            record = self._record(step)
            self._suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=1.0)
        record = self._record(step)
        record.result.update(dict(result or {}))
        return self._suspend(record, Record.STATE_DONE)

    async def until(self, step: str, poll: Callable[[], Any], *, percent: int = 0) -> Any:
        if self.undoing:
            raise Unwound
        try:
            value = await poll()
        except TRANSIENT as error:
            pause = max(error.retry_after_s or 0.0, poll_interval(self._waited(self._record(step))))
            raise Suspended(f"{step}: {error.message}", Phase.PHASE_RUNNING, pause, percent) from error
        if value is None:
            raise Suspended(step, Phase.PHASE_RUNNING, poll_interval(self._waited(self._record(step))), percent)
        record = self._record(step)
        self._changed = self._changed or record.state != Record.STATE_DONE
        record.state = Record.STATE_DONE
        return value

    # ------------------------------------------------------------------ the end

    async def finish(self) -> None:
        """Look once more for every create that was sent twice, and remove what came late."""
        for begun in self._begun:
            if begun.record.generation and begun.find is not None:
                found = await begun.find(self.marker(begun.record.name))
                extra = [made for made in found if made.id != begun.record.native_id]
                await self._remove(begun.record.name, begun.collection, extra, begun.undo)

    async def undo(self) -> None:
        """Undo what was done, the last first; suspends after each, returns when nothing is left to undo."""
        for begun in reversed(self._begun):
            if begun.record.state == Record.STATE_DONE:
                await self._undo_one(begun)

    async def _undo_one(self, begun: _Begun) -> None:
        record = begun.record
        if begun.undo is None:
            record.state = Record.STATE_STUCK
            if record.native_id:
                self._leave(begun.collection, record.native_id, f"{record.name} was made and has no way back")
            return
        self._check_time(record.name)
        try:
            await begun.undo(record.native_id)
        except TRANSIENT as error:
            stage = f"undo {record.name}: {error.message}"
            raise Suspended(stage, Phase.PHASE_UNDOING, error.retry_after_s or 1.0) from error
        except errors.CloudspanError as error:
            self._leave(begun.collection, record.native_id, f"{record.name} could not be undone: {error.message}")
            self._suspend(record, Record.STATE_STUCK, Phase.PHASE_UNDOING)
        if record.native_id:
            self._leave(begun.collection, record.native_id, f"{record.name} was undone", removed=True)
        self._suspend(record, Record.STATE_UNDONE, Phase.PHASE_UNDOING)

    def fail(self, error: errors.CloudspanError) -> bool:
        """Record why the operation fails; return whether something has to be undone first."""
        if not any(b.record.state == Record.STATE_DONE and (b.undo or b.record.native_id) for b in self._begun):
            return False
        self.cursor.failure.CopyFrom(errors.to_status(error))
        return True

    # ------------------------------------------------------------------ creates

    def _may_be_sent(self, record: Record | None) -> bool:
        return self._request.attempt > 1 or (record is not None and record.state == Record.STATE_RECONCILING)

    async def _send(self, trip: _Create) -> NoReturn:
        self._before_write(trip.step)
        try:
            made = await trip.send(self.marker(trip.step))
        except NOT_CARRIED_OUT as error:
            self._wait_out(trip.step, error)
        except (errors.OutcomeUnknown, errors.OutOfTime):
            record = self._record(trip.step)
            self._waited(record)
            self._suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=FIRST_LOOK_S)
        except errors.AlreadyExists:
            # The first send came through after all, late; without one the name is somebody else's.
            resent = self._record(trip.step).generation > 0
            found = await trip.find(self.marker(trip.step)) if resent else []
            if not found:
                raise
            made = found[0]
        self._keep(self._record(trip.step), made)

    async def _reconcile(self, record: Record, trip: _Create) -> NoReturn:
        """Find out what became of a create without a reply; the next step knows, or sends it again."""
        try:
            found = await trip.find(self.marker(trip.step))
        except TRANSIENT as error:
            pause = max(error.retry_after_s or 0.0, 1.0)
            self._suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
        if found:
            await self._remove(trip.step, trip.collection, found[1:], trip.undo)
            self._keep(record, found[0])
        if trip.safety == UNSAFE:
            raise self._unknown(trip.step)
        waited = self._waited(record)
        if trip.safety == BY_MARKER and waited < self._settle_s:
            pause = min(poll_interval(waited), self._settle_s - waited)
            self._suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
        if self.undoing:
            self._suspend(record, Record.STATE_UNDONE, Phase.PHASE_UNDOING)
        record.generation += 1
        record.ClearField("settled")
        record.ClearField("last_look")
        self._suspend(record, Record.STATE_SENT)

    async def _remove(
        self, step: str, collection: str, extra: Sequence[Made], undo: Callable[[str], Any] | None
    ) -> None:
        for made in extra:
            if undo is None:
                self._leave(collection, made.id, f"{step} is a duplicate of a create without a reply; delete it")
                continue
            await undo(made.id)
            self._leave(collection, made.id, f"{step} was a duplicate of a create without a reply", removed=True)

    def _keep(self, record: Record, made: Made) -> NoReturn:
        record.native_id = made.id
        record.result.update(dict(made.data))
        self._suspend(record, Record.STATE_DONE)

    def _unknown(self, step: str) -> errors.OutcomeUnknown:
        where = str(self._call.cluster)
        text = (
            f"{step} was sent to {where}, got no reply and has nothing to find it by; look there before calling again"
        )
        return errors.OutcomeUnknown(text, metadata={"cluster": where})

    # ------------------------------------------------------------------ the cursor

    def _find_record(self, step: str) -> Record | None:
        return next((record for record in self.cursor.steps if record.name == step), None)

    def _record(self, step: str) -> Record:
        """The cursor's record of a step, made when it begins."""
        return self._find_record(step) or self.cursor.steps.add(name=step)

    def _before_write(self, step: str) -> None:
        if self._changed:
            raise Suspended(step, Phase.PHASE_RUNNING, 0.0)
        self._check_time(step)

    def _check_time(self, step: str) -> None:
        if self._call.deadline.remaining() < MIN_WRITE_S:
            raise Suspended(step, Phase.PHASE_RUNNING, 0.0)

    def _wait_out(self, step: str, error: errors.CloudspanError) -> NoReturn:
        """The write was not carried out: wait if something is done already, else let the caller decide."""
        if not any(r.state == Record.STATE_DONE for r in self.cursor.steps):
            raise error
        pause = max(error.retry_after_s or 0.0, 1.0)
        raise Suspended(f"{step}: {error.message}", Phase.PHASE_RUNNING, pause) from error

    def _suspend(
        self, record: Record, state: Record.State, phase: Phase = Phase.PHASE_RUNNING, *, retry_after_s: float = 0.0
    ) -> NoReturn:
        record.state = state
        raise Suspended(record.name, phase, retry_after_s)

    def _waited(self, record: Record) -> float:
        """Add the time since the last look, and return how long was waited in all, in seconds.

        One look counts at most twice the longest pause: a clock that jumps ahead must not end a settle time early.
        """
        now = self._clock.now()
        since = now - record.last_look if record.last_look else 0.0
        waited = record.settled.ToNanoseconds() / 1e9 + min(max(since, 0.0), 2 * MAX_POLL_S)
        record.settled.FromNanoseconds(math.ceil(waited * 1e9))
        record.last_look = now
        return waited

    def _leave(self, collection: str, native_id: str, why: str, *, removed: bool = False) -> None:
        name = self._call.cluster.resource(collection, native_id) if native_id else ""
        self.cursor.left_overs.add(name=name, reason=why, removed=removed)


def read_cursor(data: bytes) -> step_pb2.Cursor:
    """Return the cursor; an empty one at the start.

    Raises:
        Defect: It is of a version that this build can't read.
    """
    cursor = step_pb2.Cursor.FromString(data) if data else step_pb2.Cursor(version=CURSOR_VERSION)
    if cursor.version != CURSOR_VERSION:
        raise errors.Defect(f"the operation's cursor has version {cursor.version}, this adapter reads {CURSOR_VERSION}")
    return cursor


def poll_interval(waited_s: float) -> float:
    """How long to wait before the next look, in seconds."""
    return min(max(FIRST_POLL_S, waited_s * POLL_SHARE), MAX_POLL_S)


def _made(record: Record) -> Made:
    return Made(record.native_id, json_format.MessageToDict(record.result))
