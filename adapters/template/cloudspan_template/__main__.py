"""`cloudspan-template`: the adapter as a process."""

import asyncio

from cloudspan_common.logs import configure
from cloudspan_common.names import ClusterRef
from cloudspan_common.service import run
from cloudspan_kit import Adapter, ClusterFile, serve_adapter
from cloudspan_template.cluster import TemplateCluster
from cloudspan_template.config import TemplateConfig, read_clusters


def adapter_of(config: TemplateConfig) -> Adapter:
    """Return the adapter: its clusters follow the file, or there is one that the options name."""
    file = config.clusters
    if file is not None:
        clusters = ClusterFile(lambda: read_clusters(file), lambda ref, entry: TemplateCluster(ref, entry.endpoint))
        return Adapter(config.platform, "Template", "cloudspan-template", clusters)
    cluster = TemplateCluster(ClusterRef(config.platform, config.cluster), config.endpoint)
    return Adapter(config.platform, "Template", "cloudspan-template", [cluster])


async def serve(config: TemplateConfig, stop: asyncio.Event) -> None:
    """Serve the clusters until `stop`."""
    await serve_adapter(adapter_of(config), config, stop)


def main() -> None:
    """Start it: see `cloudspan-template --help`."""
    configure()
    run(TemplateConfig, serve, name="cloudspan-template")


if __name__ == "__main__":
    main()
