"""The OpenStack adapter as a process: `cloudspan-openstack --cluster alpha=devstack-admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import service
from cloudspan_common.telemetry import new_registry
from cloudspan_kit import Adapter, ClusterFile, serve_adapter
from cloudspan_openstack.cloud.clouds import read_clouds
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack.config import OpenStackConfig

if TYPE_CHECKING:
    import asyncio

    from prometheus_client import CollectorRegistry

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Cluster
    from cloudspan_openstack.cloud.clouds import Cloud


def adapter_of(config: OpenStackConfig, metrics: CollectorRegistry) -> Adapter:
    """Return the adapter whose clusters follow the clouds file."""
    shared = Shared(metrics, platform=config.platform)

    def make(ref: ClusterRef, cloud: Cloud) -> Cluster:
        return OpenStackCluster(ref, cloud, shared, settle_s=config.settle_s)

    clusters = ClusterFile(lambda: read_clouds(config.cluster, config.clouds), make)
    return Adapter(config.platform, "OpenStack", "cloudspan-openstack", clusters)


async def serve(config: OpenStackConfig, stop: asyncio.Event) -> None:
    """Serve the configured clusters until `stop` is set."""
    metrics = new_registry()
    await serve_adapter(adapter_of(config, metrics), config, stop, metrics=metrics)


def main() -> None:
    """Run the adapter."""
    service.run(OpenStackConfig, serve, name="cloudspan-openstack")


if __name__ == "__main__":
    main()
