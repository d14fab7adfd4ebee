"""A network is made with all its parts, each exactly once, or nothing of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from cloudspan.v1 import network_pb2
from cloudspan_zstack_fake import Kind

from .conftest import NEW, PARENT, N, S, a_network, drop_network, new_network, new_subnet, writes

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

Code = grpc.StatusCode
HALVES = (
    {"display_name": "low", "cidr": "10.7.0.0/24", "allocation_pools": [{"start": "10.7.0.10", "end": "10.7.0.99"}]},
    {
        "display_name": "high",
        "cidr": "10.7.0.0/24",
        "allocation_pools": [{"start": "10.7.0.100", "end": "10.7.0.200"}],
        "labels": {"tier": "db", "flag": ""},
        "dns_nameservers": ["10.7.0.5", "10.7.0.6"],
    },
)
CALLS = {
    "CreateL2VlanNetwork": 1, "AttachL2NetworkToCluster": 1, "CreateL3Network": 1,
    "AttachNetworkServiceToL3Network": 1, "AddIpRange": 2, "CreateUserTag": 2, "AddDnsToL3Network": 2,
}  # fmt: skip


def whole(options: dict[str, Any] | None = None, **fields: Any) -> network_pb2.CreateNetworkRequest:
    struct = Struct()
    struct.update({"physical_interface": "eth0", "vlan": 300} | (options or {}))
    fields = {"subnets": HALVES} | fields
    return network_pb2.CreateNetworkRequest(parent=PARENT, network=N(display_name="n"), options=struct, **fields)


async def left(lab: Lab) -> list[Any]:
    """Return what is there of the network."""
    ranges = [row for row in await lab.native("/l3-networks/ip-ranges") if row["networkCidr"] == "10.7.0.0/24"]
    return [*await lab.native("/l3-networks", "name=n"), *await lab.native("/l2-networks", "name=l2-n"), *ranges]


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


# ---------------------------------------------------------------------- with subnets


async def test_a_network_comes_with_its_subnets(admin: Lab) -> None:
    """Each with its own labels; the name servers are the network's."""
    network = await admin.made(admin.network.create_network, whole(), N)
    listed = await admin.everything(admin.network.list_subnets, S, f'network = "{network.name}"')
    found = {subnet.display_name: subnet for subnet in listed}
    assert found.keys() == {"low", "high"}
    assert [(pool.start, pool.end) for pool in found["high"].allocation_pools] == [("10.7.0.100", "10.7.0.200")]
    assert (dict(found["low"].labels), dict(found["high"].labels)) == ({}, {"tier": "db", "flag": ""})
    assert dict(network.labels) == {}
    assert list(found["low"].dns_nameservers) == ["10.7.0.5", "10.7.0.6"]


async def test_subnets_of_one_network_may_have_the_same_labels(admin: Lab) -> None:
    """The platform would give the tags of each to the network, and refuse them the second time."""
    same = [{**half, "labels": {"tier": "db"}} for half in HALVES]
    network = await admin.made(admin.network.create_network, whole(subnets=same), N)
    subnets = await admin.everything(admin.network.list_subnets, S, f'network = "{network.name}"')
    assert [dict(subnet.labels) for subnet in subnets] == [{"tier": "db"}] * 2


@pytest.mark.parametrize(("call", "skip"), [(call, n) for call, count in CALLS.items() for n in range(count)])
async def test_when_one_part_fails_nothing_stays(admin: Lab, call: str, skip: int) -> None:
    """What was made before is undone."""
    admin.cloud.control.fault("failure", call=call, count=1, skip=skip, code="SYS.1006", message="no luck")
    answer = await admin.operate(admin.network.create_network, whole())
    assert "no luck" in answer.error.message
    assert [one for one in answer.left_overs if not one.removed] == []
    assert await left(admin) == []


async def test_undoing_goes_backwards(admin: Lab) -> None:
    """Name servers, subnets, the network, what is below it."""
    admin.cloud.control.fault("failure", call="AddDnsToL3Network", count=1, skip=1, code="SYS.1006", message="no")
    await admin.operate(admin.network.create_network, whole())
    assert [call for call in writes(admin) if call.startswith(("Delete", "Remove"))] == [
        "RemoveDnsFromL3Network", "DeleteIpRange", "DeleteIpRange", "DeleteL3Network", "DeleteL2Network",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.STUCK_JOB, Kind.DUPLICATE_JOB])
