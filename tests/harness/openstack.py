"""Fake OpenStack clouds behind a gateway and an adapter, all in the test's process, for the tests of their faults."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.harness.clouds import openstack_clusters
from tests.harness.in_process import Deployment, deployment, ready

from cloudspan.v1 import server_pb2
from cloudspan_common.telemetry import new_registry
from cloudspan_openstack_fake import FakeCloud, Timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from cloudspan.client import AsyncClient
    from cloudspan_openstack.cluster import OpenStackCluster

SETTLE_S = 1.0
AT_ONCE = Timing(build_s=0, power_s=0, delete_s=0, volume_s=0, attach_s=0, image_s=0)


@dataclass
class OpenStackDeployment:
    """What a test works with."""

    running: Deployment
    clusters: dict[str, OpenStackCluster]
    adapter_metrics: CollectorRegistry

    @property
    def client(self) -> AsyncClient:
        return self.running.client

    @property
    def gateway_metrics(self) -> CollectorRegistry:
        return self.running.gateway.metrics.registry

    async def ready(self, *tags: str) -> None:
        """Wait until these clusters are logged in; all of them if none is named."""
        await ready(*(self.clusters[tag] for tag in tags or self.clusters))


@asynccontextmanager
async def serving(
    entries: Mapping[str, Any], directory: Path, *, settle_s: float = SETTLE_S, logged_in: bool = True
) -> AsyncIterator[OpenStackDeployment]:
    """Serve `entries` of a clouds.yaml as clusters, behind a gateway."""
    metrics = new_registry()
    clusters = openstack_clusters(entries, directory, settle_s=settle_s, metrics=metrics)
    async with deployment(*clusters) as running:
        made = OpenStackDeployment(running, {cluster.ref.cluster: cluster for cluster in clusters}, metrics)
        if logged_in:
            await made.ready()
        yield made


def fake(name: str = "east", **more: Any) -> FakeCloud:
    """Return a fake cloud whose own work takes no time."""
    return FakeCloud(name, **({"timing": AT_ONCE} | more))


def ref(tag: str = "east") -> str:
    return f"platforms/openstack/clusters/{tag}"


def list_servers(made: OpenStackDeployment, tag: str = "east", **more: Any) -> Any:
    """Begin a list of a cluster's servers."""
    request = {"parent": ref(tag), "page_size": more.pop("page_size", 0)}
    return made.client.servers.ListServers(server_pb2.ListServersRequest(**request), **more)
