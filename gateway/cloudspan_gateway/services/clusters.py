"""ClusterService: the clusters as their adapters last described them, answered without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.cluster_views import LIST_CLUSTERS, capabilities, viewed
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.metadata import PLATFORM
from cloudspan_gateway.services.platforms import platform_tag

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.table import Table


class ClusterService:
    """Answers cloudspan.v1.ClusterService; only CheckCluster goes to the cluster's adapter."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get_cluster(self, request: cluster_pb2.GetClusterRequest, call: Call) -> cluster_pb2.Cluster:
        return viewed(_of_project(self._cluster(request.name), call), request.view, cluster_pb2.CLUSTER_VIEW_FULL)

    async def list_clusters(
        self, request: cluster_pb2.ListClustersRequest, call: Call
    ) -> cluster_pb2.ListClustersResponse:
        tag = platform_tag(request.parent, "parent") if request.parent else call.tags.get(PLATFORM, WILDCARD)
        routes = self._table.snapshot.matching(ClusterRef(tag, WILDCARD))
        page, token = page_by_name(LIST_CLUSTERS, request, (route.cluster for route in routes))
        shown = [viewed(_of_project(one, call), request.view, cluster_pb2.CLUSTER_VIEW_BASIC) for one in page]
        return cluster_pb2.ListClustersResponse(clusters=shown, next_page_token=token)

    async def get_capabilities(
        self, request: cluster_pb2.GetCapabilitiesRequest, _call: Call
    ) -> cluster_pb2.GetCapabilitiesResponse:
        return capabilities(self._cluster(request.name).capabilities, request)

    def _cluster(self, name: str) -> cluster_pb2.Cluster:
        ref = parse_cluster(name, "name")
        if ref.is_wildcard or str(ref) != name:
            raise malformed(name, "name", "platforms/{platform}/clusters/{cluster}")
        return self._table.snapshot.cluster(ref).cluster


def _of_project(cluster: cluster_pb2.Cluster, call: Call) -> cluster_pb2.Cluster:
    """Return a cluster with the caller's project in place of the one that its credentials are scoped to."""
    ref = parse_cluster(cluster.name, "name")
    project = call.access.project(ref)
    if not project:
        return cluster
    shown = cluster_pb2.Cluster()
    shown.CopyFrom(cluster)
    shown.project = ref.resource("projects", project)
    return shown
