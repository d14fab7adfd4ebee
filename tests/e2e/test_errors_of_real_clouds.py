"""What real clusters refuse, and the error that a caller gets: quota, unknown flavor, overlapping subnets, in use."""

from __future__ import annotations

import asyncio

import pytest
from tests.e2e.conftest import build, fresh, parts_of, remove
from tests.harness.create_server import Interface

from cloudspan.client import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
)
from cloudspan.v1 import network_pb2, port_pb2, server_pb2, subnet_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def test_a_server_beyond_the_quota_is_refused_as_quota_and_not_as_forbidden(clusters, cloud):
    """Nova says both with 403; the project's 20 cores are five servers of 4."""
    ref = f"platforms/openstack/clusters/{clusters[0].small}"
    parts = await parts_of(cloud, ref)
    wanted = (build(cloud, parts.server(flavor=parts.large_flavor)) for _ in range(5))
    made = await asyncio.gather(*wanted)
    try:
        with pytest.raises(QuotaExceeded, match="cores") as raised:
            await build(cloud, parts.server(flavor=parts.large_flavor))
        assert raised.value.metadata["http_status"] == "403"
        assert raised.value.metadata["native_request_id"].startswith("req-")
    finally:
        await asyncio.gather(*(remove(cloud, server.name) for server in made))


async def test_an_unknown_flavor_is_named(clusters, cloud):
    """Nothing is made, on no cluster."""
    for site in clusters:
        parts = await parts_of(cloud, site.ref)
        with pytest.raises(InvalidRequest, match="no-such-flavor") as raised:
            await build(cloud, parts.server(flavor=f"{site.ref}/flavors/no-such-flavor"))
        assert raised.value.reason == "REFERENCE_NOT_FOUND"
    names = [s.display_name async for s in cloud.each(cloud.servers.ListServers, _everything(clusters[0].ref))]
    assert not any(name.startswith("e2e-server") for name in names)


def _everything(ref):
    return server_pb2.ListServersRequest(parent=ref)


async def test_what_is_not_there_is_not_found_by_its_name(clusters, cloud):
    """Get and Delete: Delete of what is gone is done as well."""
    name = f"{clusters[0].ref}/servers/00000000-0000-4000-8000-000000000000"
    with pytest.raises(NotFound, match="00000000-0000-4000-8000-000000000000"):
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name=name))


async def test_a_subnet_that_overlaps_another_of_its_network_is_refused(clusters, cloud):
    """The message names both, and nothing is left."""
    ref = clusters[0].ref
    network = await _network(cloud, ref)
    try:
        await _subnet(cloud, ref, network, "10.78.0.0/24")
        with pytest.raises((AlreadyExists, InvalidRequest), match=r"10\.78\.0\.128/25"):
            await _subnet(cloud, ref, network, "10.78.0.128/25")
    finally:
        await _delete(cloud, network)


async def test_a_network_in_use_is_not_deleted_and_its_ports_are_named(clusters, cloud):
    """Once the server is gone it can be deleted."""
    ref = clusters[0].ref
    parts = await parts_of(cloud, ref)
    network = await _network(cloud, ref)
    await _subnet(cloud, ref, network, "10.79.0.0/24")
    interface = Interface(network=network)
    server = await build(cloud, parts.server(network_interfaces=[interface]))
    try:
        listing = cloud.each(cloud.ports.ListPorts, port_pb2.ListPortsRequest(parent=ref))
        ports = [port.name async for port in listing if port.network == network]
        with pytest.raises(PreconditionFailed) as raised:
            await _delete(cloud, network)
        assert len(ports) == 1
        assert all(port in raised.value.message for port in ports)
    finally:
        await remove(cloud, server.name)
        await _delete(cloud, network)


async def _network(cloud, ref):
    request = network_pb2.CreateNetworkRequest(parent=ref, network=network_pb2.Network(display_name=fresh("net")))
    return (await (await cloud.networks.CreateNetwork(request)).result(60)).name


async def _subnet(cloud, ref, network, cidr):
    subnet = subnet_pb2.Subnet(display_name=fresh("sub"), network=network, cidr=cidr)
    request = subnet_pb2.CreateSubnetRequest(parent=ref, subnet=subnet)
    return await (await cloud.subnets.CreateSubnet(request)).result(60)


async def _delete(cloud, network):
    await (await cloud.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=network))).result(60)
