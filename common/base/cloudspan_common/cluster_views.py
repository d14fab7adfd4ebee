"""How much of a cluster is shown: with its capabilities or without; the gateway and each adapter answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common import contract
from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

LIST_CLUSTERS = "cloudspan.v1.ClusterService/ListClusters"
LIST_PLATFORMS = "cloudspan.v1.PlatformService/ListPlatforms"


def viewed(
    cluster: cluster_pb2.Cluster, view: cluster_pb2.ClusterView, default: cluster_pb2.ClusterView
) -> cluster_pb2.Cluster:
    """Return a cluster under a view; `default` when none is asked for."""
    if (view or default) == cluster_pb2.CLUSTER_VIEW_FULL:
        return cluster
    basic = cluster_pb2.Cluster()
    basic.CopyFrom(cluster)
    basic.ClearField("capabilities")
    return basic


def capabilities(
    known: Iterable[cluster_pb2.MethodCapability], request: cluster_pb2.GetCapabilitiesRequest
) -> cluster_pb2.GetCapabilitiesResponse:
    """Return the capabilities that are asked for, by method; a method that a cluster does not report is ABSENT.

    Raises:
        InvalidRequest: The contract has no such method.
    """
    method = request.method.removeprefix("/")
    if not method:
        by_method = {one.method: one for one in known}
        return cluster_pb2.GetCapabilitiesResponse(capabilities=[by_method[name] for name in sorted(by_method)])
    if method not in contract.methods():
        text = f"method is {method!r}; expected one of the contract such as cloudspan.v1.ServerService/CreateServer"
        raise InvalidRequest(text, reason="METHOD_UNKNOWN", violations=[Violation("method", text)])
    found = [one for one in known if one.method == method]
    absent = cluster_pb2.MethodCapability(method=method, level=cluster_pb2.MethodCapability.LEVEL_ABSENT)
    return cluster_pb2.GetCapabilitiesResponse(capabilities=found or [absent])
