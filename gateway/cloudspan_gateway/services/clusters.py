"""ClusterService: the clusters as their adapters last described them, answered without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.services.platforms import platform_tag

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.table import Table


class ClusterService:
    """Answers Get and List of cloudspan.v1.ClusterService; CheckCluster goes to the cluster's adapter."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get_cluster(self, request: cluster_pb2.GetClusterRequest, _call: Call) -> cluster_pb2.Cluster:
        ref = parse_cluster(request.name, "name")
        if ref.is_wildcard or str(ref) != request.name:
            raise malformed(request.name, "name", "platforms/{platform}/clusters/{cluster}")
        return self._table.snapshot.cluster(ref).cluster

    async def list_clusters(
        self, request: cluster_pb2.ListClustersRequest, _call: Call
    ) -> cluster_pb2.ListClustersResponse:
        tag = platform_tag(request.parent, "parent") if request.parent else WILDCARD
        routes = self._table.snapshot.matching(ClusterRef(tag, WILDCARD))
        return cluster_pb2.ListClustersResponse(clusters=[route.cluster for route in routes])
