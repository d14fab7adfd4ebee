"""What tests of this house and of adapter authors share: a clock that moves only when told to."""

from __future__ import annotations

import asyncio
import heapq
import itertools

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
