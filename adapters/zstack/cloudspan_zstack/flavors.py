"""Flavors: ZStack's instance offerings for guests. A server needs none: see the options of CreateServer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan.v1 import flavor_pb2
from cloudspan_common.adapterkit.driver import ABSENT, Capability
from cloudspan_common.adapterkit.values import MIB
from cloudspan_zstack.queries import condition, page_of
from cloudspan_zstack.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call, Page, Query
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.rows import Rows
    from cloudspan_zstack.session import Session

_PATH = "/instance-offerings"
_ABSENT = {
    "disk_bytes": (ABSENT, "an instance offering says nothing of disks; see volume types"),
    "public": (ABSENT, "an offering does not tell whom it is shared with"),
}


class OfferingRow(Row):
    """One instance offering."""

    cpu_num: int = 0
    memory_size: int = 0
    state: str = "Enabled"
    type: str = "UserVm"


class Flavors:
    """Reads of flavors."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "get_flavor": Capability(fields=_ABSENT),
        "list_flavors": Capability(fields=_ABSENT, sortable=("display_name",)),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._prefix = f"{ref}/flavors/"

    async def get_flavor(self, call: Call, _request: flavor_pb2.GetFlavorRequest) -> flavor_pb2.Flavor:
        row, document = await self._session.get_with_document(
            call, f"{_PATH}/{{uuid}}", OfferingRow, args={"uuid": call.id}
        )
        return self._message(row, document)

    async def list_flavors(self, call: Call, query: Query) -> Page[flavor_pb2.Flavor]:
        conditions = ["type=UserVm", *condition("name", query.filter.equal("display_name") or "")]
        return await page_of(
            self._session, call, query, _PATH, OfferingRow, self._messages,
            conditions=conditions, sort_fields={"display_name": "name"},
        )  # fmt: skip

    async def _messages(self, found: Rows[OfferingRow]) -> Sequence[flavor_pb2.Flavor]:
        documents = found.documents or [{} for _ in found.rows]
        return [self._message(row, document) for row, document in zip(found.rows, documents, strict=True)]

    def _message(self, row: OfferingRow, document: dict[str, Any]) -> flavor_pb2.Flavor:
        message = flavor_pb2.Flavor(
            name=self._prefix + row.uuid,
            display_name=row.name,
            vcpus=row.cpu_num,
            memory_mib=row.memory_size // MIB,
            disabled=row.state != "Enabled",
        )
        if document:
            message.native.update(document)
        return message
