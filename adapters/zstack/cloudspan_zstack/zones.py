"""Zones: ZStack's zones are the availability zones of one installation; there are no regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan.v1 import zone_pb2
from cloudspan_zstack.queries import condition, page_of
from cloudspan_zstack.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call, Capability, Page, Query
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.rows import Rows
    from cloudspan_zstack.session import Session

_PATH = "/zones"
_SCOPES = ("compute", "volume", "network")


class ZoneRow(Row):
    """One zone."""

    state: str = "Enabled"


class Zones:
    """ZoneService."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._prefix = f"{ref}/zones/"

    async def get_zone(self, call: Call, _request: zone_pb2.GetZoneRequest) -> zone_pb2.Zone:
        row, document = await self._session.get_with_document(
            call, f"{_PATH}/{{uuid}}", ZoneRow, args={"uuid": call.id}
        )
        return self._message(row, document)

    async def list_zones(self, call: Call, query: Query) -> Page[zone_pb2.Zone]:
        conditions = condition("name", query.filter.equal("display_name") or "")
        return await page_of(self._session, call, query, _PATH, ZoneRow, self._messages, conditions=conditions)

    async def _messages(self, found: Rows[ZoneRow]) -> Sequence[zone_pb2.Zone]:
        documents = found.documents or [{} for _ in found.rows]
        return [self._message(row, document) for row, document in zip(found.rows, documents, strict=True)]

    def _message(self, row: ZoneRow, document: dict[str, Any]) -> zone_pb2.Zone:
        message = zone_pb2.Zone(
            name=self._prefix + row.uuid, display_name=row.name, available=row.state == "Enabled", scopes=_SCOPES
        )
        if document:
            message.native.update(document)
        return message
