"""Networks and subnets are made exactly once, in the platform's order of calls, and deleted only when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from cloudspan.v1 import network_pb2, subnet_pb2
from cloudspan_zstack_fake import Kind

if TYPE_CHECKING:
    from .conftest import Lab

PARENT = "platforms/zstack/clusters/lab"
Code = grpc.StatusCode
N, S = network_pb2.Network, subnet_pb2.Subnet
NEW = {"physical_interface": "eth0", "vlan": 300}


def new_network(options: dict[str, Any] | None = None, **fields: Any) -> network_pb2.CreateNetworkRequest:
    struct = Struct()
    struct.update(NEW if options is None else options)
    return network_pb2.CreateNetworkRequest(
        parent=PARENT, network=N(**({"display_name": "n"} | fields)), options=struct
    )  # fmt: skip


def new_subnet(network: str, cidr: str = "10.7.0.0/24", **fields: Any) -> subnet_pb2.CreateSubnetRequest:
    subnet = S(**({"display_name": "s", "network": network, "cidr": cidr} | fields))
    return subnet_pb2.CreateSubnetRequest(parent=PARENT, subnet=subnet)


async def a_network(lab: Lab, options: dict[str, Any] | None = None, **fields: Any) -> network_pb2.Network:
    made: network_pb2.Network = await lab.made(lab.network.create_network, new_network(options, **fields), N)
    return made


async def a_subnet(lab: Lab, network: str, cidr: str = "10.7.0.0/24", **fields: Any) -> subnet_pb2.Subnet:
    made: subnet_pb2.Subnet = await lab.made(lab.network.create_subnet, new_subnet(network, cidr, **fields), S)
    return made


async def drop_network(lab: Lab, name: str) -> Any:
    return await lab.operate(lab.network.delete_network, network_pb2.DeleteNetworkRequest(name=name))


async def drop_subnet(lab: Lab, name: str) -> Any:
    return await lab.operate(lab.network.delete_subnet, subnet_pb2.DeleteSubnetRequest(name=name))


def writes(lab: Lab) -> list[str]:
    """Return the changes that were asked for, in order."""
    return [
        request.call for request in lab.cloud.control.requests() if request.method in ("POST", "DELETE")
    ]  # fmt: skip


async def test_a_new_network_is_made_with_the_l2_network_below_it(admin: Lab) -> None:
    """L2, clusters, L3, services, MTU: in this order."""
    network = await a_network(
        admin, description="mine", labels={"team": "db"}, mtu=1400, dns_domain="shop.example", admin_up=True
    )
    assert (network.description, dict(network.labels)) == ("mine", {"team": "db"})
    assert (network.dns_domain, network.admin_up, network.kind) == ("shop.example", True, N.KIND_FLAT)
    assert (network.state, network.segmentation_id) == (N.STATE_ACTIVE, 300)
    assert writes(admin) == [
        "CreateL2VlanNetwork", "AttachL2NetworkToCluster", "CreateL3Network", "AttachNetworkServiceToL3Network",
        "SetL3NetworkMtu",
    ]  # fmt: skip
    l2 = await admin.native_one("/l2-networks", "name=l2-n")
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert len(l2["attachedClusterUuids"]) == 1
    assert row["l2NetworkUuid"] == l2["uuid"]
    assert {ref["networkServiceType"] for ref in row["networkServices"]} == {"DHCP", "Userdata", "Eip", "SecurityGroup"}


async def test_a_member_builds_on_an_l2_network_that_is_there(member: Lab, admin: Lab) -> None:
    """L2 networks are the administrator's."""
    l2 = await admin.native_one("/l2-networks", "name=l2-private")
    network = await a_network(member, {"l2_network": l2["uuid"]})
    assert writes(member) == ["CreateL3Network", "AttachNetworkServiceToL3Network"]
    assert not (await drop_network(member, network.name)).HasField("error")
    assert await admin.native("/l2-networks", "name=l2-private")


async def test_without_an_l2_network_to_build_on_those_there_are_named(admin: Lab) -> None:
    """Nothing is guessed, nothing is sent."""
    answer = await admin.operate(admin.network.create_network, new_network({}))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "l2-private" in answer.error.message
    assert writes(admin) == []


async def test_a_routed_network_is_a_vpc_network_with_the_routers_services(admin: Lab) -> None:
    """The kind is chosen at creation, for good."""
    network = await a_network(admin, {**NEW, "kind": "ROUTED"})
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert (row["type"], network.kind) == ("L3VpcNetwork", N.KIND_ROUTED)
    assert {"SNAT", "DNS", "Eip", "DHCP"} <= {ref["networkServiceType"] for ref in row["networkServices"]}


