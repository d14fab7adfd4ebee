"""How many failures are recorded: anybody can cause them without end, and what is recorded is kept for good.

Asked by the audit stage. A source is a caller, or the address of one who is not authenticated: some at once, then one
every few seconds. Those who are not authenticated have a bound in all too, a separate one for each type of event, so
that none of them hides what callers with a name, or those who try to log in, do.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

AT_ONCE, A_SECOND = 10, 0.2
"""Of one source."""
ALL_AT_ONCE, ALL_A_SECOND = 100, 2.0
"""Of all who are not authenticated, by type of event: 170 000 a day at most, some 200 MB."""
MAX_SOURCES = 1024


class _Bucket:
    """So many at once, and so many a second afterwards."""

    __slots__ = ("_at", "_fill", "_most", "_rate", "left_out")

    def __init__(self, most: int, rate: float, now: float) -> None:
        self._most, self._rate = float(most), rate
        self._fill, self._at = float(most), now
        self.left_out = 0

    def has_room(self, now: float) -> bool:
        self._fill = min(self._most, self._fill + max(now - self._at, 0.0) * self._rate)
        self._at = now
        return self._fill >= 1.0

    def take(self) -> None:
        self._fill -= 1.0


class Flood:
    """Who has failed how often of late; the `MAX_SOURCES` that did so last."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Hashable, _Bucket] = OrderedDict()
        self._all: dict[Hashable, _Bucket] = {}
        self._forgotten = 0

    def __repr__(self) -> str:
        return f"<Flood from {len(self._sources)} sources>"

    def admits(self, kind: Hashable, source: str, now: float, *, named: bool) -> int | None:
        """Return how many of a source were left out since its last one; None where this one is to be left out.

        Args:
            kind: The type of the event; there are few.
            source: Who or where it comes from.
            now: Monotonic time, seconds.
            named: Whether the source is an authenticated caller.
        """
        mine = self._source((kind, source), now)
        bounds = [mine] if named else [mine, self._all_of(kind, now)]
        if not all(bound.has_room(now) for bound in bounds):
            mine.left_out += 1
            return None
        for bound in bounds:
            bound.take()
        left_out, mine.left_out, self._forgotten = mine.left_out + self._forgotten, 0, 0
        return left_out

    def _source(self, key: Hashable, now: float) -> _Bucket:
        found = self._sources.setdefault(key, _Bucket(AT_ONCE, A_SECOND, now))
        self._sources.move_to_end(key)
        while len(self._sources) > MAX_SOURCES:
            self._forgotten += self._sources.popitem(last=False)[1].left_out
        return found

    def _all_of(self, kind: Hashable, now: float) -> _Bucket:
        return self._all.setdefault(kind, _Bucket(ALL_AT_ONCE, ALL_A_SECOND, now))
