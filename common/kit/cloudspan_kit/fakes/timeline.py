"""What will happen later in a fake cloud: a server runs, a job ends, a volume is gone, a late commit lands.

Nothing runs by itself: every request first carries out what has come due by the injected clock, in the
order of the due times. So there are no tasks to wait for, and a test that moves the clock sees the result at once.
A fake's store holds one, its server lets it catch up.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_common.clock import Clock


class Timeline:
    """Deferred changes, carried out by `catch_up`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __repr__(self) -> str:
        return f"<Timeline: {len(self._due)} to come>"

    def after(self, delay_s: float, change: Callable[[], None]) -> None:
        """Carry out `change` at the first request that comes `delay_s` from now or later."""
        heapq.heappush(self._due, (self._clock.monotonic() + delay_s, next(self._order), change))

    def catch_up(self) -> None:
        """Carry out all that is due; a change may add further ones."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
