"""ClusterService: the clusters as their adapters last described them, answered without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.cluster_views import LIST_CLUSTERS, capabilities, viewed
from cloudspan_common.contract import Permission
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.metadata import PLATFORM
from cloudspan_gateway.services.platforms import platform_tag

if TYPE_CHECKING:
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.routing.tags import Tags

_READ = Permission.PERMISSION_READ


class ClusterService:
    """Answers cloudspan.v1.ClusterService; only CheckCluster goes to the cluster's adapter."""

    def __init__(self, table: Table, tags: Tags) -> None:
        self._table = table
        self._tags = tags

    async def get_cluster(self, request: cluster_pb2.GetClusterRequest, call: Call) -> cluster_pb2.Cluster:
        cluster = _of_project(self._cluster(request.name, call), call.access)
        return viewed(cluster, request.view, cluster_pb2.CLUSTER_VIEW_FULL)

    async def list_clusters(
        self, request: cluster_pb2.ListClustersRequest, call: Call
    ) -> cluster_pb2.ListClustersResponse:
        tag = platform_tag(request.parent, "parent") if request.parent else call.tags.get(PLATFORM, WILDCARD)
        access = self._tags.narrowed(call.tags, call.access)
        routes = access.view(self._table.snapshot).matching(ClusterRef(tag, WILDCARD))
        shown_to_caller = (route.cluster for route in routes if access.allows(_READ, LIST_CLUSTERS, route.ref))
        page, token = page_by_name(LIST_CLUSTERS, request, shown_to_caller)
        shown = [viewed(_of_project(one, access), request.view, cluster_pb2.CLUSTER_VIEW_BASIC) for one in page]
        return cluster_pb2.ListClustersResponse(clusters=shown, next_page_token=token)

    async def get_capabilities(
        self, request: cluster_pb2.GetCapabilitiesRequest, call: Call
    ) -> cluster_pb2.GetCapabilitiesResponse:
        return capabilities(self._cluster(request.name, call).capabilities, request)

    def _cluster(self, name: str, call: Call) -> cluster_pb2.Cluster:
        ref = parse_cluster(name, "name")
        if ref.is_wildcard or str(ref) != name:
            raise malformed(name, "name", "platforms/{platform}/clusters/{cluster}")
        return call.access.view(self._table.snapshot).cluster(ref).cluster


def _of_project(cluster: cluster_pb2.Cluster, access: Access) -> cluster_pb2.Cluster:
    """Return a cluster with the caller's project in place of the one that its credentials are scoped to."""
    ref = parse_cluster(cluster.name, "name")
    project = access.project(ref)
    if not project:
        return cluster
    shown = cluster_pb2.Cluster()
    shown.CopyFrom(cluster)
    shown.project = ref.resource("projects", project)
    return shown
