"""The coordinator over any `ClaimStore`: renewals, losses by our own clock, those who wait, and members of groups.

A claim counts as ours for nine tenths of a lease from the moment before the last successful renewal was sent, on our
monotonic clock. The store's lease began later and is longer, so it can't have given the claim to another by then.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import structlog

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import AlreadyExists, CloudspanError
from cloudspan_common.registry.base import Reach
from cloudspan_common.registry.coordination.base import LEASE_S
from cloudspan_common.registry.coordination.claims import (
    LEADER,
    LOCK,
    MEMBER,
    Claim,
    Key,
    OwnerEnded,
    checked_data,
    checked_name,
)
from cloudspan_common.registry.coordination.holdings import HeldLock, Holding, JoinedGroup, shown
from cloudspan_common.registry.kept import in_background, stopped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cloudspan_common.registry.coordination.base import Held, Membership
    from cloudspan_common.registry.coordination.claims import ClaimStore, Entry

_SURE = 0.9  # of a lease: clocks of two hosts differ in speed, and a timer of ours may be late
_RENEWALS = 3  # in a lease
_PAUSE_S = 0.02  # between two listings that were the same: some stores wake us for changes of others

log = structlog.get_logger(__name__)


class LeasedCoordinator:
    """One process's locks and memberships; all of them have the same lease."""

    def __init__(self, store: ClaimStore, clock: Clock | None = None, lease_s: float = LEASE_S) -> None:
        self._store, self._clock, self._lease_s = store, clock or SystemClock(), lease_s
        self._until = -math.inf
        self._held: dict[Key, Holding] = {}
        self._claiming: set[Key] = set()
        self._memberships: dict[Key, JoinedGroup] = {}
        self._entries: Mapping[Key, Entry] | None = None
        self._listings = 0
        self._renewing = asyncio.Lock()
        self._renewals, self._failure = 0, None
        self._changed, self._renewed = asyncio.Event(), asyncio.Event()
        self._reach = Reach("coordination", store=repr(store))
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    _failure: CloudspanError | None

    def __repr__(self) -> str:
        held = f"{sum(key.kind != MEMBER for key in self._held)} held, {len(self._memberships)} memberships"
        return f"<LeasedCoordinator {self._store!r}: {'closed' if self._closed else held}, {self._reach!r}>"

    # -------------------------------------------------------------- locks

    async def lock(self, name: str, *, timeout_s: float | None = 0.0) -> Held | None:
        return await self._take(Key(LOCK, checked_name("lock", name)), timeout_s)

    async def leader(self, group: str, *, timeout_s: float | None = None) -> Held | None:
        return await self._take(Key(LEADER, checked_name("group", group)), timeout_s)

    async def _take(self, key: Key, timeout_s: float | None) -> Held | None:
        ends = math.inf if timeout_s is None else self._clock.monotonic() + timeout_s
        while not self._closed:
            changed, failure = self._changed, None
            holding = HeldLock(self, key)
            try:
                if await self._claim(holding):
                    return holding
            except CloudspanError as error:
                failure = error
            left = ends - self._clock.monotonic()
            if left <= 0:
                failure = failure or self._failure  # of another task's try, while we waited for that
                if failure:
                    raise failure
                return None
            # Woken once it looks free; by itself in case who says so is away.
            pause = self._reach.lost(failure) if failure else self._lease_s / _RENEWALS
            await self._wait(key, changed, min(left, pause))
        return None

    async def _wait(self, key: Key, changed: asyncio.Event, seconds: float) -> None:
        waiting = asyncio.ensure_future(self._until_free(key, changed))
        try:
            await finished(self._clock, waiting, seconds)
        finally:
            waiting.cancel()

    async def _until_free(self, key: Key, changed: asyncio.Event) -> None:
        await changed.wait()
        while not self._closed and self._is_taken(key):
            await self._changed.wait()

    def _is_taken(self, key: Key) -> bool:
        entry = (self._entries or {}).get(key)
        ours = key in self._held or key in self._claiming
        return ours or (entry is not None and entry.owner != self._store.owner)

    # -------------------------------------------------------------- groups

    async def join(self, group: str, member: str, data: str = "") -> Membership:
        key = Key(MEMBER, checked_name("group", group), checked_name("member", member))
        if key in self._memberships:
            raise AlreadyExists(f"this process is member {member!r} of {group!r} already; leave first")
        joined = self._memberships[key] = JoinedGroup(self, key, checked_data(data))
        try:
            await self._join(joined)
        except BaseException:  # nobody has what would leave
            await self.end(joined)
            raise
        return joined

    async def _join(self, member: JoinedGroup) -> None:
        try:
            await self._claim(member)
        except CloudspanError as error:
            self._reach.lost(error)  # renewals go on, and each tries again

    async def members(self, group: str) -> AsyncIterator[Mapping[str, str]]:
        checked_name("group", group)
        self._start()
        seen: dict[str, str] | None = None
        while not self._closed:
            changed, known = self._changed, self._entries
            now = None if known is None else self._members_of(group, known)
            if now is None or now == seen:
                await changed.wait()
            else:
                seen = now
                yield dict(now)

    def _members_of(self, group: str, entries: Mapping[Key, Entry]) -> dict[str, str]:
        found = {key.member: entry.data for key, entry in entries.items() if key[:2] == (MEMBER, group)}
        # Our own may have joined after that listing.
        own = {key.member: holding.data for key, holding in self._held.items() if key[:2] == (MEMBER, group)}
        return dict(sorted((found | own).items()))

    # -------------------------------------------------------------- claims

    async def _claim(self, holding: Holding) -> bool:
        """Try once to have what `holding` is of; at most one of this process has it, or tries."""
        key = holding.key
        if self._closed or holding.left or key in self._held or key in self._claiming:
            return False
        self._start()
        self._claiming.add(key)
        try:
            claim = await self._granted(key, holding.data)
            if claim is None:
                return False
            if self._closed or holding.left:
                await self._give_up(key, claim.version)
                return False
            self._held[key] = holding
            holding.gained(claim, self._listings)
            if key.kind == MEMBER:
                self._wake()
        except BaseException:
            self._wake()  # others of this process may try
            raise
        finally:
            self._claiming.discard(key)
        return True

    async def _granted(self, key: Key, data: str) -> Claim | None:
        await self._have_lease()
        owner = self._store.owner
        try:
            claim = await self._store.claim(key, data)
        except OwnerEnded:
            if self._closed:
                return None
            await self._renew()
            owner = self._store.owner
            claim = await self._store.claim(key, data)
        # Meanwhile all that was ours may have ended, this too; `_settle` gives up what is there all the same.
        return claim if owner == self._store.owner and self.runs() else None

    async def _give_up(self, key: Key, version: int) -> None:
        try:
            await self._store.release(key, version)
        except CloudspanError as error:
            # Nobody who releases can do more: `_settle` tries again, and at last the lease ends it.
            log.info("claim not released yet", claim=shown(key), error=error.message)
        self._wake()

    async def end(self, holding: Holding) -> None:
        """Release what is held; nothing when it is not."""
        holding.left = True
        if self._memberships.get(holding.key) is holding:
            del self._memberships[holding.key]
        if self._held.get(holding.key) is holding:
            del self._held[holding.key]
            holding.lost.set()
            await self._give_up(holding.key, holding.version)

    def _lose(self, holding: Holding, why: str) -> None:
        if self._held.pop(holding.key, None) is not None:
            log.warning("claim lost", claim=shown(holding.key), fence=holding.fence, why=why)
        holding.lost.set()
        self._wake()

    def _lose_all(self, why: str) -> None:
        for holding in tuple(self._held.values()):
            self._lose(holding, why)

    # -------------------------------------------------------------- the lease

    def runs(self) -> bool:
        return self._clock.monotonic() < self._until

    async def _have_lease(self) -> None:
        seen = self._renewals
        if self.runs():
            return
        async with self._renewing:
            if seen != self._renewals and self._failure:
                raise self._failure  # somebody else's try while we waited for our turn: ours would fail as well
            if not self.runs():
                await self._renew_now()

    async def _renew(self) -> None:
        async with self._renewing:
            await self._renew_now()

    async def _renew_now(self) -> None:
        began = self._clock.monotonic()
        before = dict(self._held)
        self._renewals += 1
        try:
            # What is being claimed may be ours already, with the answer still on its way.
            kept = await self._store.renew(before.keys() | self._claiming)
        except CloudspanError as error:
            self._failure = error
            raise
        self._failure = None
        if not self.runs():  # it came too late: who has asked meanwhile knows that it is lost
            self._lose_all("the lease was over before it was renewed")
        for key, holding in before.items():
            if key not in kept and self._held.get(key) is holding:
                self._lose(holding, "it has ended where it is kept")
        self._until = max(self._until, began + self._lease_s * _SURE)
        self._renewed.set()

    # -------------------------------------------------------------- background

    def _start(self) -> None:
        if not self._tasks and not self._closed:
            work = (self._keep(), self._watch_lease(), self._follow())
            self._tasks = [in_background(each, "coordination") for each in work]

    async def _keep(self) -> None:
        pause = period = self._lease_s / _RENEWALS
        while True:
            await self._clock.sleep(pause)
            try:
                await self._renew()
                await self._settle()
            except CloudspanError as error:
                pause = min(self._reach.lost(error), period)
            except Exception:  # one defect must not end all renewals
                log.exception("claims not renewed, with a defect")
                pause = period
            else:
                self._reach.found()
                pause = period

    async def _watch_lease(self) -> None:
        """Wake those who wait for `lost`, also while a renewal hangs."""
        while True:
            left = self._until - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
                continue
            self._lose_all("the lease is over and could not be renewed")
            self._renewed.clear()
            await self._renewed.wait()

    async def _follow(self) -> None:
        fresh = True
        while True:
            self._listings += 1
            begun = self._listings
            try:
                entries = await self._store.entries(fresh=fresh)
                same = entries == self._entries
                self._publish(entries, begun)
                await self._settle()
            except CloudspanError as error:
                fresh = True
                await self._clock.sleep(self._reach.lost(error))
                continue
            except Exception:  # as above
                log.exception("claims not listed, with a defect")
                fresh = True
                await self._clock.sleep(self._lease_s / _RENEWALS)
                continue
            fresh = False
            if same:
                await self._clock.sleep(_PAUSE_S)

    def _publish(self, entries: Mapping[Key, Entry], begun: int) -> None:
        for key, holding in tuple(self._held.items()):
            entry = entries.get(key)
            # An older listing may be from before the claim.
            if holding.since < begun and (entry is None or entry.owner != self._store.owner):
                self._lose(holding, "it was taken away where it is kept")
        if entries != self._entries:
            self._entries = entries
            self._wake()

    async def _settle(self) -> None:
        """Join where we should be and are not; give up what is ours and nobody here has."""
        for member in tuple(self._memberships.values()):
            await self._claim(member)
        for key, entry in tuple((self._entries or {}).items()):
            if entry.owner == self._store.owner and key not in self._held and key not in self._claiming:
                await self._store.release(key, entry.version)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for holding in (*self._held.values(), *self._memberships.values()):
            holding.left = True
            holding.lost.set()
        self._held.clear()
        self._memberships.clear()
        self._wake()
        if self._tasks:
            for task in self._tasks:
                await stopped(task)
            await self._close_store()

    async def _close_store(self) -> None:
        try:
            await self._store.close()
        except CloudspanError as error:
            log.warning("claims not released, they end with their lease", error=error.message)
