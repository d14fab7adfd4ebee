"""`cloudspan-template`: the adapter as a process."""

import asyncio
from dataclasses import dataclass

from cloudspan_common.config import option
from cloudspan_common.names import ClusterRef
from cloudspan_common.service import run
from cloudspan_kit import Adapter, AdapterConfig, serve_adapter
from cloudspan_template.cluster import TemplateCluster


@dataclass(frozen=True)
class TemplateConfig(AdapterConfig):
    """Cloudspan adapter for Template."""

    platform: str = option("Platform tag to serve.", default="template")
    cluster: tuple[str, ...] = option("A cluster to serve: its tag; repeatable.", default=("main",))
    endpoint: str = option("Where the platform's API is.", default="http://127.0.0.1:9000")


async def serve_clusters(config: TemplateConfig, stop: asyncio.Event) -> None:
    """Serve the clusters until `stop`."""
    clusters = [TemplateCluster(ClusterRef(config.platform, tag), config.endpoint) for tag in config.cluster]
    await serve_adapter(Adapter(config.platform, "Template", "cloudspan-template", clusters), config, stop)


def main() -> None:
    """Start it: see `cloudspan-template --help`."""
    run(TemplateConfig, serve_clusters, name="cloudspan-template")


if __name__ == "__main__":
    main()
