"""SnapshotService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.snapshot_pb2 import GetSnapshotRequest, Snapshot
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class SnapshotDriver(Driver, Protocol):
    """Functions of SnapshotService; those that a driver leaves out are not served."""

    async def get_snapshot(self, call: Call, request: GetSnapshotRequest) -> Snapshot:
        raise not_driven("get_snapshot")

    async def list_snapshots(self, call: Call, query: Query) -> Page[Snapshot]:
        raise not_driven("list_snapshots")
