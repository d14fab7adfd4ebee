"""Flavors: sizes of servers."""

from __future__ import annotations

from cloudspan.v1 import flavor_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import FlavorDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

Flavor = flavor_pb2.Flavor

FLAVORS = Kind(collection="flavors", message=Flavor, row=Flavor, source=MemorySource(), changes_since="update_time")


class Flavors(MemoryDriver[Flavor], FlavorDriver):
    """FlavorService."""

    kind = FLAVORS
