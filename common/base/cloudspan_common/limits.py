"""How many native calls at once, and when to hold back: one limiter for each service endpoint of a cluster.

Adapters' sessions do `async with limiter.slot(timeout_s=...)` around each native call and pass to `learn`
429 and 503. Foreground calls go first; background ones (inventory) use a share and yield, but not for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.clock import finished
from cloudspan_common.errors import OutOfTime, RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_common.clock import Clock


class Priority(enum.IntEnum):
    """Who goes first."""

    FOREGROUND = 0
    """Someone waits for the answer."""
    BACKGROUND = 1
    """Nobody does: sweeps, audits, prefetching."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds of one endpoint's limiter."""

    max_concurrency: int = 16
    """Calls at once while the endpoint never complained."""
    background_share: float = 0.5
    """Part of the present concurrency that background calls may fill; at least one call."""
    background_wait_s: float = 10.0
    """A background call that has waited so long takes the next slot, one at a time: an endpoint that has a queue
    all day would never be swept. With 16 slots that costs the others at most every sixteenth."""
    rate_per_s: float | None = None
    """Calls started a second, evenly spaced after a burst of `max_concurrency`; None: as many as will go."""
    default_pause_s: float = 1.0
    """First pause after a 429 without Retry-After; doubles while such answers go on: 1, 2, 4, ... s."""
    max_pause_s: float = 300.0
    """Longest pause, whatever Retry-After says."""


class _Waiter:
    """One caller in a queue. `wake` is renewed by the caller each time it was woken in vain."""

    __slots__ = ("granted", "since", "wake")

    def __init__(self, since: float) -> None:
        self.granted = False
        self.since = since
        self.wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def poke(self) -> None:
        if not self.wake.done():
            self.wake.set_result(None)


