"""Claims inside one process: coordinators that share a `World` are to each other as processes are.

`memory.MemoryRegistry` has a world and a coordinator in it.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cloudspan_common.clock import Clock, finished
from cloudspan_common.registry.coordination.claims import Claim, Entry, Key, least_fence
from cloudspan_common.registry.coordination.leased import LeasedCoordinator

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class _Kept(NamedTuple):
    entry: Entry
    until: float


@dataclass(slots=True)
class World:
    """The claims of all coordinators of a process."""

    clock: Clock
    kept: dict[Key, _Kept] = field(default_factory=dict)
    fence: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def coordinator(self, lease_s: float) -> LeasedCoordinator:
        """Return another coordinator in this world."""
        return LeasedCoordinator(MemoryClaims(self, lease_s), self.clock, lease_s)

    def next_fence(self) -> int:
        self.fence = max(self.fence + 1, least_fence(self.clock))
        return self.fence

    def end(self, keys: Collection[Key]) -> None:
        """Take claims out, whoever has them."""
        for key in keys:
            del self.kept[key]
        if keys:
            self.wake()

    def wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class MemoryClaims:
    """A world as one coordinator sees it."""

    def __init__(self, world: World, lease_s: float) -> None:
        self.owner = uuid.uuid4().hex[:16]
        self._world, self._lease_s = world, lease_s
        self._listed = world.changed
        """Set by the first change after what was listed last."""

    def __repr__(self) -> str:
        return f"<MemoryClaims {len(self._world.kept)}>"

    def _alive(self) -> dict[Key, _Kept]:
        now = self._world.clock.monotonic()
        self._world.end([key for key, kept in self._world.kept.items() if kept.until <= now])
        return self._world.kept

    async def renew(self, held: Collection[Key]) -> Collection[Key]:
        alive, until = self._alive(), self._world.clock.monotonic() + self._lease_s
        ours = {key: kept._replace(until=until) for key, kept in alive.items() if kept.entry.owner == self.owner}
        alive.update(ours)
        return ours.keys() & held

    async def claim(self, key: Key, data: str) -> Claim | None:
        kept = self._alive().get(key)
        if kept is not None and kept.entry.owner != self.owner:
            return None
        fence = self._world.next_fence()
        until = self._world.clock.monotonic() + self._lease_s
        self._world.kept[key] = _Kept(Entry(self.owner, fence, data), until)
        self._world.wake()
        return Claim(fence, fence)

    async def release(self, key: Key, version: int) -> None:
        kept = self._world.kept.get(key)
        if kept is not None and kept.entry.version == version:
            self._world.end([key])

    async def entries(self, *, fresh: bool) -> Mapping[Key, Entry]:
        if not fresh:
            await self._until_changed()
        alive = self._alive()
        self._listed = self._world.changed
        return {key: kept.entry for key, kept in alive.items()}

    async def _until_changed(self) -> None:
        clock = self._world.clock
        ends = min((kept.until for kept in self._world.kept.values()), default=clock.monotonic() + self._lease_s)
        waiting = asyncio.ensure_future(self._listed.wait())
        try:
            await finished(clock, waiting, ends - clock.monotonic())
        finally:
            waiting.cancel()

    async def close(self) -> None:
        self._world.end([key for key, kept in self._world.kept.items() if kept.entry.owner == self.owner])
