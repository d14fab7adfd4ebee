"""What a watch shows: by filter, by cluster and project, and as long as its caller's access stays what it is."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import InvalidRequest, Resync
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.access.access import NOTHING, OpenAccess
from cloudspan_gateway.inventory.watch.change import State
from cloudspan_gateway.inventory.watch.selection import Selection, Sight, Wanted, sight_of

EAST, WEST = "platforms/openstack/clusters/east", "platforms/openstack/clusters/west"
P1 = f"{EAST}/projects/p1"
EVERYWHERE = ClusterRef("-", "-")


class OfProject(OpenAccess):
    """Sees one project of each cluster."""

    def project(self, ref: ClusterRef) -> str:
        return "p1"


def wanted(text: str = "", *collections: str) -> Wanted:
    return Wanted(EVERYWHERE, frozenset(collections), text, b"")


def state(project: str = "p1") -> State:
    server = server_pb2.Server(name=f"{EAST}/servers/1", display_name="web", project=f"{EAST}/projects/{project}")
    return State("servers", server.SerializeToString(), 1.0)


def test_a_resource_is_shown_in_its_cluster_and_project_alone():
    """A cluster that nobody looked at shows nothing."""
    assert Selection(wanted(), {EAST: ""}).shows(EAST, state())
    assert Selection(wanted(), {EAST: P1}).shows(EAST, state())
    assert not Selection(wanted(), {EAST: P1}).shows(EAST, state("p2"))
    assert not Selection(wanted(), {EAST: None, WEST: ""}).shows(EAST, state())
    assert not Selection(wanted(), {WEST: ""}).shows(EAST, state())


def test_a_filter_is_over_the_one_collection_or_over_what_all_have():
    """And refused where it names what is not there."""
    assert Selection(wanted("NOT image:*", "servers"), {EAST: ""}).shows(EAST, state())
    assert Selection(wanted("collection = servers"), {EAST: ""}).shows(EAST, state())
    assert not Selection(wanted("", "volumes"), {EAST: ""}).shows(EAST, state())
    with pytest.raises(InvalidRequest):
        Selection(wanted("collection = servers", "servers"), {})
    assert (
        repr(Selection(wanted("vcpus = 0", "servers"), {EAST: "", WEST: None}))
        == "<Selection 'vcpus = 0' of 1 clusters>"
    )


def test_what_is_not_seen_is_not_in_the_digest_of_a_sight():
    """What is seen is, with its project."""
    assert sight_of({EAST: "", WEST: None}) == sight_of({EAST: ""})
    assert len({sight_of({EAST: ""}), sight_of({EAST: P1}), sight_of({WEST: ""}), sight_of({})}) == 4


@pytest.mark.parametrize(
    ("clusters", "access", "project"),
    [
        (EVERYWHERE, OpenAccess(), ""),
        (EVERYWHERE, OfProject(), P1),
        (EVERYWHERE, NOTHING, None),
        (ClusterRef("openstack", "-"), OpenAccess(), ""),
        (ClusterRef("openstack", "east"), OpenAccess(), ""),
        (ClusterRef("openstack", "west"), OpenAccess(), None),
        (ClusterRef("zstack", "-"), OpenAccess(), None),
    ],
)
def test_what_is_seen_of_a_cluster_is_what_was_asked_for_and_what_the_access_has(clusters, access, project):
    """Both must agree."""
    sight = Sight(clusters, "Watch", lambda: access)
    sight.look_at([EAST])
    assert sight.places == {EAST: project}


def test_a_sight_ends_with_an_access_that_shows_something_else():
    """Not with one that shows the same."""
    now = [OpenAccess()]
    sight = Sight(EVERYWHERE, "Watch", lambda: now[0])
    sight.look_at([EAST])
    now[0] = OpenAccess("other")
    sight.check()
    for other in (OfProject(), NOTHING):
        now[0] = other
        with pytest.raises(Resync):
            sight.check()
