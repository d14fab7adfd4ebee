"""The memory adapter, called straight over a socket: every read and every change of the contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf import message_factory

from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import (
    key_pair_pb2,
    network_pb2,
    quota_pb2,
    server_pb2,
    subnet_pb2,
    volume_pb2,
)
from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_memory.cluster import MemoryCluster
from cloudspan_memory.seed.v1 import seed_pb2, seed_pb2_grpc

MAIN = "platforms/memory/clusters/main"
ROUTED = [m for m in contract.methods().values() if m.routed_field and m.service != "cloudspan.v1.ClusterService"]
State = server_pb2.Server.State


def call(client: AsyncClient, method: contract.Method, request: Any) -> Any:
    return client.channel.unary_unary(method.path, type(request).SerializeToString, method.response.FromString)(
        request, timeout=5
    )


async def changed(operation: Any) -> Any:
    return result_of(await operation)


async def make_server(client: AsyncClient, name: str = "web", **fields: Any) -> server_pb2.Server:
    server = server_pb2.Server(display_name=name, flavor=f"{MAIN}/flavors/small")
    return await changed(
        client.servers.CreateServer(server_pb2.CreateServerRequest(**{"parent": MAIN, "server": server} | fields))
    )


async def make_volume(client: AsyncClient) -> volume_pb2.Volume:
    volume = volume_pb2.Volume(display_name="data", size_bytes=2**30)
    return await changed(client.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=MAIN, volume=volume)))


@pytest.mark.parametrize("method", [m for m in ROUTED if m.kind is Kind.LIST], ids=lambda m: m.name)
async def test_every_kind_is_listed_and_what_is_listed_is_got(client: AsyncClient, method: contract.Method) -> None:
    """The same resource both ways, but for the time it was observed at."""
    page = await call(client, method, method.request(parent=MAIN))
    assert page.cluster_status[0].cluster == MAIN
    get = contract.methods()[f"{method.service}/Get{method.item.DESCRIPTOR.name}"]
    for item in getattr(page, method.items_field):
        got = await call(client, get, get.request(name=item.name))
        for one in (item, got):
            one.ClearField("observe_time")
            if "etag" in one.DESCRIPTOR.fields_by_name:  # a digest comes with a Get alone
                one.ClearField("etag")
        assert got == item
    with pytest.raises(Exception, match=r"(?i)does not exist"):
        await call(client, get, get.request(name=f"{MAIN}/{get.collection}/none"))


async def test_every_method_of_the_contract_is_served(client: AsyncClient, cluster: MemoryCluster) -> None:
    """The adapter to copy leaves nothing out."""
    told = {capability.method for capability in Abilities(cluster).describe()}
    assert told == {method.full_name for method in ROUTED}
    assert len([m for m in ROUTED if m.kind is Kind.MUTATION]) >= 15


async def test_a_server_lives_through_all_its_changes(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Made, stopped, started, rebooted, with a volume on and off, deleted."""
    server = await make_server(client)
    volume = await make_volume(client)
    name = server.name
    assert (server.state, server.vcpus, server.memory_mib) == (State.STATE_RUNNING, 2, 2048)
    stopped = await changed(client.servers.StopServer(server_pb2.StopServerRequest(name=name)))
    assert stopped.state == State.STATE_STOPPED
    with pytest.raises(client_errors.PreconditionFailed, match="STOPPED"):
        await changed(client.servers.RebootServer(server_pb2.RebootServerRequest(name=name)))
    started = await changed(client.servers.StartServer(server_pb2.StartServerRequest(name=name)))
    assert started.state == State.STATE_RUNNING
    assert (
        await changed(client.servers.RebootServer(server_pb2.RebootServerRequest(name=name)))
    ).state == State.STATE_RUNNING
    attach = server_pb2.AttachVolumeRequest(name=name, volume=volume.name, device="/dev/vdc")
    attached = await changed(client.servers.AttachVolume(attach))
    assert [(a.volume, a.device) for a in attached.volume_attachments] == [(volume.name, "/dev/vdc")]
    with pytest.raises(client_errors.PreconditionFailed, match=name):
        await changed(client.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=volume.name)))
    detach = server_pb2.DetachVolumeRequest(name=name, volume=volume.name)
    assert not (await changed(client.servers.DetachVolume(detach))).volume_attachments
    await changed(client.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=volume.name)))
    await changed(client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=name)))
    assert not cluster.store.all("servers")
    assert not cluster.store.all("volumes")


async def test_secrets_of_a_create_are_not_kept(client: AsyncClient) -> None:
    """User data and password are sent to the platform once, and never read back."""
    server = server_pb2.Server(display_name="web", flavor=f"{MAIN}/flavors/small")
    made = await make_server(client, server=server, user_data=b"#!secret", admin_password="hunter2")
    got = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
    assert b"secret" not in got.SerializeToString()
    assert b"hunter2" not in got.SerializeToString()


