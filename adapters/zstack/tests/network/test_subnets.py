"""Subnets are read with what is their network's, made exactly once, and deleted only when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import common_pb2, subnet_pb2
from cloudspan_common.errors import NotFound
from cloudspan_zstack_fake import Kind

from .conftest import NEW, PARENT, S, a_network, a_subnet, new_subnet, shared_network, the_network, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.zstack.tests.lab import Lab

Code = grpc.StatusCode


async def test_an_unknown_id_is_not_found(member: Lab) -> None:
    """The platform answers it with an empty list."""
    with pytest.raises(NotFound):
        await member.network.get_subnet(member.call("0" * 32), subnet_pb2.GetSubnetRequest())


async def test_a_subnet_tells_dns_and_dhcp_of_its_network(admin: Lab) -> None:
    """Both are the L3 network's."""
    network = await the_network(admin, "private")
    (subnet,) = await admin.everything(
        admin.network.list_subnets, subnet_pb2.Subnet, f'network = "{network.name}"'
    )  # fmt: skip
    assert (subnet.cidr, subnet.ip_version, subnet.gateway_ip) == (
        "10.10.0.0/16", common_pb2.IP_VERSION_IPV4, "10.10.0.1",
    )  # fmt: skip
    assert subnet.dhcp_enabled
    nics = await admin.native("/vm-instances/nics", f"l3NetworkUuid={network.name[-32:]}")
    assert (subnet.total_address_count, subnet.used_address_count) == (65533, len(nics))
    assert subnet.available_address_count == 65533 - len(nics)
    assert list(subnet.dns_nameservers) == ["192.0.2.53"]
    assert [(pool.start, pool.end) for pool in subnet.allocation_pools] == [("10.10.0.2", "10.10.255.254")]


async def drop_subnet(lab: Lab, name: str) -> Any:
    return await lab.operate(lab.network.delete_subnet, subnet_pb2.DeleteSubnetRequest(name=name))


async def test_a_new_subnet_is_the_whole_range_behind_its_gateway(admin: Lab) -> None:
    """The platform takes the first address for the gateway, as everywhere."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name, description="mine", dns_nameservers=["192.0.2.1", "192.0.2.2"])
    assert (subnet.cidr, subnet.gateway_ip, subnet.description) == ("10.7.0.0/24", "10.7.0.1", "mine")
    assert [(pool.start, pool.end) for pool in subnet.allocation_pools] == [("10.7.0.2", "10.7.0.254")]
    assert list(subnet.dns_nameservers) == ["192.0.2.1", "192.0.2.2"]
    assert subnet == await admin.network.get_subnet(admin.call(subnet.name), subnet_pb2.GetSubnetRequest())


@pytest.mark.parametrize(
    ("fields", "pool", "gateway"),
    [
        ({"gateway_ip": "10.7.0.254"}, ("10.7.0.1", "10.7.0.253"), "10.7.0.254"),
        (
            {"allocation_pools": [S.AllocationPool(start="10.7.0.10", end="10.7.0.20")]},
            ("10.7.0.10", "10.7.0.20"), "10.7.0.1",
        ),
        (
            {"gateway_ip": "10.7.0.9", "allocation_pools": [S.AllocationPool(start="10.7.0.10", end="10.7.0.20")]},
            ("10.7.0.10", "10.7.0.20"), "10.7.0.9",
        ),
    ],
)  # fmt: skip
async def test_a_subnet_may_be_part_of_its_range(
    admin: Lab, fields: dict[str, Any], pool: tuple[str, str], gateway: str
) -> None:
    """By its first and last address then."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name, **fields)
    assert [(one.start, one.end) for one in subnet.allocation_pools] == [pool]
    assert subnet.gateway_ip == gateway


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cidr": "10.7.0.0/99"}, "cidr"),
        ({"cidr": "10.7.0.0/31"}, "addresses"),
        ({"ip_version": "IP_VERSION_IPV6"}, "IPv4"),
        ({"gateway_ip": ""}, "needs a gateway"),
        (
            {"host_routes": [S.HostRoute(destination_cidr="10/8", next_hop="10.7.0.2")]},
            "host_routes[0].destination_cidr",
        ),
        ({"host_routes": [S.HostRoute(destination_cidr="10.0.0.0/8", next_hop="x")]}, "host_routes[0].next_hop"),
        ({"gateway_ip": "10.8.0.1"}, "not in"),
        ({"gateway_ip": "10.7.0.99"}, "allocation_pools"),
        ({"dns_nameservers": ["one"]}, "dns_nameservers"),
        ({"allocation_pools": [S.AllocationPool(start="10.7.0.2", end="10.7.0.3")] * 2}, "one run"),
        ({"allocation_pools": [S.AllocationPool(start="10.7.0.9", end="10.7.0.3")]}, "not a run"),
    ],
)
async def test_a_subnet_that_can_not_be_is_refused_before_anything_is_sent(
    member: Lab, fields: dict[str, Any], words: str
) -> None:
    """With the field that is wrong."""
    answer = await member.operate(member.network.create_subnet, new_subnet(f"{PARENT}/networks/x", **fields))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert writes(member) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"gateway_ip": "2001:db8::ff"}, ""),
        ({"allocation_pools": [S.AllocationPool(start="2001:db8::10", end="2001:db8::20")]}, "ipv6-ranges$"),
    ],
)
async def test_an_ipv6_subnet_by_pools_has_a_call_of_its_own(admin: Lab, fields: dict[str, Any], path: str) -> None:
    """In the form that the reference asks for; this cloud does not have it and says so."""
    network = await a_network(admin)
    request = new_subnet(network.name, "2001:db8::/64", **fields)
    answer = await admin.operate(admin.network.create_subnet, request)
    expected = Code.UNIMPLEMENTED if path else Code.INVALID_ARGUMENT
    assert answer.error.code == expected.value[0]
    assert admin.cloud.control.count(method="POST", path=path or "ipv6") == (1 if path else 0)


