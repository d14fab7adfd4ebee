"""Snapshots: read with their volume, and found by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import snapshot_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.volume.snapshots import SnapshotRow, Snapshots

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
GIB = 1 << 30
SNAPSHOT = snapshot_pb2.Snapshot


async def a_snapshot(lab: Lab, size_gib: int = 1) -> tuple[str, str]:
    """Return the names of a new volume and of its snapshot."""
    volume = (await lab.native("POST", "volume", "/volumes", {"volume": {"size": size_gib}}))["volume"]["id"]
    await lab.clock.advance(5)
    body = {"snapshot": {"volume_id": volume, "name": "s", "metadata": {"x": "y"}}}
    snapshot = (await lab.native("POST", "volume", "/snapshots", body))["snapshot"]["id"]
    await lab.clock.advance(5)
    return f"{PARENT}/volumes/{volume}", f"{PARENT}/snapshots/{snapshot}"


async def test_a_snapshot_says_its_volume(member: Lab) -> None:
    """And is found by it."""
    volume, snapshot = await a_snapshot(member, 2)
    await a_snapshot(member)
    (found,) = await member.everything(member.storage.list_snapshots, SNAPSHOT, f'volume = "{volume}"')
    assert found.name == snapshot
    assert (found.volume, found.volume_size_bytes, dict(found.labels)) == (volume, 2 * GIB, {"x": "y"})
    assert found.state == SNAPSHOT.STATE_AVAILABLE
    assert await member.storage.get_snapshot(member.call(found.name), snapshot_pb2.GetSnapshotRequest()) == found
    assert "volume_id=" in member.cloud.control.requests("volume", "GET", "snapshots/detail")[-1].query


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What only some snapshots have."""
    progress = {"os-extended-snapshot-attributes:progress": "40%", "group_snapshot_id": "g", "size": 2}
    snapshot = Snapshots(ClusterRef("openstack", "east")).message(converted({"id": "s", **progress}, SnapshotRow))
    assert (snapshot.progress_percent, snapshot.group, snapshot.volume_size_bytes) == (40, "g", 2 * GIB)
