"""Makes one resource exactly once: sends it, finds out what became of a send without a reply, removes duplicates.

`OperationRun.create_step` calls `send` and `reconcile`, the end of an operation `remove_duplicates`. What `send` can
meet:

1. **An answer**: it is kept, and the step is done.
2. **A refusal**: nothing was made, and the refusal ends the operation; unless it was sent before (`generation`): then
   the first send may be what this one was refused for, and is looked for.
3. **A proof that nothing was carried out** (429, no connection): waited out and sent again.
4. **No proof at all** (a lost reply, a deadline, a 5xx): RECONCILING.

And `reconcile`, which runs in every later step until it knows:

5. **The lost reply's create was carried out**: it is found by its marker, kept, and others with that marker are
   removed.
6. **It was not, and may still be** (a late commit): a look proves nothing, so the marker is looked for until
   `settle_s` has passed; only then it is sent again, and `generation` counts that there may be two. With BY_KEY the
   platform refuses a second one, so nothing settles: it is sent again at once, then after longer and longer pauses.
7. **Both sends come through**: one is kept, the other removed, now or when the operation ends (`remove_duplicates`).
8. **The adapter crashed** behind the send: the gateway has stored nothing of it, and comes again with a later
   attempt; that is case 4 of `run`, and goes on here as 5 or 6.
9. **Nothing can find it** (UNSAFE, the look is refused for good, or the last of `_MOST_SENDS` left nothing): the
   outcome is unknown, what is known is undone, and the marker is told to whoever has to look (`_give_up`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cloudspan_common import errors
from cloudspan_common.polling import poll_interval
from cloudspan_kit.cluster import BY_KEY, BY_MARKER, UNSAFE
from cloudspan_kit.engine import cursor as cursors
from cloudspan_kit.engine.suspension import (
    FIRST_LOOK_S,
    NOT_CARRIED_OUT,
    RETRY_S,
    TRANSIENT,
    UNKNOWN,
    Phase,
    Record,
    Suspended,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan.v1 import operation_pb2
    from cloudspan_kit.cluster import CreateSafety
    from cloudspan_kit.engine.run import OperationRun
    from cloudspan_kit.operation import Made


# Of a create by key: 0, 1, 2, 4, ... s between its sends, 60 s at most; what was lost twelve times in six minutes, as a
# request that breaks the platform is, will be lost again.
_MOST_SENDS, _MAX_PAUSE_S = 12, 60.0


@dataclass(frozen=True, slots=True)
class Create:
    """What `create` was asked."""

    step: str
    collection: str
    send: Callable[[str], Any]
    find: Callable[[str], Any]
    undo: Callable[[str], Any] | None
    safety: CreateSafety


async def send(run: OperationRun, trip: Create) -> NoReturn:
    """Send the native create; the stored cursor says how that ended."""
    run.check_time(trip.step)
    try:
        made = await trip.send(run.marker(trip.step))
    except NOT_CARRIED_OUT as error:
        run.wait_out(trip.step, error)
    except UNKNOWN:
        record = run.record(trip.step)
        cursors.waited(record, run.clock)
        run.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=FIRST_LOOK_S)
    except errors.CloudspanError:
        record = run.record(trip.step)
        if not record.generation:
            raise
        # The first send may have come through after all, and be what this one was refused for.
        record.state = Record.STATE_RECONCILING
        found = await _find(run, record, trip)
        if not found:
            raise
        made = found[0]
    _keep(run, run.record(trip.step), made)


async def reconcile(run: OperationRun, record: Record, trip: Create) -> NoReturn:
    """Find out what became of a create without a reply; the next step knows, or sends it again."""
    record.state = Record.STATE_RECONCILING
    found = await _find(run, record, trip)
    # Of a send and its repetition, both without a reply, the other one may still come; with an id one was chosen.
    if found and (len(found) > record.generation or record.native_id or trip.safety == BY_KEY):
        await _settle_on(run, record, trip, found)
    if trip.safety == UNSAFE:
        _give_up(run, record, trip, "it has nothing to find it by")
    total = cursors.waited(record, run.clock)
    # A second send with the same key is refused; when there will be none the first must have had its time.
    settle_s = run.settle_s if trip.safety == BY_MARKER or run.undoing else _pause_before_resend(record.generation)
    if total < settle_s:
        pause = min(poll_interval(total), settle_s - total)
        run.suspend(record, Record.STATE_RECONCILING, Phase.PHASE_RECONCILING, retry_after_s=pause)
    if found:
        await _settle_on(run, record, trip, found)
    if run.undoing:
        run.suspend(record, Record.STATE_UNDONE, Phase.PHASE_UNDOING)
    if trip.safety == BY_KEY and record.generation + 1 >= _MOST_SENDS:
        _give_up(run, record, trip, f"nothing of it is there after {_MOST_SENDS} sends")
    record.generation += 1
    cursors.forget_waiting(record)
    run.suspend(record, Record.STATE_SENT)


def _pause_before_resend(generation: int) -> float:
    """Return how long to wait before a create by key that was sent again `generation` times is sent once more."""
    return min(2.0 ** (generation - 1), _MAX_PAUSE_S) if generation else 0.0


async def remove_duplicates(
    run: OperationRun, trip: Create, kept_id: str, found: Sequence[Made[object]], phase: Phase
) -> None:
    """Remove duplicates, one a step; each is listed in the stored cursor before it goes."""
    reason = f"{trip.step} is a duplicate of a create without a reply"
    extras = {run.name(trip.collection, made.id): made for made in found if made.id != kept_id}
    known = {left.name: left for left in run.cursor.left_overs if left.reason.startswith(reason)}
    new = extras.keys() - known.keys()
    for name in sorted(new):
        run.leave(name, reason if trip.undo else f"{reason}; delete it")
    if new:
        raise Suspended(trip.step, phase, 0.0)
    for name in known.keys() - extras.keys():
        if name == run.name(trip.collection, kept_id):  # the one kept before is no longer there
            run.cursor.left_overs.remove(known[name])
        else:
            known[name].removed = True  # by a step whose answer was lost
    for name, made in extras.items():
        if trip.undo is not None and not known[name].removed and known[name].reason == reason:
            await _remove(run, trip, made, known[name], phase)


async def _remove(
    run: OperationRun, trip: Create, made: Made[object], left: operation_pb2.LeftOver, phase: Phase
) -> NoReturn:
    run.check_time(trip.step)
    try:
        if trip.undo is not None:
            await trip.undo(made.id)
        left.removed = True
    except TRANSIENT as error:
        raise Suspended(f"{trip.step}: {error.message}", phase, error.retry_after_s or RETRY_S) from error
    except errors.CloudspanError as error:
        left.reason += f"; it could not be removed: {error.message}"
    raise Suspended(trip.step, phase, 0.0)


async def _settle_on(run: OperationRun, record: Record, trip: Create, found: Sequence[Made[object]]) -> NoReturn:
    kept = next((made for made in found if made.id == record.native_id), found[0])
    record.native_id = kept.id
    await remove_duplicates(run, trip, kept.id, found, Phase.PHASE_RECONCILING)
    _keep(run, record, kept)


async def _find(run: OperationRun, record: Record, trip: Create) -> Sequence[Made[object]]:
    """Look for the marker of a create without a reply; nothing is decided while it can't be looked for."""
    try:
        found: Sequence[Made[object]] = await trip.find(run.marker(trip.step))
    except errors.CloudspanError as error:
        if not isinstance(error, TRANSIENT) and cursors.waited(record, run.clock) >= run.settle_s:
            _give_up(run, record, trip, f"it can't be looked for: {error.message}")
        pause = max(error.retry_after_s or 0.0, RETRY_S)
        stage = f"{trip.step}: {error.message}"
        raise Suspended(stage, Phase.PHASE_RECONCILING, pause) from error
    return found


def _keep(run: OperationRun, record: Record, made: Made[object]) -> NoReturn:
    record.native_id = made.id
    record.result.update(dict(made.data))
    cursors.forget_waiting(record)
    run.suspend(record, Record.STATE_DONE)


def _give_up(run: OperationRun, record: Record, trip: Create, why: str) -> NoReturn:
    """End with an unknown outcome, after undoing the rest."""
    where, marker = str(run.call.cluster), run.marker(trip.step)
    text = f"{trip.step} was sent to {where} and got no reply, and {why}; look there before calling again"
    run.leave("", f"{text}; its marker is {marker}")
    if not run.undoing:
        unknown = errors.OutcomeUnknown(text, metadata={"marker": marker})
        run.cursor.failure.CopyFrom(run.status_of(unknown))
    run.suspend(record, Record.STATE_STUCK, Phase.PHASE_UNDOING)