class Limiter:
    """Bounded concurrency that halves at each complaint of the endpoint and grows back by one call a round.

    aiolimiter does the rate alone, on the loop's own clock, and can't say beforehand how long a caller will wait.
    """

    def __init__(self, endpoint: str, clock: Clock, settings: LimitSettings | None = None) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._settings = settings or LimitSettings()
        self._limit = float(self._settings.max_concurrency)
        self._in_flight = dict.fromkeys(Priority, 0)
        self._queues: dict[Priority, deque[_Waiter]] = {priority: deque() for priority in Priority}
        self._opens_at = -math.inf
        self._pauses_in_row = 0
        self._complaint = RateLimited
        self._rate_debt_until = -math.inf  # when the calls started so far are paid off at `rate_per_s`

    def __repr__(self) -> str:
        wait = self.retry_after_s()
        gate = f"closed for {wait:.1f} s" if wait else "open"
        waiting = sum(len(queue) for queue in self._queues.values())
        return (
            f"<Limiter {self._endpoint}: {self.in_flight} of {self.limit} in flight, {waiting} waiting | gate {gate}>"
        )

    @property
    def in_flight(self) -> int:
        return sum(self._in_flight.values())

    @property
    def limit(self) -> int:
        """How many calls at once the endpoint is believed to bear now."""
        return int(self._limit)

    def retry_after_s(self) -> float:
        """Return how long the gate stays closed; 0 if open."""
        return max(0.0, self._opens_at - self._clock.monotonic())

    @contextlib.asynccontextmanager
    async def slot(self, *, timeout_s: float | None, priority: Priority = Priority.FOREGROUND) -> AsyncIterator[None]:
        """Hold one of the endpoint's slots; first come, first served within a priority.

        A body that ends well lets the limit grow. A body that raises RateLimited teaches as `learn` does, and is told
        how long the gate is closed where the endpoint named no time.

        Raises:
            RateLimited: At once, if the gate opens only after `timeout_s`; `retry_after_s` says when it does.
            OutOfTime: `timeout_s` passed in the queue.
        """
        await self._enter(timeout_s, priority)
        try:
            yield
            self._grow()
        except RateLimited as error:
            self.learn(error.retry_after_s, type(error))
            if error.retry_after_s is None:
                error.retry_after_s = self.retry_after_s()
            raise
        finally:
            self._in_flight[priority] -= 1
            self._dispatch()

    def learn(self, retry_after_s: float | None, complaint: type[RateLimited] = RateLimited) -> None:
        """Close the gate for `retry_after_s`, as a 429 or 503 asked, and halve the limit; `complaint` says which.

        Complaints that arrive while the gate is closed come from calls already sent: they may prolong the pause,
        but halve nothing again. None: the endpoint named no time.
        """
        fresh = not self.retry_after_s()
        self._complaint = complaint
        if fresh:
            self._limit = max(1.0, self._limit / 2)
            self._pauses_in_row += 1
        pause = retry_after_s
        if pause is None:
            pause = self._settings.default_pause_s * 2.0 ** min(self._pauses_in_row - 1, 16)
        pause = min(pause, self._settings.max_pause_s)
        self._opens_at = max(self._opens_at, self._clock.monotonic() + pause)
        # Everyone looks again: whoever can't wait that long fails at once.
        for queue in self._queues.values():
            for waiter in queue:
                waiter.poke()

    def _grow(self) -> None:
        if self.retry_after_s():
            return  # sent before the complaint: old news
        self._pauses_in_row = 0
        self._limit = min(self._limit + 1 / self._limit, float(self._settings.max_concurrency))

    async def _enter(self, timeout_s: float | None, priority: Priority) -> None:
        if not self._queues[priority] and self._may_start(priority):
            self._start(priority)
            return
        waiter, queue = _Waiter(self._clock.monotonic()), self._queues[priority]
        queue.append(waiter)
        try:
            await self._wait(waiter, timeout_s, priority)
        except BaseException:
            if waiter.granted:  # granted and cancelled in the same turn of the loop
                self._in_flight[priority] -= 1
            else:
                queue.remove(waiter)
            self._dispatch()
            self._poke_heads()
            raise

    async def _wait(self, waiter: _Waiter, timeout_s: float | None, priority: Priority) -> None:
        deadline = math.inf if timeout_s is None else self._clock.monotonic() + timeout_s
        while not waiter.granted:
            left = deadline - self._clock.monotonic()
            gate = self.retry_after_s()
            if gate > max(left, 0.0):
                raise self._refusal(gate, left)
            if left <= 0:
                raise OutOfTime(
                    f"{self._endpoint} is busy: no slot was free within {timeout_s:.1f} s "
                    f"({self.limit} calls at once); retry with more time."
                )
            # The rate frees one slot at a time: only the first in the queue need look.
            rate = self._rate_wait_s() if self._queues[priority][0] is waiter else 0.0
            pause = min(left, max(gate, rate) or math.inf)
            await finished(self._clock, waiter.wake, None if pause == math.inf else pause)
            if not waiter.granted:
                waiter.wake = asyncio.get_running_loop().create_future()
                self._dispatch()

    def _refusal(self, gate_s: float, left_s: float) -> RateLimited:
        return self._complaint(
            f"{self._endpoint} asks for a pause of {gate_s:.1f} s, the caller has {max(left_s, 0.0):.1f} s; "
            f"retry in {gate_s:.0f} s.",
            retry_after_s=gate_s,
        )

    def _dispatch(self) -> None:
        granted = False
        for priority in reversed(Priority) if self._is_overdue() else Priority:
            queue = self._queues[priority]
            while queue and self._may_start(priority):
                waiter = queue.popleft()
                waiter.granted = granted = True
                self._start(priority)
                waiter.poke()
        if granted:
            self._poke_heads()

    def _poke_heads(self) -> None:
        if self._settings.rate_per_s is not None:
            for queue in self._queues.values():
                if queue:
                    queue[0].poke()

    def _may_start(self, priority: Priority) -> bool:
        if self.in_flight >= self.limit or self.retry_after_s() or self._rate_wait_s():
            return False
        if priority is Priority.FOREGROUND:
            return True
        share = max(1, int(self._limit * self._settings.background_share))
        return self._in_flight[priority] < share and (not self._queues[Priority.FOREGROUND] or self._is_overdue())

    def _is_overdue(self) -> bool:
        """Whether a background call must not wait any longer, and none runs."""
        queue = self._queues[Priority.BACKGROUND]
        if not queue or self._in_flight[Priority.BACKGROUND]:
            return False
        return self._clock.monotonic() - queue[0].since >= self._settings.background_wait_s

    def _start(self, priority: Priority) -> None:
        self._in_flight[priority] += 1
        if self._settings.rate_per_s is not None:
            now = self._clock.monotonic()
            self._rate_debt_until = max(self._rate_debt_until, now) + 1 / self._settings.rate_per_s

    def _rate_wait_s(self) -> float:
        rate = self._settings.rate_per_s
        if rate is None:
            return 0.0
        burst_s = self._settings.max_concurrency / rate
        return max(0.0, self._rate_debt_until - self._clock.monotonic() - burst_s + 1 / rate)
