"""ZStack's volumes, disk offerings and snapshots as structs, and their way into messages.

`storage` and `storage_changes` decode answers into these. Ids are hex uuids: safe in a name as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan.v1 import snapshot_pb2, volume_pb2, volume_type_pb2
from cloudspan_zstack.cloud.rows import Date, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_V, _S = volume_pb2.Volume, snapshot_pb2.Snapshot
# Whether Ready means available or in use, the row's other fields tell. NotInstantiated is there for users: the
# platform makes its data at the first attachment.
_VOLUME_STATES = {
    "Creating": _V.STATE_CREATING,
    "NotInstantiated": _V.STATE_AVAILABLE,
    "Ready": _V.STATE_AVAILABLE,
    "Migrating": _V.STATE_MIGRATING,
    "Deleted": _V.STATE_SOFT_DELETED,
}
_SNAPSHOT_STATES = {
    "Creating": _S.STATE_CREATING,
    "Ready": _S.STATE_AVAILABLE,
    "Deleting": _S.STATE_DELETING,
    "Deleted": _S.STATE_SOFT_DELETED,
}
KINDS = {"Root": _V.KIND_ROOT, "Data": _V.KIND_DATA}


class VolumeRow(Row, kw_only=True):
    type: str = ""
    status: str = ""
    state: str = ""
    size: int = 0
    primary_storage_uuid: str = ""
    vm_instance_uuid: str = ""
    disk_offering_uuid: str = ""
    root_image_uuid: str = ""
    is_shareable: bool = False
    last_attach_date: Date = None


class DiskOfferingRow(Row, kw_only=True):
    disk_size: int = 0
    state: str = ""
    type: str = ""
    allocator_strategy: str = ""


class SnapshotRow(Row, kw_only=True):
    volume_uuid: str = ""
    parent_uuid: str = ""
    status: str = ""
    state: str = ""
    size: int = 0
    latest: bool | None = None
    group_uuid: str = ""


class SourceRow(Row, kw_only=True):
    """An image or a snapshot, as far as a volume that is made of it is concerned."""

    size: int = 0


class PrimaryStorageRow(Row, kw_only=True):
    zone_uuid: str = ""
    state: str = ""
    status: str = ""
    type: str = ""


class StorageMapper:
    """Rows of one cluster's storage as messages."""

    def __init__(self, ref: ClusterRef, dates: ServerZone) -> None:
        self._time = dates.timestamp
        self._volumes, self._types = f"{ref}/volumes/", f"{ref}/volumeTypes/"
        self._snapshots, self._images = f"{ref}/snapshots/", f"{ref}/images/"
        self._servers, self._zones = f"{ref}/servers/", f"{ref}/zones/"
        self._pools = f"{ref}/storagePools/"

    def volume(self, row: VolumeRow, marks: Marks, storages: Mapping[str, PrimaryStorageRow]) -> volume_pb2.Volume:
        storage = storages.get(row.primary_storage_uuid)
        return _V(
            name=self._volumes + row.uuid,
            display_name=row.name,
            state=_volume_state(row),
            native_state=row.status,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            size_bytes=row.size,
            volume_type=self._types + row.disk_offering_uuid if row.disk_offering_uuid else None,
            description=row.description,
            zone=self._zones + storage.zone_uuid if storage and storage.zone_uuid else None,
            bootable=row.type == "Root",
            multi_attach=row.is_shareable,
            image=self._images + row.root_image_uuid if row.root_image_uuid else None,
            attachments=[self._attachment(row)] if row.vm_instance_uuid else [],
            kind=KINDS.get(row.type, _V.KIND_UNKNOWN) if row.type else None,
            storage_pool=self._pools + row.primary_storage_uuid if row.primary_storage_uuid else None,
        )

    def _attachment(self, row: VolumeRow) -> volume_pb2.Volume.Attachment:
        return _V.Attachment(server=self._servers + row.vm_instance_uuid, attach_time=self._time(row.last_attach_date))

    def volume_type(self, row: DiskOfferingRow, marks: Marks) -> volume_type_pb2.VolumeType:
        specs = {"state": row.state, "allocator_strategy": row.allocator_strategy}
        return volume_type_pb2.VolumeType(
            name=self._types + row.uuid,
            display_name=row.name,
            description=row.description,
            extra_specs={key: value for key, value in specs.items() if value} | dict(marks.labels(row.uuid) or {}),
            size_bytes=row.disk_size or None,
        )

    def snapshot(self, row: SnapshotRow, marks: Marks) -> snapshot_pb2.Snapshot:
        return _S(
            name=self._snapshots + row.uuid,
            display_name=row.name,
            state=_SNAPSHOT_STATES.get(row.status, _S.STATE_UNKNOWN),
            native_state=row.status,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            volume=self._volumes + row.volume_uuid if row.volume_uuid else None,
            # What the snapshot itself takes up; how large the volume was the platform does not keep.
            stored_bytes=row.size or None,
            latest=row.latest,
            group=row.group_uuid,
            parent_snapshot=self._snapshots + row.parent_uuid if row.parent_uuid else None,
        )


def _volume_state(row: VolumeRow) -> Any:
    state = _VOLUME_STATES.get(row.status, _V.STATE_UNKNOWN)
    if state != _V.STATE_AVAILABLE:
        return state
    if row.vm_instance_uuid:
        return _V.STATE_IN_USE
    # The platform attaches no volume that its owner or an administrator disabled.
    return _V.STATE_MAINTENANCE if row.state == "Disabled" else state
