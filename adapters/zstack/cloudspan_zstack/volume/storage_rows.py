"""ZStack's disk offerings and snapshots as structs, and their way into messages.

`storage` and `volumes` decode answers into these. Ids are hex uuids: safe in a name as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import snapshot_pb2, volume_type_pb2
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_S = snapshot_pb2.Snapshot
_SNAPSHOT_STATES = {
    "Creating": _S.STATE_CREATING,
    "Ready": _S.STATE_AVAILABLE,
    "Deleting": _S.STATE_DELETING,
    "Deleted": _S.STATE_SOFT_DELETED,
}


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
        self._snapshots = f"{ref}/snapshots/"

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
