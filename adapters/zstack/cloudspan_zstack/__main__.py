"""The ZStack adapter as a process: `cloudspan-zstack --clouds zstack.yaml --cluster lab`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import service
from cloudspan_common.names import ClusterRef
from cloudspan_common.telemetry import new_registry
from cloudspan_kit import Adapter, serve_adapter
from cloudspan_zstack.cloud.clouds import read_cloud
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack.config import ZStackConfig

if TYPE_CHECKING:
    import asyncio


async def serve(config: ZStackConfig, stop: asyncio.Event) -> None:
    """Serve the configured clusters until `stop` is set."""
    metrics = new_registry()
    shared = Shared(metrics, platform=config.platform)
    clusters = [
        ZStackCluster(ClusterRef(config.platform, tag), read_cloud(name, config.clouds), shared)
        for tag, name in config.clusters()
    ]
    adapter = Adapter(config.platform, "ZStack", "cloudspan-zstack", clusters)
    await serve_adapter(adapter, config, stop, metrics=metrics)


def main() -> None:
    """Run the adapter."""
    service.run(ZStackConfig, serve, name="cloudspan-zstack")


if __name__ == "__main__":
    main()
