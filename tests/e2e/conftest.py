"""What the end-to-end tests share: real clusters, our processes before them, and a client.

make e2e CLOUDS=alpha/clouds.yaml,beta/clouds.yaml
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.sites import PREFIX, VARIABLE, Site, sites, sweep, write_clouds
from tests.harness.create_server import Interface, create_server
from tests.harness.processes import World, openstack, world
from tests.harness.relay import Relay

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import cluster_pb2, flavor_pb2, image_pb2, network_pb2, server_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

EVERYWHERE = "platforms/-/clusters/-"
READY_S = 20.0
SETTLE_S = 12.0
_OVERRIDES = {"compute": "compute", "network": "network", "volume": "block_storage"}
BUILD_S = 400.0  # two hundred at once on a cloud of one worker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pass what openstacksdk warns of its own next release at nearly every call."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:::openstack"))


@pytest.fixture(scope="session")
def clusters() -> list[Site]:
    """The real clusters; what an earlier run that was killed left in them is removed."""
    found = sites()
    if not found:
        pytest.fail(f"these tests need real clusters: make e2e CLOUDS=clouds.yaml[,...], or ${VARIABLE}")
    for site in found:
        for tag in (site.name, site.small):
            with site.connect(tag) as sdk:
                sweep(sdk)
    return found


@pytest.fixture(scope="module")
def shared(clusters: list[Site], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway and one adapter for all clusters at once, for the tests of one file."""
    directory = tmp_path_factory.mktemp("world")
    file = write_clouds(directory / "clouds.yaml", clusters[0].entries)
    tags = [tag for site in clusters for tag in (site.name, site.small)]
    with world(directory) as running:
        running.adapter(*openstack(file, tags))
        yield running


@pytest.fixture
async def cloud(shared: World) -> AsyncIterator[AsyncClient]:
    """A client of the shared gateway, once every cluster is logged in."""
    async with AsyncClient(shared.address, retries=False) as client:
        await ready(client)
        yield client


@pytest.fixture
def apart(tmp_path: Path) -> Callable[..., AbstractContextManager[World]]:
    """Make a gateway and an adapter of a test's own, for entries of clouds.yaml that it changed."""

    @contextmanager
    def make(entries: Mapping[str, Any], *options: str) -> Iterator[World]:
        file = write_clouds(tmp_path / "clouds.yaml", entries)
        with world(tmp_path) as running:
            running.adapter(*openstack(file, list(entries), *options))
            yield running

    return make


@asynccontextmanager
async def behind_relays(
    apart: Callable[..., AbstractContextManager[World]], site: Site
) -> AsyncIterator[tuple[AsyncClient, dict[str, Relay]]]:
    """A client of processes that reach the cluster through a relay before each service, which can lose replies."""
    async with AsyncExitStack() as stack:
        relays, overrides = {}, {}
        for service, key in _OVERRIDES.items():
            url = await asyncio.to_thread(site.endpoint, service)
            host, port = await asyncio.to_thread(site.host, service)
            relays[service] = relay = await stack.enter_async_context(Relay(host, port))
            overrides[f"{key}_endpoint_override"] = url.replace(f":{port}", f":{relay.port}", 1)
        entries = {site.name: site.entry(**overrides)}
        running = stack.enter_context(apart(entries, "--settle", str(SETTLE_S)))
        cloud = await stack.enter_async_context(AsyncClient(running.address, retries=False))
        await ready(cloud)
        yield cloud, relays


async def ready(client: AsyncClient, *names: str, limit_s: float = READY_S) -> None:
    """Wait until all clusters, or those named, answer."""
    parents = [f"platforms/openstack/clusters/{name}" for name in names] or [EVERYWHERE]
    async with asyncio.timeout(limit_s):
        for parent in parents:
            while not await _answers(client, parent):  # noqa: ASYNC110 - other processes have no event
                await asyncio.sleep(0.05)


async def _answers(client: AsyncClient, parent: str) -> bool:
    try:
        answer = await client.flavors.ListFlavors(flavor_pb2.ListFlavorsRequest(parent=parent), timeout=10)
    except CloudspanError:
        return False  # no adapter has described itself yet, or a cluster is not logged in
    return bool(answer.flavors) and not answer.unreachable


async def clusters_of(client: AsyncClient) -> dict[str, cluster_pb2.Cluster]:
    """Return each cluster by its tag, as the gateway last heard of it."""
    answer = await client.clusters.ListClusters(cluster_pb2.ListClustersRequest(parent="platforms/openstack"))
    return {cluster.name.rpartition("/")[2]: cluster for cluster in answer.clusters}


def fresh(kind: str) -> str:
    """Return a name that nobody else uses and the sweep finds."""
    return f"{PREFIX}{kind}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Parts:
    """Names of what every cluster has to build a server of."""

    flavor: str
    large_flavor: str
    image: str
    network: str

    def server(self, **more: Any) -> server_pb2.CreateServerRequest:
        """Return what makes a small server on the private network."""
        parent = self.flavor.rpartition("/flavors/")[0]
        wanted = {"display_name": fresh("server"), "flavor": self.flavor, "image": self.image}
        return create_server(parent, **(wanted | {"network_interfaces": [Interface(network=self.network)]} | more))


async def parts_of(client: AsyncClient, ref: str) -> Parts:
    """Look up what to build servers of."""
    flavors = client.each(client.flavors.ListFlavors, flavor_pb2.ListFlavorsRequest(parent=ref))
    by_name = {flavor.display_name: flavor.name async for flavor in flavors}
    images = client.each(client.images.ListImages, image_pb2.ListImagesRequest(parent=ref))
    named = {image.display_name: image.name async for image in images}
    networks = client.each(client.networks.ListNetworks, network_pb2.ListNetworksRequest(parent=ref))
    private = {network.display_name: network.name async for network in networks}["private"]
    return Parts(by_name["m1.tiny"], by_name["m1.large"], named["cirros"], private)


async def build(client: AsyncClient, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
    """Create a server and wait until it runs."""
    return await (await client.servers.CreateServer(request)).result(BUILD_S)


async def remove(client: AsyncClient, name: str) -> None:
    """Delete a server and wait until it is gone."""
    await (await client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=name))).result(BUILD_S)
