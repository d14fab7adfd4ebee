"""Servers with ports, floating IPs and volumes of their own, networks with subnets and a router: all or nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, server_pb2, volume_pb2
from cloudspan_common import contract, errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit.driver import Call
from cloudspan_kit.engine.step import take_step
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_memory.cluster import MemoryCluster

MAIN = "platforms/memory/clusters/main"
GIB = 2**30
COLLECTIONS = ("servers", "volumes", "ports", "floatingIps", "networks", "subnets", "routers")


def a_server(**fields: Any) -> server_pb2.CreateServerRequest:
    """Two interfaces, one with a floating IP, and two volumes, one of which stays."""
    server = {"display_name": "web", "flavor": f"{MAIN}/flavors/small"}
    request = {
        "parent": MAIN,
        "server": server | {key: fields.pop(key) for key in ("flavor",) if key in fields},
        "network_interfaces": [
            {"network": f"{MAIN}/networks/private", "new_port": {}, "floating_network": f"{MAIN}/networks/public"},
            {"network": f"{MAIN}/networks/private", "ip_addresses": ["10.0.0.77"], "new_port": {"display_name": "p"}},
        ],
        "new_volumes": [{"size_bytes": GIB, "delete_with_server": True}, {"size_bytes": 2 * GIB}],
    }
    return server_pb2.CreateServerRequest(**request | fields)


def a_network(**fields: Any) -> network_pb2.CreateNetworkRequest:
    """Two subnets and a router to the outside."""
    request = {
        "parent": MAIN,
        "network": {"display_name": "app"},
        "subnets": [{"cidr": "10.8.0.0/24", "display_name": "a"}, {"cidr": "10.9.0.0/24", "display_name": "b"}],
        "router": {"external_network": f"{MAIN}/networks/public"},
    }
    return network_pb2.CreateNetworkRequest(**request | fields)


class Steps:
    """Does what the gateway's runner does with one mutation of a cluster."""

    def __init__(self, request: Any, *, fail: bool = False) -> None:
        self.clock = FakeClock()
        self.cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=1.0, clock=self.clock)
        self.before = self.there()
        name = request.DESCRIPTOR.name.removesuffix("Request")
        self.method = contract.methods()[f"cloudspan.v1.{name.removeprefix('Create')}Service/{name}"]
        if fail:
            request.options.update({"fail": True})
        self.request = request
        self.step = step_pb2.StepRequest(operation_id=str(uuid.UUID(int=7)), installation="test", attempt=0)
        self.answers: list[step_pb2.StepResponse] = []

    def there(self) -> dict[str, int]:
        return {collection: len(self.cluster.store.all(collection)) for collection in COLLECTIONS}

    def made(self) -> dict[str, int]:
        return {name: count - self.before[name] for name, count in self.there().items() if count != self.before[name]}

    async def drive(self, *, cancel_at: int = -1, lost: int = -1) -> step_pb2.StepResponse:
        function = Abilities(self.cluster).function(self.method)
        for number in range(200):
            self.step.attempt += 1
            self.step.undo = self.step.undo or number == cancel_at
            call = Call(cluster=self.cluster.ref, deadline=Deadline.after(30), cloud=self.cluster.cloud)
            answer = await take_step(function, self.request, self.step, call, settle_s=0.0, clock=self.clock)
            await self.clock.advance(max(answer.retry_after.ToNanoseconds() / 1e9, 0.1))
            if number != lost:
                self.answers.append(answer)
                self.step.cursor, self.step.attempt = answer.cursor, 0
                if answer.done:
                    return answer
        raise AssertionError(f"not ended: {self.answers[-1]}")


