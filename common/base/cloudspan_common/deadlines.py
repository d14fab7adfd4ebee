"""How long the call at hand may still take.

Doors and servicers make one `Deadline` per call with `of(context)` and enter its scope; sessions, token keepers and
stores ask `remaining_or` before each await on the network, so that no wait outlives its caller.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cloudspan_common.errors import OutOfTime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DEFAULT_TIMEOUT_S = 60.0
# Some gRPC stacks say "no deadline" as 9.2e18 seconds; no caller waits a month for one call.
ABSURD_TIMEOUT_S = 30 * 86_400.0


class HasTimeRemaining(Protocol):
    """The one thing needed of a gRPC servicer context, sync or async."""

    def time_remaining(self) -> float | None:
        """Return the seconds left of the caller's deadline, or None."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock; make one with `Deadline.after`."""

    at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """Return the deadline that lies `seconds` ahead."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.clock() >= self.at

    def min_with(self, other: Deadline | None) -> Deadline:
        """Return the earlier of the two."""
        return self if other is None or self.at <= other.at else other

    @asynccontextmanager
    async def scope(self, doing: str) -> AsyncIterator[Deadline]:
        """Make this the current deadline, or the enclosing one if that ends earlier, and end the block with it.

        Args:
            doing: What the block does, for the message: "listing servers of os-east".

        Raises:
            OutOfTime: The time was up before the block, or during it. A TimeoutError of the block's own passes.
        """
        effective = self.min_with(current_deadline.get())
        budget_s = effective.remaining()
        if budget_s <= 0:
            raise OutOfTime(f"{doing} was not started: no time was left; call again with a longer deadline")
        token = current_deadline.set(effective)
        try:
            async with asyncio.timeout(budget_s) as limit:
                yield effective
        except TimeoutError as error:
            if not limit.expired():
                raise
            text = f"{doing} did not end in the {budget_s:.3g} s it had; call again with a longer deadline"
            raise OutOfTime(text) from error
        finally:
            current_deadline.reset(token)


current_deadline: ContextVar[Deadline | None] = ContextVar("current_deadline", default=None)


def of(context: HasTimeRemaining, default_s: float = DEFAULT_TIMEOUT_S) -> Deadline:
    """Return the deadline of a gRPC call; `default_s` ahead when its caller set none that means anything."""
    remaining = context.time_remaining()
    if remaining is None or not remaining < ABSURD_TIMEOUT_S:  # `not <` catches NaN too
        remaining = default_s
    return Deadline.after(remaining)


def remaining_or(default_s: float) -> float:
    """Return the seconds left of the current call, or `default_s` outside of any call.

    Raises:
        OutOfTime: The current call has none left; a time-out of 0 would mean "for ever" to some libraries.
    """
    deadline = current_deadline.get()
    if deadline is None:
        return default_s
    remaining = deadline.remaining()
    if remaining <= 0:
        raise OutOfTime("the call's deadline ended before its next step; call again with a longer deadline")
    return remaining
