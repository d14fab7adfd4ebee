"""How fresh what is kept of a collection is, and what is said of it."""

from __future__ import annotations

import pytest
from gateway.tests.calls import call

from cloudspan.v1 import cluster_pb2, common_pb2, server_pb2
from cloudspan_common.errors import LoginRefused, NotFound, OutOfTime, PlatformFault, Unreachable
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.call import Target
from cloudspan_gateway.inventory.model import Brake, CollectionState, Completeness
from cloudspan_gateway.inventory.reads.freshness import OTHER_PROJECT, Asked, Changed, Kept, is_away, is_swept_for
from cloudspan_gateway.routing.snapshot import ClusterRoute

EAST = "platforms/openstack/clusters/east"
NOW = 1000.0
Status = common_pb2.ClusterStatus


def kept(observe_time=900.0, changed_time=0.0, **state):
    return Kept(CollectionState(EAST, "servers", observe_time=observe_time, **state), NOW, changed_time)


def asked(stale_ok=False, **fields):
    made = call("/a.B/C")
    made.target = Target("a.B/C", message=server_pb2.ListServersRequest(parent=EAST, **fields))
    made.stale_ok = stale_ok
    return Asked.of(made)


def test_a_collection_is_as_fresh_as_its_last_whole_listing_and_newer_than_the_tenants_own_changes():
    """To the second, and never where it was not listed whole."""
    assert kept().is_fresh(100.0)
    assert not kept().is_fresh(99.9)
    assert not kept(changed_time=900.0).is_fresh(100.0)
    assert not kept(observe_time=None).is_fresh(1e9)
    assert not kept(completeness=Completeness.UNSUPPORTED, reason="SERVICE_ABSENT").is_fresh(1e9)


def test_a_row_is_as_new_as_the_listing_that_had_it_or_as_its_own_reading():
    """While deletions are held back nobody knows which rows the listing had."""
    assert kept().confirmed_time == 900.0
    assert kept(brake=Brake(20, 30, 1.0)).confirmed_time < 0
    assert kept(observe_time=None).confirmed_time < 0


def test_what_was_last_known_is_marked_with_why_and_how_old():
    """Unless it is as fresh as was asked for."""
    status = kept().status(stale_ok=True, within_s=50.0, why="no route to host")
    assert (status.state, status.reason) == (Status.STATE_PARTIAL, "STALE")
    assert status.message == "the last known resources, 100 s old: no route to host"
    assert kept().status(stale_ok=True, within_s=100.0).state == Status.STATE_OK


def test_a_cluster_that_is_left_out_says_since_when_and_what_to_do():
    """Never listed, listed too long ago, or left out by an earlier page."""
    assert kept(observe_time=None).left_out().reason == "NEVER_SYNCED"
    assert kept(observe_time=None, reason="CLUSTER_LOGIN_REFUSED").left_out().reason == "CLUSTER_LOGIN_REFUSED"
    assert "100 s ago" in kept().left_out().message
    assert kept().left_out(earlier=True).reason == "FAILED_EARLIER"
    assert "list this cluster alone" in kept(observe_time=None, reason=OTHER_PROJECT).left_out().message


def test_what_the_inventory_does_not_hold_is_not_asked_of_it():
    """View FULL, deleted resources, and fields of requests to come."""
    assert asked(max_staleness={"seconds": 5, "nanos": 500_000_000}) == Asked(5.5, stale_ok=False)
    assert asked(stale_ok=True) == Asked(0.0, stale_ok=True)
    for fields in ({"view": common_pb2.RESOURCE_VIEW_FULL}, {"show_deleted": True}):
        assert asked(stale_ok=True, max_staleness={"seconds": 5}, **fields) == Asked(0.0, stale_ok=False)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (Unreachable("x"), True), (OutOfTime("x"), True), (LoginRefused("x"), True),
        (NotFound("x"), False), (PlatformFault("x"), False),
    ],
)  # fmt: skip
def test_only_a_cluster_that_does_not_answer_is_away(error, away):
    """What it answers stands, however bad."""
    assert is_away(error) is away


def test_everything_counts_as_changed_where_changes_are_too_many():
    """Until it is listed again."""
    assert Changed(everything=True).of_collection(EAST, "zones") > NOW
    assert Changed().of_resource("x", EAST, "zones") < 0
    assert kept(completeness=Completeness.FAILED).status().state == Status.STATE_OK


@pytest.mark.parametrize(
    ("project", "own", "collection", "is_swept"),
    [
        ("", "other", "servers", True),
        ("mine", "mine", "servers", True),
        ("mine", "", "servers", True),
        ("mine", "other", "servers", False),
        ("mine", "other", "projects", False),
        ("mine", "other", "zones", True),
    ],
)
def test_a_caller_with_another_project_than_the_credentials_is_answered_by_the_platform(
    project: str, own: str, collection: str, is_swept: bool
) -> None:
    """An administrator's list has its own project alone on some platforms; kinds without projects are everybody's."""
    ref = ClusterRef("openstack", "east")
    named = [ref.resource("projects", one) if one else "" for one in (project, own)]
    route = ClusterRoute(ref, cluster_pb2.Cluster(project=named[1], state="STATE_READY"))
    assert is_swept_for(named[0], route, collection) is is_swept


def test_before_a_login_nobody_knows_which_project_is_listed():
    """Empty then says nothing, and the platform answers."""
    ref = ClusterRef("openstack", "east")
    mine = ref.resource("projects", "mine")
    for state, is_swept in (("STATE_CONNECTING", False), ("STATE_READY", True), ("STATE_UNREACHABLE", True)):
        route = ClusterRoute(ref, cluster_pb2.Cluster(state=state))
        assert is_swept_for(mine, route, "servers") is is_swept
        assert is_swept_for("", route, "servers")
