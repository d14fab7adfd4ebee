"""Looks after what operations wait for, together: for each cluster and collection one question to an adapter.

An execution that waits for a resource asks `SharedWaits.settled`, and steps its operation again once that returns. A
few look for themselves, since one question each is what a shared one would cost; many share it, however many they are.
What an adapter answers is a hint: the operation looks for itself before it goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cloudspan_common.clock import Clock, finished
from cloudspan_common.errors import CloudspanError, Unsupported
from cloudspan_common.polling import poll_interval

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from cloudspan_common.names import ClusterRef

    Ask = Callable[[ClusterRef, str, Sequence[str]], Awaitable[Collection[str]]]
    """`(cluster, collection, ids) -> those in transit`; raises CloudspanError."""

log = structlog.get_logger(__name__)

FEW = 3
"""So many that wait for one collection of a cluster look for themselves."""
MOST_AT_ONCE = 10_000  # ids in one question: 400 kB
# A cluster is asked for at most this share of the time.
_BUSY_SHARE = 0.2


@dataclass(slots=True)
class _Waiter:
    began: float
    not_before: float
    settled: asyncio.Future[None]


class SharedWaits:
    """All shared waits of one gateway."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._watches: dict[tuple[ClusterRef, str], _SharedWatch] = {}

    def __repr__(self) -> str:
        return f"<SharedWaits {', '.join(map(repr, self._watches.values())) or 'idle'}>"

    async def settled(self, ref: ClusterRef, collection: str, native_id: str, *, not_before_s: float) -> None:
        """Return once the resource may no longer be in transit, at the earliest after `not_before_s` seconds."""
        key = (ref, collection)
        watch = self._watches.get(key)
        if watch is None or watch.task.done():
            watch = self._watches[key] = _SharedWatch(ref, collection, self._ask, self._clock)
        try:
            await watch.settled(native_id, not_before_s)
        finally:
            if watch.is_idle and self._watches.get(key) is watch:
                del self._watches[key]

    async def close(self) -> None:
        """End all watches."""
        tasks = [watch.task for watch in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _SharedWatch:
    """What waits for one collection of one cluster. Lives as long as anything does."""

    def __init__(self, ref: ClusterRef, collection: str, ask: Ask, clock: Clock) -> None:
        self._ref, self._collection = ref, collection
        self._ask, self._clock = ask, clock
        self._waiters: dict[str, list[_Waiter]] = {}
        self._joined = asyncio.Event()
        self._looked, self._took_s = 0.0, 0.0
        self._able = True
        self.task = asyncio.create_task(self._run(), name=f"observe {ref} {collection}")

    def __repr__(self) -> str:
        return f"{self._ref} {self._collection}: {len(self._waiters)} wait"

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits: then it ends by itself."""
        return not self._waiters

    async def settled(self, native_id: str, not_before_s: float) -> None:
        """Return once one resource is no longer reported to be in transit."""
        now = self._clock.monotonic()
        waiter = _Waiter(now, now + not_before_s, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(native_id, []).append(waiter)
        self._joined.set()
        try:
            await waiter.settled
        finally:
            self._leave(native_id, waiter)

    def _leave(self, native_id: str, waiter: _Waiter) -> None:
        waiters = self._waiters.get(native_id, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiters.pop(native_id, None)

    async def _run(self) -> None:
        await self._joined.wait()
        while self._waiters:
            await self._pause()
            now = self._clock.monotonic()
            due = [i for i, waiters in self._waiters.items() if any(w.not_before <= now for w in waiters)]
            if len(self._waiters) <= FEW or not self._able:
                self._settle(due, now)
            elif due:
                await self._look(due[:MOST_AT_ONCE], now)

    async def _pause(self) -> None:
        """Wait until the next look is due, or sooner where somebody joins who wants it sooner."""
        while self._waiters:
            self._joined.clear()
            left = self._next_look() - self._clock.monotonic()
            if left <= 0:
                return
            joined = asyncio.ensure_future(self._joined.wait())
            try:
                await finished(self._clock, joined, left)
            finally:
                joined.cancel()

    def _next_look(self) -> float:
        waiters = [waiter for same in self._waiters.values() for waiter in same]
        first = min(waiter.not_before for waiter in waiters)
        if len(self._waiters) <= FEW or not self._able:
            return first
        now = self._clock.monotonic()
        youngest = min(now - waiter.began for waiter in waiters)
        pause = max(poll_interval(youngest), self._took_s * (1 / _BUSY_SHARE - 1))
        return max(first, self._looked + pause)

    async def _look(self, due: Sequence[str], now: float) -> None:
        try:
            busy = frozenset(await self._ask(self._ref, self._collection, due))
        except Unsupported:  # an adapter of the version before: everybody looks for itself
            self._able = False
            busy = frozenset()
        except CloudspanError as error:
            log.info("shared wait failed", cluster=str(self._ref), collection=self._collection, reason=error.message)
            busy = frozenset(due)
        self._looked = self._clock.monotonic()
        self._took_s = self._looked - now
        self._settle([native_id for native_id in due if native_id not in busy], now)

    def _settle(self, native_ids: Sequence[str], now: float) -> None:
        for native_id in native_ids:
            for waiter in self._waiters.get(native_id, ()):
                if waiter.not_before <= now and not waiter.settled.done():
                    waiter.settled.set_result(None)
            self._drop_settled(native_id)

    def _drop_settled(self, native_id: str) -> None:
        left = [waiter for waiter in self._waiters.get(native_id, ()) if not waiter.settled.done()]
        if left:
            self._waiters[native_id] = left
        else:
            self._waiters.pop(native_id, None)