async def test_an_ipv6_subnet_is_all_of_its_network(admin: Lab) -> None:
    """Its first address is the gateway; names, pools and version are those that the platform tells."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name, "2001:db8::/64")
    assert (subnet.cidr, subnet.gateway_ip) == ("2001:db8::/64", "2001:db8::1")
    assert subnet.ip_version == common_pb2.IP_VERSION_IPV6
    assert [(one.start, one.end) for one in subnet.allocation_pools] == [
        ("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")
    ]


async def test_an_overlapping_subnet_exists_already(admin: Lab) -> None:
    """Said before anything is sent, and again when another one was faster."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name)
    answer = await admin.operate(admin.network.create_subnet, new_subnet(network.name))
    assert answer.error.code == Code.ALREADY_EXISTS.value[0]
    assert subnet.name in answer.error.message
    admin.cloud.control.fault(
        Kind.FAILURE, call="AddIpRangeByNetworkCidr", count=1, code="SYS.1007", message="overlap with ip range[uuid:x]"
    )
    other = await a_network(admin, {**NEW, "vlan": 301}, display_name="other")
    answer = await admin.operate(admin.network.create_subnet, new_subnet(other.name))
    assert answer.error.code == Code.ALREADY_EXISTS.value[0]


async def test_a_network_has_one_cidr(admin: Lab) -> None:
    """A second one needs a network of its own; a second part of the first does not."""
    network = await a_network(admin)
    pool = [S.AllocationPool(start="10.7.0.10", end="10.7.0.20")]
    await a_subnet(admin, network.name, allocation_pools=pool)
    answer = await admin.operate(admin.network.create_subnet, new_subnet(network.name, "10.8.0.0/24"))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert "one CIDR" in answer.error.message
    more = await a_subnet(
        admin, network.name, allocation_pools=[S.AllocationPool(start="10.7.0.30", end="10.7.0.40")]
    )  # fmt: skip
    assert more.cidr == "10.7.0.0/24"


async def test_dhcp_is_the_networks_to_choose(admin: Lab) -> None:
    """A subnet can't go without it alone."""
    network = await a_network(admin)
    answer = await admin.operate(admin.network.create_subnet, new_subnet(network.name, dhcp_enabled=False))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    quiet = await a_network(admin, {**NEW, "vlan": 301, "services": {}}, display_name="quiet")
    answer = await admin.operate(admin.network.create_subnet, new_subnet(quiet.name, dhcp_enabled=True))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    quiet_subnet = await a_subnet(admin, quiet.name, dhcp_enabled=False)
    assert (quiet_subnet.HasField("dhcp_enabled"), quiet_subnet.dhcp_enabled) == (True, False)


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_subnet_whose_reply_was_lost_is_made_once(admin: Lab, fault: Kind) -> None:
    """Found by the id that we chose; what we made ourselves does not overlap itself."""
    network = await a_network(admin)
    admin.cloud.control.fault(fault, call="AddIpRangeByNetworkCidr", count=1, seconds=3)
    subnet = await a_subnet(admin, network.name)
    rows = await admin.native("/l3-networks/ip-ranges", f"l3NetworkUuid={network.name[-32:]}")
    assert [row["uuid"] for row in rows] == [subnet.name[-32:]]


