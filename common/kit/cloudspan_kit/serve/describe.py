"""Tells who an adapter is: Describe for the gateway, PlatformService and ClusterService for direct callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan.adapter.v1 import adapter_pb2, adapter_pb2_grpc
from cloudspan.v1 import cluster_pb2, cluster_pb2_grpc, platform_pb2, platform_pb2_grpc
from cloudspan_common import contract, deadlines
from cloudspan_common.cluster_views import LIST_CLUSTERS, LIST_PLATFORMS, capabilities, viewed
from cloudspan_common.errors import NotFound
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import WILDCARD, parse_cluster
from cloudspan_common.reflection import file_descriptor_set, own_comments_of
from cloudspan_kit.cluster import Call
from cloudspan_kit.serve.context import caller

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from cloudspan_common.registry import Instance
    from cloudspan_kit.cluster import Stage
    from cloudspan_kit.serve.clusters import Clusters
    from cloudspan_kit.serve.servicer import ContractServicer

    Context = grpc.aio.ServicerContext[Any, Any]

PLATFORMS, CLUSTERS = "cloudspan.v1.PlatformService", "cloudspan.v1.ClusterService"
_GATEWAY_ONLY = ("cloudspan.v1.OperationService", "cloudspan.v1.OrphanService")
SERVICES = tuple(name for name in contract.services() if name not in _GATEWAY_ONLY)
"""What every adapter serves of the contract; a method that its cluster lacks answers UNIMPLEMENTED."""


_STAGES = {
    name.removeprefix("KIND_").lower(): number for name, number in cluster_pb2.CheckClusterResponse.Stage.Kind.items()
}


class Describer(adapter_pb2_grpc.AdapterServiceServicer):
    """Answers Describe from memory."""

    def __init__(
        self,
        display_name: str,
        instance: Instance,
        clusters: Clusters,
        own_services: Sequence[str],
        context_key: Callable[[], bytes] = bytes,
    ) -> None:
        self._context_key = context_key
        self._display_name = display_name
        self._instance = instance
        self._clusters = clusters
        self._services = (*SERVICES, *own_services)
        self._descriptors = file_descriptor_set(own_services)
        for file in self._descriptors.file:
            file.MergeFromString(own_comments_of(file.name))

    async def Describe(  # noqa: N802 - the rpc's name
        self, request: adapter_pb2.DescribeRequest, context: Context
    ) -> adapter_pb2.DescribeResponse:
        low, high = self._instance.contract
        return adapter_pb2.DescribeResponse(
            platform=self._instance.platform,
            display_name=self._display_name,
            build=self._instance.build,
            contract_min=low,
            contract_max=high,
            clusters=self.clusters(),
            # One that can't be used claims nothing.
            cluster_digests={str(s.cluster.ref): s.cluster.digest for s in self._clusters if s.cluster.digest},
            services=self._services,
            descriptors=self._descriptors,
            context_key=self._context_key(),
        )

    def clusters(self) -> list[cluster_pb2.Cluster]:
        """Return every cluster as it stands now."""
        return [served.describe() for served in self._clusters]

    def platform(self) -> platform_pb2.Platform:
        """Return this adapter as the platform of its tag."""
        low, high = self._instance.contract
        me = platform_pb2.AdapterInstance(
            id=self._instance.instance_id,
            address=self._instance.address,
            state=platform_pb2.AdapterInstance.STATE_READY,
            build=self._instance.build,
            contract_min=low,
            contract_max=high,
        )
        return platform_pb2.Platform(
            name=f"platforms/{self._instance.platform}",
            display_name=self._display_name,
            state=platform_pb2.Platform.STATE_READY,
            instances=[me],
            clusters=[str(served.cluster.ref) for served in self._clusters],
            services=self._services,
        )


class PlatformServicer(platform_pb2_grpc.PlatformServiceServicer):
    """Answers PlatformService with this adapter alone."""

    def __init__(self, describer: Describer, servicer: ContractServicer) -> None:
        self._describer, self._servicer = describer, servicer

    async def GetPlatform(  # noqa: N802 - the rpc's name
        self, request: platform_pb2.GetPlatformRequest, context: Context
    ) -> platform_pb2.Platform:
        async def answer() -> platform_pb2.Platform:
            platform = self._describer.platform()
            if request.name != platform.name:
                raise NotFound(f"there is no {request.name!r} here; this adapter serves {platform.name}")
            return platform

        return await self._servicer.answered(f"{PLATFORMS}/GetPlatform", context, answer)

    async def ListPlatforms(  # noqa: N802 - the rpc's name
        self, request: platform_pb2.ListPlatformsRequest, context: Context
    ) -> platform_pb2.ListPlatformsResponse:
        async def answer() -> platform_pb2.ListPlatformsResponse:
            page, token = page_by_name(LIST_PLATFORMS, request, [self._describer.platform()])
            return platform_pb2.ListPlatformsResponse(platforms=page, next_page_token=token)

        return await self._servicer.answered(f"{PLATFORMS}/ListPlatforms", context, answer)


class ClusterServicer(cluster_pb2_grpc.ClusterServiceServicer):
    """Answers ClusterService for the clusters of this adapter."""

    def __init__(self, describer: Describer, clusters: Clusters, servicer: ContractServicer) -> None:
        self._describer, self._clusters, self._servicer = describer, clusters, servicer

    async def GetCluster(  # noqa: N802 - the rpc's name
        self, request: cluster_pb2.GetClusterRequest, context: Context
    ) -> cluster_pb2.Cluster:
        async def answer() -> cluster_pb2.Cluster:
            contract.check_required(request)
            return viewed(self._cluster(request.name), request.view, cluster_pb2.CLUSTER_VIEW_FULL)

        return await self._servicer.answered(f"{CLUSTERS}/GetCluster", context, answer)

    async def ListClusters(  # noqa: N802 - the rpc's name
        self, request: cluster_pb2.ListClustersRequest, context: Context
    ) -> cluster_pb2.ListClustersResponse:
        async def answer() -> cluster_pb2.ListClustersResponse:
            mine = f"platforms/{self._clusters.platform}"
            if request.parent not in ("", mine, f"platforms/{WILDCARD}"):
                raise NotFound(f"there is no {request.parent!r} here; this adapter serves {mine}")
            page, token = page_by_name(LIST_CLUSTERS, request, self._describer.clusters())
            shown = [viewed(cluster, request.view, cluster_pb2.CLUSTER_VIEW_BASIC) for cluster in page]
            return cluster_pb2.ListClustersResponse(clusters=shown, next_page_token=token)

        return await self._servicer.answered(f"{CLUSTERS}/ListClusters", context, answer)

    async def GetCapabilities(  # noqa: N802 - the rpc's name
        self, request: cluster_pb2.GetCapabilitiesRequest, context: Context
    ) -> cluster_pb2.GetCapabilitiesResponse:
        async def answer() -> cluster_pb2.GetCapabilitiesResponse:
            contract.check_required(request)
            return capabilities(self._cluster(request.name).capabilities, request)

        return await self._servicer.answered(f"{CLUSTERS}/GetCapabilities", context, answer)

    def _cluster(self, name: str) -> cluster_pb2.Cluster:
        return self._clusters.get(parse_cluster(name, "name"), "name").describe()

    async def CheckCluster(  # noqa: N802 - the rpc's name
        self, request: cluster_pb2.CheckClusterRequest, context: Context
    ) -> cluster_pb2.CheckClusterResponse:
        async def answer() -> cluster_pb2.CheckClusterResponse:
            contract.check_required(request)
            ref = parse_cluster(request.name, "name")
            call = Call(cluster=ref, deadline=deadlines.of(context), caller=caller())
            with self._clusters.get(ref, "name") as served:
                async with call.deadline.scope(f"checking {ref}"):
                    return _checked(await served.check(call), call)

        return await self._servicer.answered(f"{CLUSTERS}/CheckCluster", context, answer)


def _checked(stages: Sequence[Stage], call: Call) -> cluster_pb2.CheckClusterResponse:
    """Return the stages; without their words to a caller of one project, since they tell of the credentials' own."""
    response = cluster_pb2.CheckClusterResponse(ok=all(stage.ok for stage in stages))
    for stage in stages:
        kind = _STAGES.get(stage.name, cluster_pb2.CheckClusterResponse.Stage.KIND_OTHER)
        described = response.stages.add(kind=kind, ok=stage.ok, reason=stage.reason)
        described.message = "" if call.project else stage.message
        described.took.FromMicroseconds(round(stage.took_s * 1e6))
    return response
