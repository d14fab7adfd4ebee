"""Zones: ZStack's zones are the availability zones of one installation; there are no regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import zone_pb2
from cloudspan_kit import Kind, KindDriver, push
from cloudspan_kit.drivers import ZoneDriver
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef

_Z = zone_pb2.Zone
_SCOPES = (_Z.SCOPE_COMPUTE, _Z.SCOPE_VOLUME, _Z.SCOPE_NETWORK)


class ZoneRow(Row):
    """One zone."""

    state: str = "Enabled"


ZONES = Kind(
    collection="zones",
    message=zone_pb2.Zone,
    row=ZoneRow,
    source=ZStackSource("/zones"),
    changes_since="lastOpDate",
    push={"display_name": push.text("name")},
)


class Zones(KindDriver[ZoneRow, zone_pb2.Zone], ZoneDriver):
    """ZoneService."""

    kind = ZONES

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/zones/"

    def message(self, row: ZoneRow) -> zone_pb2.Zone:
        return zone_pb2.Zone(
            name=self._prefix + row.uuid, display_name=row.name, available=row.state == "Enabled", scopes=_SCOPES
        )
