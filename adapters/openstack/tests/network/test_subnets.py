"""Subnets are made exactly once, and deleted only when nothing uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from cloudspan.v1 import subnet_pb2
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
Code = grpc.StatusCode
POOL, ROUTE = subnet_pb2.Subnet.AllocationPool, subnet_pb2.Subnet.HostRoute


def new_subnet(network: str, cidr: str, **fields: object) -> subnet_pb2.CreateSubnetRequest:
    subnet = subnet_pb2.Subnet(display_name="s", network=network, cidr=cidr, **fields)  # type: ignore[arg-type]
    return subnet_pb2.CreateSubnetRequest(parent=PARENT, subnet=subnet)


async def a_network(lab: Lab) -> str:
    made = await lab.native("POST", "network", "/networks", {"network": {"name": "n"}})
    return f"{PARENT}/networks/{made['network']['id']}"


async def test_a_new_subnet_has_what_was_asked(member: Lab) -> None:
    """Pools, name servers, gateway, version."""
    network = await a_network(member)
    pools = [subnet_pb2.Subnet.AllocationPool(start="10.7.0.10", end="10.7.0.20")]
    routes = [ROUTE(destination_cidr="10.9.0.0/16", next_hop="10.7.0.9")]
    fields = {"allocation_pools": pools, "host_routes": routes, "dns_nameservers": ["9.9.9.9"]}
    fields |= {"labels": {"a": "b"}, "description": "d"}
    subnet = await member.made(
        member.network.create_subnet, new_subnet(network, "10.7.0.0/24", **fields), subnet_pb2.Subnet
    )
    assert (subnet.gateway_ip, subnet.ip_version, subnet.description) == ("10.7.0.1", 4, "d")
    assert (list(subnet.allocation_pools), list(subnet.dns_nameservers)) == (pools, ["9.9.9.9"])
    assert list(subnet.host_routes) == routes
    assert (dict(subnet.labels), subnet.network) == ({"a": "b"}, network)
    bare = new_subnet(network, "fd00:7::/64", gateway_ip="", dhcp_enabled=False)
    six = await member.made(member.network.create_subnet, bare, subnet_pb2.Subnet)
    assert (six.ip_version, six.HasField("gateway_ip"), six.gateway_ip, six.dhcp_enabled) == (6, True, "", False)
    assert (subnet.total_address_count, six.HasField("total_address_count")) == (11, False)


async def test_an_overlapping_subnet_already_exists(member: Lab) -> None:
    """Neutron's 400 becomes ALREADY_EXISTS, for somebody else's range."""
    network = await a_network(member)
    await member.made(member.network.create_subnet, new_subnet(network, "10.7.0.0/24"), subnet_pb2.Subnet)
    answer = await member.operate(member.network.create_subnet, new_subnet(network, "10.7.0.128/25"))
    assert answer.error.code == Code.ALREADY_EXISTS.value[0]
    assert "overlaps another subnet" in answer.error.message


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT])
async def test_a_subnet_without_a_reply_is_made_once_and_ours(member: Lab, fault: Kind) -> None:
    """The range is its key: a second send meets the first one, and the marker says whose it is."""
    network = await a_network(member)
    member.cloud.control.fault(fault, service="network", method="POST", path="subnets", count=1, seconds=0.2)
    request = new_subnet(network, "10.7.0.0/24")
    subnet = await member.made(member.network.create_subnet, request, subnet_pb2.Subnet)
    (row,) = [row for row in (await member.native("GET", "network", "/subnets"))["subnets"] if row["name"] == "s"]
    assert subnet.name.endswith(str(row["id"]))


@pytest.mark.parametrize(
    ("cidr", "fields", "words"),
    [
        ("nonsense", {}, "not a range"),
        ("10.7.0.0/24", {"ip_version": 6}, "IPv4"),
        ("10.7.0.0/24", {"ip_version": 1}, "IP_VERSION_UNKNOWN"),
        ("10.7.0.0/24", {"gateway_ip": "nonsense"}, "not an IP address"),
        ("10.7.0.0/24", {"dns_nameservers": ["nonsense"]}, "dns_nameservers[0]"),
        ("10.7.0.0/24", {"allocation_pools": [POOL(start="10.7.0.9", end="10.7.0.2")]}, "allocation_pools[0]"),
        ("10.7.0.0/24", {"host_routes": [ROUTE(destination_cidr="x", next_hop="10.7.0.2")]}, "destination_cidr"),
        ("10.7.0.0/24", {"network": "platforms/openstack/clusters/west/networks/x"}, "of one cluster"),
    ],
)
async def test_a_subnet_that_makes_no_sense_is_refused_at_once(
    member: Lab, cidr: str, fields: dict[str, object], words: str
) -> None:
    """The field and what is wrong with it, before the cloud is asked."""
    request = new_subnet(f"{PARENT}/networks/x", cidr)
    request.subnet.MergeFrom(subnet_pb2.Subnet(**fields))  # type: ignore[arg-type]
    answer = await member.operate(member.network.create_subnet, request)
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert member.cloud.control.count("network", "POST") == 0


async def test_delete_subnet_refuses_and_lists_the_ports_with_addresses(member: Lab) -> None:
    """And is done as well when the subnet is gone already."""
    network = await a_network(member)
    subnet = await member.made(member.network.create_subnet, new_subnet(network, "10.7.0.0/24"), subnet_pb2.Subnet)
    body = {"port": {"network_id": network.rsplit("/", 1)[-1]}}
    port = (await member.native("POST", "network", "/ports", body))["port"]["id"]
    request = subnet_pb2.DeleteSubnetRequest(name=subnet.name)
    answer = await member.operate(member.network.delete_subnet, request)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"{PARENT}/ports/{port}" in answer.error.message
    await member.native("DELETE", "network", f"/ports/{port}")
    assert not (await member.operate(member.network.delete_subnet, request)).HasField("error")
    assert not (await member.operate(member.network.delete_subnet, request)).HasField("error")


async def test_an_administrator_sees_own_subnets_and_those_of_shared_networks(admin: Lab, member: Lab) -> None:
    """Neutron filters subnets by `shared`, the attribute of their network, which they don't show."""
    names = {}
    for lab, name in ((member, "theirs"), (member, "theirs-shared"), (admin, "mine")):
        network = (await lab.native("POST", "network", "/networks", {"network": {"name": name}}))["network"]["id"]
        names[name] = network
        subnet = {"network_id": network, "ip_version": 4, "cidr": "10.7.0.0/24", "name": name}
        await lab.native("POST", "network", "/subnets", {"subnet": subnet})
    await admin.native("PUT", "network", f"/networks/{names['theirs-shared']}", {"network": {"shared": True}})
    seen = {s.display_name for s in await admin.everything(admin.network.list_subnets, subnet_pb2.Subnet, limit=1)}
    assert {"mine", "theirs-shared"} <= seen
    assert "theirs" not in seen
