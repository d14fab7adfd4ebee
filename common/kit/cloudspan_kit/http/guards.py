"""Limiters and breakers of one cluster, by service endpoint.

A cluster makes one `Guards` and hands it to its `NativeCaller`. Clusters share none: that a service pauses or fails for
one of them says nothing of the next, even where both are on one host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from cloudspan_common.breaker import Breaker
from cloudspan_common.limits import Limiter

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock


class Guards:
    """Limiters and breakers by the whole base URL: services behind one host, or one prefix, fail one by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_base: dict[str, tuple[Limiter, Breaker]] = {}

    def __repr__(self) -> str:
        return f"<Guards of {len(self._by_base)} endpoints>"

    def of(self, base: str) -> tuple[Limiter, Breaker]:
        """Return the limiter and the breaker of the endpoint at `base`, made at its first use."""
        found = self._by_base.get(base)
        if found is None:
            endpoint = str(URL(base).with_user(None))  # it stands in messages
            found = self._by_base[base] = Limiter(endpoint, self._clock), Breaker(endpoint, self._clock)
        return found