async def test_services_that_no_provider_has_are_refused_before_anything_is_made(admin: Lab) -> None:
    """They are asked for by name; of the usual ones what is there is taken."""
    answer = await admin.operate(admin.network.create_network, new_network({**NEW, "services": {"Flat": ["Magic"]}}))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "Magic" in answer.error.message
    assert writes(admin) == []


async def test_a_network_whose_services_fail_is_taken_back(admin: Lab) -> None:
    """L3 first, then the L2 that was made for it."""
    admin.cloud.control.fault("failure", call="AttachNetworkServiceToL3Network", count=1, code="SYS.1006", message="no")
    answer = await admin.operate(admin.network.create_network, new_network(NEW))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert await admin.native("/l3-networks", "name=n") == []
    assert await admin.native("/l2-networks", "name=l2-n") == []
    assert writes(admin)[-2:] == ["DeleteL3Network", "DeleteL2Network"]


async def test_an_interface_that_no_host_has_is_refused_and_the_l2_network_taken_back(admin: Lab) -> None:
    """That is only looked at when it is attached."""
    answer = await admin.operate(admin.network.create_network, new_network({"physical_interface": "eth9"}))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert "eth9" in answer.error.message
    assert await admin.native("/l2-networks", "name=l2-n") == []


@pytest.mark.parametrize("call", ["CreateL2VlanNetwork", "AttachL2NetworkToCluster", "CreateL3Network",
                                  "AttachNetworkServiceToL3Network"])  # fmt: skip
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_call_whose_outcome_was_lost_leaves_one_network(admin: Lab, fault: Kind, call: str) -> None:
    """Every call of the way may be lost."""
    admin.cloud.control.fault(fault, call=call, count=1, seconds=3)
    network = await a_network(admin)
    assert [row["uuid"] for row in await admin.native("/l3-networks", "name=n")] == [network.name[-32:]]
    assert len(await admin.native("/l2-networks", "name=l2-n")) == 1


async def test_a_gateway_that_forgets_every_answer_makes_one_network_and_one_subnet(admin: Lab) -> None:
    """Every step is taken twice: the ids that we choose make the second one a look."""
    answer = await admin.operate(admin.network.create_network, new_network(mtu=1400), forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    network = N()
    answer.response.Unpack(network)
    made = writes(admin)
    assert (
        len(await admin.native("/l3-networks", "name=n")) == len(await admin.native("/l2-networks", "name=l2-n")) == 1
    )
    assert made.count("CreateL3Network") == made.count("CreateL2VlanNetwork") == 1
    request = new_subnet(network.name, dns_nameservers=["192.0.2.1"])
    answer = await admin.operate(admin.network.create_subnet, request, forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert (len(row["ipRanges"]), row["dns"]) == (1, ["192.0.2.1"])


async def test_a_cancelled_network_is_taken_back_from_every_step(admin: Lab) -> None:
    """Whenever it is cancelled nothing of it is left."""
    for steps in range(1, 9):

        def cancel(step: Any, left: list[int] = [steps]) -> None:  # noqa: B006 - counts down through one operation
            left[0] -= 1
            step.undo = step.undo or left[0] == 0

        answer = await admin.operate(admin.network.create_network, new_network(mtu=1400), meanwhile=cancel)
        assert answer.error.code == Code.CANCELLED.value[0]
        assert [left for left in answer.left_overs if not left.removed] == []
        assert await admin.native("/l3-networks", "name=n") == []
        assert await admin.native("/l2-networks", "name=l2-n") == []


async def test_a_vxlan_network_is_made_in_its_pool(admin: Lab) -> None:
    """In the form that the reference asks for; this cloud has no such pools and says so."""
    answer = await admin.operate(admin.network.create_network, new_network({"vxlan_pool": "0" * 32}))
    assert answer.error.code == Code.UNIMPLEMENTED.value[0]
    (request,) = admin.cloud.control.requests(path="/l2-networks/vxlan$", method="POST")
    assert request.body["params"]["poolUuid"] == "0" * 32


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"l2_network": "x", "vlan": 5}, "vlan"),
        ({"vlan": 5}, "physical_interface"),
        ({"vlan": 5000, "physical_interface": "eth0"}, "vlan"),
        ({"physical_interface": "eth0", "vxlan_pool": "x"}, "one of the two"),
        ({"kind": "MESH"}, "kind"),
    ],
)
async def test_options_that_do_not_go_together_are_refused(admin: Lab, options: dict[str, Any], words: str) -> None:
    """Before anything is sent."""
    answer = await admin.operate(admin.network.create_network, new_network(options))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert writes(admin) == []


