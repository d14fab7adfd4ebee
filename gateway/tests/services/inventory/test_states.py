"""States of collections that were listed, and of those that never were."""

from __future__ import annotations

from typing import Any

import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import parse_cluster
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.columns import collections
from cloudspan_gateway.inventory.model import CollectionState, Completeness, Scope
from cloudspan_gateway.routing.snapshot import ClusterRoute
from cloudspan_gateway.services.inventory.scopes import Seen
from cloudspan_gateway.services.inventory.states import checked_collections, message_of_state, of_caller, read_states

EAST = "platforms/openstack/clusters/east"


class Kept(list[CollectionState]):
    """States that a test puts here."""

    def listed(self, cluster: str, collection: str, **fields: Any) -> None:
        self.append(CollectionState(cluster, collection, **fields))

    async def states(self, _clusters: object = None) -> list[CollectionState]:
        return self


def seen(project: str = "", absent: dict[str, str] | None = None, own: str = "") -> Seen:
    ref = parse_cluster(EAST)
    route = ClusterRoute(ref, cluster_pb2.Cluster(name=EAST, project=own), absent=absent or {})
    return Seen(ref, (route,), Scope(((EAST, project),)), ())


async def test_each_collection_of_the_contract_has_a_state() -> None:
    """In the order of their names, whether or not it was ever listed."""
    found = await read_states(Kept(), seen(absent={"cloudspan.v1.ZoneService/ListZones": "none"}), (), FakeClock())
    assert [state.collection for state in found.states] == sorted(collections())
    assert {state.completeness for state in found.states} == {Completeness.NEVER, Completeness.UNSUPPORTED}
    assert [state.collection for state in found.states if state.completeness is Completeness.UNSUPPORTED] == ["zones"]


async def test_a_collection_whose_listing_is_late_counts_as_incomplete() -> None:
    """By more than its pause, and by more than a minute: a slow cloud's listing is under way until then."""
    kept, clock = Kept(), FakeClock()
    now = clock.now()
    for name, next_time, interval_s in (("servers", -61, 15), ("ports", -59, 15), ("zones", -500, 600)):
        kept.listed(EAST, name, completeness=Completeness.COMPLETE, next_time=now + next_time, interval_s=interval_s)
    found = await read_states(kept, seen(), ("servers", "ports", "zones"), clock)
    assert [state.collection for state in found.incomplete] == ["servers"]


async def test_a_project_that_is_listed_by_itself_has_a_state_of_its_own() -> None:
    """Which is that of who has it alone; who sees the cluster as a whole is told of each."""
    kept, one, two = Kept(), f"{EAST}/projects/one", f"{EAST}/projects/two"
    kept.listed(EAST, "servers", completeness=Completeness.COMPLETE)
    kept.listed(EAST, "servers", completeness=Completeness.FAILED, project=two)
    kept.listed(EAST, "flavors", completeness=Completeness.COMPLETE)
    told = {}
    for project in ("", one, two, f"{EAST}/projects/three"):
        found = await read_states(kept, seen(project, own=one), ("servers", "flavors"), FakeClock())
        told[project.rpartition("/")[2]] = [(each.collection, str(each.completeness)) for each in found.states]
        projects = [message_of_state(each, owner=True).project for each in found.states]
        assert [name for name in projects if name] == ([two] if project in ("", two) else [])
    assert told == {
        "": [("flavors", "COMPLETE"), ("servers", "COMPLETE"), ("servers", "FAILED")],
        "one": [("flavors", "COMPLETE"), ("servers", "COMPLETE")],
        "two": [("flavors", "COMPLETE"), ("servers", "FAILED")],
        "three": [("flavors", "COMPLETE"), ("servers", "PARTIAL")],
    }


async def test_times_that_are_not_known_are_left_out() -> None:
    """And not 1970."""
    [state] = (await read_states(Kept(), seen(), ("servers",), FakeClock())).states
    message = message_of_state(state, owner=True)
    assert not any(message.HasField(field) for field in ("observe_time", "attempt_time", "next_time", "brake"))


def test_a_state_does_not_tell_where_instances_are() -> None:
    """What the gateway says of them is for its log."""
    text = "no instance serves it: memory-1 is EJECTED (failed to connect to 10.0.0.1:7080)"
    state = CollectionState(EAST, "servers", Completeness.FAILED, "NO_INSTANCE", text)
    assert "10.0.0.1" not in of_caller(state, seen()).message
    assert "10.0.0.1" not in of_caller(state, seen(f"{EAST}/projects/p")).message


def test_collections_are_those_of_the_contract() -> None:
    """Each once; a long invented name is cut."""
    assert checked_collections(["ports", "servers", "ports"]) == ("ports", "servers")
    for name in ("Servers", "", "servers ", "operations", "x" * 5000):
        with pytest.raises(InvalidRequest) as refused:
            checked_collections(["servers", name])
        assert len(refused.value.message) < 400
