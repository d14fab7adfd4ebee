"""Networks are read with the L2 network below them, listed wholly, and deleted only when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from cloudspan.v1 import network_pb2, subnet_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_zstack_fake import Kind

from .conftest import PARENT, N, a_network, a_subnet, drop_network, shared_network, the_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.zstack.tests.lab import Lab

Code = grpc.StatusCode


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


async def test_delete_network_refuses_while_another_accounts_nic_stands_on_it(
    admin: Lab, member: Lab, user: Callable[[str], Lab]
) -> None:
    """This account is shown none of others' NICs, but every address that is taken."""
    network = await shared_network(admin, member)
    await a_subnet(member, network.name)
    other = user("demo2")
    nic = await other.act("POST", "/nics", l3NetworkUuid=network.name[-32:])
    assert await member.native("/vm-instances/nics", f"l3NetworkUuid={network.name[-32:]}") == []
    answer = await drop_network(member, network.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert nic["ip"] in answer.error.message
    assert "other accounts" in answer.error.message
    assert member.cloud.control.count(call="DeleteL3Network") == 0
    await other.act("DELETE", f"/nics/{nic['uuid']}")
    assert not (await drop_network(member, network.name)).HasField("error")


async def test_delete_network_takes_the_router_that_serves_it(admin: Lab) -> None:
    """Its NIC there is no user of the network; that on the network by which it reaches others is one."""
    network = await the_network(admin, "vpc-net")
    (nic,) = await admin.native("/vm-instances/nics", f"l3NetworkUuid={network.name[-32:]}")
    assert (await admin.native_one("/vm-instances", f"uuid={nic['vmInstanceUuid']}"))["type"] == "ApplianceVm"
    (subnet,) = network.subnets
    answer = await admin.operate(admin.network.delete_subnet, subnet_pb2.DeleteSubnetRequest(name=subnet))
    assert not answer.HasField("error"), answer.error.message
    assert not (await drop_network(admin, network.name)).HasField("error")
    answer = await drop_network(admin, (await the_network(admin, "public")).name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]


async def test_l2_networks_are_shown_to_administrators_only(admin: Lab, member: Lab) -> None:
    """Others are shown none, without an error: their networks say nothing of what they stand on."""
    assert len(await admin.native("/l2-networks")) > 0
    assert await member.native("/l2-networks") == []
    network = await the_network(member, "private")
    assert (network.network_type, network.native_network_type) == (N.NETWORK_TYPE_UNSPECIFIED, "")
    assert (network.HasField("segmentation_id"), network.kind) == (False, N.KIND_FLAT)
