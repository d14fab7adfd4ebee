"""What a process has of locks and groups, as its holders see it; `leased.LeasedCoordinator` makes and keeps them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from cloudspan_common.registry.coordination.claims import Claim, Key


class Lease(Protocol):
    """What all that a process has depends on."""

    def runs(self) -> bool:
        """Whether what is ours can't have been given to another yet."""
        ...

    async def end(self, holding: Holding) -> None:
        """Give up what is held; nothing when it is not."""
        ...


class Lost(asyncio.Event):
    """Set by whoever loses, and by itself once the lease is over: in a frozen process timers may be late."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over

    def is_set(self) -> bool:
        if not super().is_set() and self._over():
            self.set()
        return super().is_set()

    async def wait(self) -> bool:  # type: ignore[override]  # typeshed says Literal[True]
        return self.is_set() or await super().wait()


class Holding:
    """What this process has, or would have."""

    def __init__(self, lease: Lease, key: Key, data: str = "") -> None:
        self._lease = lease
        self.key, self.data = key, data
        self.fence = self.version = self.since = 0
        self.left = False
        self.lost: asyncio.Event = Lost(lambda: not lease.runs())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.key[1:])}: {self._state()}>"

    def _state(self) -> str:
        return "lost" if self.lost.is_set() else f"held, fence {self.fence}"

    def gained(self, claim: Claim, since: int) -> None:
        """Note a claim that was granted while listing `since` was under way."""
        self.fence, self.version = claim
        self.since = since
        self.lost.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lease.end(self)


class HeldLock(Holding):
    def __init__(self, lease: Lease, key: Key) -> None:
        super().__init__(lease, key)
        self.name = key.name

    async def release(self) -> None:
        await self._lease.end(self)


class JoinedGroup(Holding):
    def __init__(self, lease: Lease, key: Key, data: str) -> None:
        super().__init__(lease, key, data)
        self.group, self.member = key.name, key.member
        self.lost.set()  # until it has joined

    async def leave(self) -> None:
        await self._lease.end(self)


def shown(names: tuple[str, ...]) -> str:
    """Return the names of a key for logs and `repr`."""
    return "/".join(name for name in names if name)
