"""Pages of storage rows as messages, with what stands beside them. `storage` has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack.cloud.beside import read_marks
from cloudspan_zstack.volume.storage_rows import StorageMapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import snapshot_pb2, volume_type_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.rows import Row
    from cloudspan_zstack.cloud.session import Session
    from cloudspan_zstack.volume.storage_rows import DiskOfferingRow, SnapshotRow


class StorageMessages:
    """Turns rows of one cluster's storage into messages."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._mapper = StorageMapper(ref, session.zone)

    async def types(self, call: Call, rows: Sequence[DiskOfferingRow]) -> list[volume_type_pb2.VolumeType]:
        marks = await self._marks(call, "DiskOfferingVO", rows)
        return [self._mapper.volume_type(row, marks) for row in rows]

    async def snapshots(self, call: Call, rows: Sequence[SnapshotRow]) -> list[snapshot_pb2.Snapshot]:
        marks = await self._marks(call, "VolumeSnapshotVO", rows)
        return [self._mapper.snapshot(row, marks) for row in rows]

    async def _marks(self, call: Call, kind: str, rows: Sequence[Row]) -> Marks:
        return await read_marks(self._session, call, self._ref, kind, rows)
