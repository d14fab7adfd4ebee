"""The form of markers, `cs-{installation}-{operation}-{step}`: what creates carry, and what is searched for."""

from __future__ import annotations

MAX_MARKER_CHARS = 60


def installation_prefix(installation: str) -> str:
    """Return what the markers of all operations of an installation begin with."""
    return f"cs-{installation}-"


def operation_prefix(marker: str) -> str:
    """Return what the markers of all steps of the operation that `marker` belongs to begin with."""
    return "".join(f"{part}-" for part in marker.split("-")[:3])
