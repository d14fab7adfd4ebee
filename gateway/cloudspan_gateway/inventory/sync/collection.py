"""When one collection of one cluster is swept: its intervals, looks for changes between, and who asked for it now.

`sync` runs a `CollectionSync` for each collection of the clusters that are this gateway's. Intervals adapt: half as
long after a sweep that found changes, half as long again after one that found none.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_common.logs import get_logger
from cloudspan_gateway.inventory.model import CollectionState, Completeness, LockLost
from cloudspan_gateway.inventory.sync.sweep import CollectionSweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.inventory.model import Fence
    from cloudspan_gateway.inventory.store import InventoryStore
    from cloudspan_gateway.inventory.sync.config import SyncSettings
    from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
    from cloudspan_gateway.inventory.sync.source import Source
    from cloudspan_gateway.inventory.sync.sweep import Swept

log = get_logger(__name__)

SWEEPS_PER_CLUSTER, SWEEPS_AT_ONCE = 2, 8
RETRIES_AT_ONCE = 2
"""Of collections whose last sweep failed: clusters that hang take no slots from those that answer."""
BUSY_SHARE = 0.2
"""Of the time, that sweeps of one collection may take: a listing that takes a minute is not begun each 15 s."""
SOON_S = 1.0
"""How far early sweeps are apart at least: many operations end in one second."""
_GROWTH, _SHRINK = 1.5, 0.5
_AGAIN_S = 5.0  # after the database could not be read or written


@dataclass(frozen=True, slots=True)
class Environment:
    """What all sweeps of a gateway have in common."""

    store: InventoryStore
    source: Source
    clock: Clock
    settings: SyncSettings
    metrics: SyncMetrics
    owner: str
    """This gateway, among the members of its group."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SWEEPS_AT_ONCE))
    retry_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RETRIES_AT_ONCE))


@dataclass(slots=True)
class _Asked:
    """Who waits for the next sweep that begins."""

    ended: asyncio.Future[None]
    released: bool = False


