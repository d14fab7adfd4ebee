"""`cloudspan-memory`: an adapter without a cloud. The one to read first, and to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.config import option
from cloudspan_common.names import ClusterRef
from cloudspan_common.service import run
from cloudspan_kit import Adapter, AdapterConfig, serve_adapter
from cloudspan_memory import seeding
from cloudspan_memory.cluster import MemoryCluster

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True)
class MemoryConfig(AdapterConfig):
    """Cloudspan adapter that keeps its clusters in memory, for trials and tests."""

    platform: str = option("Platform tag to serve.", default="memory")
    cluster: tuple[str, ...] = option("A cluster to serve: its tag; repeatable.", default=("main",))
    delay_s: float = option("How long a change takes.", default=0.2, unit="s", minimum=0)
    servers: int = option("Servers that each cluster has at the start.", default=0, minimum=0)


async def main_loop(config: MemoryConfig, stop: asyncio.Event) -> None:
    """Build the clusters and serve them until `stop`."""
    clusters = [MemoryCluster(ClusterRef(config.platform, tag), delay_s=config.delay_s) for tag in config.cluster]
    for cluster in clusters:
        cluster.seed_servers(config.servers)
    adapter = Adapter(
        platform=config.platform,
        display_name="Memory",
        distribution="cloudspan-memory",
        clusters=clusters,
        own_services=seeding.services(clusters),
    )
    await serve_adapter(adapter, config, stop)


def main() -> None:
    """Start it: see `cloudspan-memory --help`."""
    run(MemoryConfig, main_loop, name="cloudspan-memory")


if __name__ == "__main__":
    main()