async def test_a_network_that_shall_be_switched_off_is_refused(admin: Lab) -> None:
    """Rather than made and left on."""
    answer = await admin.operate(admin.network.create_network, new_network(admin_up=False))
    assert (answer.error.code, writes(admin)) == (Code.UNIMPLEMENTED.value[0], [])


async def test_delete_network_takes_the_l2_network_that_was_made_for_it(admin: Lab) -> None:
    """And is done as well when all is gone already."""
    network = await a_network(admin)
    for _ in range(2):
        assert not (await drop_network(admin, network.name)).HasField("error")
    assert await admin.native("/l3-networks", "name=n") == []
    assert await admin.native("/l2-networks", "name=l2-n") == []


async def test_delete_network_leaves_an_l2_network_that_others_stand_on(admin: Lab) -> None:
    """Deleting it would take the others along."""
    network = await a_network(admin)
    l2 = await admin.native_one("/l2-networks", "name=l2-n")
    other = await a_network(admin, {"l2_network": l2["uuid"]}, display_name="other")
    assert not (await drop_network(admin, network.name)).HasField("error")
    assert [row["uuid"] for row in await admin.native("/l3-networks", f"l2NetworkUuid={l2['uuid']}")] == [
        other.name[-32:]
    ]


async def test_delete_network_refuses_and_lists_nics_and_addresses(admin: Lab) -> None:
    """The platform would take them along: servers would lose their network. The first few are named."""
    (private,) = await admin.everything(admin.network.list_networks, N, 'display_name = "private"')
    nics = await admin.native("/vm-instances/nics", f"l3NetworkUuid={private.name[-32:]}")
    answer = await drop_network(admin, private.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    named = [nic["uuid"] for nic in nics if f"ports/{nic['uuid']} (of servers/" in answer.error.message]
    assert len(named) == 3
    assert f"by {len(nics)} ports" in answer.error.message
    assert answer.error.message.endswith(f" and {len(nics) - 3} more")
    network = await a_network(admin)
    await a_subnet(admin, network.name)
    vip = await admin.act("POST", "/vips", name="v", l3NetworkUuid=network.name[-32:])
    answer = await drop_network(admin, network.name)
    assert vip["ip"] in answer.error.message
    assert admin.cloud.control.count(call="DeleteL3Network") == 0


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
        ({}, "ipv6-ranges/by-cidr$"),
        ({"gateway_ip": "2001:db8::ff"}, ""),
        ({"allocation_pools": [S.AllocationPool(start="2001:db8::10", end="2001:db8::20")]}, "ipv6-ranges$"),
    ],
)
async def test_an_ipv6_subnet_has_calls_of_its_own(admin: Lab, fields: dict[str, Any], path: str) -> None:
    """In the form that the reference asks for; this cloud has none of them and says so."""
    network = await a_network(admin)
    request = new_subnet(network.name, "2001:db8::/64", **fields)
    answer = await admin.operate(admin.network.create_subnet, request)
    expected = Code.UNIMPLEMENTED if path else Code.INVALID_ARGUMENT
    assert answer.error.code == expected.value[0]
    assert admin.cloud.control.count(method="POST", path=path or "ipv6") == (1 if path else 0)


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
    assert (row["ipRanges"], row["dns"]) == ([], [])


async def test_delete_subnet_refuses_and_lists_addresses_in_use(admin: Lab) -> None:
    """NICs would go with it; the platform's own DHCP server may."""
    network = await a_network(admin)
    subnet = await a_subnet(admin, network.name)
    await admin.act("GET", f"/l3-networks/{network.name[-32:]}/dhcp-ip")
    nic = await admin.act("POST", "/nics", l3NetworkUuid=network.name[-32:])
    answer = await drop_subnet(admin, subnet.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"{PARENT}/ports/{nic['uuid']}" in answer.error.message
    await admin.act("DELETE", f"/nics/{nic['uuid']}")
    for _ in range(2):
        assert not (await drop_subnet(admin, subnet.name)).HasField("error")
    assert await admin.native("/l3-networks/ip-ranges", f"uuid={subnet.name[-32:]}") == []
