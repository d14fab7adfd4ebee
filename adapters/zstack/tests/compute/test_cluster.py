"""The ZStack adapter, called straight over a socket, as the gateway and people with grpcurl do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import cluster_pb2, server_pb2, volume_pb2
from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_zstack.cloud.clouds import make_cloud
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack_fake import FakeCloud
from cloudspan_zstack_fake.store import Timing

from .conftest import REF

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FAST = Timing(0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.005)
_ROUTED = [m for m in contract.methods().values() if m.routed_field and m.service != "cloudspan.v1.ClusterService"]
_State = server_pb2.Server
_Stage = cluster_pb2.CheckClusterResponse.Stage


@pytest.fixture
async def real_time_cloud() -> AsyncIterator[FakeCloud]:
    async with FakeCloud("fake", timing=_FAST, demo=True) as running:
        yield running


@pytest.fixture
def cluster(real_time_cloud: FakeCloud) -> ZStackCluster:
    account, password = real_time_cloud.credentials("demo")
    entry = {"endpoint": real_time_cloud.endpoint, "account": account, "password": password}
    return ZStackCluster(REF, make_cloud("lab", entry), Shared())


@pytest.fixture
async def client(cluster: ZStackCluster) -> AsyncIterator[AsyncClient]:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    adapter = Adapter("zstack", "ZStack", "cloudspan-zstack", [cluster])
    config = AdapterConfig(drain_s=0.0)
    task = asyncio.create_task(serve(adapter, config, stop, registry=MemoryRegistry(), ready=bound.set_result))
    async with AsyncClient(await bound, timeout_s=20) as opened:
        yield opened
    stop.set()
    await task


def _call(client: AsyncClient, method: contract.Method, request: Any) -> Any:
    make = client.channel.unary_unary(method.path, type(request).SerializeToString, method.response.FromString)
    return make(request, timeout=20)


@pytest.mark.parametrize("method", [m for m in _ROUTED if m.kind is Kind.LIST], ids=lambda m: m.name)
async def test_every_kind_is_listed_and_what_is_listed_is_got(client: AsyncClient, method: contract.Method) -> None:
    """The same resource both ways, but for the time it was observed at, and the etag, which rows of a list have not."""
    page = await _call(client, method, method.request(parent=str(REF)))
    get = contract.methods()[f"{method.service}/Get{method.item.DESCRIPTOR.name}"]
    for item in getattr(page, method.items_field)[:3]:
        got = await _call(client, get, get.request(name=item.name))
        for one in (item, got):
            one.ClearField("observe_time")
            one.ClearField("etag")
        assert got == item


def test_every_method_of_the_contract_is_served_and_every_create_is_safe(cluster: ZStackCluster) -> None:
    """The platform takes the ids that we choose."""
    told = {capability.method: capability for capability in Abilities(cluster).describe()}
    assert told.keys() == {method.full_name for method in _ROUTED}
    creates = {name: c.create_safety for name, c in told.items() if "/Create" in name}
    assert set(creates.values()) == {cluster_pb2.MethodCapability.CREATE_SAFETY_NATIVE}


async def test_a_server_lives_through_all_its_changes(client: AsyncClient) -> None:
    """Made, with a volume on and off, stopped, deleted: each call is driven to its end."""
    flavor, image, network = [
        (await _call(client, contract.methods()[f"cloudspan.v1.{kind}"], request))
        for kind, request in (
            ("FlavorService/ListFlavors", _list("Flavor")),
            ("ImageService/ListImages", _list("Image", 'display_name = "ubuntu-24.04"')),
            ("NetworkService/ListNetworks", _list("Network", 'display_name = "private"')),
        )
    ]
    server = _State(
        display_name="web",
        flavor=flavor.flavors[0].name,
        image=image.images[0].name,
    )
    create = server_pb2.CreateServerRequest(
        parent=str(REF),
        server=server,
        network_interfaces=[{"network": network.networks[0].name}],
        admin_password="hunter2",
    )
    made = result_of(await client.servers.CreateServer(create))
    volume = volume_pb2.Volume(display_name="data", size_bytes=2**30)
    request = volume_pb2.CreateVolumeRequest(parent=str(REF), volume=volume)
    disk = result_of(await client.volumes.CreateVolume(request))
    pair = {"name": made.name, "volume": disk.name}
    attached = result_of(await client.servers.AttachVolume(server_pb2.AttachVolumeRequest(**pair)))
    assert disk.name in [attachment.volume for attachment in attached.volume_attachments]
    result_of(await client.servers.DetachVolume(server_pb2.DetachVolumeRequest(**pair)))
    stopped = result_of(await client.servers.StopServer(server_pb2.StopServerRequest(name=made.name)))
    assert (made.state, stopped.state) == (_State.STATE_RUNNING, _State.STATE_STOPPED)
    result_of(await client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=made.name)))
    got = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
    assert (got.state, b"hunter2" in got.SerializeToString()) == (_State.STATE_SOFT_DELETED, False)


async def test_an_option_that_nobody_knows_is_refused(client: AsyncClient) -> None:
    """Never ignored; the known ones are named."""
    request = server_pb2.CreateServerRequest(parent=str(REF), server=_State(display_name="web"))
    request.options.update({"cpus": 4})
    with pytest.raises(Exception, match="cpu_num"):
        await client.servers.CreateServer(request)


async def test_the_cluster_tells_how_it_stands(client: AsyncClient, real_time_cloud: FakeCloud) -> None:
    """State, version and session, and the check goes the whole way."""
    checked = await client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=str(REF)))
    told = await client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=str(REF)))
    assert (checked.ok, [stage.kind for stage in checked.stages][-2:]) == (
        True,
        [_Stage.KIND_PERMISSIONS, _Stage.KIND_CLOCK],
    )
    assert (told.state, told.native_version, told.token.logins) == (cluster_pb2.Cluster.STATE_READY, "5.2.1", 1)
    assert told.endpoint == real_time_cloud.endpoint


async def test_passwords_and_sessions_do_not_reach_the_log(
    client: AsyncClient, cluster: ZStackCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor user data."""
    request = server_pb2.CreateServerRequest(
        parent=str(REF), server=_State(display_name="web"), user_data=b"#!canary", admin_password="hunter2-canary"
    )
    with pytest.raises(client_errors.CloudspanError):
        result_of(await client.servers.CreateServer(request))
    await _call(client, contract.methods()["cloudspan.v1.ZoneService/ListZones"], _list("Zone"))
    token = cluster.keeper.current()
    assert token is not None
    told = "".join(capsys.readouterr())
    assert token.value not in told
    assert "canary" not in told


def _list(kind: str, text: str = "") -> Any:
    method = next(m for m in _ROUTED if m.kind is Kind.LIST and m.item.DESCRIPTOR.name == kind)
    return method.request(parent=str(REF), filter=text)
