"""How often a resource on its way to a final state is looked at; the gateway's shared waits and the kit agree on it."""

from __future__ import annotations

FIRST_POLL_S, MAX_POLL_S, POLL_SHARE = 0.1, 5.0, 0.25  # 0.1 s, then a quarter of the time waited so far, 5 s at most
MAX_UNSEEN_S = 300.0
"""Whatever a shared wait reports: after this time, in seconds, an operation looks for itself."""


def poll_interval(waited_s: float) -> float:
    """Return how long to wait before the next look, in seconds."""
    return min(max(FIRST_POLL_S, waited_s * POLL_SHARE), MAX_POLL_S)
