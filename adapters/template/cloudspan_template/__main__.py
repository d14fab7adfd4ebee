"""`cloudspan-template`: the adapter as a process."""

import asyncio
from dataclasses import dataclass

from cloudspan_common.config import option
from cloudspan_common.logs import configure
from cloudspan_common.names import ClusterRef
from cloudspan_common.service import run
from cloudspan_kit import Adapter, AdapterConfig, serve_adapter
from cloudspan_template.cluster import TemplateCluster


@dataclass(frozen=True)
class TemplateConfig(AdapterConfig):
    """Cloudspan adapter for Template."""

    platform: str = option("platform tag to serve", default="template")
    cluster: str = option("tag of the cluster to serve", default="main")
    endpoint: str = option("where the platform's API is", default="http://127.0.0.1:9000")


async def serve_cluster(config: TemplateConfig, stop: asyncio.Event) -> None:
    """Serve the cluster until `stop`."""
    cluster = TemplateCluster(ClusterRef(config.platform, config.cluster), config.endpoint)
    await serve_adapter(Adapter(config.platform, "Template", "cloudspan-template", [cluster]), config, stop)


def main() -> None:
    """Start it: see `cloudspan-template --help`."""
    configure()
    run(TemplateConfig, serve_cluster, name="cloudspan-template")


if __name__ == "__main__":
    main()
