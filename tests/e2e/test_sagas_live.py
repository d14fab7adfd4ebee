"""Servers and networks of several parts on real clusters: made whole, taken back whole, gone whole."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest
from tests.e2e.conftest import build, fresh, parts_of, remove
from tests.e2e.sites import write_clouds
from tests.harness.create_server import Interface, NewPort, NewVolume

from cloudspan.client import CloudspanError
from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, subnet_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import RateLimited
from cloudspan_common.names import ClusterRef
from cloudspan_kit import Call
from cloudspan_kit.engine.step import drive
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cloud.values import WITH_SERVER
from cloudspan_openstack.cluster import OpenStackCluster, Shared

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GIB = 1024**3
Subnet, NewRouter = network_pb2.NewSubnet, network_pb2.NewRouter


async def _public(cloud, ref):
    networks = cloud.each(cloud.networks.ListNetworks, network_pb2.ListNetworksRequest(parent=ref))
    return next([network.name async for network in networks if network.external].__iter__())


def _marked(site):
    """What of ours there is natively, by kind: named by the tests, or tagged to go with a server."""
    with site.connect() as sdk:
        named = {
            "servers": [row.name for row in sdk.compute.servers()],
            "volumes": [row.name for row in sdk.block_storage.volumes()],
            "networks": [row.name for row in sdk.network.networks()],
            "subnets": [row.name for row in sdk.network.subnets()],
            "routers": [row.name for row in sdk.network.routers()],
        }
        found = {
            kind: sorted(name for name in names if (name or "").startswith("e2e-")) for kind, names in named.items()
        }
        ports, addresses = sdk.network.ports(tags=WITH_SERVER), sdk.network.ips(tags=WITH_SERVER)
        return found | {"ports": [row.id for row in ports], "floating_ips": [row.id for row in addresses]}


async def _ours(site):
    return await asyncio.to_thread(_marked, site)


async def test_a_server_is_created_and_deleted_with_volumes_ports_and_floating_ips(clusters, cloud):
    """A port of its own and one of Nova's; a volume that goes with it and one that stays."""
    site = clusters[0]
    parts, public = await parts_of(cloud, site.ref), await _public(cloud, site.ref)
    before = await _ours(site)
    interfaces = [
        Interface(network=parts.network, new_port=NewPort(), floating_network=public),
        Interface(network=parts.network, floating_network=public),
    ]
    kept = fresh("kept")
    volumes = [NewVolume(size_bytes=GIB, delete_with_server=True), NewVolume(display_name=kept, size_bytes=GIB)]
    server = await build(cloud, parts.server(network_interfaces=interfaces, new_volumes=volumes))
    try:
        assert len(server.volume_attachments) == 2
        assert [len(one.floating_ip_addresses) for one in server.network_interfaces] == [1, 1]
        await _check_parts(cloud, site, server)
    finally:
        await remove(cloud, server.name)
    try:
        async with asyncio.timeout(30):
            left = before | {"volumes": sorted([*before["volumes"], kept])}
            while await _ours(site) != left:  # noqa: ASYNC110 - a cloud has no event
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(_delete_volume, site, kept)


async def _check_parts(cloud, site, server):
    ports = cloud.each(cloud.ports.ListPorts, port_pb2.ListPortsRequest(parent=site.ref))
    mine = [port async for port in ports if port.server == server.name]
    addresses = cloud.each(cloud.floating_ips.ListFloatingIps, floating_ip_pb2.ListFloatingIpsRequest(parent=site.ref))
    floating = [address async for address in addresses if address.port in {port.name for port in mine}]
    assert (len(mine), len(floating)) == (2, 2)
    assert [(dict(one.labels), one.description) for one in (*mine, *floating)] == [({}, "")] * 4
    shown = {address for one in server.network_interfaces for address in one.floating_ip_addresses}
    assert shown == {address.ip_address for address in floating}


