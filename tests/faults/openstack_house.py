"""A gateway, an OpenStack adapter and fake clouds over real sockets in one process, for the tests of their faults."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from cloudspan.client import AsyncClient
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.telemetry import new_registry
from cloudspan_gateway import app
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit.serve import runner
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack_fake import FakeCloud, Timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

PLATFORM = "openstack"
SETTLE_S = 1.0
AT_ONCE = Timing(build_s=0, power_s=0, delete_s=0, volume_s=0, attach_s=0, image_s=0)


@dataclass
class House:
    """What a test works with."""

    client: AsyncClient
    clusters: dict[str, OpenStackCluster]
    metrics: tuple[CollectorRegistry, CollectorRegistry]
    """The gateway's and the adapter's."""

    async def ready(self, *tags: str) -> None:
        """Wait until these clusters are logged in."""
        async with asyncio.timeout(10):
            for tag in tags or self.clusters:
                while not self._is_ready(tag):  # noqa: ASYNC110 - the cluster tells its state, and no change of it
                    await asyncio.sleep(0.005)

    def _is_ready(self, tag: str) -> bool:
        return self.clusters[tag].describe().state == cluster_pb2.Cluster.STATE_READY


def fake(name: str = "east", **more: Any) -> FakeCloud:
    """Return a fake cloud whose own work takes no time."""
    return FakeCloud(name, **({"timing": AT_ONCE} | more))


def ref(tag: str = "east") -> str:
    return f"platforms/{PLATFORM}/clusters/{tag}"


@asynccontextmanager
async def house(
    entries: Mapping[str, Any], directory: Path, *, settle_s: float = SETTLE_S, ready: bool = True
) -> AsyncIterator[House]:
    """Serve `entries` of a clouds.yaml as clusters, behind a gateway."""
    file = directory / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": dict(entries)}))
    registry, metrics, stop = MemoryRegistry(), new_registry(), asyncio.Event()
    shared = Shared(metrics)
    clusters = [_cluster(tag, file, shared, settle_s) for tag in entries]
    adapter = runner.Adapter(PLATFORM, "OpenStack", "cloudspan-openstack", clusters)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_adapter_runs(adapter, registry, stop))
        settings = GatewayConfig(listen="127.0.0.1:0", metrics="", drain=0.0, database="memory:")
        gateway = await stack.enter_async_context(app.build(settings, registry).running())
        client = await stack.enter_async_context(AsyncClient(f"127.0.0.1:{gateway.server.port}", retries=False))
        made = House(client, {c.ref.cluster: c for c in clusters}, (gateway.metrics.registry, metrics))
        if ready:
            await made.ready()
        yield made


def _cluster(tag: str, file: Path, shared: Shared, settle_s: float) -> OpenStackCluster:
    with warnings.catch_warnings():
        # openstacksdk warns of its own InfluxDB defaults while it reads a clouds.yaml that has none.
        warnings.filterwarnings("ignore", message="Support for InfluxDB")
        return OpenStackCluster(ClusterRef(PLATFORM, tag), read_cloud(tag, file), shared, settle_s=settle_s)


@asynccontextmanager
async def _adapter_runs(adapter: runner.Adapter, registry: MemoryRegistry, stop: asyncio.Event) -> AsyncIterator[None]:
    serves = asyncio.get_running_loop().create_future()
    config = runner.AdapterConfig(drain_s=0.0)
    running = asyncio.ensure_future(runner.serve(adapter, config, stop, registry=registry, ready=serves.set_result))
    await asyncio.wait({running, serves}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        stop.set()
        await running


def entry(cloud: FakeCloud, tag: str = "", **changes: Any) -> dict[str, Any]:
    """Return the entry of a fake cloud's clouds.yaml, its `auth` and the rest changed by name."""
    found: dict[str, Any] = cloud.clouds()["clouds"][tag or cloud.name]
    for key, value in changes.items():
        (found["auth"] if key in ("auth_url", "password") else found)[key] = value
    return found


def list_servers(house: House, tag: str = "east", **more: Any) -> Any:
    """Begin a list of a cluster's servers."""
    request = {"parent": ref(tag), "page_size": more.pop("page_size", 0)}
    return house.client.servers.ListServers(server_pb2.ListServersRequest(**request), **more)
