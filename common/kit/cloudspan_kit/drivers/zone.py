"""ZoneService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.zone_pb2 import GetZoneRequest, Zone
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class ZoneDriver(Driver, Protocol):
    """Functions of ZoneService; those that a driver leaves out are not served."""

    async def get_zone(self, call: Call, request: GetZoneRequest) -> Zone:
        raise not_driven("get_zone")

    async def list_zones(self, call: Call, query: Query) -> Page[Zone]:
        raise not_driven("list_zones")
