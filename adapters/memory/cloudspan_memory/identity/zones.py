"""Zones: there is one."""

from __future__ import annotations

from cloudspan.v1 import zone_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import ZoneDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

Zone = zone_pb2.Zone

ZONES = Kind(collection="zones", message=Zone, row=Zone, source=MemorySource(), changes_since="update_time")


class Zones(MemoryDriver[Zone], ZoneDriver):
    """ZoneService."""

    kind = ZONES