async def test_a_subnet_brings_routes_to_its_network(admin: Lab) -> None:
    """Once, even if every answer is forgotten."""
    network = await a_network(admin)
    routes = [S.HostRoute(destination_cidr="10.9.0.0/16", next_hop="10.7.0.254")]
    request = new_subnet(network.name, host_routes=routes)
    answer = await admin.operate(admin.network.create_subnet, request, forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    subnet = S()
    answer.response.Unpack(subnet)
    assert list(subnet.host_routes) == routes
    assert writes(admin).count("AddHostRouteToL3Network") == 1


async def test_a_subnet_whose_route_is_refused_is_taken_back(admin: Lab) -> None:
    """With the route that was added before it."""
    network = await a_network(admin)
    admin.cloud.control.fault(
        Kind.FAILURE, call="AddHostRouteToL3Network", count=1, skip=1, code="SYS.1006", message="no more of them"
    )
    routes = [S.HostRoute(destination_cidr=f"10.{n}.0.0/16", next_hop="10.7.0.254") for n in (8, 9)]
    answer = await admin.operate(admin.network.create_subnet, new_subnet(network.name, host_routes=routes))
    assert "no more of them" in answer.error.message
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert (row["ipRanges"], row["hostRoute"]) == ([], [])


async def test_a_subnet_whose_name_server_fails_is_taken_back(admin: Lab) -> None:
    """With the name server that was added before it."""
    network = await a_network(admin)
    admin.cloud.control.fault(
        Kind.FAILURE, call="AddDnsToL3Network", count=1, skip=1, code="SYS.1006", message="no more of them"
    )
    request = new_subnet(network.name, dns_nameservers=["192.0.2.1", "192.0.2.2"])
    answer = await admin.operate(admin.network.create_subnet, request)
    assert answer.HasField("error")
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert (row["ipRanges"], "dns" in row) == ([], False)


async def test_delete_subnet_refuses_and_lists_addresses_in_use(admin: Lab) -> None:
    """NICs would go with it; the platform's own DHCP server may."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name)
    await admin.act("GET", f"/l3-networks/{network.name[-32:]}/dhcp-ip")
    nic = await admin.act("POST", "/nics", l3NetworkUuid=network.name[-32:])
    answer = await drop_subnet(admin, subnet.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"ports/{nic['uuid']} (unused, {nic['ip']})" in answer.error.message
    await admin.act("DELETE", f"/nics/{nic['uuid']}")
    for _ in range(2):
        assert not (await drop_subnet(admin, subnet.name)).HasField("error")
    assert await admin.native("/l3-networks/ip-ranges", f"uuid={subnet.name[-32:]}") == []


async def test_delete_subnet_refuses_while_virtual_addresses_are_of_it(admin: Lab) -> None:
    """The list of taken addresses does not say what they are for; the virtual addresses themselves are asked."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name)
    vip = await admin.act("POST", "/vips", name="mail", l3NetworkUuid=network.name[-32:])
    answer = await drop_subnet(admin, subnet.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"{vip['ip']} (mail)" in answer.error.message
    assert admin.cloud.control.count(call="DeleteIpRange") == 0
    await admin.act("DELETE", f"/vips/{vip['uuid']}")
    assert not (await drop_subnet(admin, subnet.name)).HasField("error")


async def test_delete_subnet_refuses_while_addresses_of_other_accounts_are_of_it(
    admin: Lab, member: Lab, user: Callable[[str], Lab]
) -> None:
    """Neither their NICs nor their virtual addresses are shown to this account; that they are taken is."""
    network = await shared_network(admin, member)
    subnet = await a_subnet(member, network.name)
    await member.act("GET", f"/l3-networks/{network.name[-32:]}/dhcp-ip")
    other = user("demo2")
    vip = await other.act("POST", "/vips", name="theirs", l3NetworkUuid=network.name[-32:])
    answer = await drop_subnet(member, subnet.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert vip["ip"] in answer.error.message
    assert "1 addresses" in answer.error.message
    await other.act("DELETE", f"/vips/{vip['uuid']}")
    assert not (await drop_subnet(member, subnet.name)).HasField("error")


POOL = {"range_type": "AddressPool"}


def new_pool(network: str, cidr: str = "10.99.0.0/24", **fields: Any) -> subnet_pb2.CreateSubnetRequest:
    request = new_subnet(network, cidr, **fields)
    request.options.update(POOL)
    return request


async def test_an_address_pool_has_a_cidr_and_a_gateway_of_its_own(admin: Lab) -> None:
    """Queries tell its first address as its gateway, and not that it is a pool; it gives addresses to VIPs only."""
    network = await a_network(admin)
    first = await a_subnet(admin, network.name)
    run = [S.AllocationPool(start="10.99.0.10", end="10.99.0.20")]
    pool = await admin.made(admin.network.create_subnet, new_pool(network.name, allocation_pools=run), S)
    assert (pool.cidr, pool.gateway_ip, list(pool.allocation_pools)) == ("10.99.0.0/24", "", run)
    (row,) = await admin.native("/l3-networks/ip-ranges", f"uuid={pool.name[-32:]}")
    assert (row["gateway"], "ipRangeType" in row) == ("10.99.0.10", False)
    nic = await admin.act("POST", "/nics", l3NetworkUuid=network.name[-32:])
    assert nic["usedIps"][0]["ipRangeUuid"] == first.name[-32:]


async def test_a_range_is_added_to_a_network_that_has_an_address_pool(admin: Lab) -> None:
    """The pool's CIDR is its own; only its addresses may not be taken twice."""
    network = await a_network(admin)
    whole = await admin.made(admin.network.create_subnet, new_pool(network.name, "10.99.0.0/29"), S)
    assert [(run.start, run.end) for run in whole.allocation_pools] == [("10.99.0.1", "10.99.0.6")]
    subnet = await a_subnet(admin, network.name)
    assert (subnet.cidr, subnet.gateway_ip) == ("10.7.0.0/24", "10.7.0.1")
    answer = await admin.operate(admin.network.create_subnet, new_pool(network.name, "10.99.0.0/29"))
    assert (answer.error.code, whole.name in answer.error.message) == (Code.ALREADY_EXISTS.value[0], True)


async def test_a_subnet_is_the_same_in_whatever_order_the_platform_tells_it(admin: Lab) -> None:
    """It tells nested lists in another order from call to call; an etag must not change by that."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name, dns_nameservers=["192.0.2.2", "192.0.2.1"])
    admin.cloud.store.l3_networks.present(network.name[-32:])["dns"].reverse()
    assert subnet == await admin.network.get_subnet(admin.call(subnet.name), subnet_pb2.GetSubnetRequest())


async def test_a_virtual_address_of_another_account_in_an_address_pool_is_in_use(
    admin: Lab, member: Lab, user: Callable[[str], Lab]
) -> None:
    """The pool's first address too, which its rows tell as the gateway."""
    network = await shared_network(admin, member)
    pool = await member.made(member.network.create_subnet, new_pool(network.name, "10.99.0.0/29"), S)
    other = user("demo2")
    vip = await other.act("POST", "/vips", name="theirs", l3NetworkUuid=network.name[-32:])
    assert vip["ip"] == "10.99.0.1"
    answer = await drop_subnet(member, pool.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0], answer.error.message
    assert "10.99.0.1" in answer.error.message


async def test_the_router_that_serves_a_network_is_no_user_for_whom_it_is_hidden_from(admin: Lab, member: Lab) -> None:
    """Its NIC has the gateway's address."""
    network = await shared_network(admin, member)
    subnet = await a_subnet(member, network.name)
    tools = admin.cloud._building.tools
    (router,) = admin.cloud.store.vms.where(type="ApplianceVm")
    l3 = admin.cloud.store.l3_networks.present(network.name[-32:])
    nic = tools.machines.add_nic(router, l3)
    gateway = {"ip": subnet.gateway_ip}
    nic.update(gateway)
    admin.cloud.store.used_ips.present(nic["_ips"][0]).update(gateway)
    assert not (await drop_subnet(member, subnet.name)).HasField("error")
