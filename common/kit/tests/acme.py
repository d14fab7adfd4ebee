"""An adapter for a platform with one driver, over real sockets: what the tests of the kit's servicers start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry

from cloudspan.v1 import cluster_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit import Call, Cluster
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve

EAST = ClusterRef("acme", "east")
PARENT = str(EAST)

DriverT = TypeVar("DriverT")


class AcmeCluster(Generic[DriverT]):
    """One cluster with a driver of servers, and others beside it."""

    ref, digest, settle_s, cloud, keeper = EAST, "acme", 0.0, None, None

    def __init__(self, servers: DriverT, *others: Any) -> None:
        self.servers = servers
        self.drivers = (servers, *others)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(state=cluster_pb2.Cluster.STATE_READY)

    async def project(self, _: Call) -> str:
        return "main"

    async def check(self, _: Call) -> list[Any]:
        return []


@asynccontextmanager
async def serving(
    *clusters: Cluster,
    metrics: CollectorRegistry | None = None,
    registry: MemoryRegistry | None = None,
    **config: Any,
) -> AsyncIterator[str]:
    """Serve the clusters inside the `with` block; gives the address."""
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    settings = AdapterConfig(instance="acme-1", drain_s=0.0, **config)
    adapter = Adapter("acme", "Acme", "none", clusters)
    parts = {"registry": registry or MemoryRegistry(), "metrics": metrics}
    task = asyncio.create_task(serve(adapter, settings, stop, ready=bound.set_result, **parts))
    yield await bound
    stop.set()
    await task
