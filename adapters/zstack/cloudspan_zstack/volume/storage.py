"""The storage area: reads of volumes, volume types and snapshots, and changes of volumes.

`cluster` lists it among its areas; the kit calls the functions by their names. A volume type is a disk offering: a
size with a name. Root disks of servers are volumes as well. Deleted volumes can be read, SOFT_DELETED, for the days
that the platform keeps them; lists of volumes leave them out unless `show_deleted` asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_kit.driver import ABSENT, BY_KEY, EMULATED, Capability, Page
from cloudspan_zstack.cloud import conditions
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.volume.storage_changes import StorageChanges
from cloudspan_zstack.volume.storage_rows import DiskOfferingRow, SnapshotRow, VolumeRow
from cloudspan_zstack.volume.volume_request import CreateVolumeOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import snapshot_pb2, volume_pb2, volume_type_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Query
    from cloudspan_zstack.cloud.session import Session

_COMMON_SORT = {"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"}
_VOLUME_SORT = {**_COMMON_SORT, "size_bytes": "size", "native_state": "status"}
_SNAPSHOT_SORT = {**_COMMON_SORT, "stored_bytes": "size", "native_state": "status"}
_TYPE_SORT = {"display_name": "name", "size_bytes": "diskSize"}
_VOLUME_STATES = {
    "CREATING": ("status=Creating",),
    "AVAILABLE": ("status?=Ready,NotInstantiated", "vmInstanceUuid is null"),
    "IN_USE": ("status?=Ready,NotInstantiated", "vmInstanceUuid not null"),
    "MAINTENANCE": ("state=Disabled",),
    "MIGRATING": ("status=Migrating",),
    "SOFT_DELETED": ("status=Deleted",),
}
_SNAPSHOT_STATES = {
    "CREATING": ("status=Creating",),
    "AVAILABLE": ("status=Ready",),
    "DELETING": ("status=Deleting",),
    "SOFT_DELETED": ("status=Deleted",),
}
_UNTOLD = (ABSENT, "the platform does not tell it")
_FIELDS = {
    "snapshot": _UNTOLD,
    "source_volume": _UNTOLD,
    "encrypted": _UNTOLD,
    "host": (ABSENT, "which host's disks hold a volume is told to the administrator only, elsewhere"),
    "image_properties": (ABSENT, "the platform tells an image's properties with the image"),
    "migration_status": _UNTOLD,
    "fault": _UNTOLD,
    "attachments.device": _UNTOLD,
    "attachments.id": (ABSENT, "attachments have no id"),
    "attachments": (ABSENT, "of a volume that several servers share the platform does not tell them"),
}
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


class Storage(StorageChanges):
    """Volumes, volume types and snapshots of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_volumes": Capability(sortable=tuple(_VOLUME_SORT), fields=_FIELDS),
        "list_snapshots": Capability(sortable=tuple(_SNAPSHOT_SORT), fields=_SNAPSHOT_FIELDS),
        "list_volume_types": Capability(sortable=tuple(_TYPE_SORT), fields=_TYPE_FIELDS),
        "create_volume": Capability(
            create_safety=BY_KEY,
            options=CreateVolumeOptions,
            fields={
                "volume.source_volume": (ABSENT, "copy a volume by a snapshot of it"),
                "volume.size_bytes": (EMULATED, "beside a larger source's size the volume is extended once it is made"),
            },
        ),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        super().__init__(session, ref)
        common = {"display_name": conditions.text("name"), "native_state": conditions.text("status")}
        volume_pushes = common | {
            "name": conditions.name("uuid", f"{ref}/volumes/"),
            "state": conditions.word(_VOLUME_STATES),
            "bootable": conditions.word({"true": ("type=Root",), "false": ("type=Data",)}),
            "kind": conditions.word({"ROOT": ("type=Root",), "DATA": ("type=Data",)}),
            "storage_pool": conditions.name("primaryStorageUuid", f"{ref}/storagePools/"),
            "multi_attach": conditions.word({"true": ("isShareable=true",), "false": ("isShareable=false",)}),
            "volume_type": conditions.name("diskOfferingUuid", f"{ref}/volumeTypes/"),
            "image": conditions.name("rootImageUuid", f"{ref}/images/"),
        }
        snapshot_pushes = common | {
            "name": conditions.name("uuid", f"{ref}/snapshots/"),
            "state": conditions.word(_SNAPSHOT_STATES),
            "volume": conditions.name("volumeUuid", f"{ref}/volumes/"),
            "parent_snapshot": conditions.name("parentUuid", f"{ref}/snapshots/"),
        }
        # Memory and Cache volumes are the platform's own.
        self._volumes: Listing[VolumeRow, volume_pb2.Volume] = Listing(
            "/volumes", VolumeRow, self._messages.volumes, conditions=("type?=Root,Data",),
            not_deleted="status!=Deleted", sortable=_VOLUME_SORT, pushes=volume_pushes,
        )  # fmt: skip
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

    async def get_volume(self, call: Call, _request: volume_pb2.GetVolumeRequest) -> volume_pb2.Volume:
        return await read_one(self._session, call, self._volumes)

    async def list_volumes(self, call: Call, query: Query) -> Page[volume_pb2.Volume]:
        return await list_page(self._session, call, query, self._volumes)

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
