"""Limiters and breakers of a process, by endpoint: clusters that share an endpoint share them.

An adapter makes one `Guards` for its process and hands it to the `NativeCaller` of each of its clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from cloudspan_common.breaker import Breaker
from cloudspan_common.limits import Limiters

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_common.limits import Limiter


class Guards:
    """Limiters and breakers by endpoint, shared by the clusters of a process that share an endpoint."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiters = Limiters(clock)
        self._by_base: dict[str, tuple[Limiter, Breaker]] = {}

    def of(self, base: str) -> tuple[Limiter, Breaker]:
        """Return the limiter and the breaker of the endpoint that `base` points at."""
        found = self._by_base.get(base)
        if found is None:
            url = URL(base)
            origin = str(url.origin())
            # Services behind one port fail one by one, so a breaker is for origin and first path segment.
            service = f"{origin}/{url.parts[1] if len(url.parts) > 1 else ''}"
            shared = next((g for b, g in self._by_base.items() if b == service), None)
            found = shared or (self._limiters.of(origin), Breaker(service, self._clock))
            self._by_base[service] = self._by_base[base] = found
        return found
