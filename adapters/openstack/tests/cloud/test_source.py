"""Listings that are complete, whatever happens to the place where they stand, and filters that the cloud applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_common.errors import Busy, InvalidRequest, NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_openstack.volume.volumes import VOLUMES, Volumes
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

NETWORK, SUBNET = network_pb2.Network, subnet_pb2.Subnet


async def test_all_kinds_of_neutron_can_be_listed_and_got(member: Lab) -> None:
    """What a listing shows, a get shows the same."""
    net, v = member.network, member.cloud.control
    v.seed("demo", ports=3)
    kinds = (
        (net.list_subnets, net.get_subnet, SUBNET),
        (net.list_ports, net.get_port, port_pb2.Port),
        (net.list_security_groups, net.get_security_group, security_group_pb2.SecurityGroup),
        (net.list_routers, net.get_router, router_pb2.Router),
    )
    for list_, get, kind in kinds:
        items = await member.everything(list_, kind, limit=1)
        assert items, kind
        assert await get(member.call(items[0].name), None) == items[0]  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            await get(member.call("00000000-0000-0000-0000-000000000000"), None)  # type: ignore[arg-type]
    assert await member.everything(net.list_floating_ips, floating_ip_pb2.FloatingIp) == []


async def test_a_listing_without_next_links_is_read_to_its_end(member: Lab) -> None:
    """A full page means more, whatever the links say."""
    made = member.cloud.control.seed("demo", networks=23)["networks"]
    member.cloud.control.fault(Kind.MISSING_NEXT, service="network", path="networks")
    ids = [n.name.rsplit("/", 1)[-1] for n in await member.everything(member.network.list_networks, NETWORK, limit=5)]
    assert len(ids) == len(set(ids))
    assert set(made) <= set(ids)


async def test_a_marker_that_was_deleted_costs_no_row_and_doubles_none(member: Lab) -> None:
    """The listing goes on exactly behind the place where it was."""
    member.cloud.control.seed("demo", networks=11)
    before = [n.name for n in await member.everything(member.network.list_networks, NETWORK)]
    first = await member.network.list_networks(member.call(), member.query(NETWORK, limit=4))
    own = [item for item in first.items if not item.external][-1]
    place = list(first.items).index(own)
    await member.native("DELETE", "network", f"/networks/{own.name.rsplit('/', 1)[-1]}")
    rest = member.query(NETWORK, limit=100, cursor=first.position(place))
    after = await member.network.list_networks(member.call(), rest)
    assert [item.name for item in after.items] == before[place + 1 :]


async def test_a_deleted_marker_in_the_callers_order_ends_the_listing(member: Lab) -> None:
    """Its place can't be found again there: ABORTED, and the caller starts anew."""
    member.cloud.control.seed("demo", networks=6)
    order = (("display_name", False),)
    first = await member.network.list_networks(member.call(), member.query(NETWORK, limit=2, order_by=order))
    await member.native("DELETE", "network", f"/networks/{first.items[1].name.rsplit('/', 1)[-1]}")
    query = member.query(NETWORK, limit=2, order_by=order, cursor=first.position(1))
    with pytest.raises(Busy, match="start the listing again") as caught:
        await member.network.list_networks(member.call(), query)
    assert caught.value.reason == "LISTING_CHANGED"


@pytest.mark.parametrize("cursor", ["x", "9|a|b", "0"])
async def test_a_foreign_position_is_refused(member: Lab, cursor: str) -> None:
    """A position that no listing of ours gave is the caller's fault, not ours."""
    with pytest.raises(InvalidRequest, match="start the listing again"):
        await member.network.list_networks(member.call(), member.query(NETWORK, cursor=cursor))


async def test_equalities_are_pushed_down_where_neutron_does_them_right(member: Lab) -> None:
    """Names, networks and states; but no status of routers, which Neutron refuses."""
    network = (await member.everything(member.network.list_networks, NETWORK, 'display_name = "private"'))[0]
    await member.everything(member.network.list_subnets, SUBNET, f'network = "{network.name}" AND cidr = "10.0.0.0/8"')
    await member.everything(
        member.network.list_routers, router_pb2.Router, 'state = ACTIVE AND native_state = "ACTIVE"'
    )
    await member.everything(member.network.list_ports, port_pb2.Port, "state = ACTIVE")
    asked = [r.query for r in member.cloud.control.requests("network", "GET")]
    asked = [query for query in asked if "marker=" not in query and "fields=" not in query]
    assert "name=private" in asked[0]
    assert f"network_id={network.name.rsplit('/', 1)[-1]}" in asked[1]
    assert "cidr=10.0.0.0/8" in asked[1]
    assert "status" not in asked[2]
    assert "status=ACTIVE" in asked[3]


async def test_a_document_of_another_shape_is_the_clouds_fault(member: Lab) -> None:
    """A get that answers a page of HTML is told as such."""
    member.cloud.control.fault(Kind.HTML_200, service="network", path="networks")
    with pytest.raises(PlatformFault):
        await member.network.get_network(member.call("x"), network_pb2.GetNetworkRequest())


def test_drivers_and_kinds_show_what_they_are_of() -> None:
    """Debug views name cluster and collection."""
    assert repr(Volumes(ClusterRef("openstack", "east"))) == "<Volumes of platforms/openstack/clusters/east>"
    assert repr(VOLUMES) == "<Kind volumes of <Cinder /volumes>>"
