"""`cloudspan find` and `sync`."""

from __future__ import annotations

import time

import pytest

from cloudspan.cli.inventory.search import collection
from cloudspan.v1.inventory_pb2 import (
    GetSyncStateResponse,
    SearchResponse,
    StoredResource,
    SyncNowResponse,
    SyncState,
)

ALPHA = "platforms/openstack/clusters/alpha"
LOST = SyncState(
    cluster=ALPHA, collection="servers", completeness=3, reason="LOGIN_REFUSED", message="401 [red]\x1b[2J"
)


def stored(name: str, age_s: float = 75.0, **fields: object) -> StoredResource:
    found = StoredResource(
        name=f"{ALPHA}/servers/id-{name}", collection="servers", cluster=ALPHA, display_name=name, **fields
    )
    found.observe_time.FromNanoseconds(round((time.time() - age_s) * 1e9))
    return found


def test_what_is_found_is_a_table_with_its_age(gateway, run):
    """The options are the request's; what others wrote is no markup and no control character."""
    gateway.answers["Search"] = SearchResponse(
        resources=[stored("web-1 [red]\x1b", state="RUNNING"), stored("web-2", 7300)]
    )
    shown = run(
        "find", "web", "--kind", "server,key-pairs", "--kind", "floating_ip", "--cluster", "openstack/-",
        "--filter", "state = RUNNING",
    )  # fmt: skip
    asked = gateway.asked("Search")
    assert (asked.text, asked.parent, asked.filter) == ("web", "platforms/openstack/clusters/-", "state = RUNNING")
    assert list(asked.collections) == ["servers", "keyPairs", "floatingIps"]
    rows = [line.split() for line in shown.splitlines() if "web-" in line]
    assert rows[0] == [
        "web-1",
        "[red]\\x1b",
        "servers",
        "RUNNING",
        "openstack/alpha",
        "1",
        "min",
        "id-web-1",
        "[red]\\x1b",
    ]
    assert rows[1] == ["web-2", "servers", "-", "openstack/alpha", "2", "h", "id-web-2"]


def test_pages_are_followed_up_to_the_count(gateway, run):
    """A page may hold few, or none, and have a next one."""
    pages = {
        "": SearchResponse(resources=[stored("a")], next_page_token="1"),
        "1": SearchResponse(next_page_token="2"),
        "2": SearchResponse(resources=[stored("b")], next_page_token="3"),
    }
    gateway.answers["Search"] = lambda request: pages[request.page_token]
    assert "there are more than 2" in run("find", "x", "--count", "2")
    assert [call.request.page_size for call in gateway.calls] == [2, 1, 1]


def test_nothing_found_says_why_and_exits_with_1(gateway, run):
    """With what the gateway says of it, and where something may be missing."""
    gateway.answers["Search"] = SearchResponse(incomplete=[LOST] * 7)
    gateway.answers["GetSyncState"] = GetSyncStateResponse(explanation="Kept, of what you may see: 0. \x1b[2J")
    shown = run("find", "10.0.0.5", "--kind", "servers", code=1)
    assert "nothing has '10.0.0.5'. Kept, of what you may see: 0. \\x1b[2J" in shown
    assert "may be incomplete: servers of openstack/alpha (LOGIN_REFUSED), " in shown
    assert "and 2 more" in shown
    assert list(gateway.asked("GetSyncState").collections) == ["servers"]


def test_sync_reads_now_and_says_what_came_of_it(gateway, run):
    """Exit code 1 when not all of it could be read."""
    whole = SyncState(cluster=ALPHA, collection="ports", completeness=1, rows=12)
    gateway.answers["SyncNow"] = SyncNowResponse(states=[whole])
    assert "COMPLETE" in run("sync", "openstack/alpha", "--kind", "ports")
    assert (gateway.asked("SyncNow").parent, gateway.asked("SyncNow").release_brake) == (ALPHA, False)
    gateway.answers["SyncNow"] = SyncNowResponse(states=[whole, LOST])
    shown = run("sync", "--release-brake", code=1)
    assert "LOGIN_REFUSED: 401 [red]\\x1b[2J" in shown
    assert (gateway.calls[-1].request.parent, gateway.calls[-1].request.release_brake) == ("", True)


def test_the_status_reads_nothing(gateway, run):
    """How fresh each collection is, when it is read next, and whether a brake is on."""
    state = SyncState(cluster=ALPHA, collection="ports", completeness=2, rows=12)
    state.brake.missing = 7
    state.next_time.FromNanoseconds(round((time.time() + 90) * 1e9))
    state.took.FromMilliseconds(1500)
    gateway.answers["GetSyncState"] = GetSyncStateResponse(states=[state], explanation="Because.")
    shown = run("sync", "--status")
    assert "PARTIAL" in shown
    assert "in 1 min" in shown
    assert "1.5 s" in shown
    assert "deletions of 7 are held back, see --release-brake" in shown
    assert "Because." in shown
    assert [call.method for call in gateway.calls] == ["GetSyncState"]
    run("sync", "--status", "--release-brake", code=2)


@pytest.mark.parametrize("name", ["alpha", "openstack/alpha/servers", "OpenStack/alpha", "a/b\n"])
def test_another_form_of_a_cluster_is_refused(run, name):
    """Before anything is asked."""
    assert "is not a cluster name" in run("sync", name, code=2)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("servers", "servers"), ("server", "servers"), ("key-pair", "keyPairs"), ("volumeTypes", "volumeTypes")],
)
def test_kinds_are_typed_as_people_do(typed, name):
    """Singular, with hyphens or as the contract has them."""
    assert collection(typed) == name
