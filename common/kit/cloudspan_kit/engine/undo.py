"""How an operation ends: duplicates looked for once more, or everything that was done undone.

`step.take_step` calls these when the driver's function was left. The function is replayed to reach each step's undo;
each undo is a step of its own, stored before the next. What parts ways here:

1. **The function came to its end**: creates that were sent twice are looked for once more (`finish`).
2. **It failed, and nothing was begun**: the error is the operation's end (`fail`).
3. **It failed, and something was begun**: the failure is stored first; from then on the function is replayed only for
   its undos, the last first, however often the adapter dies in between (`undo`).
4. **A create's outcome is still unknown**: it is reconciled first, as going forward, and undone when it appears; with
   a key that an undo sets free again, a first send that is still under way could come through, so it is looked for
   once more (`_gone`).
5. **The replay does not come to what was made** (a look in front of it fails now): waited out while that may pass,
   then listed as left over (`_missed`).
6. **An undo is refused, or there is none**: listed as left over, and the rest is undone (`_stuck`, `_no_way_back`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cloudspan_common import errors
from cloudspan_common.polling import poll_interval
from cloudspan_kit.cluster import BY_KEY
from cloudspan_kit.engine import create as creating
from cloudspan_kit.engine import cursor as cursors
from cloudspan_kit.engine.suspension import NOT_CARRIED_OUT, RETRY_S, TRANSIENT, Phase, Record, Suspended

if TYPE_CHECKING:
    from google.rpc import status_pb2

    from cloudspan_kit.engine.run import Begun, OperationRun

_NEEDS_THE_CLOUD = (*NOT_CARRIED_OUT, errors.OutOfTime)
# These came before any write in every try, or in none.
_SAME_EACH_TIME = (errors.InvalidRequest, errors.Unsupported)


async def finish(run: OperationRun) -> None:
    """Look once more for every create that was sent twice, and remove what came late."""
    for begun in run.begun:
        await _remove_duplicates(run, begun, Phase.PHASE_RUNNING)


def fail(run: OperationRun, error: errors.CloudspanError) -> status_pb2.Status:
    """Return what the operation ends with, after `error` and with nothing to undo.

    Raises:
        CloudspanError: Nothing is known of this step: the call itself has to fail and be made again.
        Suspended: It is waited out, or something has to be undone first.
    """
    if isinstance(error, _NEEDS_THE_CLOUD):  # of a step that waits for nothing, or of a read between steps
        if run.suspicious:
            raise error
        if run.has_begun:
            raise Suspended(error.message, Phase.PHASE_RUNNING, max(error.retry_after_s or 0.0, RETRY_S)) from error
    if run.suspicious and not isinstance(error, _SAME_EACH_TIME):
        error = errors.OutcomeUnknown(f"{error.message}; a try before this one got no reply, and {_lost(run)}")
    run.clear_suspicion()
    status = run.status_of(error)
    if any(_to_undo(begun) for begun in run.begun) or _unsure(run) or _missed(run):
        run.cursor.failure.CopyFrom(status)
        raise Suspended("undo", Phase.PHASE_UNDOING, 0.0) from error
    return status


async def undo(run: OperationRun, cause: errors.CloudspanError | None) -> None:
    """Undo what was done, the last first; suspends after each, returns when nothing is left to undo.

    `cause` is what the replay ended with before it came to every step that was begun.
    """
    missed = _missed(run)
    if isinstance(cause, TRANSIENT) and run.suspicious:
        raise cause
    if isinstance(cause, TRANSIENT) and missed:
        total = cursors.waited(missed[0], run.clock)
        if isinstance(cause, _NEEDS_THE_CLOUD) or total < run.settle_s:
            raise Suspended(cause.message, Phase.PHASE_UNDOING, max(cause.retry_after_s or 0.0, RETRY_S)) from cause
    for record in missed:
        why = cause.message if cause else "its function no longer comes to it"
        made = f"made {record.native_id}" if record.native_id else "may have made something"
        run.leave("", f"{record.name} {made} and could not be undone: {why}")
        record.state = Record.STATE_STUCK
    if cause is not None and run.suspicious and not isinstance(cause, _SAME_EACH_TIME):
        run.leave("", f"a try before the cancel got no reply, and {_lost(run)}: {cause.message}")
    run.clear_suspicion()
    for begun in reversed(run.begun):
        if begun.record.state == Record.STATE_DONE:
            await _undo_one(run, begun)


def _lost(run: OperationRun) -> str:
    return f"its step can't be come to again; look for resources marked {run.marker_prefix}"


def _to_undo(begun: Begun) -> bool:
    return begun.record.state == Record.STATE_DONE and (begun.undo is not None or bool(begun.record.native_id))


def _unsure(run: OperationRun) -> bool:
    return any(record.state == Record.STATE_RECONCILING for record in run.cursor.steps)


def _missed(run: OperationRun) -> list[Record]:
    """What was made, or may have been, and was not come to in this replay."""
    met = {begun.record.name for begun in run.begun}
    made = [r for r in run.cursor.steps if r.state == Record.STATE_DONE and r.native_id]
    return [r for r in made + [r for r in run.cursor.steps if r.state == Record.STATE_RECONCILING] if r.name not in met]


async def _remove_duplicates(run: OperationRun, begun: Begun, phase: Phase) -> None:
    trip, record = begun.create, begun.record
    if trip is None or not record.generation:
        return
    try:
        found = await trip.find(run.marker(trip.step))
    except TRANSIENT as error:
        raise Suspended(f"{trip.step}: {error.message}", phase, max(error.retry_after_s or 0.0, RETRY_S)) from error
    except errors.CloudspanError as error:
        run.leave("", f"whether {trip.step} left a duplicate could not be looked up: {error.message}")
        return
    await creating.remove_duplicates(run, trip, record.native_id, found, phase)


async def _undo_one(run: OperationRun, begun: Begun) -> None:
    record = begun.record
    await _remove_duplicates(run, begun, Phase.PHASE_UNDOING)
    if begun.undo is None:
        _no_way_back(run, begun)
        return
    run.check_time(record.name)
    try:
        await begun.undo(record.native_id)
    except TRANSIENT as error:
        total = cursors.waited(record, run.clock)
        # The platform does answer, and goes on answering this.
        if not isinstance(error, errors.PlatformFault) or total < run.settle_s:
            pause = max(error.retry_after_s or RETRY_S, poll_interval(total))
            raise Suspended(f"undo {record.name}: {error.message}", Phase.PHASE_UNDOING, pause) from error
        _stuck(run, begun, error)
    except errors.CloudspanError as error:
        _stuck(run, begun, error)
    _gone(run, begun)


def _gone(run: OperationRun, begun: Begun) -> NoReturn:
    """Its undo is done; with the key free again a first send that is still under way could come through."""
    trip, record = begun.create, begun.record
    cursors.forget_waiting(record)
    if trip is not None:
        run.leave(run.name(trip.collection, record.native_id), f"{record.name} was undone", removed=True)
    again = trip is not None and trip.safety == BY_KEY and record.generation > 0
    run.suspend(record, Record.STATE_RECONCILING if again else Record.STATE_UNDONE, Phase.PHASE_UNDOING)


def _no_way_back(run: OperationRun, begun: Begun) -> None:
    if begun.create is not None:
        name = run.name(begun.create.collection, begun.record.native_id)
        run.leave(name, f"{begun.record.name} was made and has no way back")
    else:
        run.leave(run.resource, f"{begun.record.name} was sent and has no way back")
    begun.record.state = Record.STATE_STUCK


def _stuck(run: OperationRun, begun: Begun, error: errors.CloudspanError) -> NoReturn:
    name = run.name(begun.create.collection, begun.record.native_id) if begun.create else run.resource
    run.leave(name, f"{begun.record.name} could not be undone: {error.message}")
    run.suspend(begun.record, Record.STATE_STUCK, Phase.PHASE_UNDOING)