WHOLE = {
    "server": (a_server, {"servers": 1, "volumes": 2, "ports": 2, "floatingIps": 1}),
    "network": (a_network, {"networks": 1, "subnets": 2, "routers": 1, "ports": 2}),
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_cancel_before_any_step_leaves_nothing_and_says_what_went(kind: str) -> None:
    """Each of the steps that a whole run takes."""
    request, whole = WHOLE[kind]
    full = Steps(request())
    assert (await full.drive()).HasField("response")
    assert full.made() == whole
    for cancel_at in range(len(full.answers)):
        steps = Steps(request())
        ended = await steps.drive(cancel_at=cancel_at)
        assert errors.from_status(ended.error).reason == "CANCELLED"
        assert steps.made() == {}, cancel_at
        assert all(left.removed for left in ended.left_overs)


@pytest.mark.parametrize("kind", WHOLE)
async def test_an_answer_lost_at_any_step_makes_nothing_twice(kind: str) -> None:
    """The adapter did it and nobody heard."""
    request, whole = WHOLE[kind]
    full = Steps(request())
    await full.drive()
    for lost in range(len(full.answers)):
        steps = Steps(request())
        assert (await steps.drive(lost=lost)).HasField("response")
        assert steps.made() == whole, lost


async def test_a_server_in_error_is_undone_with_all_its_parts_in_reverse() -> None:
    """What was made last goes first; each is reported."""
    steps = Steps(a_server(), fail=True)
    ended = await steps.drive()
    assert errors.from_status(ended.error).reason == "SERVER_IN_ERROR"
    assert steps.made() == {}
    gone = [left.name.split("/")[4] for left in ended.left_overs]
    assert gone == ["servers", "volumes", "volumes", "ports", "floatingIps", "ports"]


async def test_a_subnet_that_overlaps_leaves_no_network() -> None:
    """The second is refused by the first."""
    steps = Steps(a_network(subnets=[{"cidr": "10.8.0.0/24"}, {"cidr": "10.8.0.0/25"}]))
    assert errors.from_status((await steps.drive()).error).reason == "SUBNET_OVERLAPS"
    assert steps.made() == {}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (a_server(flavor=f"{MAIN}/flavors/huge"), "flavors/huge"),
        (a_server(new_volumes=[{"size_bytes": 0}]), r"new_volumes\[0\]"),
        (a_server(network_interfaces=[{"network": f"{MAIN}/networks/none"}]), "networks/none"),
        (a_server(network_interfaces=[{}]), "either a network or"),
        (a_server(network_interfaces=[{"port": f"{MAIN}/ports/none"}]), "ports/none"),
        (
            a_server(
                network_interfaces=[
                    {"network": f"{MAIN}/networks/private", "floating_network": f"{MAIN}/networks/private"}
                ]
            ),
            "not an external network",
        ),
        (
            a_server(network_interfaces=[{"network": f"{MAIN}/networks/private", "ip_addresses": ["8.8.8.8"]}]),
            "not an address in a subnet",
        ),
        (a_network(subnets=[{"cidr": "10.8.0.0/99"}]), "expected a range"),
        (a_network(router={"router": f"{MAIN}/routers/none"}), "routers/none"),
        (a_network(router={"router": f"{MAIN}/routers/none", "display_name": "x"}), "existing router"),
        (a_network(router={"external_network": f"{MAIN}/networks/private"}), "not an external network"),
    ],
)
@pytest.mark.parametrize("only_checked", [True, False])
async def test_a_wrong_request_is_refused_before_anything_is_created(
    request_: Any, words: str, only_checked: bool
) -> None:
    """By a check alone as well."""
    request = type(request_)()
    request.CopyFrom(request_)
    request.validate_only = only_checked
    steps = Steps(request)
    with pytest.raises(errors.CloudspanError, match=words):
        raise errors.from_status((await steps.drive()).error)
    assert steps.made() == {}


async def test_a_check_makes_nothing(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Of a good request; a start of what is not there is refused."""
    request = a_server()
    request.validate_only = True
    result_of(await client.servers.CreateServer(request))
    assert not cluster.store.all("ports")
    start = server_pb2.StartServerRequest(name=f"{MAIN}/servers/none", validate_only=True)
    with pytest.raises(client_errors.NotFound):
        result_of(await client.servers.StartServer(start))


async def test_a_server_is_deleted_with_the_parts_that_were_created_for_it(
    client: AsyncClient, cluster: MemoryCluster
) -> None:
    """A volume that shall stay stays, free for others."""
    server = result_of(await client.servers.CreateServer(a_server()))
    first, second = server.network_interfaces
    assert [[ip.ip_address for ip in one.fixed_ips] for one in (first, second)] == [["10.0.0.2"], ["10.0.0.77"]]
    assert first.floating_ip_addresses == ["203.0.113.2"]
    listed = await client.floating_ips.ListFloatingIps(floating_ip_pb2.ListFloatingIpsRequest(parent=MAIN))
    (floating,) = listed.floating_ips
    assert (floating.port, floating.fixed_ip_address) == (first.port, "10.0.0.2")
    port = await client.ports.GetPort(port_pb2.GetPortRequest(name=second.port))
    assert (port.server, port.display_name) == (server.name, "p")
    assert [a.delete_with_server for a in server.volume_attachments] == [True, False]
    assert [(one.index, one.is_default, one.network_display_name) for one in (first, second)] == [
        (0, True, "private"), (1, False, "private"),
    ]  # fmt: skip
    assert floating.server == server.name
    result_of(await client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=server.name)))
    assert {c: len(cluster.store.all(c)) for c in ("servers", "ports", "floatingIps", "volumes")} == {
        "servers": 0, "ports": 0, "floatingIps": 0, "volumes": 1,
    }  # fmt: skip
    (volume,) = cluster.store.all("volumes")
    assert (volume.size_bytes, volume.state) == (2 * GIB, volume_pb2.Volume.STATE_AVAILABLE)


async def test_a_port_in_use_is_refused(client: AsyncClient) -> None:
    """A router's interface is one."""
    made = result_of(await client.networks.CreateNetwork(a_network()))
    ports = (await client.ports.ListPorts(port_pb2.ListPortsRequest(parent=MAIN))).ports
    taken = next(port for port in ports if port.network == made.name)
    with pytest.raises(client_errors.PreconditionFailed, match="choose a free one"):
        result_of(await client.servers.CreateServer(a_server(network_interfaces=[{"port": taken.name}])))


async def _server_with(client: AsyncClient, **interface: Any) -> server_pb2.Server:
    interface = {"network": f"{MAIN}/networks/private"} | interface
    return result_of(await client.servers.CreateServer(a_server(network_interfaces=[interface], new_volumes=[])))


async def test_a_port_outlives_a_server_that_only_used_it(client: AsyncClient, cluster: MemoryCluster) -> None:
    """It was there before, it is there after, and free."""
    store = cluster.store
    port = store.put("ports", "mine", port_pb2.Port(network=f"{MAIN}/networks/private"))
    server = result_of(
        await client.servers.CreateServer(a_server(network_interfaces=[{"port": port.name}], new_volumes=[]))
    )
    assert store.get("ports", "mine").server == server.name
    result_of(await client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=server.name)))
    assert store.get("ports", "mine").device_id == ""


