"""Floating IPs: made once, led to one address, and taken from another only when that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import floating_ip_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.network.floating_ips import FloatingIpRow, FloatingIps
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
Code = grpc.StatusCode
FloatingIp, Associate = floating_ip_pb2.FloatingIp, floating_ip_pb2.AssociateFloatingIpRequest


def network(lab: Lab, name: str) -> str:
    """Return the id of a network of the fake's demo project, or of the public one."""
    return next(row["id"] for row in lab.cloud.store.networks if row["name"] == name and _is_ours(lab, row))


def _is_ours(lab: Lab, row: Any) -> bool:
    return bool(row["router:external"]) or row["id"] == lab.cloud.store.fixed_id(_project(lab), "private")


def _project(lab: Lab) -> str:
    return next(project.id for project in lab.cloud.store.projects.values() if project.name == "demo")


def new_address(lab: Lab, **fields: Any) -> floating_ip_pb2.CreateFloatingIpRequest:
    wanted = FloatingIp(**({"external_network": f"{PARENT}/networks/{network(lab, 'public')}"} | fields))
    return floating_ip_pb2.CreateFloatingIpRequest(parent=PARENT, floating_ip=wanted)


async def an_address(lab: Lab, **fields: Any) -> Any:
    return await lab.made(lab.network.create_floating_ip, new_address(lab, **fields), FloatingIp)


async def a_port(lab: Lab, on: str = "", **fields: Any) -> tuple[str, str]:
    """Make a port; return its name and its first address."""
    body = {"port": {"network_id": on or network(lab, "private")} | fields}
    made = (await lab.native("POST", "network", "/ports", body))["port"]
    return f"{PARENT}/ports/{made['id']}", made["fixed_ips"][0]["ip_address"]


async def led(lab: Lab, address: Any, **fields: Any) -> Any:
    """Associate, and return the operation's end."""
    return await lab.operate(lab.network.associate_floating_ip, Associate(name=address.name, **fields))


def leads_to(lab: Lab, address: Any) -> str:
    port = lab.cloud.store.floating_ips.get(address.name.rpartition("/")[2])["port_id"]
    return f"{PARENT}/ports/{port}" if port else ""


def ours(lab: Lab) -> list[Any]:
    return list(lab.cloud.store.floating_ips)


# ---------------------------------------------------------------------- creating, changing, deleting


async def test_a_new_floating_ip_has_what_was_asked_and_a_hidden_marker(member: Lab) -> None:
    """It leads nowhere yet, and can be listed and got."""
    made = await an_address(member, description="mine", labels={"team": "db"}, ip_address="172.24.4.77")
    assert (made.description, dict(made.labels), made.ip_address) == ("mine", {"team": "db"}, "172.24.4.77")
    assert (made.port, made.state, made.display_name) == ("", FloatingIp.STATE_DOWN, "")
    [row] = ours(member)
    assert [tag for tag in row["tags"] if tag.startswith("cs-test-")]
    [listed] = await member.everything(member.network.list_floating_ips, FloatingIp, 'ip_address = "172.24.4.77"')
    got = await member.network.get_floating_ip(member.call(made.name), floating_ip_pb2.GetFloatingIpRequest())
    assert listed == got == made


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT])
async def test_a_create_without_a_reply_leaves_one_floating_ip(member: Lab, fault: Kind) -> None:
    """Each send would take another address: the marker finds the one."""
    member.cloud.control.fault(fault, service="network", method="POST", path="floatingips", count=1, seconds=8)
    made = await an_address(member)
    [row] = ours(member)
    assert (made.name.rpartition("/")[2], made.description) == (row["id"], "")


async def test_an_address_in_use_is_refused(member: Lab) -> None:
    """With the code that says so."""
    await an_address(member, ip_address="172.24.4.77")
    answer = await member.operate(member.network.create_floating_ip, new_address(member, ip_address="172.24.4.77"))
    assert (answer.error.code, len(ours(member))) == (Code.ALREADY_EXISTS.value[0], 1)


async def test_an_update_changes_what_is_named_and_keeps_mark_and_port(member: Lab) -> None:
    """Where it leads is no part of it; a name there is not."""
    made, (port, _) = await an_address(member, labels={"a": ""}), await a_port(member)
    await led(member, made, port=port)
    request = floating_ip_pb2.UpdateFloatingIpRequest()
    request.floating_ip.name, request.floating_ip.description = made.name, "new"
    request.floating_ip.labels["b"] = "2"
    told = await member.made(member.network.update_floating_ip, request, FloatingIp)
    assert (told.description, dict(told.labels), told.port) == ("new", {"b": "2"}, port)
    assert [tag for tag in ours(member)[0]["tags"] if tag.startswith("cs-test-")]
    request.update_mask.paths.append("display_name")
    answer = await member.operate(member.network.update_floating_ip, request)
    assert (answer.error.code, "no name" in answer.error.message) == (Code.INVALID_ARGUMENT.value[0], True)


async def test_a_floating_ip_that_leads_somewhere_is_deleted_as_well(member: Lab) -> None:
    """The port stays; again it is done too."""
    made, (port, _) = await an_address(member), await a_port(member)
    await led(member, made, port=port)
    request = floating_ip_pb2.DeleteFloatingIpRequest(name=made.name)
    for _ in range(2):
        assert not (await member.operate(member.network.delete_floating_ip, request)).HasField("error")
    assert (ours(member), member.cloud.store.ports.get(port.rpartition("/")[2]) is None) == ([], False)


# ---------------------------------------------------------------------- where it leads


