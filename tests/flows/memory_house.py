"""A gateway and memory adapters in one process over real sockets, for tests of flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from cloudspan.client import AsyncClient
from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.app import Gateway, build
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit.driver import Cluster
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_memory.driver import MemoryCluster

MAIN = "platforms/memory/clusters/main"


def memory_cluster(tag: str = "main", *, platform: str = "memory", delay_s: float = 0.02) -> MemoryCluster:
    return MemoryCluster(ClusterRef(platform, tag), delay_s=delay_s)


def create_request(name: str = "web", parent: str = MAIN, **fields: Any) -> server_pb2.CreateServerRequest:
    server = server_pb2.Server(display_name=name, flavor=f"{parent}/flavors/small")
    return server_pb2.CreateServerRequest(**{"parent": parent, "server": server} | fields)


@dataclass
class House:
    """What runs, and how to plug more in."""

    gateway: Gateway
    registry: MemoryRegistry
    client: AsyncClient
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def plug(self, clusters: Sequence[Cluster], instance: str = "memory-1") -> str:
        """Start an adapter and wait until the gateway routes to it; return its address."""
        address = asyncio.get_running_loop().create_future()
        config = AdapterConfig(listen="127.0.0.1:0", instance=instance, drain_s=0.0)
        adapter = Adapter(clusters[0].ref.platform, "Memory", "cloudspan-memory", clusters)
        work = serve(adapter, config, asyncio.Event(), registry=self.registry, ready=address.set_result)
        self.running[instance] = asyncio.create_task(work)
        serves = asyncio.Event()
        self.gateway.table.subscribe(lambda _snapshot: serves.set())
        async with asyncio.timeout(5):
            while not any(instance == seen.instance.instance_id for seen in self._serving()):
                serves.clear()
                await serves.wait()
        return str(await address)

    def _serving(self) -> list[Any]:
        return [seen for platform in self.gateway.table.snapshot.platforms.values() for seen in platform.serving]

    async def kill(self, instance: str = "memory-1") -> None:
        """End an adapter without a word to the registry; its calls are cut."""
        task = self.running.pop(instance)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def forget(self, instance: str = "memory-1") -> None:
        """The registry notices."""
        self.registry.remove(instance)


@asynccontextmanager
async def open_house(*clusters: Cluster) -> AsyncIterator[House]:
    """Run a gateway, and one adapter for `clusters` if there are any."""
    registry = MemoryRegistry()
    gateway = build(
        GatewayConfig(listen="127.0.0.1:0", metrics="", drain=0.0, settle=0.2, database="memory:"), registry
    )
    async with (
        gateway.running(),
        AsyncClient(f"127.0.0.1:{gateway.server.port}", timeout_s=10, retries=False) as client,
    ):
        house = House(gateway, registry, client)
        if clusters:
            await house.plug(clusters)
        yield house
        for instance in list(house.running):
            await house.kill(instance)


def metadata_of(operation: Any) -> Any:
    """Return an operation's metadata."""
    metadata = operation_pb2.OperationMetadata()
    assert getattr(operation, "proto", operation).metadata.Unpack(metadata)
    return metadata
