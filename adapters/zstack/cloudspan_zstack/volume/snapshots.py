"""Snapshots of volumes: reads. Those of one volume are a tree; each names the one that it builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import snapshot_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import SnapshotDriver
from cloudspan_zstack.cloud.beside import read_marks
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_S = snapshot_pb2.Snapshot
_STATES = {
    "Creating": _S.STATE_CREATING,
    "Ready": _S.STATE_AVAILABLE,
    "Deleting": _S.STATE_DELETING,
    "Deleted": _S.STATE_SOFT_DELETED,
}
_PUSHED = {
    "CREATING": ("status=Creating",),
    "AVAILABLE": ("status=Ready",),
    "DELETING": ("status=Deleting",),
    "SOFT_DELETED": ("status=Deleted",),
}
_UNTOLD = (ABSENT, "the platform does not tell it")


class SnapshotRow(Row, kw_only=True):
    volume_uuid: str = ""
    parent_uuid: str = ""
    status: str = ""
    state: str = ""
    size: int = 0
    latest: bool | None = None
    group_uuid: str = ""


SNAPSHOTS = Kind(
    collection="snapshots",
    message=snapshot_pb2.Snapshot,
    row=SnapshotRow,
    source=ZStackSource("/volume-snapshots", unless_asked="status!=Deleted"),
    sort={
        "display_name": "name",
        "create_time": "createDate",
        "update_time": "lastOpDate",
        "stored_bytes": "size",
        "native_state": "status",
    },
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "snapshots"),
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.words(_PUSHED),
        "volume": push.ref("volumeUuid", "volumes"),
        "parent_snapshot": push.ref("parentUuid", "snapshots"),
    },
)


class Snapshots(KindDriver[SnapshotRow, snapshot_pb2.Snapshot], SnapshotDriver):
    """SnapshotService."""

    kind = SNAPSHOTS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_snapshots": Capability(
            fields={
                "volume_size_bytes": (ABSENT, "the platform keeps the snapshot's own size only"),
                "progress_percent": _UNTOLD,
                "fault": _UNTOLD,
            }
        )
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._snapshots, self._volumes = f"{ref}/snapshots/", f"{ref}/volumes/"

    async def messages(self, call: Call, rows: Sequence[SnapshotRow]) -> Sequence[snapshot_pb2.Snapshot]:
        marks = await read_marks(session_of(call), call, self._ref, "VolumeSnapshotVO", rows)
        return [self._message(row, marks) for row in rows]

    def _message(self, row: SnapshotRow, marks: Marks) -> snapshot_pb2.Snapshot:
        return _S(
            name=self._snapshots + row.uuid,
            display_name=row.name,
            state=_STATES.get(row.status, _S.STATE_UNKNOWN),
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