@pytest.mark.parametrize("call", [*CALLS])
async def test_each_part_is_made_once_whatever_happens_to_its_call(admin: Lab, call: str, kind: Kind) -> None:
    """A job that stays processing for ever is judged by what it made."""
    more: dict[str, Any] = {"carried_out": True} if kind is Kind.STUCK_JOB else {"seconds": 3.0}
    rule = admin.cloud.control.fault(kind, call=call, count=1, **more)
    network = await admin.made(admin.network.create_network, whole(), N)
    assert rule.hits == 1
    assert len(await left(admin)) == 4
    row = await admin.native_one("/l3-networks", f"uuid={network.name[-32:]}")
    assert row["dns"] == ["10.7.0.5", "10.7.0.6"]


async def test_a_gateway_that_forgets_every_answer_makes_one_network(admin: Lab) -> None:
    """Every step is taken twice."""
    answer = await admin.operate(admin.network.create_network, whole(), forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    assert len(await left(admin)) == 4


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"router": {"display_name": "r"}}, Code.UNIMPLEMENTED, "router"),
        ({"subnets": [{"cidr": "10.7.0.0/24"}, {"cidr": "10.8.0.0/24"}]}, Code.INVALID_ARGUMENT, "one CIDR"),
        ({"subnets": [{"cidr": "10.7.0.0/24"}, {"cidr": "10.7.0.0/24"}]}, Code.INVALID_ARGUMENT, "overlaps"),
        ({"subnets": [{"cidr": "10.7.0.0/24", "gateway_ip": ""}]}, Code.INVALID_ARGUMENT, "subnets[0].gateway_ip"),
        ({"subnets": [{"cidr": "10.7"}]}, Code.INVALID_ARGUMENT, "subnets[0].cidr"),
        ({"subnets": [{"cidr": "10.7.0.0/24", "dhcp_enabled": False}]}, Code.INVALID_ARGUMENT, "serves DHCP"),
        ({"options": {"services": {"Flat": ["Magic"]}}}, Code.INVALID_ARGUMENT, "Magic"),
    ],
)
@pytest.mark.parametrize("only_checked", [False, True])
async def test_what_can_not_be_is_refused_before_anything_is_made(
    admin: Lab, fields: dict[str, Any], code: grpc.StatusCode, words: str, only_checked: bool
) -> None:
    """A check alone tells the same."""
    request = whole(**fields)
    request.validate_only = only_checked
    answer = await admin.operate(admin.network.create_network, request)
    assert (answer.error.code, writes(admin)) == (code.value[0], [])
    assert words in answer.error.message


async def test_subnets_without_dhcp_come_with_a_network_that_serves_none(admin: Lab) -> None:
    """Which the services say."""
    request = whole({"services": {}}, subnets=[{"cidr": "10.7.0.0/24", "dhcp_enabled": False}])
    await admin.made(admin.network.create_network, request, N)
    assert len(await left(admin)) == 3


async def test_who_is_shown_no_l2_networks_is_told_whom_to_ask(member: Lab) -> None:
    """A uuid will do: the platform lets every account build on an L2 network that it can name."""
    answer = await member.operate(member.network.create_network, new_network({}))
    assert "ask the cloud's operator for the uuid" in answer.error.message
    l2 = member.cloud.store.l2_networks.where(name="l2-private")[0]["uuid"]
    made = await a_network(member, {"l2_network": l2})
    assert made.display_name == "n"


async def test_a_vlan_that_is_taken_exists_already(admin: Lab) -> None:
    """The second L2 network is made, and refused when it is attached to the hosts; it is taken back."""
    await a_network(admin)
    answer = await admin.operate(admin.network.create_network, new_network(display_name="other"))
    assert answer.error.code == Code.ALREADY_EXISTS.value[0]
    assert "already attached to the cluster by L2 VLAN network" in answer.error.message
    assert [row["name"] for row in await admin.native("/l2-networks", "name~=l2-%")].count("l2-other") == 0
    assert await admin.native("/l3-networks", "name=other") == []


async def test_a_uuid_that_is_taken_by_this_very_step_is_its_result(admin: Lab) -> None:
    """The database refuses it, and calls it an internal error."""
    code, text = "SYS.1000", "org.hibernate.exception.ConstraintViolationException: could not execute statement"
    admin.cloud.control.fault(
        Kind.FAILURE, call="CreateL2VlanNetwork", count=1, code=code, message=text, carried_out=True
    )  # fmt: skip
    assert (await a_network(admin)).display_name == "n"
    admin.cloud.control.fault(Kind.FAILURE, call="CreateL2VlanNetwork", count=1, code=code, message=text)
    answer = await admin.operate(admin.network.create_network, new_network({**NEW, "vlan": 301}))
    assert answer.error.code == Code.ALREADY_EXISTS.value[0]
