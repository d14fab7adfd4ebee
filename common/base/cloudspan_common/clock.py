"""Time as a dependency: what the wall says, what has passed, how to wait, and what time the far side believes it is.

Everything that waits or expires (tokens, breaker, limits, registry) takes a `Clock`; tests hand it a
`testing.FakeClock`. `ServerClock` learns the offset of a server's clock from its answers.
"""

from __future__ import annotations

import asyncio
import math
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """What may be known and done about time."""

    def now(self) -> float:
        """Return unix seconds; may step when the host's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step, from an arbitrary start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; zero or less yields to the loop once."""
        ...


class SystemClock:
    """The host's time."""

    now: Callable[[], float] = staticmethod(time.time)
    monotonic: Callable[[], float] = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def finished(clock: Clock, future: asyncio.Future[Any], timeout_s: float | None) -> bool:
    """Wait until `future` is done, at most `timeout_s`; return whether it is.

    Never cancels `future`, neither at the time-out nor when the waiter is cancelled: others may share it.
    """
    if future.done():
        return True
    if timeout_s is None:
        await asyncio.wait({future})
        return True
    alarm = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({future, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
    return future.done()


class ServerClock:
    """The offset of a server's clock from ours, known as an interval that each answer narrows.

    A stamp has whole seconds and was made between sending and receiving. An interval (and not the last
    difference) keeps a slow answer from looking like a clock that is behind.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._low, self._high = -math.inf, math.inf
        self._last_header = ""
        self.skew_s = 0.0  # server minus us; the smallest that the answers so far allow

    def __repr__(self) -> str:
        return f"<ServerClock {self.skew_s:+.1f} s>"

    def now(self) -> float:
        """Return the server's unix time as far as it is known."""
        return self._clock.now() + self.skew_s

    def observe(self, stamp: float, *, sent_at: float | None) -> bool:
        """Learn from a server's stamp in an answer that has just come; return whether the skew has changed.

        `sent_at` (our unix time) bounds how old the stamp may be; without it only a server that is ahead is seen.
        """
        low = stamp - self._clock.now()
        high = math.inf if sent_at is None else math.floor(stamp) + 1 - sent_at
        if low > high:
            return False  # our own clock was set while the answer was under way: it says nothing
        if low > self._high or high < self._low:
            self._low, self._high = low, high  # contradicts what was known: one of the clocks was set
        else:
            self._low, self._high = max(low, self._low), min(high, self._high)
        before, self.skew_s = self.skew_s, min(max(0.0, self._low), self._high)
        return before != self.skew_s

    def observe_date(self, header: str, *, sent_at: float | None = None) -> bool:
        """Learn from an HTTP Date header; return whether the skew has changed. A malformed one teaches nothing."""
        if header == self._last_header:
            return False  # same second again: parsing it for every answer would cost 5 us each
        self._last_header = header
        try:
            stamp = parsedate_to_datetime(header).timestamp()
        except ValueError:
            return False
        return self.observe(stamp, sent_at=sent_at)
