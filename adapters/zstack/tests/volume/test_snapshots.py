"""Snapshots are read with the volume and the snapshot that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import snapshot_pb2

from .conftest import V, a_snapshot

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


async def test_snapshots_are_a_tree(member: Lab) -> None:
    """Each names the one it builds on."""
    (volume,) = await member.everything(member.storage.list_volumes, V, 'display_name = "data-1"')
    first, second = await a_snapshot(member, volume.name), await a_snapshot(member, volume.name)
    listing = member.storage.list_snapshots, snapshot_pb2.Snapshot
    found = {one.name: one for one in await member.everything(*listing, f'volume = "{volume.name}"')}
    assert found[second].parent_snapshot == first
    assert found[first].state == snapshot_pb2.Snapshot.STATE_AVAILABLE
    assert [(found[name].HasField("latest"), found[name].latest) for name in (first, second)] == [
        (True, False), (True, True),
    ]  # fmt: skip
    assert (found[first].stored_bytes, found[first].HasField("volume_size_bytes")) == (volume.size_bytes // 10, False)
    one = await member.storage.get_snapshot(member.call(first), snapshot_pb2.GetSnapshotRequest())
    assert one == found[first]


async def test_a_list_leaves_out_snapshots_that_are_deleted(member: Lab) -> None:
    """The platform keeps their rows for a while."""
    (volume,) = await member.everything(member.storage.list_volumes, V, 'display_name = "data-1"')
    kept, gone = await a_snapshot(member, volume.name), await a_snapshot(member, volume.name)
    await member.act("DELETE", f"/volume-snapshots/{gone[-32:]}")
    found = await member.everything(member.storage.list_snapshots, snapshot_pb2.Snapshot)
    assert kept in [one.name for one in found]
    assert gone not in [one.name for one in found]
