"""Where operations are kept: the narrow interface, and the store that keeps them in memory.

The runner claims, steps and finishes through it; the doors accept, read and cancel. Every write of a runner carries
the epoch of its claim and is refused with `Fenced` once another claim was made. Spec: design, section 4.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Protocol

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import AlreadyExists, NotFound, PreconditionFailed
from cloudspan_gateway.operations.model import PREFIX, Intent, Phase, Progress, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2
    from google.rpc import status_pb2

MAX_DONE_KEPT = 10_000


class Fenced(Exception):
    """Another runner has claimed the operation since: this one must let go of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A runner's right to write, until its lease ends or another claim is made."""

    id: str
    epoch: int


class OperationStore(Protocol):
    """Keeps operations. Every method returns rows as they are after its write."""

    async def accept(self, intent: Intent) -> Row:
        """Keep a new operation; the same request under the same `request_id` returns the one that there is.

        Raises:
            AlreadyExists: The `request_id` was used for another request.
        """
        ...

    async def known(self, intent: Intent) -> Row | None:
        """Return the operation that this request under this `request_id` became, if it did.

        Raises:
            AlreadyExists: The `request_id` was used for another request.
        """
        ...

    async def claim(self, lease_s: float, limit: int) -> Sequence[tuple[Claim, Row]]:
        """Claim at most `limit` unfinished operations that nobody holds, the oldest first."""
        ...

    async def renew(self, claim: Claim, lease_s: float) -> None:
        """Keep a claim for `lease_s` from now.

        Raises:
            Fenced: It was lost.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Let go of a claim, so that another runner takes the operation at once; nothing happens if it was lost."""
        ...

    async def begin_attempt(self, claim: Claim) -> Row:
        """Count one more sending of the cursor, before it is sent.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def advance(self, claim: Claim, progress: Progress) -> Row:
        """Keep where the operation is, before the next step is sent.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def note(self, claim: Claim, progress: Progress) -> Row:
        """Keep what watchers should see of a step without an answer; the attempt stays counted.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def finish(self, claim: Claim, progress: Progress, outcome: any_pb2.Any | status_pb2.Status) -> Row:
        """Keep how it ended, and end the claim.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def request_cancel(self, operation_id: str) -> Row:
        """Note that its end is wanted; a finished one stays as it is.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def get(self, operation_id: str) -> Row:
        """Return one operation.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def page(self, limit: int, before: int | None = None) -> Sequence[Row]:
        """Return operations newest first, those with a sequence below `before`."""
        ...

    async def delete(self, operation_id: str) -> None:
        """Forget a finished operation.

        Raises:
            NotFound: There is none of that id.
            PreconditionFailed: It has not ended.
        """
        ...

    async def changed(self, operation_id: str, revision: int) -> Row:
        """Return the row as soon as its revision is above `revision`.

        Raises:
            NotFound: There is none of that id, or it was deleted meanwhile.
        """
        ...

    async def work(self) -> None:
        """Return when there may be something to claim: a new operation, or a lease that ran out."""
        ...


@dataclass(slots=True)
class _Kept:
    row: Row
    changed: asyncio.Event
    lease_end: float = 0.0  # monotonic; 0 while nobody holds it


