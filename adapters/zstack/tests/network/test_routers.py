"""Routers are virtual routers, VPC routers among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import router_pb2

from .conftest import PARENT, the_network

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


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