async def test_a_network_is_deleted_with_its_router(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Unless another network needs it; a network in use is refused, with its ports named."""
    first = result_of(await client.networks.CreateNetwork(a_network()))
    (router,) = cluster.store.all("routers")
    assert (router.display_name, router.external_network) == ("app", f"{MAIN}/networks/public")
    gateways = {p.fixed_ips[0].ip_address for p in cluster.store.all("ports")}
    assert gateways == {"10.8.0.1", "10.9.0.1"}
    second = a_network(subnets=[{"cidr": "10.10.0.0/24"}], router={"router": router.name})
    other = result_of(await client.networks.CreateNetwork(second))
    await _server_with(client, network=other.name, new_port={})
    ports = len(cluster.store.all("ports"))
    with pytest.raises(client_errors.PreconditionFailed, match=r"in use by .*ports"):
        result_of(await client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=other.name)))
    assert len(cluster.store.all("ports")) == ports
    result_of(await client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=first.name)))
    assert [r.name for r in cluster.store.all("routers")] == [router.name]


async def test_what_memory_has_not_is_refused_by_field(client: AsyncClient) -> None:
    """With the reason that the capabilities give."""
    for fields in (
        {"boot_volume": {"size_bytes": GIB}},
        {"network_interfaces": [{"network": "n", "new_port": {"security_groups": ["g"]}}]},
    ):
        with pytest.raises(client_errors.Unsupported, match="does not serve") as caught:
            await client.servers.CreateServer(a_server(**fields))
        assert caught.value.reason == "FIELD_ABSENT"


async def test_created_resources_are_found_by_mark_and_in_transit() -> None:
    """Every part of a server by its mark, and by whose; it is in transit until it runs."""
    steps = Steps(a_server())
    abilities = Abilities(steps.cluster)
    call = Call(cluster=steps.cluster.ref, deadline=Deadline.after(30), cloud=steps.cluster.cloud)
    await steps.drive()
    waits = [answer.transit for answer in steps.answers if answer.HasField("transit")]
    assert [transit.collection for transit in waits][-1] == "servers"
    found = {
        row.marker.split("-", 3)[3]: collection
        for collection, kind in abilities.marked.items()
        for row in await kind.find(call, "cs-test-")
    }
    assert found == {
        "port-0": "ports", "port-1": "ports", "floating-ip-0": "floatingIps", "volume-0": "volumes",
        "volume-1": "volumes", "server": "servers",
    }  # fmt: skip
    for kind in abilities.marked.values():
        assert await kind.find(call, "cs-other-") == []
    (server_id,) = [row.id for row in await abilities.marked["servers"].find(call, "cs-test-")]
    await abilities.marked["servers"].remove(call, server_id)
    await abilities.marked["volumes"].remove(call, (await abilities.marked["volumes"].find(call, "cs-"))[0].id)
    assert steps.made() == {"volumes": 1, "ports": 2, "floatingIps": 1}


async def test_a_server_is_in_transit_until_it_runs() -> None:
    """What is gone is not."""
    steps = Steps(a_server(network_interfaces=[], new_volumes=[]))
    server = steps.cluster.store.put("servers", "s", server_pb2.Server(state=server_pb2.Server.STATE_BUILDING))
    transits = Abilities(steps.cluster).transits["servers"]
    call = Call(cluster=steps.cluster.ref, deadline=Deadline.after(30), cloud=steps.cluster.cloud)
    assert await transits(call, ["s", "gone"]) == {"s"}
    assert await transits(call, ["s", *map(str, range(20))]) == {"s"}
    server.state = server_pb2.Server.STATE_RUNNING
    assert await transits(call, ["s"]) == set()
