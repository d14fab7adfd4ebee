"""How much of a cluster is shown, and its capabilities by method."""

from __future__ import annotations

import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common.cluster_views import capabilities, viewed
from cloudspan_common.errors import InvalidRequest

BASIC, FULL = cluster_pb2.CLUSTER_VIEW_BASIC, cluster_pb2.CLUSTER_VIEW_FULL
Capability = cluster_pb2.MethodCapability
GET, LIST = "cloudspan.v1.ServerService/GetServer", "cloudspan.v1.ServerService/ListServers"
KNOWN = [Capability(method=LIST, level=Capability.LEVEL_NATIVE), Capability(method=GET, level=Capability.LEVEL_NATIVE)]


def asked(method: str = "") -> list[tuple[str, int]]:
    answer = capabilities(KNOWN, cluster_pb2.GetCapabilitiesRequest(method=method))
    return [(one.method, one.level) for one in answer.capabilities]


def test_a_basic_view_leaves_the_capabilities_out_and_the_original_whole() -> None:
    cluster = cluster_pb2.Cluster(name="c", capabilities=KNOWN)
    assert not viewed(cluster, BASIC, FULL).capabilities
    assert viewed(cluster, 0, FULL) is cluster
    assert len(cluster.capabilities) == 2


def test_all_capabilities_come_sorted_by_method() -> None:
    assert [method for method, _ in asked()] == [GET, LIST]


def test_one_method_is_answered_alone_whether_or_not_the_cluster_reports_it() -> None:
    """With or without the leading slash of gRPC."""
    assert asked("/" + GET) == [(GET, Capability.LEVEL_NATIVE)]
    other = "cloudspan.v1.ServerService/CreateServer"
    assert asked(other) == [(other, Capability.LEVEL_ABSENT)]


def test_a_method_that_the_contract_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="CreateServer") as refused:
        asked("cloudspan.v1.ServerService/MakeServer")
    assert refused.value.reason == "METHOD_UNKNOWN"
