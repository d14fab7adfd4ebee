"""How often and how boldly sweeps are made: what `GatewayConfig` hands to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How often and how boldly a gateway sweeps."""

    fastest_s: float = 15.0
    slowest_s: float = 600.0
    brake: float = 0.3
    """The share of a collection that may vanish at once."""
    keep_s: float = 3600.0
    """How long deleted rows are kept, so that what was read earlier can't bring them back."""
    removed_after_s: float = 600.0
    """How long a cluster must be missing to be forgotten."""