async def test_networks_refuse_overlapping_subnets_and_are_deleted_with_their_subnets(client: AsyncClient) -> None:
    """A subnet's range, its gateway, and its end."""
    made = await changed(
        client.networks.CreateNetwork(network_pb2.CreateNetworkRequest(parent=MAIN, network={"display_name": "n"}))
    )

    async def subnet(cidr: str) -> Any:
        wanted = {"network": made.name, "cidr": cidr, "display_name": "s"}
        return await changed(client.subnets.CreateSubnet(subnet_pb2.CreateSubnetRequest(parent=MAIN, subnet=wanted)))

    first = await subnet("10.1.0.0/24")
    assert (first.gateway_ip, first.ip_version) == ("10.1.0.1", 4)
    with pytest.raises(client_errors.AlreadyExists, match="choose a free range"):
        await subnet("10.1.0.128/25")
    with pytest.raises(client_errors.InvalidRequest, match=r"10\.0\.0\.0/24"):
        await subnet("10.1.0.0/99")
    second = await subnet("10.1.1.0/24")
    got = await client.networks.GetNetwork(network_pb2.GetNetworkRequest(name=made.name))
    assert set(got.subnets) == {first.name, second.name}
    await changed(client.subnets.DeleteSubnet(subnet_pb2.DeleteSubnetRequest(name=second.name)))
    await changed(client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=made.name)))
    left = await client.subnets.ListSubnets(subnet_pb2.ListSubnetsRequest(parent=MAIN))
    assert [s.name for s in left.subnets] == [f"{MAIN}/subnets/{name}-v4" for name in ("private", "public")]


async def test_a_key_pairs_name_is_its_key(client: AsyncClient) -> None:
    """The same key again is the same; another key under the name is refused."""
    key = {"display_name": "me", "public_key": "ssh-ed25519 AAAA"}
    create = key_pair_pb2.CreateKeyPairRequest(parent=MAIN, key_pair=key)
    made = await changed(client.key_pairs.CreateKeyPair(create))
    assert await changed(client.key_pairs.CreateKeyPair(create)) == made
    create.key_pair.public_key = "ssh-ed25519 BBBB"
    with pytest.raises(client_errors.AlreadyExists, match="another"):
        await changed(client.key_pairs.CreateKeyPair(create))
    await changed(client.key_pairs.DeleteKeyPair(key_pair_pb2.DeleteKeyPairRequest(name=made.name)))


@pytest.mark.parametrize("size", [0, -1])
async def test_a_volume_without_a_size_is_refused(client: AsyncClient, size: int) -> None:
    """With the field named."""
    request = volume_pb2.CreateVolumeRequest(parent=MAIN, volume={"display_name": "x", "size_bytes": size})
    with pytest.raises(client_errors.InvalidRequest) as caught:
        await changed(client.volumes.CreateVolume(request))
    assert "size_bytes" in caught.value.message


async def test_2500_servers_are_all_listed_though_some_go_meanwhile(
    client: AsyncClient, cluster: MemoryCluster
) -> None:
    """Deleted between two pages: the rest comes once each, and a page emptied by deletions does not loop."""
    cluster.seed_servers(2500)
    request = server_pb2.ListServersRequest(parent=MAIN, page_size=1000)
    page = await client.servers.ListServers(request)
    seen = [server.name for server in page.servers]
    gone = [f"seed-{number:06}" for number in (0, 500, 999, 1000, 1001, *range(1200, 1300))]
    for server_id in gone:
        server = cluster.store.get("servers", server_id)
        cluster.store.later(server, lambda i=server_id: cluster.store.delete("servers", i))
    await asyncio.sleep(0.02)
    while page.next_page_token:
        request.page_token = page.next_page_token
        page = await client.servers.ListServers(request)
        seen += [server.name for server in page.servers]
    assert len(seen) == len(set(seen)) == 2500 - sum(int(i[5:]) >= 1000 for i in gone)


async def test_what_a_caller_gets_is_a_copy(client: AsyncClient, cluster: MemoryCluster) -> None:
    """The store's own rows have no time of observation."""
    await client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    for method in ROUTED:
        if method.kind is Kind.LIST:
            await call(client, method, method.request(parent=MAIN))
            for row in cluster.store.all(method.items_field):
                assert "observe_time" not in {field.name for field, _ in row.ListFields()}


async def test_quotas_count_what_is_there(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Nothing is limited; three servers are three."""
    cluster.seed_servers(3)
    quota = await client.quotas.GetQuota(quota_pb2.GetQuotaRequest(name=f"{MAIN}/quotas/main"))
    assert {item.metric: (item.used, item.limit) for item in quota.items}[quota_pb2.Quota.METRIC_SERVERS] == (3, -1)


async def test_its_own_service_seeds_servers(client: AsyncClient, cluster: MemoryCluster) -> None:
    """What an adapter may have beside the contract."""
    seed = seed_pb2_grpc.SeedServiceStub(client.channel)
    assert (await seed.Seed(seed_pb2.SeedRequest(servers=4))).servers == 4
    for request in (seed_pb2.SeedRequest(servers=-1), seed_pb2.SeedRequest(cluster="none")):
        with pytest.raises(client_errors.CloudspanError):
            await seed.Seed(request)
    assert repr(cluster.store).startswith("<Store platforms/memory/clusters/main: ")
    assert message_factory.GetMessageClass(seed_pb2.SeedRequest.DESCRIPTOR) is seed_pb2.SeedRequest
