"""Cinder's collections: what of them has changed since a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import snapshot_pb2, volume_pb2
from cloudspan_openstack.cloud import session
from cloudspan_openstack.cloud.catalogue import Microversion

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

Snapshot, Volume = snapshot_pb2.Snapshot, volume_pb2.Volume


async def _changed(lab: Lab, since: float) -> set[str]:
    page = await lab.storage.list_volumes(lab.call(), lab.query(Volume, since=since))
    assert page.changes_only
    assert not page.gone
    return {item.name.rpartition("/")[2] for item in page.items}


async def test_what_has_changed_of_volumes_is_asked_of_cinder(member: Lab) -> None:
    """Renamed and new ones; metadata moves no time, and a deleted one is listed no more."""
    renamed, described, deleted, _ = member.cloud.control.seed("demo", volumes=4)["volumes"]
    await member.cloud.control.advance(100)
    since = member.clock.now() - 10
    assert await _changed(member, since) == set()
    await member.native("PUT", "volume", f"/volumes/{renamed}", {"volume": {"name": "renamed"}})
    await member.native("POST", "volume", f"/volumes/{described}/metadata", {"metadata": {"k": "v"}})
    await member.native("DELETE", "volume", f"/volumes/{deleted}")
    made = await member.native("POST", "volume", "/volumes", {"volume": {"size": 1, "name": "new"}})
    await member.cloud.control.advance(5)
    assert await _changed(member, since) == {renamed, made["volume"]["id"]}


async def test_a_cinder_that_compares_no_times_is_asked_for_everything(
    member: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below 3.60; it would ignore the filter without a word."""
    monkeypatch.setitem(session.PINNED, "volume", Microversion(3, 59))
    member.cloud.control.seed("demo", volumes=2)
    page = await member.storage.list_volumes(member.call(), member.query(Volume, since=member.clock.now()))
    assert (len(page.items), page.changes_only) == (2, False)
    assert "updated_at" not in member.cloud.control.requests("volume", "GET", "/volumes/detail")[-1].query


async def test_snapshots_are_never_asked_for_what_has_changed(member: Lab) -> None:
    """Cinder refuses the filter that it takes for volumes."""
    page = await member.storage.list_snapshots(member.call(), member.query(Snapshot, since=member.clock.now()))
    assert not page.changes_only
