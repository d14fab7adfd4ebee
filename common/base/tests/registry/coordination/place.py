"""Where a driver keeps its claims, for the suite: coordinators as processes have them, which die and are cut off."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import Unreachable
from cloudspan_common.registry.coordination.leased import LeasedCoordinator
from cloudspan_common.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_common.registry.coordination.claims import ClaimStore

LEASE_S = 10.0
_STEPS = 12  # in a lease
_LIMIT_S = 10.0


class Link:
    """A store as one process reaches it; cut, every call fails, those under way too."""

    def __init__(self, store: ClaimStore, clock: FakeClock) -> None:
        self.store, self._clock = store, clock
        self._cut = asyncio.Event()
        self.running = 0
        self.renewed_at = clock.monotonic()

    def __repr__(self) -> str:
        return repr(self.store)

    @property
    def owner(self) -> str:
        return self.store.owner

    def cut(self) -> None:
        self._cut.set()

    def mend(self) -> None:
        self._cut = asyncio.Event()

    async def renew(self, held):
        kept = await self._counted(self.store.renew(held))
        self.renewed_at = self._clock.monotonic()
        return kept

    async def claim(self, key, data):
        return await self._counted(self.store.claim(key, data))

    async def release(self, key, version):
        await self._counted(self.store.release(key, version))

    async def entries(self, *, fresh):
        return await self._passed(self.store.entries(fresh=fresh))

    async def close(self):
        await self._counted(self.store.close())

    async def _counted(self, work):
        self.running += 1
        try:
            return await self._passed(work)
        finally:
            self.running -= 1

    async def _passed(self, work):
        working, cut = asyncio.ensure_future(work), asyncio.ensure_future(self._cut.wait())
        try:
            if not self._cut.is_set():
                await asyncio.wait({working, cut}, return_when=asyncio.FIRST_COMPLETED)
            if self._cut.is_set():
                raise Unreachable("the store can't be reached; mend the link", reason="REGISTRY_UNREACHABLE")
            return working.result()
        finally:
            cut.cancel()
            working.cancel()
            await asyncio.wait({working, cut})


class Place:
    """One store, its clock, and all who claim in it."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.coordinators: list[LeasedCoordinator] = []

    def store(self) -> ClaimStore:
        """Return the store as another process opens it."""
        raise NotImplementedError

    def open(self) -> LeasedCoordinator:
        """Return another process's coordinator."""
        made = LeasedCoordinator(Link(self.store(), self.clock), self.clock, LEASE_S)
        self.coordinators.append(made)
        return made

    async def expire(self, seconds: float) -> None:
        """Let leases run as long where they don't go by our clock."""

    async def erase(self) -> None:
        """Delete every claim, as an operator might."""
        raise NotImplementedError

    async def forget(self) -> None:
        """Lose everything, fences too."""
        raise NotImplementedError

    def link(self, coordinator: LeasedCoordinator) -> Link:
        return coordinator._store  # type: ignore[return-value]  # `open` has put it there

    async def kill(self, coordinator: LeasedCoordinator) -> None:
        """End a process without a word."""
        self.coordinators.remove(coordinator)
        self.link(coordinator).cut()
        for task in coordinator._tasks:
            task.cancel()
        await asyncio.wait(coordinator._tasks)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody, renewals in it."""
        for _ in range(round(seconds / LEASE_S * _STEPS)):
            await self.expire(LEASE_S / _STEPS)
            await self.clock.advance(LEASE_S / _STEPS)
            await self.settle()

    async def settle(self) -> None:
        """Let calls that are under way come back."""
        give_up = time.monotonic() + _LIMIT_S
        for _ in range(3):
            await asyncio.sleep(0.002)
            while any(self.link(each).running for each in self.coordinators):
                assert time.monotonic() < give_up, self.coordinators
                await asyncio.sleep(0.002)

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until something is true, while retries' pauses pass."""
        give_up = time.monotonic() + _LIMIT_S
        while not true():
            assert time.monotonic() < give_up, self.coordinators
            await self.clock.advance(0.02)
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        for coordinator in self.coordinators:
            await coordinator.close()
