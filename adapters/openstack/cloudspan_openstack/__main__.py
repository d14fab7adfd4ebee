"""The OpenStack adapter as a process: `cloudspan-openstack --cluster alpha=devstack-admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import service
from cloudspan_common.names import ClusterRef
from cloudspan_common.telemetry import new_registry
from cloudspan_kit import Adapter, serve_adapter
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack.config import OpenStackConfig

if TYPE_CHECKING:
    import asyncio


async def serve(config: OpenStackConfig, stop: asyncio.Event) -> None:
    """Serve the configured clusters until `stop` is set."""
    metrics = new_registry()
    shared = Shared(metrics, platform=config.platform)
    clusters = [
        OpenStackCluster(
            ClusterRef(config.platform, tag), read_cloud(name, config.clouds), shared, settle_s=config.settle_s
        )
        for tag, name in config.clusters()
    ]
    adapter = Adapter(config.platform, "OpenStack", "cloudspan-openstack", clusters)
    await serve_adapter(adapter, config, stop, metrics=metrics)


def main() -> None:
    """Run the adapter."""
    service.run(OpenStackConfig, serve, name="cloudspan-openstack")


if __name__ == "__main__":
    main()
