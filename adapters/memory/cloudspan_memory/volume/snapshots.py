"""Snapshots of volumes: nothing makes any."""

from __future__ import annotations

from cloudspan.v1 import snapshot_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import SnapshotDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

Snapshot = snapshot_pb2.Snapshot

SNAPSHOTS = Kind(
    collection="snapshots", message=Snapshot, row=Snapshot, source=MemorySource(), changes_since="update_time"
)


class Snapshots(MemoryDriver[Snapshot], SnapshotDriver):
    """SnapshotService."""

    kind = SNAPSHOTS
