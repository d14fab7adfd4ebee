"""What the operator says of webhooks: what `GatewayConfig` hands to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What the operator says of webhooks."""

    allowed: tuple[str, ...] = ()
    """Networks that are not public."""
    authority: Path | None = None
    """PEM file of authorities of receivers, instead of the system's."""
    keep_events_s: float = 0.0
