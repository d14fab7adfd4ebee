"""Snapshots of volumes: Cinder's."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import snapshot_pb2
from cloudspan_kit import GIB, Kind, KindDriver, push
from cloudspan_kit.drivers import SnapshotDriver
from cloudspan_openstack.cloud.cinder import Cinder, labels_in
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call

_S = snapshot_pb2.Snapshot
_STATES = {
    "creating": _S.STATE_CREATING,
    "available": _S.STATE_AVAILABLE,
    "restoring": _S.STATE_AVAILABLE,
    "backing-up": _S.STATE_AVAILABLE,
    "deleting": _S.STATE_DELETING,
    "unmanaging": _S.STATE_DELETING,
    "deleted": _S.STATE_DELETING,
}
# The state of ours that is one status of Cinder's; the others are several, and are not pushed.
_PUSHED = {"CREATING": "creating"}


class SnapshotRow(msgspec.Struct, kw_only=True):
    id: str
    volume_id: str | None = None
    name: str | None = None
    description: str | None = None
    status: str | None = None
    size: int | None = None
    project_id: str | None = msgspec.field(name="os-extended-snapshot-attributes:project_id", default=None)
    tenant_id: str | None = None
    progress: str | None = msgspec.field(name="os-extended-snapshot-attributes:progress", default=None)
    group_snapshot_id: str | None = None
    metadata: dict[str, str] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None


_SNAPSHOTS = Cinder("/snapshots", "snapshot", detail="/snapshots/detail")

SNAPSHOTS = Kind(
    collection="snapshots",
    message=snapshot_pb2.Snapshot,
    row=SnapshotRow,
    source=_SNAPSHOTS,
    sort={"display_name": "name", "create_time": "created_at", "native_state": "status"},
    push={
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.word("status", _PUSHED),
        "volume": push.ref("volume_id", "volumes"),
    },
)


class Snapshots(KindDriver[SnapshotRow, snapshot_pb2.Snapshot], SnapshotDriver):
    """SnapshotService."""

    kind = SNAPSHOTS

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._snapshots, self._volumes, self._projects = f"{ref}/snapshots/", f"{ref}/volumes/", f"{ref}/projects/"

    def message(self, row: SnapshotRow) -> snapshot_pb2.Snapshot:
        return _S(
            name=self._snapshots + row.id,
            display_name=row.name,
            state=_state(row.status),
            native_state=row.status,
            project=self._projects + project if (project := row.project_id or row.tenant_id) else None,
            labels=labels_in(row.metadata),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=row.description,
            volume=self._volumes + row.volume_id if row.volume_id else None,
            volume_size_bytes=None if row.size is None else row.size * GIB,
            progress_percent=_percent(row.progress),
            group=row.group_snapshot_id,
        )


async def snapshots_of(call: Call, volume_id: str) -> Sequence[SnapshotRow]:
    """Return the snapshots of a volume."""
    return await _SNAPSHOTS.find(call, SNAPSHOTS, (("volume_id", volume_id),))


def _percent(text: str | None) -> int | None:
    digits = (text or "").removesuffix("%")
    return int(digits) if digits.isdecimal() else None


def _state(status: str | None) -> Any:
    if not status:
        return _S.STATE_UNKNOWN
    return _STATES.get(status, _S.STATE_ERROR if status.startswith("error") else _S.STATE_UNKNOWN)
