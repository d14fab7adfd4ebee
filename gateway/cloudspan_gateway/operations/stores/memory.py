"""Keeps operations for the life of the process: for trying out, and what the other stores are compared with."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_gateway.operations import audited, events, model
from cloudspan_gateway.operations.conflicts import judge, names_of
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.stores.base import Claim, Ended, Fenced, Wanted, check_same, not_ended, not_there

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from google.protobuf import any_pb2
    from google.rpc import status_pb2

    from cloudspan_gateway.access.limits import OperationLimit
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.operations.model import Intent, Progress
    from cloudspan_gateway.outbox.event import OutboxEvent

MAX_DONE_KEPT = 10_000
LEASE_S = 45.0
_ROUNDED_S = 0.001  # callers see times in milliseconds


@dataclass(slots=True)
class _Kept:
    row: Row
    changed: asyncio.Event
    explained: bytes = b""
    lease_end: float = 0.0  # monotonic; 0 while nobody holds it


class MemoryStore:
    """Keeps operations in dicts; the newest `MAX_DONE_KEPT` finished ones stay readable."""

    def __init__(
        self,
        clock: Clock | None = None,
        lease_s: float = LEASE_S,
        audit: Callable[[Sequence[Event]], Awaitable[None]] | None = None,
        tell: Callable[[Sequence[OutboxEvent]], Awaitable[None]] | None = None,
    ) -> None:
        """Make it empty; `audit` is handed the events of each change, and `tell` each end, once that is made."""
        self._audit = audit
        self._tell = tell
        self._clock = clock or SystemClock()
        self._lease_s = lease_s
        self._kept: dict[str, _Kept] = {}  # in the order of acceptance
        self._by_request: dict[str, str] = {}
        self._open: dict[str, _Kept] = {}
        self._behind: defaultdict[str, list[str]] = defaultdict(list)  # who queues behind whom
        self._ended: dict[str, _Kept] = {}  # in the order of their ends
        self._sequence = count(1)
        self._work = asyncio.Event()

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._open)} open, {len(self._ended)} done>"

    async def accept(self, intent: Intent, event: Event | None = None, limits: Sequence[OperationLimit] = ()) -> Row:
        row = await self.known(intent) or self._accepted(intent, limits)
        await self._record(event and audited.accepted(event, intent, row))
        return row

    async def _record(self, *events: Event | None) -> None:
        found = [event for event in events if event is not None]
        if self._audit is not None and found:
            # The change is made: a caller that leaves now must not take its event with it.
            await asyncio.shield(self._audit(found))

    async def _record_end(self, row: Row) -> None:
        await self._record(audited.ended(row))
        if self._tell is not None:
            await asyncio.shield(self._tell([events.ended(row)]))

    def _accepted(self, intent: Intent, limits: Sequence[OperationLimit]) -> Row:
        for limit in limits:
            limit.check(self._under_way(intent.tenant))
        verdict, now = judge(intent, self._conflicting(names_of(intent))), self._clock.now()
        row = Row(intent, create_time=now, update_time=now, sequence=next(self._sequence), waits_for=verdict.waits_for)
        self._kept[intent.id] = self._open[intent.id] = _Kept(row, asyncio.Event())
        self._by_request[intent.request_key] = intent.id
        if verdict.waits_for:
            self._behind[verdict.waits_for].append(intent.id)
        for other in verdict.preempts:
            self._change(self._kept[other], model.cancelled(self._kept[other].row, now, preempted_by=intent.id))
        self._work.set()
        return row

    def _under_way(self, tenant: str) -> Counter[str]:
        return Counter(str(kept.row.intent.cluster) for kept in self._open.values() if kept.row.intent.tenant == tenant)

    async def under_way(self, tenant: str) -> Mapping[str, int]:
        return self._under_way(tenant)

    def _conflicting(self, names: Iterable[str]) -> list[Row]:
        wanted = set(names)
        rows = (kept.row for kept in self._open.values()) if wanted else ()
        return [row for row in rows if row.resource in wanted or wanted & set(row.intent.also)]

    async def known(self, intent: Intent) -> Row | None:
        kept = self._kept.get(self._by_request.get(intent.request_key, ""))
        if kept is None:
            return None
        check_same(kept.row, intent)
        return kept.row

    async def claim(self, limit: int) -> Sequence[tuple[Claim, Row]]:
        now = self._clock.monotonic()
        self._work.clear()
        claimed: list[tuple[Claim, Row]] = []
        for kept in self._open.values():
            if kept.lease_end > now or kept.row.waits_for:
                continue
            if len(claimed) == limit:
                self._work.set()  # there is more than was asked for
                break
            kept.lease_end = now + self._lease_s
            kept.row = dataclasses.replace(kept.row, epoch=kept.row.epoch + 1)
            claimed.append((Claim(kept.row.intent.id, kept.row.epoch), kept.row))
        return claimed

    async def heartbeat(self) -> None:
        now = self._clock.monotonic()
        for kept in self._open.values():
            if kept.lease_end > now:
                kept.lease_end = now + self._lease_s

    async def release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            kept = self._open.get(claim.id)
            if kept is not None and kept.row.epoch == claim.epoch:
                kept.lease_end = 0.0
                self._work.set()

    async def begin_attempt(self, claim: Claim) -> Row:
        return self._change(kept := self._held(claim), model.attempted(kept.row))

    async def advance(self, claim: Claim, progress: Progress, explained: bytes = b"") -> Row:
        kept = self._held(claim)
        kept.explained = explained or kept.explained
        return self._change(kept, model.advanced(kept.row, progress, self._clock.now()))

    async def note(self, claim: Claim, progress: Progress, explained: bytes = b"", *, sent: bool = True) -> Row:
        kept = self._held(claim)
        kept.explained = explained or kept.explained
        return self._change(kept, model.noted(kept.row, progress, self._clock.now(), sent=sent))

    async def finish(
        self, claim: Claim, progress: Progress, outcome: any_pb2.Any | status_pb2.Status, explained: bytes = b""
    ) -> Row:
        kept = self._held(claim)
        kept.explained = explained or kept.explained
        row = self._end(kept, progress, outcome)
        await self._record_end(row)
        return row

    async def end(
        self, operation_id: str, progress: Progress, outcome: status_pb2.Status, event: Event | None = None
    ) -> Row:
        kept = self._find(operation_id)
        was_done = kept.row.done
        row = kept.row if was_done else self._end(kept, progress, outcome)
        await self._record(event)
        if not was_done:
            await self._record_end(row)
        return row

    async def request_cancel(self, operation_id: str, event: Event | None = None) -> Row:
        kept = self._find(operation_id)
        self._work.set()  # it may have queued
        row = self._change(kept, model.cancelled(kept.row, self._clock.now()))
        await self._record(event)
        return row

    async def reveal(self, operation_id: str) -> Row:
        kept = self._find(operation_id)
        before, kept.row = kept.row, model.revealed(kept.row)
        return before

    async def get(self, operation_id: str) -> Row:
        return self._find(operation_id).row

    async def find(self, operation_ids: Sequence[str]) -> Sequence[Row]:
        return [self._kept[found].row for found in operation_ids if found in self._kept]

    async def ended(self, tenant: str | None, since: float, limit: int) -> Sequence[Ended]:
        found: list[Ended] = []
        for kept in reversed(self._ended.values()):
            row = kept.row
            if (row.end_time or 0.0) < since or len(found) == limit:
                break
            if tenant is None or row.intent.tenant == tenant:
                found.append(_as_ended(row))
        return found

    async def preempted_by(self, operation_id: str) -> Sequence[Row]:
        return [kept.row for kept in self._open.values() if kept.row.preempted_by == operation_id]

    async def explained(self, operation_id: str) -> bytes:
        return self._find(operation_id).explained

    async def page(self, limit: int, before: int | None = None, wanted: Wanted | None = None) -> Sequence[Row]:
        fits = _fitting(wanted or Wanted())
        rows = (kept.row for kept in reversed(self._kept.values()))
        return list(islice((row for row in rows if (before is None or row.sequence < before) and fits(row)), limit))

    async def delete(self, operation_id: str, event: Event | None = None) -> None:
        kept = self._find(operation_id)
        if not kept.row.done:
            raise not_ended(kept.row)
        self._forget(kept)
        await self._record(event)

    async def purge(self, ended_before: float, limit: int) -> int:
        old = (kept for kept in self._kept.values() if (kept.row.end_time or ended_before) < ended_before)
        forgotten = list(islice(old, limit))
        for kept in forgotten:
            self._forget(kept)
        return len(forgotten)

    async def changed(self, operation_id: str, revision: int) -> Row:
        while (kept := self._find(operation_id)).row.revision <= revision:
            await kept.changed.wait()
        return kept.row

    async def work(self) -> None:
        wanted = asyncio.ensure_future(self._work.wait())
        try:
            ends = [kept.lease_end for kept in self._open.values() if not kept.row.waits_for]
            first = max(0.01, min(ends) - self._clock.monotonic()) if ends else None
            await finished(self._clock, wanted, first)
        finally:
            wanted.cancel()

    async def close(self) -> None:
        """Nothing is held."""

    def _find(self, operation_id: str) -> _Kept:
        kept = self._kept.get(operation_id)
        if kept is None:
            raise not_there(operation_id)
        return kept

    def _held(self, claim: Claim) -> _Kept:
        kept = self._kept.get(claim.id)
        if kept is None or kept.row.epoch != claim.epoch:
            raise Fenced(claim.id)
        return kept

    def _change(self, kept: _Kept, row: Row) -> Row:
        seen = row.revision > kept.row.revision
        kept.row = row
        if seen:
            kept.changed.set()
            kept.changed = asyncio.Event()
        return kept.row

    def _end(self, kept: _Kept, progress: Progress, outcome: any_pb2.Any | status_pb2.Status) -> Row:
        now, ended = self._clock.now(), kept.row.intent.id
        del self._open[ended]
        self._change(kept, model.finished(kept.row, progress, outcome, now))
        for behind in self._behind.pop(ended, ()):
            if behind in self._open and self._open[behind].row.waits_for == ended:
                self._change(self._open[behind], model.freed(self._open[behind].row, now))
                self._work.set()
        self._ended[ended] = kept
        if len(self._ended) > MAX_DONE_KEPT:
            self._forget(next(other for other in self._kept.values() if other.row.done))
        return kept.row

    def _forget(self, kept: _Kept) -> None:
        del self._kept[kept.row.intent.id]
        self._by_request.pop(kept.row.intent.request_key, None)
        self._ended.pop(kept.row.intent.id, None)
        kept.changed.set()  # whoever waits for it learns that it is gone


def _as_ended(row: Row) -> Ended:
    intent = row.intent
    end_time = row.end_time or row.update_time
    return Ended(str(intent.cluster), intent.method, row.resource, intent.also, end_time, not row.failed)


def _fitting(wanted: Wanted) -> Callable[[Row], bool]:
    asked = {name: value for name in ("method", "tenant", "caller") if (value := getattr(wanted, name))}
    since = ((wanted.created_since, "create_time"), (wanted.ended_since, "end_time"))
    times = [(earliest, name) for earliest, name in since if earliest is not None]

    def fits(row: Row) -> bool:
        return (
            all(getattr(row.intent, name) == value for name, value in asked.items())
            and wanted.resource in ("", row.resource)
            and wanted.cluster in ("", str(row.intent.cluster))
            and wanted.done in (None, row.done)
            and all((getattr(row, name) or 0.0) >= earliest - _ROUNDED_S for earliest, name in times)
        )

    return fits