def _delete_volume(site, name):
    with site.connect() as sdk:
        for volume in sdk.block_storage.volumes(name=name):
            sdk.block_storage.wait_for_status(volume, "available", interval=0.05, wait=20)
            sdk.block_storage.delete_volume(volume)


async def test_a_server_whose_floating_ip_is_refused_leaves_nothing(clusters, cloud):
    """Its network leads nowhere: server, port and volume are removed again, and listed."""
    site = clusters[0]
    parts, public = await parts_of(cloud, site.ref), await _public(cloud, site.ref)
    request = network_pb2.CreateNetworkRequest(
        parent=site.ref,
        network=network_pb2.Network(display_name=fresh("island")),
        subnets=[Subnet(cidr="10.66.0.0/24")],
    )
    island = await (await cloud.networks.CreateNetwork(request)).result(60)
    try:
        before = await _ours(site)
        interface = Interface(network=island.name, new_port=NewPort(), floating_network=public)
        wanted = parts.server(network_interfaces=[interface], new_volumes=[NewVolume(size_bytes=GIB)])
        request = wanted
        operation = await cloud.servers.CreateServer(request)
        with pytest.raises(CloudspanError, match="is not reachable from subnet"):
            await operation.result(120)
        removed = [left.name.split("/")[4] for left in await _left_overs(cloud, operation)]
        assert removed == ["servers", "ports", "volumes"]
        assert await _ours(site) == before
    finally:
        await _delete_network(cloud, island.name)


async def _left_overs(cloud, operation):
    async for change in operation.changes():
        metadata = change.metadata
    assert all(left.removed for left in metadata.left_overs), metadata.left_overs
    return metadata.left_overs


async def _delete_network(cloud, name):
    await (await cloud.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=name))).result(60)


async def test_a_network_comes_with_subnets_and_a_router(clusters, cloud):
    """The router leads out; everything is shown, and no mark of ours."""
    site = clusters[0]
    request = await _whole_network(cloud, site.ref)
    network = await (await cloud.networks.CreateNetwork(request)).result(60)
    try:
        assert len(network.subnets) == 2
        routers = cloud.each(cloud.routers.ListRouters, router_pb2.ListRoutersRequest(parent=site.ref))
        [router] = [one async for one in routers if one.display_name == network.display_name]
        assert (router.external_network, dict(router.labels)) == (request.router.external_network, {})
    finally:
        await asyncio.to_thread(_take_apart, site, network.display_name)
        await _delete_network(cloud, network.name)


async def _whole_network(cloud, ref, **second):
    subnets = [Subnet(display_name=fresh("sub"), cidr="10.67.0.0/24")]
    subnets.append(Subnet(display_name=fresh("sub"), cidr="10.67.1.0/24", **second))
    network = network_pb2.Network(display_name=fresh("whole"))
    router = NewRouter(external_network=await _public(cloud, ref))
    return network_pb2.CreateNetworkRequest(parent=ref, network=network, subnets=subnets, router=router)


def _take_apart(site, name):
    with site.connect() as sdk:
        for router in sdk.network.routers(name=name):
            for port in sdk.network.ports(device_id=router.id, device_owner="network:router_interface"):
                sdk.network.remove_interface_from_router(router, port_id=port.id)
            sdk.network.delete_router(router)


async def test_a_network_whose_second_subnet_is_refused_leaves_nothing(clusters, cloud):
    """Its gateway lies within its pool, which Neutron alone refuses."""
    site = clusters[0]
    before = await _ours(site)
    pools = [subnet_pb2.Subnet.AllocationPool(start="10.67.1.2", end="10.67.1.9")]
    request = await _whole_network(cloud, site.ref, allocation_pools=pools, gateway_ip="10.67.1.5")
    operation = await cloud.networks.CreateNetwork(request)
    with pytest.raises(CloudspanError, match="conflicts with allocation pool"):
        await operation.result(60)
    assert [left.name.split("/")[4] for left in await _left_overs(cloud, operation)] == ["subnets", "networks"]
    assert await _ours(site) == before


