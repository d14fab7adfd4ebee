"""The storage area: reads of volume types and snapshots. A volume type is a disk offering: a size with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_kit import ABSENT, Capability, Page
from cloudspan_zstack.cloud import conditions
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.volume.storage_messages import StorageMessages
from cloudspan_zstack.volume.storage_rows import DiskOfferingRow, SnapshotRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import snapshot_pb2, volume_type_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_zstack.cloud.session import Session

_COMMON_SORT = {"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"}
_SNAPSHOT_SORT = {**_COMMON_SORT, "stored_bytes": "size", "native_state": "status"}
_TYPE_SORT = {"display_name": "name", "size_bytes": "diskSize"}
_SNAPSHOT_STATES = {
    "CREATING": ("status=Creating",),
    "AVAILABLE": ("status=Ready",),
    "DELETING": ("status=Deleting",),
    "SOFT_DELETED": ("status=Deleted",),
}
_UNTOLD = (ABSENT, "the platform does not tell it")
_TYPE_FIELDS = {
    "visibility": _UNTOLD,
    "is_default": (ABSENT, "the platform has no default disk offering"),
    "encryption": _UNTOLD,
    "multi_attach": (ABSENT, "that is the volume's, not the disk offering's"),
}
_SNAPSHOT_FIELDS = {
    "volume_size_bytes": (ABSENT, "the platform keeps the snapshot's own size only"),
    "progress_percent": _UNTOLD,
    "fault": _UNTOLD,
}


class Storage:
    """Volume types and snapshots of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_snapshots": Capability(sortable=tuple(_SNAPSHOT_SORT), fields=_SNAPSHOT_FIELDS),
        "list_volume_types": Capability(sortable=tuple(_TYPE_SORT), fields=_TYPE_FIELDS),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._messages = StorageMessages(session, ref)
        common = {"display_name": conditions.text("name"), "native_state": conditions.text("status")}
        snapshot_pushes = common | {
            "name": conditions.name("uuid", f"{ref}/snapshots/"),
            "state": conditions.word(_SNAPSHOT_STATES),
            "volume": conditions.name("volumeUuid", f"{ref}/volumes/"),
            "parent_snapshot": conditions.name("parentUuid", f"{ref}/snapshots/"),
        }
        self._types: Listing[DiskOfferingRow, volume_type_pb2.VolumeType] = Listing(
            "/disk-offerings", DiskOfferingRow, self._messages.types, sortable=_TYPE_SORT,
            pushes={"display_name": conditions.text("name")},
        )  # fmt: skip
        self._snapshots: Listing[SnapshotRow, snapshot_pb2.Snapshot] = Listing(
            "/volume-snapshots", SnapshotRow, self._messages.snapshots, sortable=_SNAPSHOT_SORT, pushes=snapshot_pushes,
            conditions=("status!=Deleted",),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Storage {self._ref}>"

    async def get_volume_type(
        self, call: Call, _request: volume_type_pb2.GetVolumeTypeRequest
    ) -> volume_type_pb2.VolumeType:
        return await read_one(self._session, call, self._types)

    async def list_volume_types(self, call: Call, query: Query) -> Page[volume_type_pb2.VolumeType]:
        return await list_page(self._session, call, query, self._types)

    async def get_snapshot(self, call: Call, _request: snapshot_pb2.GetSnapshotRequest) -> snapshot_pb2.Snapshot:
        return await read_one(self._session, call, self._snapshots)

    async def list_snapshots(self, call: Call, query: Query) -> Page[snapshot_pb2.Snapshot]:
        return await list_page(self._session, call, query, self._snapshots)
