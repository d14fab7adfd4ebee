"""Networks: listed with what is shared, made with subnets and a router exactly once, deleted when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import network_pb2, router_pb2, subnet_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.network.networks import NetworkRow, Networks
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
Code = grpc.StatusCode
NETWORK = network_pb2.Network
NewRouter, NewSubnet, Subnet = network_pb2.NewRouter, network_pb2.NewSubnet, subnet_pb2.Subnet


def request(*subnets: NewSubnet, router: NewRouter | None = None, **fields: Any) -> network_pb2.CreateNetworkRequest:
    network = network_pb2.Network(display_name="n", **fields)
    return network_pb2.CreateNetworkRequest(parent=PARENT, network=network, subnets=subnets, router=router)


TWO = (
    NewSubnet(display_name="a", cidr="10.7.0.0/24", labels={"k": "v"}),
    NewSubnet(display_name="b", cidr="10.7.1.0/24"),
)


async def rows(lab: Lab, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await lab.native("GET", "network", f"/{kind}"))[kind]
    return found


async def ours(lab: Lab) -> dict[str, list[str]]:
    """What is there beyond what the cloud came with, by kind."""
    known = {"networks": ("public", "private"), "subnets": ("private-subnet", "public-subnet"), "routers": ("router1",)}
    return {
        kind: sorted(row["name"] for row in await rows(lab, kind) if row["name"] not in known[kind]) for kind in known
    }


async def external(lab: Lab) -> str:
    return f"{PARENT}/networks/{next(row['id'] for row in await rows(lab, 'networks') if row['router:external'])}"


async def interfaces(lab: Lab, router: str) -> list[str]:
    """Names of the subnets that a router is in."""
    names = {row["id"]: row["name"] for row in await rows(lab, "subnets")}
    ports = await rows(lab, "ports")
    mine = [p for p in ports if p["device_id"] == router and p["device_owner"] == "network:router_interface"]
    return sorted(names[fixed["subnet_id"]] for port in mine for fixed in port["fixed_ips"])


def new_network(name: str = "n", **fields: object) -> network_pb2.CreateNetworkRequest:
    return network_pb2.CreateNetworkRequest(
        parent=PARENT,
        network=network_pb2.Network(display_name=name, **fields),  # type: ignore[arg-type]
    )


async def a_network(lab: Lab, **fields: object) -> network_pb2.Network:
    made: network_pb2.Network = await lab.made(lab.network.create_network, new_network(**fields), network_pb2.Network)
    return made


async def named(lab: Lab, kind: str, name: str) -> list[dict[str, object]]:
    return [row for row in await rows(lab, kind) if row["name"] == name]


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


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What only some clouds, or administrators, are told."""
    ref, base = ClusterRef("openstack", "east"), "platforms/openstack/clusters/east"
    document = {
        "id": "n", "status": "ACTIVE", "provider:network_type": "vlan", "provider:segmentation_id": 4_000_000_000,
        "provider:physical_network": "datacentre", "availability_zones": ["z 1"], "dns_domain": "a.example.",
        "revision_number": 7, "shared": False,
    }  # fmt: skip
    network = Networks(ref).message(converted(document, NetworkRow))
    assert (network.network_type, network.native_network_type) == (NETWORK.NETWORK_TYPE_VLAN, "vlan")
    assert (network.segmentation_id, network.physical_network) == (4_000_000_000, "datacentre")
    assert (list(network.zones), network.dns_domain, network.etag) == ([f"{base}/zones/z%201"], "a.example.", "7")
    assert (network.kind, network.HasField("shared"), network.HasField("mtu")) == (NETWORK.KIND_FLAT, True, False)
    odd = Networks(ref).message(converted({"id": "n", "provider:network_type": "odd"}, NetworkRow))
    assert (odd.network_type, odd.state) == (NETWORK.NETWORK_TYPE_UNKNOWN, NETWORK.STATE_UNKNOWN)


async def test_a_new_network_has_what_was_asked_and_a_hidden_marker(member: Lab) -> None:
    """The marker travels in the description, which is the caller's again at the end."""
    network = await a_network(member, description="mine", labels={"team": "db", "flag": ""}, mtu=1400)
    assert (network.description, network.mtu, dict(network.labels)) == ("mine", 1400, {"team": "db", "flag": ""})
    (row,) = await named(member, "networks", "n")
    assert [tag for tag in row["tags"] if tag.startswith("cs-test-")]  # type: ignore[attr-defined]
    (post,) = member.cloud.control.requests("network", "POST", "networks")
    assert post.body["network"]["description"].startswith("cs-test-")


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT])
async def test_a_create_without_a_reply_leaves_one_network(member: Lab, fault: Kind) -> None:
    """Lost, or carried out while the answer is long given up: the marker finds it."""
    member.cloud.control.fault(fault, service="network", method="POST", path="networks", count=1, seconds=8)
    network = await a_network(member)
    (row,) = await named(member, "networks", "n")
    assert network.name.endswith(str(row["id"]))
    assert network.description == ""


