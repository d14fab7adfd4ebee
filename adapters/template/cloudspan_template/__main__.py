"""`cloudspan-template`: the adapter as a process."""

import asyncio

from cloudspan_common.names import ClusterRef
from cloudspan_common.service import run
from cloudspan_kit import Adapter, ClusterFile, serve_adapter
from cloudspan_template.cluster import TemplateCluster
from cloudspan_template.config import TemplateConfig, read_clusters


def adapter_of(config: TemplateConfig) -> Adapter:
    """Return the adapter: its clusters follow the file, or are those that the options name."""
    file = config.clusters
    if file is not None:
        followed = ClusterFile(lambda: read_clusters(file), lambda ref, entry: TemplateCluster(ref, entry.endpoint))
        return Adapter(config.platform, "Template", "cloudspan-template", followed)
    clusters = [TemplateCluster(ClusterRef(config.platform, tag), config.endpoint) for tag in config.cluster]
    return Adapter(config.platform, "Template", "cloudspan-template", clusters)


async def serve_clusters(config: TemplateConfig, stop: asyncio.Event) -> None:
    """Serve the clusters until `stop`."""
    await serve_adapter(adapter_of(config), config, stop)


def main() -> None:
    """Start it: see `cloudspan-template --help`."""
    run(TemplateConfig, serve_clusters, name="cloudspan-template")


if __name__ == "__main__":
    main()
