"""The route table at one moment: plain data that finds, or says why not."""

from __future__ import annotations

import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import NotFound, Unreachable, Unsupported
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.routing.snapshot import ClusterRoute, Endpoint, PlatformRoute, Snapshot

EAST, WEST = ClusterRef("p", "east"), ClusterRef("p", "west")
ONE, TWO = Endpoint("one", "127.0.0.1:1"), Endpoint("two", "127.0.0.1:2", identity="p")
GET, LIST = "a.B/Get", "a.B/List"


def snapshot() -> Snapshot:
    east = ClusterRoute(EAST, cluster_pb2.Cluster(), (ONE, TWO), {LIST: "too old"}, {GET: (TWO,)})
    west = ClusterRoute(WEST, cluster_pb2.Cluster())
    return Snapshot({"p": PlatformRoute("p", clusters={"east": east, "west": west})})


def test_endpoints_are_plain_data_that_another_process_can_use() -> None:
    """Address and identity are all that is needed to call one; no channel is held."""
    assert TWO._asdict() == {"instance_id": "two", "address": "127.0.0.1:2", "identity": "p"}
    assert hash(TWO) == hash(Endpoint("two", "127.0.0.1:2", "p"))


def test_a_method_is_routed_to_instances_that_have_it() -> None:
    """Of two versions side by side to the one that can; to nobody where none can, or none is alive."""
    now = snapshot()
    assert now.endpoints(now.cluster(EAST), GET) == (TWO,)
    assert now.endpoints(now.cluster(EAST), "a.B/Other") == (ONE, TWO)
    with pytest.raises(Unsupported, match="too old"):
        now.endpoints(now.cluster(EAST), LIST)
    with pytest.raises(Unreachable):
        now.endpoints(now.cluster(WEST), GET)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A typing error is seen at once."""
    with pytest.raises(NotFound, match="known now: p"):
        snapshot().platform("q")


def test_a_wildcard_means_the_clusters_in_the_order_of_their_names() -> None:
    """Pages of a list go by it."""
    assert [route.ref for route in snapshot().matching(ClusterRef("-", "-"))] == [EAST, WEST]
    assert [route.ref for route in snapshot().matching(ClusterRef("p", "west"))] == [WEST]
