"""Zones: ZStack's zones are the availability zones of one installation; there are no regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import zone_pb2
from cloudspan_zstack.cloud.conditions import text
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Capability, Page, Query
    from cloudspan_zstack.cloud.session import Session

_Z = zone_pb2.Zone
_SCOPES = (_Z.SCOPE_COMPUTE, _Z.SCOPE_VOLUME, _Z.SCOPE_NETWORK)


class ZoneRow(Row):
    """One zone."""

    state: str = "Enabled"


class Zones:
    """ZoneService."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._prefix = f"{ref}/zones/"
        self._zones = Listing("/zones", ZoneRow, self._messages, pushes={"display_name": text("name")})

    async def get_zone(self, call: Call, _request: zone_pb2.GetZoneRequest) -> zone_pb2.Zone:
        return await read_one(self._session, call, self._zones)

    async def list_zones(self, call: Call, query: Query) -> Page[zone_pb2.Zone]:
        return await list_page(self._session, call, query, self._zones)

    async def _messages(self, _call: Call, rows: Sequence[ZoneRow]) -> list[zone_pb2.Zone]:
        return [
            zone_pb2.Zone(
                name=self._prefix + row.uuid, display_name=row.name, available=row.state == "Enabled", scopes=_SCOPES
            )
            for row in rows
        ]
