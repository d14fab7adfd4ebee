"""Flavors: ZStack's instance offerings for guests. A server needs none: see the options of CreateServer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import flavor_pb2
from cloudspan_kit import ABSENT, MIB, Capability
from cloudspan_zstack.cloud.conditions import text
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Page, Query
    from cloudspan_zstack.cloud.session import Session

_SORT = {"display_name": "name"}
_ABSENT = {
    "disk_bytes": (ABSENT, "an instance offering says nothing of disks; see volume types"),
    "ephemeral_bytes": (ABSENT, "an instance offering says nothing of disks; see volume types"),
    "swap_bytes": (ABSENT, "an instance offering says nothing of disks; see volume types"),
    "visibility": (ABSENT, "an offering does not tell whom it is shared with"),
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
        "list_flavors": Capability(fields=_ABSENT, sortable=tuple(_SORT)),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._prefix = f"{ref}/flavors/"
        self._flavors = Listing(
            "/instance-offerings", OfferingRow, self._messages,
            conditions=["type=UserVm"], sortable=_SORT, pushes={"display_name": text("name")},
        )  # fmt: skip

    async def get_flavor(self, call: Call, _request: flavor_pb2.GetFlavorRequest) -> flavor_pb2.Flavor:
        return await read_one(self._session, call, self._flavors)

    async def list_flavors(self, call: Call, query: Query) -> Page[flavor_pb2.Flavor]:
        return await list_page(self._session, call, query, self._flavors)

    async def _messages(self, call: Call, rows: Sequence[OfferingRow]) -> list[flavor_pb2.Flavor]:
        labels = await read_labels(self._session, call, "InstanceOfferingVO", [row.uuid for row in rows])
        return [
            flavor_pb2.Flavor(
                name=self._prefix + row.uuid,
                display_name=row.name,
                vcpus=row.cpu_num,
                memory_mib=row.memory_size // MIB,
                disabled=row.state != "Enabled",
                labels=labels.get(row.uuid),
                description=row.description,
            )
            for row in rows
        ]
