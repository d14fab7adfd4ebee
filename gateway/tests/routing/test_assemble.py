"""The next route table, from what is known of each instance and what is remembered of those that are gone."""

from __future__ import annotations

from typing import Any

from cloudspan.v1 import cluster_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry import Instance
from cloudspan_gateway.routing.assemble import Remembered, assemble
from cloudspan_gateway.routing.describe import Description
from cloudspan_gateway.routing.snapshot import EJECTED, QUARANTINED, READY, Endpoint, Seen, State

GET, LIST = "a.B/Get", "a.B/List"
UNREACHABLE = cluster_pb2.Cluster.STATE_UNREACHABLE
NAME = "platforms/p/clusters/east"


def described(digest: str = "d", at: float = 1.0, absent: dict[str, str] | None = None, **more: Any) -> Description:
    clusters = {"east": cluster_pb2.Cluster(name=NAME, display_name=f"as of {at:g}")}
    return Description("p", clusters=clusters, digests={"east": digest}, absent={"east": absent or {}}, at=at, **more)


def seen(name: str, description: Description | None, state: State = READY) -> Seen:
    return Seen(Instance(name, "p", f"127.0.0.1:{len(name)}"), Endpoint(name, ""), state, "", description)


def east(*instances: Seen, memory: Remembered | None = None) -> Any:
    snapshot = assemble(instances, {"p": memory} if memory else {})
    return snapshot.platforms["p"].clusters.get("east")


def test_replicas_of_one_cluster_are_both_called_and_the_newest_description_is_shown() -> None:
    route = east(seen("one", described(at=1)), seen("two", described(at=2)))
    assert [endpoint.instance_id for endpoint in route.endpoints] == ["one", "two"]
    assert (route.ref, route.cluster.display_name) == (ClusterRef("p", "east"), "as of 2")


def test_of_two_versions_side_by_side_a_method_goes_to_the_one_that_has_it() -> None:
    """What neither has is absent, with the reason."""
    route = east(
        seen("one", described(absent={GET: "too old", LIST: "never"})), seen("two", described(absent={LIST: "never"}))
    )
    assert {method: [e.instance_id for e in able] for method, able in route.partly.items()} == {GET: ["two"]}
    assert route.absent == {LIST: "never"}


def test_a_replica_whose_credentials_are_refused_gets_no_calls_while_another_s_are_not() -> None:
    """It has another clouds file; where all are refused, their own answer says why."""
    refused, good = described(at=2), described(at=1)
    refused.clusters["east"].state = cluster_pb2.Cluster.STATE_LOGIN_REFUSED
    route = east(seen("one", refused), seen("two", good))
    assert ([endpoint.instance_id for endpoint in route.endpoints], route.cluster.display_name) == (["two"], "as of 1")
    assert [endpoint.instance_id for endpoint in east(seen("one", refused)).endpoints] == ["one"]


def test_of_two_that_claim_one_cluster_with_different_endpoints_the_later_is_quarantined() -> None:
    """Until the first one is gone."""
    one, two = seen("one", described("d1")), seen("two", described("d2"))
    platform = assemble([one, two], {}).platforms["p"]
    assert [found.state for found in platform.instances] == [READY, QUARANTINED]
    assert "another endpoint or scope than one" in platform.instances[1].reason
    assert [endpoint.instance_id for endpoint in platform.clusters["east"].endpoints] == ["one"]
    assert [found.state for found in assemble([two], {}).platforms["p"].instances] == [READY]


def test_a_quarantined_instance_claims_nothing() -> None:
    """Else it would keep the right one out."""
    wrong = seen("one", described("d1"), QUARANTINED)
    assert [e.instance_id for e in east(wrong, seen("two", described("d2"))).endpoints] == ["two"]


def test_a_cluster_whose_instances_are_gone_is_remembered_as_unreachable() -> None:
    memory = Remembered()
    memory.learn(None, described(services=frozenset({"a.B"}), display_name="Pea"))
    route = east(seen("one", described(), EJECTED), memory=memory)
    assert (route.endpoints, route.cluster.state) == ((), UNREACHABLE)
    platform = assemble([], {"p": memory}).platforms["p"]
    assert (platform.display_name, platform.services) == ("Pea", {"a.B"})
    assert memory.clusters["east"].state != UNREACHABLE


def test_a_cluster_that_its_adapter_dropped_is_forgotten_at_once() -> None:
    memory = Remembered()
    memory.learn(None, described())
    memory.learn(described(), Description("p"))
    assert east(seen("one", Description("p", absent={})), memory=memory) is None
