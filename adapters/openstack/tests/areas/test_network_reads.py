"""What Neutron keeps, as unified messages: listings that are complete and hold what the caller may expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_common.errors import Busy, InvalidRequest, NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit.values import converted
from cloudspan_openstack.network.network_mapping import NetworkMapper
from cloudspan_openstack.network.network_rows import NetworkRow, PortRow
from cloudspan_openstack.volume.volumes import VOLUMES, Volumes
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from .conftest import Lab

NETWORK, SUBNET = network_pb2.Network, subnet_pb2.Subnet


async def test_a_network_tells_what_neutron_knows_of_it(member: Lab) -> None:
    """Every field that Neutron has is mapped, names included."""
    made = (await member.native("POST", "network", "/networks", {"network": {"name": "n", "description": "d"}}))[
        "network"
    ]
    await member.native(
        "PUT", "network", f"/networks/{made['id']}/tags", {"tags": ["team=db", "flag", "cs-x-1-network"]}
    )
    network = await member.network.get_network(member.call(made["id"]), network_pb2.GetNetworkRequest())
    assert network.name == f"platforms/openstack/clusters/east/networks/{made['id']}"
    assert (network.display_name, network.description, network.native_state) == ("n", "d", "ACTIVE")
    assert network.state == NETWORK.STATE_ACTIVE
    assert dict(network.labels) == {"team": "db", "flag": ""}
    assert network.project.endswith(f"/projects/{made['project_id']}")
    assert network.create_time.seconds > 0
    assert not network.HasField("native")


async def test_the_full_view_carries_neutrons_own_document(member: Lab) -> None:
    """In a listing as in a get, each item has its own."""
    page = await member.network.list_networks(member.call(full=True), member.query(NETWORK))
    assert [item.native["id"] for item in page.items] == [item.name.rsplit("/", 1)[-1] for item in page.items]
    one = await member.network.get_network(member.call(page.items[0].name, full=True), network_pb2.GetNetworkRequest())
    assert one == page.items[0]


async def test_a_network_that_its_owner_switched_off_is_down(member: Lab) -> None:
    """Neutron goes on calling it ACTIVE."""
    made = (await member.native("POST", "network", "/networks", {"network": {"admin_state_up": False}}))["network"]
    network = await member.network.get_network(member.call(made["id"]), network_pb2.GetNetworkRequest())
    assert (network.state, network.admin_up) == (NETWORK.STATE_DOWN, False)


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


async def test_an_administrator_sees_what_a_member_would(admin: Lab, member: Lab) -> None:
    """Own, shared and external networks, each once; other projects' only when the filter speaks of projects."""
    project = (await member.session.scope(member.call())).project_id
    theirs_shared = (await member.native("POST", "network", "/networks", {"network": {"name": "theirs-shared"}}))[
        "network"
    ]
    await admin.native("PUT", "network", f"/networks/{theirs_shared['id']}", {"network": {"shared": True}})
    await admin.native("POST", "network", "/networks", {"network": {"name": "mine-shared", "shared": True}})
    await member.native("POST", "network", "/networks", {"network": {"name": "theirs-private"}})
    names = sorted(n.display_name for n in await admin.everything(admin.network.list_networks, NETWORK, limit=1))
    assert names.count("mine-shared") == names.count("theirs-shared") == names.count("public") == 1
    assert "theirs-private" not in names
    everyone = [n.display_name for n in await admin.everything(admin.network.list_networks, NETWORK, "project:*")]
    assert {"theirs-private", "theirs-shared", "public"} <= set(everyone)
    wanted = f'project = "platforms/openstack/clusters/east/projects/{project}"'
    theirs = {n.display_name for n in await admin.everything(admin.network.list_networks, NETWORK, wanted)}
    assert {"theirs-private", "theirs-shared"} <= theirs
    assert "mine-shared" not in theirs


async def test_an_order_over_an_administrators_parts_is_refused(admin: Lab) -> None:
    """Own, shared and external can't be sorted together; the message says what to do."""
    query = admin.query(NETWORK, order_by=(("display_name", False),))
    with pytest.raises(InvalidRequest, match=r'project = "\.\.\."') as caught:
        await admin.network.list_networks(admin.call(), query)
    assert caught.value.reason == "ORDER_NEEDS_PROJECT"


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


async def test_a_router_tells_which_subnets_it_joins_where_somebody_looks(member: Lab) -> None:
    """By its ports: one more call, left out when the mask does not name the interfaces."""
    [router] = await member.everything(member.network.list_routers, router_pb2.Router)
    [subnet] = await member.everything(member.network.list_subnets, SUBNET, 'display_name = "private-subnet"')
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


def test_rows_of_neutron_become_messages_field_by_field() -> None:
    """What only some clouds, or administrators, are told."""
    mapper, base = NetworkMapper(ClusterRef("openstack", "east")), "platforms/openstack/clusters/east"
    document = {
        "id": "n", "status": "ACTIVE", "provider:network_type": "vlan", "provider:segmentation_id": 4_000_000_000,
        "provider:physical_network": "datacentre", "availability_zones": ["z 1"], "dns_domain": "a.example.",
        "revision_number": 7, "shared": False,
    }  # fmt: skip
    network = mapper.network(converted(document, NetworkRow))
    assert (network.network_type, network.native_network_type) == (NETWORK.NETWORK_TYPE_VLAN, "vlan")
    assert (network.segmentation_id, network.physical_network) == (4_000_000_000, "datacentre")
    assert (list(network.zones), network.dns_domain, network.etag) == ([f"{base}/zones/z%201"], "a.example.", "7")
    assert (network.kind, network.HasField("shared"), network.HasField("mtu")) == (NETWORK.KIND_FLAT, True, False)
    odd = mapper.network(converted({"id": "n", "provider:network_type": "odd"}, NetworkRow))
    assert (odd.network_type, odd.state) == (NETWORK.NETWORK_TYPE_UNKNOWN, NETWORK.STATE_UNKNOWN)
    document = {
        "id": "p", "network_id": "n", "device_id": "d", "device_owner": "compute:nova", "dns_name": "web",
        "binding:vnic_type": "direct", "binding:host_id": "node 1",
        "allowed_address_pairs": [{"ip_address": "10.0.0.0/28", "mac_address": "m"}],
    }  # fmt: skip
    port = mapper.port(converted(document, PortRow))
    assert (port.server, port.device) == (f"{base}/servers/d", f"{base}/servers/d")
    assert (port.vnic_type, port.host, port.dns_name) == ("direct", f"{base}/hosts/node%201", "web")
    assert [(pair.ip_address, pair.mac_address) for pair in port.allowed_address_pairs] == [("10.0.0.0/28", "m")]
