"""Floating IPs: an address and what leads from it, made once, led to one NIC, released both."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import floating_ip_pb2
from cloudspan_zstack_fake import Kind

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

PARENT = "platforms/zstack/clusters/lab"
Code = grpc.StatusCode
FloatingIp, Associate = floating_ip_pb2.FloatingIp, floating_ip_pb2.AssociateFloatingIpRequest
FREE = "203.0.113.77"


def network(lab: Lab, name: str) -> str:
    return f"{PARENT}/networks/{lab.cloud.store.l3_networks.where(name=name)[0]['uuid']}"


def new_address(lab: Lab, **fields: Any) -> floating_ip_pb2.CreateFloatingIpRequest:
    wanted = FloatingIp(**({"external_network": network(lab, "public")} | fields))
    return floating_ip_pb2.CreateFloatingIpRequest(parent=PARENT, floating_ip=wanted)


async def an_address(lab: Lab, **fields: Any) -> Any:
    return await lab.made(lab.network.create_floating_ip, new_address(lab, **fields), FloatingIp)


def nic_of(lab: Lab, server: str, number: int = 0) -> tuple[str, str]:
    """Return the name and the address of a demo server's NIC."""
    [vm] = lab.cloud.store.vms.where(name=server)
    row = lab.cloud.store.nics.present(vm["_nics"][number])
    return f"{PARENT}/ports/{row['uuid']}", row["ip"]


def server(lab: Lab, name: str) -> str:
    return f"{PARENT}/servers/{lab.cloud.store.vms.where(name=name)[0]['uuid']}"


async def led(lab: Lab, address: Any, **fields: Any) -> Any:
    """Associate, and return the operation's end."""
    return await lab.operate(lab.network.associate_floating_ip, Associate(name=address.name, **fields))


def leads_to(lab: Lab, address: Any) -> str:
    nic = lab.cloud.store.eips.present(address.name[-32:])["vmNicUuid"]
    return f"{PARENT}/ports/{nic}" if nic else ""


def there(lab: Lab) -> tuple[int, int]:
    """How many EIPs and VIPs there are."""
    return len(lab.cloud.store.eips), len(lab.cloud.store.vips)


async def a_second_network(lab: Lab, name: str, *services: str) -> str:
    """Give a demo server a NIC in a network of its own, with these services; return its name and address."""
    l2 = lab.cloud.store.l2_networks.where(name="l2-private")[0]["uuid"]
    l3 = (await lab.act("POST", "/l3-networks", name="inner", l2NetworkUuid=l2, category="Private"))["uuid"]
    lab.cloud.store.l3_networks.present(l3)["_public"] = True
    span: dict[str, Any] = {"name": "r", "networkCidr": "10.77.0.0/24"}
    await lab.act("POST", f"/l3-networks/{l3}/ip-ranges/by-cidr", **span)
    if services:
        flat = lab.cloud.store.providers.where(type="Flat")[0]["uuid"]
        await lab.act("POST", f"/l3-networks/{l3}/network-services", networkServices={flat: list(services)})
    vm = lab.cloud.store.vms.where(name=name)[0]["uuid"]
    await lab.act("POST", f"/vm-instances/{vm}/l3-networks/{l3}")
    return nic_of(lab, name, 1)[0]


# ---------------------------------------------------------------------- reading


async def test_a_floating_ip_is_an_eip_and_its_vip(member: Lab) -> None:
    """Down until it is bound, and it says which network its address is from."""
    (public,) = await member.native("/l3-networks", "name=public")
    vip = await member.act("POST", "/vips", name="v", l3NetworkUuid=public["uuid"])
    await member.act("POST", "/eips", name="e", vipUuid=vip["uuid"])
    listing = (member.network.list_floating_ips, FloatingIp)
    (address,) = await member.everything(*listing, f'ip_address = "{vip["ip"]}"')
    assert address.state == FloatingIp.STATE_DOWN
    assert address.external_network == f"{PARENT}/networks/{public['uuid']}"
    vm = await member.native_one("/vm-instances", "name=web-2")
    nic = vm["vmNics"][0]
    await member.act("POST", f"/eips/{address.name[-32:]}/vm-instances/nics/{nic['uuid']}")
    (address,) = await member.everything(*listing, "state = ACTIVE")
    assert address.port == f"{PARENT}/ports/{nic['uuid']}"
    assert address.fixed_ip_address == nic["ip"]
    assert address.server == f"{PARENT}/servers/{vm['uuid']}"


# ---------------------------------------------------------------------- creating, changing, deleting


