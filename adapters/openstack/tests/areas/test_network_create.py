"""CreateNetwork with subnets and a router: all of it or nothing, each part exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import network_pb2, router_pb2, subnet_pb2
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from .conftest import Lab

PARENT = "platforms/openstack/clusters/east"
Code = grpc.StatusCode
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
