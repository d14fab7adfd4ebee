"""Ports are NICs, of servers and of the platform's appliances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import port_pb2, router_pb2

from .conftest import PARENT

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


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