async def test_a_new_floating_ip_has_what_was_asked(member: Lab) -> None:
    """It leads nowhere yet, and can be listed and got; nothing of it shows the VIP or the marks."""
    made = await an_address(member, display_name="front", description="mine", labels={"team": "db"}, ip_address=FREE)
    assert (made.display_name, made.description, dict(made.labels)) == ("front", "mine", {"team": "db"})
    assert (made.ip_address, made.external_network) == (FREE, network(member, "public"))
    assert (made.port, made.state, there(member)) == ("", FloatingIp.STATE_DOWN, (1, 1))
    [listed] = await member.everything(member.network.list_floating_ips, FloatingIp, f'ip_address = "{FREE}"')
    assert listed == made == await member.network.get_floating_ip(member.call(made.name), None)


@pytest.mark.parametrize("call", ["CreateVip", "CreateEip"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_create_whose_outcome_was_lost_leaves_one_floating_ip(member: Lab, fault: Kind, call: str) -> None:
    """Each send would take another address: the ids are ours."""
    member.cloud.control.fault(fault, call=call, count=1, seconds=3)
    made = await an_address(member)
    assert (there(member), made.name[-32:] in member.cloud.store.eips) == ((1, 1), True)


async def test_a_gateway_that_forgets_every_answer_makes_one_floating_ip(member: Lab) -> None:
    """Every step is taken twice."""
    answer = await member.operate(member.network.create_floating_ip, new_address(member), forgetful=True)
    assert (answer.HasField("error"), there(member)) == (False, (1, 1))


async def test_an_address_whose_second_half_fails_is_taken_back(member: Lab) -> None:
    """The VIP alone would be nobody's."""
    member.cloud.control.fault("failure", call="CreateEip", count=1, code="SYS.1006", message="no luck")
    answer = await member.operate(member.network.create_floating_ip, new_address(member))
    assert ("no luck" in answer.error.message, there(member)) == (True, (0, 0))


async def test_an_address_in_use_is_refused(member: Lab) -> None:
    """With the code that says so, known before anything is made; also where it is taken in between."""
    await an_address(member, ip_address=FREE)
    answer = await member.operate(member.network.create_floating_ip, new_address(member, ip_address=FREE))
    assert (answer.error.code, there(member)) == (Code.ALREADY_EXISTS.value[0], (1, 1))
    other, store = FREE.replace("77", "78"), member.cloud.store
    l3 = store.l3_networks.where(name="public")[0]

    def meanwhile(_step: Any) -> None:
        [span] = store.ip_ranges.some(l3["_ranges"])
        span["_used"].add(int(ip_address(other)))
        store.new_row(store.used_ips, "", ip=other, l3NetworkUuid=l3["uuid"], ipRangeUuid=span["uuid"])

    request = new_address(member, ip_address=other)
    answer = await member.operate(member.network.create_floating_ip, request, meanwhile=meanwhile)
    assert (answer.error.code, there(member)) == (Code.ALREADY_EXISTS.value[0], (1, 1))


async def test_a_network_without_free_addresses_is_exhausted(member: Lab) -> None:
    """Which a caller may wait for, or ask for more."""
    l3 = member.cloud.store.l3_networks.where(name="public")[0]
    for span in member.cloud.store.ip_ranges.some(l3["_ranges"]):
        span["_used"].update(range(span["_start"], span["_end"] + 1))
    answer = await member.operate(member.network.create_floating_ip, new_address(member))
    assert (answer.error.code, there(member)) == (Code.RESOURCE_EXHAUSTED.value[0], (0, 0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("external_network", f"{PARENT}/networks/{'0' * 32}"), ("ip_address", "203.0.113"), ("labels", {"a::b": "c"})],
)
async def test_what_can_not_be_is_told_before_anything_is_made(member: Lab, field: str, value: Any) -> None:
    """By the field that it is about."""
    request = new_address(member, **{field: value})
    request.validate_only = True
    answer = await member.operate(member.network.create_floating_ip, request)
    assert (answer.error.code, there(member)) == (Code.INVALID_ARGUMENT.value[0], (0, 0))
    assert f"floating_ip.{field}" in str(answer.error)


async def test_an_update_changes_what_is_named_and_keeps_mark_and_port(member: Lab) -> None:
    """Where it leads is no part of it."""
    made, (port, _) = await an_address(member, display_name="a", labels={"a": ""}), nic_of(member, "web-1")
    await led(member, made, port=port)
    request = floating_ip_pb2.UpdateFloatingIpRequest()
    request.floating_ip.name, request.floating_ip.description = made.name, "new"
    request.floating_ip.labels["b"] = "2"
    told = await member.made(member.network.update_floating_ip, request, FloatingIp)
    assert (told.display_name, told.description, dict(told.labels), told.port) == ("a", "new", {"b": "2"}, port)
    tags = member.cloud.store.tags(made.name[-32:], member.cloud.store.user_tags)
    assert [tag for tag in tags if tag.startswith("cloudspan::marker::")]


async def test_a_floating_ip_that_leads_somewhere_is_released_whole(member: Lab) -> None:
    """The NIC stays; again it is done too."""
    made, (port, _) = await an_address(member), nic_of(member, "web-1")
    await led(member, made, port=port)
    request = floating_ip_pb2.DeleteFloatingIpRequest(name=made.name)
    for _ in range(2):
        assert not (await member.operate(member.network.delete_floating_ip, request)).HasField("error")
    assert (there(member), port[-32:] in member.cloud.store.nics) == ((0, 0), True)


@pytest.mark.parametrize("call", ["DeleteEip", "DeleteVip"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_delete_whose_outcome_was_lost_releases_both(member: Lab, fault: Kind, call: str) -> None:
    """The address would stay taken without a name."""
    made = await an_address(member)
    member.cloud.control.fault(fault, call=call, count=1, seconds=3)
    request = floating_ip_pb2.DeleteFloatingIpRequest(name=made.name)
    assert not (await member.operate(member.network.delete_floating_ip, request, forgetful=True)).HasField("error")
    assert there(member) == (0, 0)


async def test_an_address_that_serves_something_else_stays(member: Lab) -> None:
    """Deleting the VIP would take that along."""
    made = await an_address(member)
    vip = member.cloud.store.vips.where(ip=made.ip_address)[0]
    request = floating_ip_pb2.DeleteFloatingIpRequest(name=made.name)

    def meanwhile(_step: Any) -> None:
        if not member.cloud.store.eips.where(uuid=made.name[-32:]):
            vip["_eip"] = "0" * 32  # something else is on it by now

    answer = await member.operate(member.network.delete_floating_ip, request, meanwhile=meanwhile)
    assert (answer.HasField("error"), there(member)) == (False, (0, 1))


# ---------------------------------------------------------------------- where it leads


async def test_a_floating_ip_is_led_to_a_port_and_nowhere_again(member: Lab) -> None:
    """By its only IPv4 address."""
    made, (port, address) = await an_address(member), nic_of(member, "web-1")
    told = await member.made(member.network.associate_floating_ip, Associate(name=made.name, port=port), FloatingIp)
    assert (told.port, told.fixed_ip_address, told.state) == (port, address, FloatingIp.STATE_ACTIVE)
    assert told.server == server(member, "web-1")
    request = floating_ip_pb2.DisassociateFloatingIpRequest(name=made.name)
    for _ in range(2):
        told = await member.made(member.network.disassociate_floating_ip, request, FloatingIp)
        assert (told.port, told.fixed_ip_address, leads_to(member, made)) == ("", "", "")
    assert member.cloud.control.count(call="DetachEip") == 1


async def test_one_that_leads_elsewhere_is_moved_only_when_asked_to(member: Lab) -> None:
    """To where it leads already is no move, and no call."""
    made, (first, _), (second, _) = await an_address(member), nic_of(member, "web-1"), nic_of(member, "web-2")
    for _ in range(2):
        assert not (await led(member, made, port=first)).HasField("error")
    assert member.cloud.control.count(call="AttachEip") == 1
    answer = await led(member, made, port=second)
    assert (answer.error.code, first in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
    assert leads_to(member, made) == first
    assert not (await led(member, made, server=server(member, "web-2"), reassign=True)).HasField("error")
    assert leads_to(member, made) == second


async def test_one_that_cannot_be_moved_leads_back(member: Lab) -> None:
    """The platform moves none at once: it is taken from the one, then led to the other."""
    made, (first, _), (second, _) = await an_address(member), nic_of(member, "web-1"), nic_of(member, "web-2")
    await led(member, made, port=first)
    member.cloud.control.fault("failure", call="AttachEip", count=1, code="SYS.1006", message="no luck")
    answer = await led(member, made, port=second, reassign=True)
    assert ("no luck" in answer.error.message, leads_to(member, made)) == (True, first)


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_cancelled_move_leads_back_from_every_step(member: Lab, steps: int) -> None:
    """Or was over before."""
    made, (first, _), (second, _) = await an_address(member), nic_of(member, "web-1"), nic_of(member, "web-2")
    await led(member, made, port=first)
    left = [steps]

    def cancel(step: Any) -> None:
        left[0] -= 1
        step.undo = step.undo or left[0] == 0

    request = Associate(name=made.name, port=second, reassign=True)
    answer = await member.operate(member.network.associate_floating_ip, request, meanwhile=cancel)
    assert leads_to(member, made) == (first if answer.HasField("error") else second)


async def test_one_that_somebody_else_led_elsewhere_meanwhile_is_not_taken(member: Lab) -> None:
    """Between the look and the change."""
    made, (first, _), (second, _) = await an_address(member), nic_of(member, "web-1"), nic_of(member, "web-2")
    row = member.cloud.store.eips.present(made.name[-32:])

    def meanwhile(_step: Any) -> None:
        row["vmNicUuid"] = second[-32:]

    request = Associate(name=made.name, port=first)
    answer = await member.operate(member.network.associate_floating_ip, request, meanwhile=meanwhile)
    assert (answer.error.code, leads_to(member, made)) == (Code.FAILED_PRECONDITION.value[0], second)


@pytest.mark.parametrize("call", ["DetachEip", "AttachEip"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.STUCK_JOB])
async def test_a_move_without_a_reply_is_done_once_all_the_same(member: Lab, fault: Kind, call: str) -> None:
    """Where it leads tells what became of it."""
    made, (first, _), (second, _) = await an_address(member), nic_of(member, "web-1"), nic_of(member, "web-2")
    await led(member, made, port=first)
    more: dict[str, Any] = {"carried_out": True} if fault is Kind.STUCK_JOB else {"seconds": 3.0}
    member.cloud.control.fault(fault, call=call, count=1, **more)
    request = Associate(name=made.name, port=second, reassign=True)
    answer = await member.operate(member.network.associate_floating_ip, request, forgetful=True)
    assert (answer.HasField("error"), leads_to(member, made)) == (False, second)


async def test_a_server_is_reached_by_its_only_port_that_can_be(member: Lab, admin: Lab) -> None:
    """Another one is in a network without floating IPs."""
    inner = await a_second_network(admin, "web-1")
    made, (port, address) = await an_address(member), nic_of(member, "web-1")
    assert inner != port
    for _ in range(2):
        assert not (await led(member, made, server=server(member, "web-1"))).HasField("error")
    assert leads_to(member, made) == port
    assert member.cloud.store.eips.present(made.name[-32:])["guestIp"] == address


async def test_what_does_not_say_one_address_is_refused_with_those_there_are(member: Lab, admin: Lab) -> None:
    """Two NICs that can be reached, or none; an address decides."""
    made = await an_address(member)
    answer = await led(member, made, server=f"{PARENT}/servers/{'0' * 32}")
    assert (answer.error.code, "there are: none" in answer.error.message) == (Code.INVALID_ARGUMENT.value[0], True)
    second = await a_second_network(admin, "web-1", "Eip")
    (first, one), (_, two) = nic_of(member, "web-1"), nic_of(member, "web-1", 1)
    answer = await led(member, made, server=server(member, "web-1"))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert all(text in answer.error.message for text in (first, one, second, two))
    assert not (await led(member, made, server=server(member, "web-1"), fixed_ip_address=two)).HasField("error")
    assert leads_to(member, made) == second
    answer = await led(member, made, port=first, fixed_ip_address="10.0.0.250", reassign=True)
    assert (answer.error.code, leads_to(member, made)) == (Code.INVALID_ARGUMENT.value[0], second)
    assert (await led(member, made)).error.code == Code.INVALID_ARGUMENT.value[0]


async def test_a_port_that_cannot_be_reached_is_a_failed_precondition(member: Lab, admin: Lab) -> None:
    """One that is not there is not found."""
    made, inner = await an_address(member), await a_second_network(admin, "web-1")
    answer = await led(member, made, port=inner)
    assert (answer.error.code, "Eip service" in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
    answer = await led(member, made, port=f"{PARENT}/ports/{'0' * 32}")
    assert answer.error.code == Code.NOT_FOUND.value[0]


async def test_a_label_with_spaces_around_it_is_kept_as_the_platform_keeps_it(member: Lab) -> None:
    """Which is without them; asked for again it is there already."""
    address = await an_address(member)
    wanted = FloatingIp(name=address.name, labels={"team": "db  "})
    request = floating_ip_pb2.UpdateFloatingIpRequest(floating_ip=wanted)
    request.update_mask.paths.append("labels")
    for _ in range(2):
        updated = await member.made(member.network.update_floating_ip, request, FloatingIp)
        assert dict(updated.labels) == {"team": "db"}
    assert member.cloud.control.count(call="CreateUserTag") == 1