@asynccontextmanager
async def _adapter(site, tmp_path):
    """One cluster of our adapter in this process, with nothing in between."""
    file = write_clouds(tmp_path / "clouds.yaml", {site.name: site.entry()})
    cluster = OpenStackCluster(ClusterRef("openstack", site.name), read_cloud(site.name, file), Shared())
    try:
        yield cluster
    finally:
        await cluster.close()


def _call(cluster, native_id=""):
    return Call(cluster.ref, Deadline.after(120), uuid.uuid4().hex, native_id, cloud=cluster.cloud)


async def test_what_creates_mark_is_found_and_removed_by_its_mark(clusters, cloud, tmp_path):
    """Every kind, on the real thing; in an order that the cloud allows."""
    site = clusters[0]
    parts, public = await parts_of(cloud, site.ref), await _public(cloud, site.ref)
    interface = Interface(network=parts.network, new_port=NewPort(), floating_network=public)
    wanted = parts.server(network_interfaces=[interface], new_volumes=[NewVolume(size_bytes=GIB)])
    async with _adapter(site, tmp_path) as cluster:
        marked = Abilities(cluster).marked
        before = {
            kind: {row.marker for row in await marked[kind].find(_call(cluster), "cs-direct-")} for kind in marked
        }
        server = wanted
        await _driven(cluster, "create_server", server)
        await _driven(cluster, "create_network", await _whole_network(cloud, site.ref))
        for kind in ("floatingIps", "servers", "ports", "volumes", "routers", "subnets", "networks"):
            found = await marked[kind].find(_call(cluster), "cs-direct-")
            new = [row for row in found if row.marker not in before[kind]]
            assert len(new) == (2 if kind == "subnets" else 1), kind
            for row in new:
                await _removed(marked[kind], cluster, row.id)
            rest = {row.marker for row in await marked[kind].find(_call(cluster), "cs-direct-")}
            assert rest == before[kind], kind


async def _driven(cluster, function, request):
    operation = await drive(Abilities(cluster).named(function), request, function, _call(cluster), settle_s=120)
    assert not operation.HasField("error"), operation.error.message


async def _removed(kind, cluster, native_id):
    while True:
        try:
            await kind.remove(_call(cluster), native_id)
            return
        except RateLimited as again:
            await asyncio.sleep(min(again.retry_after_s or 0.05, 0.05))


async def test_a_server_in_transit_is_seen_while_it_is_built_and_deleted(clusters, cloud, tmp_path):
    """By a get, and by a listing among many that are gone; not before and after."""
    site = clusters[0]
    parts = await parts_of(cloud, site.ref)
    async with _adapter(site, tmp_path) as cluster:
        look = Abilities(cluster).transits["servers"]
        server_id = await _asked_for(cluster, parts)
        gone = [str(uuid.uuid4()) for _ in range(9)]
        assert await look(_call(cluster), [server_id]) == await look(_call(cluster), [server_id, *gone]) == {server_id}
        await _at_rest(look, cluster, server_id)
        assert await look(_call(cluster), [server_id, *gone]) == set()
        await cluster.session.send(
            _call(cluster), "DELETE", "compute", "/servers/{id}", None, args={"id": server_id}, redo_ok=True
        )
        assert await look(_call(cluster), [server_id, *gone]) == {server_id}
        await _at_rest(look, cluster, server_id)


async def _asked_for(cluster, parts):
    """Ask Nova for a server, and don't wait for it."""
    network, image, flavor = (name.rpartition("/")[2] for name in (parts.network, parts.image, parts.flavor))
    body = {"name": fresh("server"), "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}]}
    answer = await cluster.session.send(_call(cluster), "POST", "compute", "/servers", dict, json={"server": body})
    return answer["server"]["id"]


async def _at_rest(look, cluster, server_id):
    while await look(_call(cluster), [server_id]):  # noqa: ASYNC110 - a cloud has no event
        await asyncio.sleep(0.05)
