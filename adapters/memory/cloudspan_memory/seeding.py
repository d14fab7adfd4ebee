"""This adapter's own service, beside the contract's: SeedService."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import grpc

from cloudspan_memory.seed.v1 import seed_pb2, seed_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan_memory.cluster import MemoryCluster

SERVICE = "cloudspan_memory.seed.v1.SeedService"
MAX_SERVERS = 100_000


class SeedServicer(seed_pb2_grpc.SeedServiceServicer):
    """Fills the clusters of this adapter."""

    def __init__(self, clusters: Sequence[MemoryCluster]) -> None:
        self._clusters = {cluster.ref.cluster: cluster for cluster in clusters}

    async def Seed(  # noqa: N802 - the rpc's name
        self, request: seed_pb2.SeedRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> seed_pb2.SeedResponse:
        cluster = self._clusters.get(request.cluster or next(iter(self._clusters)))
        if cluster is None:
            known = ", ".join(self._clusters)
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no cluster {request.cluster!r}; known: {known}")
        if not 0 <= request.servers <= MAX_SERVERS:
            text = f"servers is {request.servers}; expected 0 to {MAX_SERVERS}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        cluster.seed_servers(request.servers)
        return seed_pb2.SeedResponse(servers=len(cluster.store.all("servers")))


def services(clusters: Sequence[MemoryCluster]) -> dict[str, Callable[[grpc.aio.Server], None]]:
    """Return what `Adapter.own_services` takes."""
    return {SERVICE: functools.partial(seed_pb2_grpc.add_SeedServiceServicer_to_server, SeedServicer(clusters))}
