"""Flavors: ZStack's instance offerings for guests. A server needs none: see the options of CreateServer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import flavor_pb2
from cloudspan_kit import ABSENT, MIB, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import FlavorDriver
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

_NO_DISKS = (ABSENT, "an instance offering says nothing of disks; see volume types")
_FIELDS = {
    "disk_bytes": _NO_DISKS,
    "ephemeral_bytes": _NO_DISKS,
    "swap_bytes": _NO_DISKS,
    "visibility": (ABSENT, "an offering does not tell whom it is shared with"),
}


class OfferingRow(Row):
    """One instance offering."""

    cpu_num: int = 0
    memory_size: int = 0
    state: str = "Enabled"
    type: str = ""


FLAVORS = Kind(
    collection="flavors",
    message=flavor_pb2.Flavor,
    row=OfferingRow,
    source=ZStackSource("/instance-offerings", only={"type": ("UserVm",)}),
    sort={"display_name": "name"},
    changes_since="lastOpDate",
    push={"display_name": push.text("name")},
)


class Flavors(KindDriver[OfferingRow, flavor_pb2.Flavor], FlavorDriver):
    """FlavorService."""

    kind = FLAVORS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "get_flavor": Capability(fields=_FIELDS),
        "list_flavors": Capability(fields=_FIELDS),
    }

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/flavors/"

    async def messages(self, call: Call, rows: Sequence[OfferingRow]) -> Sequence[flavor_pb2.Flavor]:
        labels = await read_labels(session_of(call), call, "InstanceOfferingVO", [row.uuid for row in rows])
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