class MemoryStore:
    """Keeps operations for the life of the process; the newest `MAX_DONE_KEPT` finished ones stay readable."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._kept: dict[str, _Kept] = {}  # in the order of acceptance
        self._by_request: dict[str, str] = {}
        self._open: dict[str, _Kept] = {}
        self._finished = 0
        self._sequence = count(1)
        self._work = asyncio.Event()

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._open)} open, {self._finished} done>"

    async def accept(self, intent: Intent) -> Row:
        known = await self.known(intent)
        if known is not None:
            return known
        now = self._clock.now()
        row = Row(intent, create_time=now, update_time=now, sequence=next(self._sequence))
        kept = _Kept(row, asyncio.Event())
        self._kept[intent.id] = self._open[intent.id] = kept
        self._by_request[intent.request_id] = intent.id
        self._work.set()
        return kept.row

    async def known(self, intent: Intent) -> Row | None:
        kept = self._kept.get(self._by_request.get(intent.request_id, ""))
        if kept is None:
            return None
        _check_same(kept.row, intent)
        return kept.row

    async def claim(self, lease_s: float, limit: int) -> Sequence[tuple[Claim, Row]]:
        now = self._clock.monotonic()
        self._work.clear()
        claimed: list[tuple[Claim, Row]] = []
        for kept in self._open.values():
            if len(claimed) == limit:
                self._work.set()  # there is more than was asked for
                break
            if kept.lease_end <= now:
                kept.lease_end = now + lease_s
                kept.row = dataclasses.replace(kept.row, epoch=kept.row.epoch + 1)
                claimed.append((Claim(kept.row.intent.id, kept.row.epoch), kept.row))
        return claimed

    async def renew(self, claim: Claim, lease_s: float) -> None:
        self._held(claim).lease_end = self._clock.monotonic() + lease_s

    async def release(self, claim: Claim) -> None:
        kept = self._kept.get(claim.id)
        if kept is not None and kept.row.epoch == claim.epoch:
            kept.lease_end = 0.0
            self._work.set()

    async def begin_attempt(self, claim: Claim) -> Row:
        kept = self._held(claim)
        kept.row = dataclasses.replace(kept.row, attempt=kept.row.attempt + 1)
        return kept.row

    async def advance(self, claim: Claim, progress: Progress) -> Row:
        kept = self._held(claim)
        return self._change(kept, dataclasses.replace(kept.row, progress=progress, attempt=0))

    async def note(self, claim: Claim, progress: Progress) -> Row:
        kept = self._held(claim)
        if kept.row.progress == progress:
            return kept.row
        return self._change(kept, dataclasses.replace(kept.row, progress=progress))

    async def finish(self, claim: Claim, progress: Progress, outcome: any_pb2.Any | status_pb2.Status) -> Row:
        kept = self._held(claim)
        row = dataclasses.replace(
            kept.row, progress=progress, attempt=0, outcome=outcome, end_time=self._clock.now(), epoch=claim.epoch + 1
        )
        del self._open[claim.id]
        self._finished += 1
        self._change(kept, row)
        self._forget_oldest()
        return kept.row

    async def request_cancel(self, operation_id: str) -> Row:
        kept = self._find(operation_id)
        if kept.row.done or kept.row.cancel_requested:
            return kept.row
        return self._change(kept, dataclasses.replace(kept.row, cancel_requested=True))

    async def get(self, operation_id: str) -> Row:
        return self._find(operation_id).row

    async def page(self, limit: int, before: int | None = None) -> Sequence[Row]:
        rows = (kept.row for kept in reversed(self._kept.values()))
        return list(islice((row for row in rows if before is None or row.sequence < before), limit))

    async def delete(self, operation_id: str) -> None:
        kept = self._find(operation_id)
        if not kept.row.done:
            raise PreconditionFailed(f"{kept.row.name} has not ended; cancel it first, then wait for its end")
        self._forget(kept)

    async def changed(self, operation_id: str, revision: int) -> Row:
        while (kept := self._find(operation_id)).row.revision <= revision:
            await kept.changed.wait()
        return kept.row

    async def work(self) -> None:
        wanted = asyncio.ensure_future(self._work.wait())
        try:
            ends = [kept.lease_end for kept in self._open.values()]
            first = max(0.01, min(ends) - self._clock.monotonic()) if ends else None
            await finished(self._clock, wanted, first)
        finally:
            wanted.cancel()

    def _find(self, operation_id: str) -> _Kept:
        kept = self._kept.get(operation_id)
        if kept is None:
            name = PREFIX + operation_id
            raise NotFound(f"there is no {name[:120]}; it may have been deleted or be too old", resource=name[:120])
        return kept

    def _held(self, claim: Claim) -> _Kept:
        kept = self._kept.get(claim.id)
        if kept is None or kept.row.epoch != claim.epoch:
            raise Fenced(claim.id)
        return kept

    def _change(self, kept: _Kept, row: Row) -> Row:
        kept.row = dataclasses.replace(row, revision=kept.row.revision + 1, update_time=self._clock.now())
        kept.changed.set()
        kept.changed = asyncio.Event()
        return kept.row

    def _forget(self, kept: _Kept) -> None:
        del self._kept[kept.row.intent.id]
        self._by_request.pop(kept.row.intent.request_id, None)
        self._finished -= 1
        kept.changed.set()  # whoever waits for it learns that it is gone

    def _forget_oldest(self) -> None:
        if self._finished > MAX_DONE_KEPT:
            self._forget(next(kept for kept in self._kept.values() if kept.row.done))


def _check_same(row: Row, intent: Intent) -> None:
    if (row.intent.method, row.intent.request) != (intent.method, intent.request):
        text = (
            f"request_id {intent.request_id!r} was used for another request, which became {row.name} "
            f"({row.intent.method}); choose a new request_id for a new request"
        )
        raise AlreadyExists(text, reason="REQUEST_ID_REUSED", resource=row.name)


def waiting(progress: Progress, stage: str) -> Progress:
    """Return the progress of an operation that waits for an adapter: nothing but the stage has changed."""
    phase = Phase.PHASE_RUNNING if progress.phase == Phase.PHASE_QUEUED else progress.phase
    return dataclasses.replace(progress, stage=stage, phase=phase)