async def test_a_create_that_never_arrived_is_sent_again_after_settling(member: Lab) -> None:
    """Nothing carries the marker for all the settle time: then, and only then, a second send."""
    member.cloud.control.fault(Kind.CLOSE, service="network", method="POST", path="networks", count=1)
    began = member.clock.now()
    await a_network(member)
    assert len(await named(member, "networks", "n")) == 1
    assert member.cloud.control.count("network", "POST", "networks$") == 2
    assert member.clock.now() - began >= 30


async def test_a_network_whose_labels_fail_is_taken_back(member: Lab) -> None:
    """What was made before the failure is undone and said."""
    member.cloud.control.fault(Kind.SERVER_ERROR, service="network", method="PUT", path="tags", status=400)
    answer = await member.operate(member.network.create_network, new_network())
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert await named(member, "networks", "n") == []
    assert [left.removed for left in answer.left_overs] == [True]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"description": "x" * 256}, "255"),
        ({"labels": {"a=b": "c"}}, "Neutron tag"),
        ({"labels": {"k": "v" * 300}}, "Neutron tag"),
        ({"labels": {"cs-marker": ""}}, "Neutron tag"),
    ],
)
async def test_what_could_not_be_kept_is_refused_before_anything_is_made(
    member: Lab, fields: dict[str, object], words: str
) -> None:
    """Such a create would fail only after the network is there."""
    answer = await member.operate(member.network.create_network, new_network(**fields))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert member.cloud.control.count("network", "POST") == 0


async def test_delete_network_refuses_and_lists_the_ports_in_use(member: Lab) -> None:
    """Neutron names one port at most; we name them all, and go once they are gone."""
    network = await a_network(member)
    native = network.name.rsplit("/", 1)[-1]
    subnet = {"network_id": native, "cidr": "10.7.0.0/24", "ip_version": 4}
    await member.native("POST", "network", "/subnets", {"subnet": subnet})
    ports = [
        (await member.native("POST", "network", "/ports", {"port": {"network_id": native}}))["port"]["id"]
        for _ in range(2)
    ]
    request = network_pb2.DeleteNetworkRequest(name=network.name)
    answer = await member.operate(member.network.delete_network, request)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert all(f"{PARENT}/ports/{port}" in answer.error.message for port in ports)
    for port in ports:
        await member.native("DELETE", "network", f"/ports/{port}")
    assert not (await member.operate(member.network.delete_network, request)).HasField("error")
    assert not (await member.operate(member.network.delete_network, request)).HasField("error")
    assert await named(member, "networks", "n") == []


async def test_a_delete_without_a_reply_is_done_once_the_network_is_gone(member: Lab) -> None:
    """A delete may be sent twice."""
    network = await a_network(member)
    member.cloud.control.fault(Kind.LOST_REPLY, service="network", method="DELETE", count=1)
    answer = await member.operate(member.network.delete_network, network_pb2.DeleteNetworkRequest(name=network.name))
    assert not answer.HasField("error")
    assert await named(member, "networks", "n") == []


async def test_a_network_comes_with_its_subnets_and_a_router_of_its_own(member: Lab) -> None:
    """The answer shows the subnets; each part says what it is; no mark is shown."""
    router = NewRouter(external_network=await external(member))
    answer = await member.operate(member.network.create_network, request(*TWO, router=router, labels={"team": "db"}))
    network = network_pb2.Network()
    answer.response.Unpack(network)
    subnets = {row["name"]: row for row in await rows(member, "subnets")}
    assert sorted(network.subnets) == sorted(f"{PARENT}/subnets/{subnets[name]['id']}" for name in ("a", "b"))
    assert dict(network.labels) == {"team": "db"}
    assert {"network", "subnet-0", "subnet-1", "router"} <= answer.native_ids.keys()
    assert await interfaces(member, answer.native_ids["router"]) == ["a", "b"]
    [made] = [
        r for r in await member.everything(member.network.list_routers, router_pb2.Router) if r.display_name == "n"
    ]
    assert (made.external_network, made.description, dict(made.labels)) == (router.external_network, "", {})
    [first] = [s for s in await member.everything(member.network.list_subnets, Subnet) if s.display_name == "a"]
    assert (first.network, first.description, dict(first.labels)) == (network.name, "", {"k": "v"})


async def test_a_network_joins_an_existing_router(member: Lab) -> None:
    """Which stays when the rest is undone."""
    [router] = [row["id"] for row in await rows(member, "routers")]
    wanted = request(*TWO, router=NewRouter(router=f"{PARENT}/routers/{router}"))
    await member.made(member.network.create_network, wanted, network_pb2.Network)
    assert await interfaces(member, router) == ["a", "b", "private-subnet"]


