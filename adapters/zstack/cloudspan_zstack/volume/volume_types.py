"""Volume types: disk offerings, each a size with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import volume_type_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import VolumeTypeDriver
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

_UNTOLD = (ABSENT, "the platform does not tell it")


class DiskOfferingRow(Row, kw_only=True):
    disk_size: int = 0
    state: str = ""
    allocator_strategy: str = ""


VOLUME_TYPES = Kind(
    collection="volumeTypes",
    message=volume_type_pb2.VolumeType,
    row=DiskOfferingRow,
    source=ZStackSource("/disk-offerings"),
    sort={"display_name": "name", "size_bytes": "diskSize"},
    changes_since="lastOpDate",
    push={"display_name": push.text("name")},
)


class VolumeTypes(KindDriver[DiskOfferingRow, volume_type_pb2.VolumeType], VolumeTypeDriver):
    """VolumeTypeService."""

    kind = VOLUME_TYPES
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_volume_types": Capability(
            fields={
                "visibility": _UNTOLD,
                "is_default": (ABSENT, "the platform has no default disk offering"),
                "encryption": _UNTOLD,
                "multi_attach": (ABSENT, "that is the volume's, not the disk offering's"),
            }
        )
    }

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/volumeTypes/"

    async def messages(self, call: Call, rows: Sequence[DiskOfferingRow]) -> Sequence[volume_type_pb2.VolumeType]:
        labels = await read_labels(session_of(call), call, "DiskOfferingVO", [row.uuid for row in rows])
        return [self._message(row, labels.get(row.uuid, {})) for row in rows]

    def _message(self, row: DiskOfferingRow, labels: Mapping[str, str]) -> volume_type_pb2.VolumeType:
        specs = {"state": row.state, "allocator_strategy": row.allocator_strategy}
        return volume_type_pb2.VolumeType(
            name=self._prefix + row.uuid,
            display_name=row.name,
            description=row.description,
            extra_specs={key: value for key, value in specs.items() if value} | dict(labels),
            size_bytes=row.disk_size or None,
        )
