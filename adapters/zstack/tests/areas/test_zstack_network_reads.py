"""Networks, subnets, ports, groups, addresses and routers are read as the contract tells them, and listed wholly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudspan.v1 import common_pb2, floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_common.errors import InvalidRequest, NotFound
from cloudspan_zstack_fake import Kind

if TYPE_CHECKING:
    from .conftest import Lab

PARENT = "platforms/zstack/clusters/lab"
N = network_pb2.Network
Rule = security_group_pb2.SecurityGroup.Rule


async def the_network(lab: Lab, name: str) -> Any:
    (found,) = await lab.everything(lab.network.list_networks, N, f'display_name = "{name}"')
    return found


async def test_a_network_tells_the_l2_network_below_it(admin: Lab) -> None:
    """L3 and L2 are one network of ours; its ranges are the subnets."""
    network = await the_network(admin, "private")
    row = await admin.native_one("/l3-networks", "name=private")
    assert network.state == N.STATE_ACTIVE
    assert (network.network_type, network.native_network_type) == (N.NETWORK_TYPE_VLAN, "L2VlanNetwork")
    assert (network.segmentation_id, network.physical_network) == (100, "eth0")
    assert (network.kind, list(network.zones)) == (N.KIND_FLAT, [f"{PARENT}/zones/{row['zoneUuid']}"])
    assert (network.HasField("admin_up"), network.admin_up) == (True, True)
    assert not any(network.HasField(field) for field in ("shared", "mtu", "port_security_enabled"))
    assert network.subnets == [f"{PARENT}/subnets/{span['uuid']}" for span in row["ipRanges"]]
    assert network.project == f"{PARENT}/projects/36c27e8ff05c4780bf6d2fa65700f22e"
    assert not network.external
    public = await the_network(admin, "public")
    assert (public.external, public.network_type) == (True, N.NETWORK_TYPE_FLAT)
    assert not public.HasField("segmentation_id")
    assert (await the_network(admin, "vpc-net")).kind == N.KIND_ROUTED
    routed = await admin.everything(admin.network.list_networks, N, "kind = ROUTED")
    assert [one.display_name for one in routed] == ["vpc-net"]


async def test_get_answers_what_list_answers(admin: Lab) -> None:
    """The same rows, the same way into messages."""
    listed = await the_network(admin, "private")
    assert await admin.network.get_network(admin.call(listed.name), network_pb2.GetNetworkRequest()) == listed
    full = await admin.network.get_network(admin.call(listed.name, full=True), network_pb2.GetNetworkRequest())
    assert full.native["category"] == "Private"


async def test_an_unknown_id_is_not_found(member: Lab) -> None:
    """The platform answers it with an empty list."""
    with pytest.raises(NotFound):
        await member.network.get_subnet(member.call("0" * 32), subnet_pb2.GetSubnetRequest())


async def test_dates_come_out_of_the_servers_zone(admin: Lab) -> None:
    """It writes them without one; the fake stands in UTC+8."""
    network = await the_network(admin, "private")
    assert abs(network.create_time.seconds - admin.clock.now()) < 60


async def test_every_network_is_listed_once_past_the_silent_cap(member: Lab) -> None:
    """1 100 networks, and the platform would stop at 1 000 without a word."""
    member.cloud.control.seed(networks=1100)
    found = await member.everything(member.network.list_networks, N, limit=500)
    names = [network.name for network in found]
    assert len(names) == len(set(names)) == 1103


async def test_a_page_that_was_cut_goes_on(member: Lab) -> None:
    """Fewer rows than are counted mean more, whatever the page size was."""
    member.cloud.control.seed(networks=40)
    member.cloud.control.fault(Kind.HALF_PAGE, call="QueryL3Network", count=3)
    assert len(await member.everything(member.network.list_networks, N, limit=20)) == 43


async def test_a_filter_goes_to_the_cloud_unless_its_value_would_be_taken_apart(admin: Lab) -> None:
    """`!=` inside a name is an operator to the server: such a name the kit finds alone."""
    await admin.act("PUT", "/l3-networks/{}/actions".format((await the_network(admin, "private")).name[-32:]),
                    "updateL3Network", name="a!=b")  # fmt: skip
    admin.cloud.control.clear_requests()
    assert (await the_network(admin, "a!=b")).display_name == "a!=b"
    assert (await the_network(admin, "public")).display_name == "public"
    asked = [request.query for request in admin.cloud.control.requests(call="QueryL3Network")]
    assert ["name=public" in str(query) for query in asked] == [False, True]


async def test_labels_are_user_tags(admin: Lab) -> None:
    """A tag without a value is a label without one."""
    uuid = (await the_network(admin, "private")).name[-32:]
    for tag in ("team::db", "flag"):
        await admin.act("POST", "/user-tags", resourceType="L3NetworkVO", resourceUuid=uuid, tag=tag)
    assert dict((await the_network(admin, "private")).labels) == {"team": "db", "flag": ""}


async def test_networks_are_sorted_by_one_field(member: Lab) -> None:
    """The platform has one; two are refused rather than half of it ignored."""
    member.cloud.control.seed(networks=25)
    order = (("display_name", True),)
    found = await member.everything(member.network.list_networks, N, limit=7, order_by=order)
    names = [network.display_name for network in found]
    assert len(names) == 28
    assert names == sorted(names, reverse=True)
    with pytest.raises(InvalidRequest, match="sorts by one"):
        await member.network.list_networks(member.call(), member.query(N, order_by=(*order, ("create_time", False))))


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


async def test_a_port_tells_server_addresses_and_groups(member: Lab) -> None:
    """Its groups are in a table of their own."""
    vm = await member.native_one("/vm-instances", "name=web-1")
    name = f"{PARENT}/servers/{vm['uuid']}"
    (port,) = await member.everything(member.network.list_ports, port_pb2.Port, f'server = "{name}"')
    (group,) = await member.native("/security-groups", "name=web")
    assert port.server == name
    assert (port.device, port.device_owner) == (name, "UserVm")
    assert (port.admin_up, port.vnic_type, port.host) == (True, "normal", f"{PARENT}/hosts/{vm['hostUuid']}")
    assert port.state == port_pb2.Port.STATE_ACTIVE
    assert [ip.ip_address for ip in port.fixed_ips] == [vm["vmNics"][0]["ip"]]
    assert port.fixed_ips[0].subnet.startswith(f"{PARENT}/subnets/")
    assert list(port.security_groups) == [f"{PARENT}/securityGroups/{group['uuid']}"]


async def test_a_routers_port_is_no_servers(admin: Lab) -> None:
    """Appliances are VMs to the platform; callers would look for a server that no list shows."""
    (router,) = await admin.everything(admin.network.list_routers, router_pb2.Router)
    ports = await admin.everything(admin.network.list_ports, port_pb2.Port, f'device_id = "{router.name[-32:]}"')
    assert len(ports) == 2
    assert {(port.server, port.device, port.device_owner) for port in ports} == {("", router.name, "ApplianceVm")}


async def test_a_router_tells_its_way_out(admin: Lab) -> None:
    """VPC routers are virtual routers."""
    (router,) = await admin.everything(admin.network.list_routers, router_pb2.Router)
    public = await the_network(admin, "public")
    assert router.display_name == "vpc-router-1"
    assert router.state == router_pb2.Router.STATE_ACTIVE
    assert router.external_network == public.name
    assert [fixed.ip_address.startswith("203.0.113.") for fixed in router.external_fixed_ips] == [True]
    assert [fixed.subnet in public.subnets for fixed in router.external_fixed_ips] == [True]
    inside = await the_network(admin, "vpc-net")
    (interface,) = router.interfaces
    assert (interface.network, interface.fixed_ips[0].subnet) == (inside.name, inside.subnets[0])
    assert interface.port.startswith(f"{PARENT}/ports/")
    assert (router.admin_up, router.HasField("ha"), router.ha, len(router.zones)) == (True, True, False, 1)
    assert not router.HasField("snat_enabled")
    assert await admin.network.get_router(admin.call(router.name), router_pb2.GetRouterRequest()) == router


async def test_a_groups_rule_is_one_of_ours_and_never_wider(member: Lab) -> None:
    """Lists of ports and addresses don't fit and are told as they are; what drops, and what is built in, is there."""
    (group,) = await member.native("/security-groups", "name=web")
    rules = [
        {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22,80-90", "srcIpRange": "10.0.0.0/8", "ipVersion": 4},
        {"type": "Egress", "protocol": "ALL", "ipVersion": 4, "dstIpRange": "192.0.2.4-192.0.2.6"},
        {"type": "Ingress", "protocol": "ICMP", "ipVersion": 4, "action": "DROP"},
    ]
    await member.act("POST", f"/security-groups/{group['uuid']}/rules", rules=rules)
    (found,) = await member.everything(member.network.list_security_groups, security_group_pb2.SecurityGroup)
    told = [
        (r.direction, r.protocol, r.port_range_min, r.remote_cidr, r.action, dict(r.unsupported_match))
        for r in found.rules
        if not r.built_in
    ]
    allow, drop = Rule.ACTION_ALLOW, Rule.ACTION_DROP
    assert told == [
        (2, "", 0, "", allow, {"dstIpRange": "192.0.2.4-192.0.2.6"}),
        (1, "tcp", 0, "10.0.0.0/8", allow, {"dstPortRange": "22,80-90"}),
        (1, "icmp", 0, "", drop, {}),
    ]
    assert len({r.id for r in found.rules}) == len(found.rules) == 7
    assert {r.remote_security_group for r in found.rules if r.built_in} == {found.name}
    assert (found.stateful, found.enabled, found.HasField("port_count")) == (True, True, False)
    assert [r.priority for r in found.rules if not r.built_in] == [1, 1, 2]


async def test_a_rule_that_is_switched_off_says_so(member: Lab) -> None:
    """Nobody shall take it for one that works."""
    (group,) = await member.native("/security-groups", "name=web")
    rule = {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22", "ipVersion": 4, "state": "Disabled"}
    await member.act("POST", f"/security-groups/{group['uuid']}/rules", rules=[rule])
    (found,) = await member.everything(member.network.list_security_groups, security_group_pb2.SecurityGroup)
    assert [(r.port_range_min, r.port_range_max) for r in found.rules if not r.enabled] == [(22, 22)]


async def test_a_floating_ip_is_an_eip_and_its_vip(member: Lab) -> None:
    """Down until it is bound, and it says which network its address is from."""
    (public,) = await member.native("/l3-networks", "name=public")
    vip = await member.act("POST", "/vips", name="v", l3NetworkUuid=public["uuid"])
    await member.act("POST", "/eips", name="e", vipUuid=vip["uuid"])
    listing = (member.network.list_floating_ips, floating_ip_pb2.FloatingIp)
    (address,) = await member.everything(*listing, f'ip_address = "{vip["ip"]}"')
    assert address.state == floating_ip_pb2.FloatingIp.STATE_DOWN
    assert address.external_network == f"{PARENT}/networks/{public['uuid']}"
    vm = await member.native_one("/vm-instances", "name=web-2")
    nic = vm["vmNics"][0]
    await member.act("POST", f"/eips/{address.name[-32:]}/vm-instances/nics/{nic['uuid']}")
    (address,) = await member.everything(*listing, "state = ACTIVE")
    assert address.port == f"{PARENT}/ports/{nic['uuid']}"
    assert address.fixed_ip_address == nic["ip"]
    assert address.server == f"{PARENT}/servers/{vm['uuid']}"
