"""The services that this adapter speaks to, and what catalogues call them."""

from __future__ import annotations

SERVICE_TYPES = {
    "compute": ("compute",),
    "network": ("network",),
    "volume": ("block-storage", "volumev3", "volume", "block-store"),
    "image": ("image",),
    "identity": ("identity",),
}
"""Catalogue types by service, the preferred first. volumev2 is another API."""

SERVICES = tuple(SERVICE_TYPES)
