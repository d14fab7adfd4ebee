"""Who does what of several processes: locks, leaders and members of groups, each with a number that fences.

A gateway takes a `Coordinator` from its registry where that has one (memory, Consul), else from its database. Whoever
holds something renews it by itself; who is killed, frozen or cut off loses it within the lease, and hears of that
before another one can have it. What a holder writes elsewhere carries `fence`, so that one who believes too long that
it holds is refused there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType
    from typing import Self

LEASE_S = 10.0
"""How long what a process held stays reserved after it was last heard of; Consul takes up to twice as long."""


class Held(Protocol):
    """A lock, or the leadership of a group, that this process has. As a context manager it releases at the end."""

    name: str
    fence: int
    """Greater than that of every holder before, whatever was deleted or lost meanwhile where locks are kept."""
    lost: asyncio.Event
    """Set once it is no longer held: released, or lost to another holder, or perhaps so as nobody could be asked.

    `lost.is_set()` asks the clock: it is true as soon as the lease is over, also in a process that was frozen until a
    moment ago. What is lost never comes back: ask for the lock again.
    """

    async def release(self) -> None:
        """Give it up; a second call does nothing, and none raises because who keeps it is away."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Membership(Protocol):
    """This process as a member of a group. As a context manager it leaves at the end."""

    group: str
    member: str
    fence: int
    """Greater than that of everybody who joined before; another one after it has joined again, 0 before it has."""
    lost: asyncio.Event
    """Set while the others may no longer count it: it joins again by itself, and clears it then."""

    async def leave(self) -> None:
        """Leave; a second call does nothing, and none raises because who keeps it is away."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Coordinator(Protocol):
    """One driver's locks and groups, as one process has them. Its calls are to be made on one event loop."""

    async def lock(self, name: str, *, timeout_s: float | None = 0.0) -> Held | None:
        """Return the lock once it is ours; None when it was not within the time, 0 for at once, None for ever.

        Not reentrant: who asks for a lock that this process has waits as any other. None also once the coordinator is
        closed. While it waits it goes on trying though who keeps locks is away.

        Raises:
            CloudspanError: The time is over, and who keeps locks is away.
            InvalidRequest: The name is not 1 to 255 printable characters.
        """
        ...

    async def leader(self, group: str, *, timeout_s: float | None = None) -> Held | None:
        """Return the leadership of a group once it is ours: the lock of that name, apart from other locks."""
        ...

    async def join(self, group: str, member: str, data: str = "") -> Membership:
        """Join a group under a name that is unique in it; `data` is what the others read of the member.

        Returns also when who keeps groups is away, or still has a process of that name that ended without leaving: it
        joins once it can.

        Raises:
            AlreadyExists: This process is that member already.
            InvalidRequest: A name is not 1 to 255 printable characters, or the data more than 4096 bytes.
        """
        ...

    def members(self, group: str) -> AsyncIterator[Mapping[str, str]]:
        """Yield the members, each with its data, as soon as they are known and after every change, until it is closed.

        Never raises because who keeps groups is away: what was known last stands.
        """
        ...

    async def close(self) -> None:
        """Release and leave everything; a second call does nothing."""
        ...
