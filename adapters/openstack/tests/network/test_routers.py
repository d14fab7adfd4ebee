"""Routers, and the subnets that they join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import port_pb2, router_pb2, subnet_pb2

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab


async def test_a_router_tells_which_subnets_it_joins_where_somebody_looks(member: Lab) -> None:
    """By its ports: one more call, left out when the mask does not name the interfaces."""
    [router] = await member.everything(member.network.list_routers, router_pb2.Router)
    [subnet] = await member.everything(
        member.network.list_subnets, subnet_pb2.Subnet, 'display_name = "private-subnet"'
    )
    [interface] = router.interfaces
    assert (interface.network, [ip.subnet for ip in interface.fixed_ips]) == (subnet.network, [subnet.name])
    assert [ip.subnet != "" for ip in router.external_fixed_ips] == [True]
    port = await member.network.get_port(member.call(interface.port), port_pb2.GetPortRequest())
    assert (port.device, port.server, port.mac_address) == (router.name, "", interface.mac_address)
    member.cloud.control.clear_requests()
    page = await member.network.list_routers(member.call(fields="name state"), member.query(router_pb2.Router))
    assert ([list(r.interfaces) for r in page.items], member.cloud.control.count("network", "GET", "ports")) == (
        [[]],
        0,
    )