class CollectionSync:
    """Keeps one collection up to date while this gateway has its cluster."""

    def __init__(
        self,
        environment: Environment,
        cluster_slots: asyncio.Semaphore,
        fence: Fence,
        state: CollectionState,
        others: Collection[str] = (),
    ) -> None:
        """Go on from what is kept of the collection; `others` are the projects that are listed by themselves."""
        self._environment = environment
        self._clock = environment.clock
        self._cluster_slots = cluster_slots
        self._fence = fence
        self.state = state
        self._sweep = CollectionSweep(
            environment.store, environment.source, self._clock, brake=environment.settings.brake, others=others
        )
        self._wake = asyncio.Event()
        self._asked: _Asked | None = None
        self._is_over = False
        self._tells_changes = True  # until it says otherwise
        self._failures = 0
        now = self._clock.monotonic()
        until_next_s = (state.next_time or 0.0) - self._clock.now()
        self._sweep_at = now + min(max(until_next_s, 0.0), environment.settings.slowest_s)
        self._look_at = now
        self._ended_at = float("-inf")

    def __repr__(self) -> str:
        due_s = self._sweep_at - self._clock.monotonic()
        return f"<{self.state.cluster} {self.state.collection} {self.state.completeness}: next in {due_s:.0f} s>"

    def soon(self) -> None:
        """Sweep early: something in it has changed."""
        spacing_s = max(SOON_S, self.state.took_s / BUSY_SHARE)
        self._sweep_at = min(self._sweep_at, max(self._clock.monotonic(), self._ended_at + spacing_s))
        self._wake.set()

    def now(self, *, released: bool = False) -> asyncio.Future[None]:
        """Sweep at once; return what is done when a sweep that began after this call has ended.

        All who ask before it begins share it. It ends with LockLost when the cluster becomes another gateway's.
        """
        if self._asked is None:
            self._asked = _Asked(asyncio.get_running_loop().create_future())
        if self._is_over:
            _end(self._asked, _ending(asyncio.CancelledError(), self.state))
        self._asked.released = self._asked.released or released
        self._wake.set()
        return self._asked.ended

    async def run(self) -> None:
        """Sweep until cancelled; whoever waits for a sweep hears of the end.

        Raises:
            LockLost: The cluster is another gateway's.
        """
        try:
            while True:
                await self._until_due()
                try:
                    await self._work()
                except LockLost:
                    raise
                except CloudspanError as error:
                    await self._pause("the database can't be used", error)
                except Exception:  # one collection's defect must not end the others
                    log.exception("sweep failed with a defect of the gateway", **self._where())
                    await self._clock.sleep(self._environment.settings.fastest_s)
        finally:
            self._is_over = True
            if self._asked is not None:
                _end(self._asked, _ending(asyncio.CancelledError(), self.state))

    async def _pause(self, why: str, error: CloudspanError) -> None:
        log.warning("sweep not kept", why=why, reason=error.reason, message=error.message, **self._where())
        await self._clock.sleep(max(error.retry_after_s or 0.0, _AGAIN_S))

    def _where(self) -> dict[str, str]:
        state = self.state
        return {"cluster": state.cluster, "collection": state.collection, "project": state.project}

    # -------------------------------------------------------------- when

    @property
    def _looks(self) -> bool:
        return self._tells_changes and self.state.changes_time is not None

    async def _until_due(self) -> None:
        while self._asked is None:
            due = min(self._sweep_at, self._look_at) if self._looks else self._sweep_at
            left_s = due - self._clock.monotonic()
            if left_s <= 0:
                return
            self._wake.clear()
            woken = asyncio.ensure_future(self._wake.wait())
            try:
                await finished(self._clock, woken, left_s)
            finally:
                woken.cancel()

    async def _work(self) -> None:
        async with self._slots():
            if self._asked is not None or self._sweep_at <= self._clock.monotonic():
                await self._sweep_whole()
            else:
                await self._look()

    @asynccontextmanager
    async def _slots(self) -> AsyncIterator[None]:
        environment = self._environment
        async with self._cluster_slots, environment.retry_slots if self._failures else environment.slots:
            yield

    # -------------------------------------------------------------- sweeping

    async def _sweep_whole(self) -> None:
        asked, self._asked = self._asked, None
        try:
            swept = await self._sweep.sweep(self.state, self._fence, released=bool(asked and asked.released))
            state = self._scheduled(swept)
            await self._environment.store.save_state(state, self._fence)
        except BaseException as error:
            if asked is not None:
                _end(asked, _ending(error, self.state))
            raise
        self._note(swept, state)
        if asked is not None:
            _end(asked)

    def _scheduled(self, swept: Swept) -> CollectionState:
        """Return the state with when it is swept next."""
        settings, state = self._environment.settings, swept.state
        is_failed = state.completeness is Completeness.FAILED
        self._failures = self._failures + 1 if is_failed else 0
        if state.completeness is Completeness.UNSUPPORTED:
            interval_s = settings.slowest_s
        elif is_failed:
            interval_s = settings.fastest_s * 2 ** min(self._failures - 1, 16)
        elif not state.interval_s:
            interval_s = settings.fastest_s
        else:
            interval_s = state.interval_s * (_SHRINK if swept.has_changes else _GROWTH)
        interval_s = min(max(interval_s, settings.fastest_s, state.took_s / BUSY_SHARE), settings.slowest_s)
        self._ended_at = self._clock.monotonic()
        self._sweep_at, self._look_at = self._ended_at + interval_s, self._ended_at + settings.fastest_s
        changes_time = state.changes_time if self._tells_changes else None
        if self._tells_changes and state.completeness is Completeness.COMPLETE:
            changes_time = state.attempt_time
        return replace(
            state,
            interval_s=interval_s,
            next_time=self._clock.now() + interval_s,
            changes_time=changes_time,
            owner=self._environment.owner,
        )

    def _note(self, swept: Swept, state: CollectionState) -> None:
        before, self.state = self.state, state
        self._environment.metrics.swept(swept, state)
        log.debug(
            "collection swept",
            **self._where(),
            completeness=str(state.completeness),
            rows=state.row_count,
            took_s=round(state.took_s, 3),
            pages=swept.pages,
            unchanged_pages=swept.unchanged_pages,
            written=repr(swept.written),
        )
        if (before.completeness, before.reason) != (state.completeness, state.reason):
            log.info(
                "collection changed state",
                **self._where(),
                completeness=str(state.completeness),
                reason=state.reason,
                message=state.message,
            )
        if state.brake is not None and before.brake is None:
            log.warning(
                "deletions are held back", **self._where(), missing=state.brake.missing, total=state.brake.total
            )

    async def _look(self) -> None:
        """Ask for what changed; what comes of it is kept by the next sweep if it is nothing."""
        self._look_at = self._clock.monotonic() + self._environment.settings.fastest_s
        try:
            swept = await self._sweep.look(self.state, self._fence)
        except LockLost:
            raise
        except CloudspanError as error:
            log.debug("collection not asked for changes", **self._where(), reason=error.reason, message=error.message)
            return
        self._tells_changes = swept.state.changes_time is not None
        self.state = swept.state
        self._environment.metrics.looked(swept)
        if swept.has_changes:
            await self._environment.store.save_state(self.state, self._fence)
        if swept.reports_gone:
            self.soon()


def _end(asked: _Asked, error: CloudspanError | None = None) -> None:
    if asked.ended.done():
        return
    if error is None:
        asked.ended.set_result(None)
        return
    asked.ended.set_exception(error)
    asked.ended.exception()  # those who asked may be gone


def _ending(error: BaseException, state: CollectionState) -> CloudspanError:
    """Return what those who wait for a sweep hear when it was broken off."""
    if isinstance(error, CloudspanError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return LockLost(f"{state.cluster} is swept by another gateway now; ask again")
    return Unreachable(f"the sweep of {state.collection} of {state.cluster} was broken off; ask again")