REFUSED = {
    "subnet-1": ("POST", "/subnets$", 1, ["subnets", "networks"]),
    "subnet-1 labels": ("PUT", "/subnets/.*/tags$", 1, ["subnets", "subnets", "networks"]),
    "router": ("POST", "/routers$", 0, ["subnets", "subnets", "networks"]),
    "interface-1": ("PUT", "add_router_interface$", 1, ["routers", "subnets", "subnets", "networks"]),
}


@pytest.mark.parametrize("step", REFUSED)
async def test_what_was_made_before_a_refusal_is_removed_in_reverse(member: Lab, step: str) -> None:
    """Interfaces, router, subnets, network."""
    method, path, skip, removed = REFUSED[step]
    fault = {"service": "network", "method": method, "path": path, "skip": skip, "count": 1, "status": 400}
    member.cloud.control.fault(Kind.SERVER_ERROR, **fault)
    router = NewRouter(external_network=await external(member))
    answer = await member.operate(member.network.create_network, request(*TWO, router=router))
    assert answer.HasField("error")
    assert await ours(member) == {"networks": [], "subnets": [], "routers": []}
    assert [left.name.split("/")[4] for left in answer.left_overs if left.name] == removed
    assert all(left.removed for left in answer.left_overs)


async def test_an_existing_router_only_loses_its_new_interfaces(member: Lab) -> None:
    """When the rest is undone."""
    [router] = [row["id"] for row in await rows(member, "routers")]
    fault = {"service": "network", "method": "PUT", "path": "add_router_interface$", "skip": 1, "status": 400}
    member.cloud.control.fault(Kind.SERVER_ERROR, **fault)
    wanted = request(*TWO, router=NewRouter(router=f"{PARENT}/routers/{router}"))
    answer = await member.operate(member.network.create_network, wanted)
    assert answer.HasField("error")
    assert await interfaces(member, router) == ["private-subnet"]
    assert await ours(member) == {"networks": [], "subnets": [], "routers": []}


@pytest.mark.parametrize("kind", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.CLOSE])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/networks$"), ("POST", "/subnets$"), ("POST", "/routers$"), ("PUT", "add_router_interface$")],
)
async def test_a_part_without_a_reply_is_made_exactly_once(member: Lab, kind: Kind, method: str, path: str) -> None:
    """Whatever became of the reply."""
    member.cloud.control.fault(kind, service="network", method=method, path=path, count=1, seconds=0.3)
    answer = await member.operate(member.network.create_network, request(*TWO, router=NewRouter()))
    assert not answer.HasField("error"), answer.error.message
    assert await ours(member) == {"networks": ["n"], "subnets": ["a", "b"], "routers": ["n"]}
    assert await interfaces(member, answer.native_ids["router"]) == ["a", "b"]


async def test_a_lost_undo_is_asked_again(member: Lab) -> None:
    """Taking an interface away twice is the same as once."""
    faults = member.cloud.control
    faults.fault(Kind.SERVER_ERROR, service="network", method="PUT", path="add_router", skip=1, count=1, status=400)
    faults.fault(Kind.LOST_REPLY, service="network", method="PUT", path="remove_router_interface$", count=1)
    faults.fault(Kind.LOST_REPLY, service="network", method="DELETE", path="/routers/", count=1)
    await member.operate(member.network.create_network, request(*TWO, router=NewRouter()))
    assert await ours(member) == {"networks": [], "subnets": [], "routers": []}


async def test_a_cancelled_create_is_undone_whatever_it_had_come_to(member: Lab) -> None:
    """At each step of it."""
    for steps in range(1, 14):
        taken = iter(range(1, 200))

        def cancel(step: Any, taken: Any = taken, after: int = steps) -> None:
            step.undo = next(taken) >= after

        wanted = request(*TWO, router=NewRouter())
        answer = await member.operate(member.network.create_network, wanted, meanwhile=cancel)
        assert answer.error.code == Code.CANCELLED.value[0], steps
        assert await ours(member) == {"networks": [], "subnets": [], "routers": []}, steps
        assert all(left.removed for left in answer.left_overs), (steps, answer.left_overs)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (request(NewSubnet(cidr="10.7.0.0/24"), NewSubnet(cidr="nonsense")), "subnets[1].cidr"),
        (request(NewSubnet(cidr="10.7.0.0/24"), NewSubnet(cidr="10.7.0.128/25")), "subnets[1].cidr"),
        (request(router=NewRouter()), "router"),
        (request(TWO[0], router=NewRouter(router=f"{PARENT}/routers/r", display_name="x")), "router"),
        (request(NewSubnet(cidr="10.7.0.0/24", gateway_ip=""), router=NewRouter()), "subnets[0].gateway_ip"),
    ],
)
async def test_what_contradicts_itself_is_refused_before_anything_is_made(
    member: Lab, wanted: network_pb2.CreateNetworkRequest, field: str
) -> None:
    """With the field."""
    answer = await member.operate(member.network.create_network, wanted)
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert field in answer.error.message
    assert member.cloud.control.count("network", "POST") == 0
