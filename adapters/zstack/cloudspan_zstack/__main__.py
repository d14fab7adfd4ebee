"""The ZStack adapter as a process: `cloudspan-zstack --clouds zstack.yaml --cluster lab`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import service
from cloudspan_common.telemetry import new_registry
from cloudspan_kit import Adapter, ClusterFile, serve_adapter
from cloudspan_zstack.cloud.clouds import read_clouds
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack.config import ZStackConfig

if TYPE_CHECKING:
    import asyncio

    from prometheus_client import CollectorRegistry

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Cluster
    from cloudspan_zstack.cloud.clouds import Cloud


def adapter_of(config: ZStackConfig, metrics: CollectorRegistry) -> Adapter:
    """Return the adapter whose clusters follow the clouds file."""
    shared = Shared(metrics, platform=config.platform)

    def make(ref: ClusterRef, cloud: Cloud) -> Cluster:
        return ZStackCluster(ref, cloud, shared)

    clusters = ClusterFile(lambda: read_clouds(config.cluster, config.clouds), make)
    return Adapter(config.platform, "ZStack", "cloudspan-zstack", clusters)


async def serve(config: ZStackConfig, stop: asyncio.Event) -> None:
    """Serve the configured clusters until `stop` is set."""
    metrics = new_registry()
    await serve_adapter(adapter_of(config, metrics), config, stop, metrics=metrics)


def main() -> None:
    """Run the adapter."""
    service.run(ZStackConfig, serve, name="cloudspan-zstack")


if __name__ == "__main__":
    main()
