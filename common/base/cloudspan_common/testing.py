"""What tests here and of adapter authors share: a clock that moves only when advanced, a login that a test controls."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

from cloudspan_common.token_values import IssuedToken, Token

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock

# Enough turns of the loop for a chain of awaits as long as any of ours; turns cost a microsecond each.
_TURNS_TO_SETTLE = 25


class FakeClock:
    """A `Clock` whose time is moved by `advance`; sleepers wake in the order of their due times.

    Between two wake-ups the loop settles, so that a sleeper may sleep again within the same advance.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._monotonic = 1_000.0
        self._wall_offset = now - self._monotonic
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def __repr__(self) -> str:
        return f"<FakeClock {self.now():.3f}: {self.sleepers} asleep>"

    @property
    def sleepers(self) -> int:
        """How many are asleep."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def now(self) -> float:
        return self._monotonic + self._wall_offset

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; nobody wakes."""
        self._wall_offset += seconds

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking each sleeper at its time."""
        await self.settle()
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue  # its sleeper was cancelled
            self._monotonic = max(self._monotonic, due)
            future.set_result(None)
            await self.settle()
        self._monotonic = end

    async def settle(self) -> None:
        """Let everything that can run without time passing run."""
        for _ in range(_TURNS_TO_SETTLE):
            await asyncio.sleep(0)


class LeapingClock:
    """A `Clock` on which time passes for whoever sleeps, at once: an operation's pauses cost a test nothing."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.advance(seconds)


class FakeIssuer:
    """A platform's login as one `TokenKeeper` sees it; may be slow, refuse, be gone, or have a clock of its own.

    Stamps have whole seconds, as Keystone's. Values are `{prefix}-{number of the login}`.
    """

    def __init__(self, clock: Clock, *, life_s: float = 3600.0, takes_s: float = 0.1, prefix: str = "token") -> None:
        self.clock, self.life_s, self.takes_s, self.prefix = clock, life_s, takes_s, prefix
        self.skew_s = 0.0
        self.fault: Exception | None = None
        self.login_times: list[float] = []  # monotonic, of each attempt
        self.revoked: list[str] = []

    @property
    def logins(self) -> int:
        """How many were tried."""
        return len(self.login_times)

    async def issue(self) -> IssuedToken:
        self.login_times.append(self.clock.monotonic())
        value = f"{self.prefix}-{self.logins}"
        await self.clock.sleep(self.takes_s)
        if self.fault is not None:
            raise self.fault
        issued_at = float(int(self.clock.now() + self.skew_s))
        return IssuedToken(value, issued_at + self.life_s, issued_at)

    async def revoke(self, token: Token) -> None:
        if self.fault is not None:
            raise self.fault
        self.revoked.append(token.value)
