"""A network made with its subnets: all of it or nothing, and refused before anything is made where it can't be."""

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


def writes(lab: Lab) -> list[str]:
    return [request.call for request in lab.cloud.control.requests() if request.method in ("POST", "DELETE")]


async def left(lab: Lab) -> list[Any]:
    """Return what is there of the network."""
    ranges = [row for row in await lab.native("/l3-networks/ip-ranges") if row["networkCidr"] == "10.7.0.0/24"]
    return [*await lab.native("/l3-networks", "name=n"), *await lab.native("/l2-networks", "name=l2-n"), *ranges]


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
