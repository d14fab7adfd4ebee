"""`cloudspan-memory`: an adapter without a cloud. The one to read first, and to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.config import option
from cloudspan_common.logs import configure
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

    platform: str = option("platform tag to serve", default="memory")
    clusters: tuple[str, ...] = option("cluster tags; repeatable", default=("main",))
    delay_s: float = option("how long a change takes", default=0.2, unit="s")
    servers: int = option("servers that each cluster has at the start", default=0)


async def main_loop(config: MemoryConfig, stop: asyncio.Event) -> None:
    """Build the clusters and serve them until `stop`."""
    clusters = [MemoryCluster(ClusterRef(config.platform, tag), delay_s=config.delay_s) for tag in config.clusters]
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
    configure()
    run(MemoryConfig, main_loop, name="cloudspan-memory")


if __name__ == "__main__":
    main()