async def test_a_floating_ip_is_led_to_a_port_and_nowhere_again(member: Lab) -> None:
    """By its only IPv4 address."""
    made, (port, address) = await an_address(member), await a_port(member)
    told = await member.made(member.network.associate_floating_ip, Associate(name=made.name, port=port), FloatingIp)
    assert (told.port, told.fixed_ip_address, told.state) == (port, address, FloatingIp.STATE_ACTIVE)
    assert told.router != ""
    request = floating_ip_pb2.DisassociateFloatingIpRequest(name=made.name)
    for _ in range(2):
        told = await member.made(member.network.disassociate_floating_ip, request, FloatingIp)
        assert (told.port, told.fixed_ip_address, leads_to(member, made)) == ("", "", "")


async def test_one_that_leads_elsewhere_is_moved_only_when_asked_to(member: Lab) -> None:
    """Neutron moves it without a word; to where it leads already is no move."""
    made, (first, _), (second, _) = await an_address(member), await a_port(member), await a_port(member)
    assert not (await led(member, made, port=first)).HasField("error")
    assert not (await led(member, made, port=first)).HasField("error")
    answer = await led(member, made, port=second)
    assert (answer.error.code, first in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
    assert leads_to(member, made) == first
    assert not (await led(member, made, port=second, reassign=True)).HasField("error")
    assert leads_to(member, made) == second


async def test_one_that_somebody_else_led_elsewhere_meanwhile_is_not_taken(member: Lab) -> None:
    """Between the look and the change."""
    made, (first, _), (second, _) = await an_address(member), await a_port(member), await a_port(member)
    row = member.cloud.store.floating_ips.get(made.name.rpartition("/")[2])

    def meanwhile(_step: Any) -> None:
        row["port_id"] = second.rpartition("/")[2]

    request = Associate(name=made.name, port=first)
    answer = await member.operate(member.network.associate_floating_ip, request, meanwhile=meanwhile)
    assert (answer.error.code, leads_to(member, made)) == (Code.FAILED_PRECONDITION.value[0], second)


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.CLOSE])
async def test_an_association_without_a_reply_is_done_once_all_the_same(member: Lab, fault: Kind) -> None:
    """Sent again it leads to the same port."""
    made, (port, _) = await an_address(member), await a_port(member)
    member.cloud.control.fault(fault, service="network", method="PUT", path="floatingips", count=1, seconds=0.5)
    assert not (await led(member, made, port=port)).HasField("error")
    assert leads_to(member, made) == port


async def test_a_server_is_reached_by_its_only_port_that_can_be(member: Lab) -> None:
    """Another one is in a network without a way out; the router decides."""
    inner = (await member.native("POST", "network", "/networks", {"network": {"name": "inner"}}))["network"]["id"]
    subnet = {"network_id": inner, "cidr": "10.9.0.0/24", "ip_version": 4}
    await member.native("POST", "network", "/subnets", {"subnet": subnet})
    owner = {"device_id": "a-server", "device_owner": "compute:nova"}
    made, _, (port, address) = (
        await an_address(member),
        await a_port(member, inner, **owner),
        await a_port(member, **owner),
    )
    told = await member.made(
        member.network.associate_floating_ip, Associate(name=made.name, server=f"{PARENT}/servers/a-server"), FloatingIp
    )
    assert (told.port, told.fixed_ip_address, told.server) == (port, address, f"{PARENT}/servers/a-server")


async def test_what_does_not_say_one_address_is_refused_with_those_there_are(member: Lab) -> None:
    """Two ports that can be reached, or none; an address decides."""
    made, server = await an_address(member), f"{PARENT}/servers/a-server"
    answer = await led(member, made, server=server)
    assert (answer.error.code, "there are: none" in answer.error.message) == (Code.INVALID_ARGUMENT.value[0], True)
    owner = {"device_id": "a-server", "device_owner": "compute:nova"}
    (first, one), (second, two) = await a_port(member, **owner), await a_port(member, **owner)
    answer = await led(member, made, server=server)
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert all(text in answer.error.message for text in (first, one, second, two))
    assert not (await led(member, made, server=server, fixed_ip_address=two)).HasField("error")
    assert leads_to(member, made) == second
    answer = await led(member, made, port=first, fixed_ip_address="10.0.0.250", reassign=True)
    assert (answer.error.code, leads_to(member, made)) == (Code.INVALID_ARGUMENT.value[0], second)
    assert (await led(member, made)).error.code == Code.INVALID_ARGUMENT.value[0]


async def test_a_port_without_a_way_out_is_a_failed_precondition(member: Lab) -> None:
    """Neutron says 404, though all that was named is there; a port that is not there is not found."""
    inner = (await member.native("POST", "network", "/networks", {"network": {"name": "inner"}}))["network"]["id"]
    subnet = {"network_id": inner, "cidr": "10.9.0.0/24", "ip_version": 4}
    await member.native("POST", "network", "/subnets", {"subnet": subnet})
    made, (port, _) = await an_address(member), await a_port(member, inner)
    answer = await led(member, made, port=port)
    assert (answer.error.code, "not reachable" in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
    answer = await led(member, made, port=f"{PARENT}/ports/00000000-0000-0000-0000-000000000000")
    assert answer.error.code == Code.NOT_FOUND.value[0]


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What only some clouds tell; a state that is not known is said to be so."""
    document = {
        "id": "f", "status": "N/A", "floating_ip_address": "1.2.3.4", "dns_name": "web", "dns_domain": "x.",
        "port_details": {"device_id": "d", "device_owner": "compute:nova"},
    }  # fmt: skip
    address = FloatingIps(ClusterRef("openstack", "east")).message(converted(document, FloatingIpRow))
    assert (address.display_name, address.server, address.dns_name) == ("", f"{PARENT}/servers/d", "web")
    assert (address.state, address.native_state) == (FloatingIp.STATE_UNKNOWN, "N/A")
