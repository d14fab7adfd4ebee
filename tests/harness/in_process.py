"""A gateway, adapters and a client in the test's own process, over real sockets.

    async with deployment(memory_cluster()) as running:
        await running.client.servers.ListServers(...)

Clusters come from `clouds`. Tests that kill or freeze programs start processes instead: `processes`, `fleet`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudspan.client import AsyncClient
from cloudspan.v1 import cluster_pb2, operation_pb2
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_kit import Cluster

_ROUTED_S = 5.0
_READY_S = 10.0


@dataclass
class Deployment:
    """What runs, and how to plug more in."""

    gateway: Gateway
    registry: MemoryRegistry
    client: AsyncClient
    _adapters: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = field(default_factory=dict)

    async def plug(self, clusters: Sequence[Cluster], instance: str = "") -> str:
        """Start an adapter and wait until the gateway routes to it; return its address."""
        platform = clusters[0].ref.platform
        instance = instance or f"{platform}-1"
        address, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        config = AdapterConfig(listen="127.0.0.1:0", instance=instance, drain_s=0.0)
        adapter = Adapter(platform, platform.capitalize(), f"cloudspan-{platform}", clusters)
        work = asyncio.create_task(serve(adapter, config, stop, registry=self.registry, ready=address.set_result))
        self._adapters[instance] = work, stop
        await asyncio.wait({work, address}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work  # raises what kept it from starting
        routed = asyncio.Event()
        self.gateway.table.subscribe(lambda _snapshot: routed.set())
        async with asyncio.timeout(_ROUTED_S):
            while instance not in self._routed_to():
                routed.clear()
                await routed.wait()
        return str(await address)

    def _routed_to(self) -> set[str]:
        platforms = self.gateway.table.snapshot.platforms.values()
        return {seen.instance.instance_id for platform in platforms for seen in platform.serving}

    async def kill(self, instance: str = "memory-1") -> None:
        """End an adapter without a word to the registry; its calls are cut."""
        work, _ = self._adapters.pop(instance)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    async def stop(self, instance: str) -> None:
        """End an adapter as SIGTERM does: it leaves the registry, and its clusters log out."""
        work, stop = self._adapters.pop(instance)
        stop.set()
        await work

    def forget(self, instance: str = "memory-1") -> None:
        """Take a killed adapter out of the registry, as happens when its lease has passed."""
        self.registry.remove(instance)

    async def close(self) -> None:
        """Stop all adapters."""
        for instance in list(self._adapters):
            await self.stop(instance)


@asynccontextmanager
async def deployment(
    *clusters: Cluster,
    settle: float = 0.2,
    retries: bool = False,
    kind: type[Gateway] = Gateway,
    token: str = "",
    **settings: Any,
) -> AsyncIterator[Deployment]:
    """Run a gateway, one adapter for the `clusters` of each platform, and a client; without inventory by default."""
    registry = MemoryRegistry()
    config = GatewayConfig(
        **{
            "listen": "127.0.0.1:0",
            "metrics": "",
            "drain_s": 0.0,
            "wait_for_adapters": settle,
            "database": "memory:",
            "no_inventory": True,
            **settings,
        }
    )
    gateway = kind(config, registry)
    by_platform: dict[str, list[Cluster]] = {}
    for cluster in clusters:
        by_platform.setdefault(cluster.ref.platform, []).append(cluster)
    async with gateway.running():
        address = f"127.0.0.1:{gateway.server.port}"
        async with AsyncClient(address, timeout_s=10, retries=retries, token=token) as client:
            running = Deployment(gateway, registry, client)
            try:
                for served in by_platform.values():
                    await running.plug(served)
                yield running
            finally:
                await running.close()


async def ready(*clusters: Cluster) -> None:
    """Wait until these clusters are logged in."""
    async with asyncio.timeout(_READY_S):
        for cluster in clusters:
            while not _is_ready(cluster):  # noqa: ASYNC110 - a cluster tells its state, and no change of it
                await asyncio.sleep(0.005)


def _is_ready(cluster: Cluster) -> bool:
    return cluster.describe().state == cluster_pb2.Cluster.STATE_READY


def metadata_of(operation: Any) -> operation_pb2.OperationMetadata:
    """Return an operation's metadata."""
    metadata = operation_pb2.OperationMetadata()
    assert getattr(operation, "proto", operation).metadata.Unpack(metadata)
    return metadata
