"""What is made with a server: volumes, ports, floating IPs; each exactly once, all of them or nothing, gone with it."""

from __future__ import annotations

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import floating_ip_pb2, port_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef
from cloudspan_kit.engine.step import take_step
from cloudspan_openstack.cloud.values import WITH_SERVER
from cloudspan_openstack.compute.server_create import CreateServerOptions, plan_of
from cloudspan_openstack_fake import Kind

Server, Request, Delete = server_pb2.Server, server_pb2.CreateServerRequest, server_pb2.DeleteServerRequest
Interface, NewPort, NewVolume = Request.NetworkInterface, Request.NewPort, Request.NewVolume
REF = ClusterRef("openstack", "east")
NETWORK, PORT, EXTERNAL = f"{REF}/networks/n1", f"{REF}/ports/p1", f"{REF}/networks/x1"
GIB = 1 << 30


@pytest.fixture
async def house(bench):
    """The bench, and what a request for a server with everything is made of."""
    names = await bench.ids()
    rows = bench.cloud.store.networks
    bench.external = f"{REF}/networks/{next(row['id'] for row in rows if row['name'] == 'public')}"
    bench.private = names["network"]

    def make(interfaces=None, **more) -> Request:
        server = Server(display_name="web", image=names["image"], flavor=names["flavor"])
        return Request(parent=str(REF), server=server, network_interfaces=interfaces or [], **more)

    def full() -> Request:
        port = NewPort(display_name="eth", security_groups=[group(bench, "default")])
        interface = Interface(network=bench.private, new_port=port, floating_network=bench.external)
        volumes = [NewVolume(size_bytes=GIB), NewVolume(display_name="logs", size_bytes=2 * GIB)]
        return make([interface], new_volumes=volumes)

    bench.make, bench.full = make, full
    return bench


def group(bench, name):
    """The resource name of the project's security group of that name."""
    project = bench.session.project_id
    rows = bench.cloud.store.security_groups
    return f"{REF}/securityGroups/" + next(r["id"] for r in rows if r["name"] == name and r["project_id"] == project)


def natives(bench):
    """What there is of the project's own, by kind; ports only where we made them."""
    store = bench.cloud.store
    return {
        "servers": [row.id for row in store.servers],
        "volumes": [row["id"] for row in store.volumes],
        "ports": [row["id"] for row in store.ports if row["description"] or row["tags"]],
        "floatingIps": [row["id"] for row in store.floating_ips],
    }


async def settled(bench):
    """Let the cloud end what it still does."""
    await bench.clock.advance(60)
    bench.cloud.store.timeline.catch_up()


NOTHING = {"servers": [], "volumes": [], "ports": [], "floatingIps": []}


async def test_a_server_is_made_with_volumes_a_port_and_a_floating_ip(house):
    """All bound to it, and shown with it at once."""
    server = await house.done("create_server", house.full(), Server)
    assert [len(ids) for ids in natives(house).values()] == [1, 2, 1, 1]
    volumes = sorted((row["name"], row["size"], row["status"]) for row in house.cloud.store.volumes)
    assert volumes == [("logs", 2, "in-use"), ("web-1", 1, "in-use")]
    [port] = [row for row in house.cloud.store.ports if row["tags"]]
    [floating] = house.cloud.store.floating_ips
    assert (port["name"], port["device_id"]) == ("eth", server.name.rpartition("/")[2])
    assert (floating["port_id"], floating["status"]) == (port["id"], "ACTIVE")
    [interface] = server.network_interfaces
    assert list(interface.floating_ip_addresses) == [floating["floating_ip_address"]]
    assert {a.volume for a in server.volume_attachments} == {f"{REF}/volumes/{v}" for v in natives(house)["volumes"]}


async def test_callers_see_no_mark_of_ours(house):
    """Neither in labels nor in descriptions, of a port or a floating IP."""
    await house.done("create_server", house.full(), Server)
    ports = [p for p in await house.everything("list_ports", port_pb2.Port) if p.display_name == "eth"]
    floating = await house.everything("list_floating_ips", floating_ip_pb2.FloatingIp)
    assert [(dict(one.labels), one.description) for one in (*ports, *floating)] == [({}, "")] * 2


async def test_a_description_that_is_still_a_marker_is_not_shown(house):
    """Between a create and its last touch somebody may look."""
    marker = f"cs-test-{'0' * 32}-port-0"
    body = {"port": {"network_id": house.private.rpartition("/")[2], "description": marker, "name": "raw"}}
    await house.session.send(house.call(), "POST", "network", "/ports", None, json=body)
    [port] = [p for p in await house.everything("list_ports", port_pb2.Port) if p.display_name == "raw"]
    assert port.description == ""


async def test_a_floating_ip_finds_the_port_that_nova_made(house):
    """By server and network, among ports of ours."""
    interfaces = [
        Interface(network=house.private, new_port=NewPort()),
        Interface(network=house.private, floating_network=house.external),
    ]
    server = await house.done("create_server", house.make(interfaces), Server)
    [floating] = house.cloud.store.floating_ips
    port = house.cloud.store.ports.get(floating["port_id"])
    assert (port["tags"], port["device_id"]) == ([], server.name.rpartition("/")[2])


async def test_a_new_port_has_the_addresses_and_groups_asked_for(house):
    """More than one address, more than one group."""
    body = {"security_group": {"name": "web"}}
    made = await house.session.send(house.call(), "POST", "network", "/security-groups", dict, json=body)
    web = made["security_group"]["id"]
    subnet = next(row for row in house.cloud.store.subnets if row["network_id"] == house.private.rpartition("/")[2])
    base = subnet["cidr"].rsplit(".", 2)[0]
    port = NewPort(security_groups=[group(house, "default"), f"{REF}/securityGroups/{web}"])
    interface = Interface(network=house.private, ip_addresses=[f"{base}.3.76", f"{base}.3.77"], new_port=port)
    await house.done("create_server", house.make([interface]), Server)
    [row] = [row for row in house.cloud.store.ports if row["tags"]]
    assert [ip["ip_address"] for ip in row["fixed_ips"]] == [f"{base}.3.76", f"{base}.3.77"]
    assert (web in row["security_groups"], len(row["security_groups"])) == (True, 2)


async def test_a_group_that_is_not_a_resource_name_is_refused_before_anything_is_made(house):
    """A name alone doesn't say which group is meant: names may repeat."""
    interface = Interface(network=house.private, new_port=NewPort(security_groups=["web"]))
    answer = await house.operate("create_server", house.make([interface], new_volumes=[NewVolume(size_bytes=GIB)]))
    assert (answer.error.code, "security_groups[0]" in answer.error.message) == (3, True)
    assert natives(house) == NOTHING


# The native call that is refused, and what was made before it, in the order of its removal.
REFUSED = {
    "volume-1": ("volume", "POST", "/volumes$", 1, ["volumes"]),
    "port-0": ("network", "POST", "/ports$", 0, ["volumes", "volumes"]),
    "port-0 labels": ("network", "PUT", "/ports/.*/tags$", 0, ["ports", "volumes", "volumes"]),
    "server": ("compute", "POST", "/servers$", 0, ["ports", "volumes", "volumes"]),
    "floating-ip-0": ("network", "POST", "/floatingips$", 0, ["servers", "ports", "volumes", "volumes"]),
    "floating-ip-0 description": (
        "network", "PUT", "/floatingips/[^/]*$", 0, ["floatingIps", "servers", "ports", "volumes", "volumes"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("step", REFUSED)
async def test_what_was_made_before_a_refusal_is_removed_in_reverse(house, step):
    """Nothing stays, and what was removed is listed."""
    service, method, path, skipped, removed = REFUSED[step]
    control = house.cloud.control
    control.fault(Kind.SERVER_ERROR, service=service, method=method, path=path, status=400, skip=skipped, count=1)
    answer = await house.operate("create_server", house.full())
    await settled(house)
    assert answer.HasField("error")
    assert natives(house) == NOTHING
    assert [left.name.split("/")[4] for left in answer.left_overs] == removed
    assert all(left.removed for left in answer.left_overs)


@pytest.mark.parametrize("kind", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.CLOSE])
@pytest.mark.parametrize(
    ("service", "path"),
    [("volume", "/volumes$"), ("network", "/ports$"), ("compute", "/servers$"), ("network", "/floatingips$")],
)
async def test_a_part_without_a_reply_is_made_exactly_once(house, kind, service, path):
    """Found by its mark when it was carried out, at once or late; sent again after settling when it was not."""
    house.cloud.control.fault(kind, service=service, method="POST", path=path, count=1, seconds=10)
    await house.done("create_server", house.full(), Server)
    assert [len(ids) for ids in natives(house).values()] == [1, 2, 1, 1]


@pytest.mark.parametrize("path", ["/ports/.*/tags$", "/floatingips/.*/tags$", "/ports/[^/]*$"])
async def test_marks_without_a_reply_are_put_again(house, path):
    """A port and a floating IP that lost their mark would stay behind when the server goes."""
    house.cloud.control.fault(Kind.LOST_REPLY, service="network", method="PUT", path=path, count=1)
    await house.done("create_server", house.full(), Server)
    rows = [row for row in (*house.cloud.store.ports, *house.cloud.store.floating_ips) if WITH_SERVER in row["tags"]]
    assert [row["description"] for row in rows] == ["", ""]


async def test_a_late_duplicate_never_leaves_a_server_without_its_port(house):
    """The loser takes the winner's port along: that is seen, told, and everything is taken back."""
    house.cloud.control.set_timing(build_s=25)
    control = house.cloud.control
    control.fault(Kind.LATE_COMMIT, service="compute", method="POST", path="/servers$", count=1, seconds=31)
    answer = await house.operate("create_server", house.make([Interface(network=house.private, new_port=NewPort())]))
    await settled(house)
    assert "does not belong to server" in answer.error.message
    assert natives(house) == NOTHING


async def test_a_cancelled_create_is_undone_whatever_it_had_come_to(house):
    """At each step of it."""
    for steps in range(1, 14):
        answer = await house.operate("create_server", house.full(), cancel_after=steps)
        await settled(house)
        assert (answer.HasField("error"), natives(house)) == (True, NOTHING), steps
        assert all(left.removed for left in answer.left_overs), steps


async def test_delete_takes_along_what_was_made_with_the_server(house):
    """Its ports and floating IPs, also the one on Nova's own port; volumes as was asked."""
    interfaces = [
        Interface(network=house.private, new_port=NewPort(), floating_network=house.external),
        Interface(network=house.private, floating_network=house.external),
    ]
    volumes = [NewVolume(size_bytes=GIB, delete_with_server=True), NewVolume(display_name="kept", size_bytes=GIB)]
    server = await house.done("create_server", house.make(interfaces, new_volumes=volumes), Server)
    await house.operate("delete_server", Delete(name=server.name))
    await settled(house)
    assert natives(house) | {"volumes": []} == NOTHING
    assert [row["name"] for row in house.cloud.store.volumes] == ["kept"]


async def test_delete_leaves_what_others_gave_to_the_server(house):
    """A port and a floating IP of the caller's own are not ours to remove."""
    send, call = house.session.send, house.call()
    body = {"port": {"network_id": house.private.rpartition("/")[2], "name": "own"}}
    port = (await send(call, "POST", "network", "/ports", dict, json=body))["port"]["id"]
    interface = Interface(port=f"{REF}/ports/{port}")
    server = await house.done("create_server", house.make([interface]), Server)
    address = {"floatingip": {"floating_network_id": house.external.rpartition("/")[2], "port_id": port}}
    await send(house.call(), "POST", "network", "/floatingips", None, json=address)
    await house.operate("delete_server", Delete(name=server.name))
    assert port in house.cloud.store.ports
    assert [row["port_id"] for row in house.cloud.store.floating_ips] == [port]


async def test_a_floating_ip_on_the_callers_port_goes_and_the_port_stays(house):
    """Each goes by its own mark."""
    body = {"port": {"network_id": house.private.rpartition("/")[2], "name": "own"}}
    port = (await house.session.send(house.call(), "POST", "network", "/ports", dict, json=body))["port"]["id"]
    interface = Interface(port=f"{REF}/ports/{port}", floating_network=house.external)
    server = await house.done("create_server", house.make([interface]), Server)
    await house.operate("delete_server", Delete(name=server.name))
    assert (port in house.cloud.store.ports, natives(house)["floatingIps"]) == (True, [])


async def test_a_floating_ip_that_was_moved_before_the_end_stays(house):
    """It leads somewhere else by then."""
    server = await house.done("create_server", house.full(), Server)
    body = {"port": {"network_id": house.private.rpartition("/")[2], "name": "other"}}
    other = (await house.session.send(house.call(), "POST", "network", "/ports", dict, json=body))["port"]["id"]
    [floating] = natives(house)["floatingIps"]
    house.cloud.control.set_timing(delete_s=5)
    original = house.session.send

    async def send(call, method, service, *args, **more):
        answer = await original(call, method, service, *args, **more)
        if (method, service) == ("DELETE", "compute"):
            moved = {"floatingip": {"port_id": other}}
            await original(call, "PUT", "network", "/floatingips/{id}", None, args={"id": floating}, json=moved)
        return answer

    house.session.send = send
    await house.operate("delete_server", Delete(name=server.name))
    assert natives(house)["floatingIps"] == [floating]
    assert house.cloud.store.floating_ips.get(floating)["port_id"] == other


@pytest.mark.parametrize("path", ["/servers/", "/ports/", "/floatingips/"])
async def test_a_delete_without_a_reply_is_done_all_the_same(house, path):
    """Of the server and of each part."""
    server = await house.done("create_server", house.full(), Server)
    house.cloud.control.fault(Kind.LOST_REPLY, method="DELETE", path=path, count=1)
    answer = await house.operate("delete_server", Delete(name=server.name))
    assert not answer.HasField("error"), answer.error.message
    assert natives(house) | {"volumes": []} == NOTHING


@pytest.mark.parametrize("path", ["/ports$", "/floatingips$"])
async def test_a_delete_waits_until_it_can_see_what_goes_with_the_server(house, path):
    """Deleted unseen, it would leave them behind."""
    server = await house.done("create_server", house.full(), Server)
    house.cloud.control.fault(Kind.SERVER_ERROR, service="network", method="GET", path=path, count=3, status=500)
    answer = await house.operate("delete_server", Delete(name=server.name))
    assert not answer.HasField("error"), answer.error.message
    assert natives(house) | {"volumes": []} == NOTHING


async def test_a_check_makes_nothing(house):
    """Not even the first part."""
    step = step_pb2.StepRequest(operation_id="0" * 32, attempt=1, installation="test", validate_only=True)
    answer = await take_step(house.function("create_server"), house.full(), step, house.call(), settle_s=1)
    assert (answer.done, answer.HasField("error")) == (True, False)
    assert (natives(house), house.cloud.control.count("volume", "POST")) == (NOTHING, 0)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("new_volumes[0].size_bytes", {"new_volumes": [NewVolume()]}),
        ("new_volumes[0].size_bytes", {"new_volumes": [NewVolume(size_bytes=GIB + 1)]}),
        ("network_interfaces[0].new_port", {"network_interfaces": [Interface(port=PORT, new_port=NewPort())]}),
        ("network_interfaces[0]", {"network_interfaces": [Interface(new_port=NewPort())]}),
        (
            "network_interfaces[0].ip_addresses[0]",
            {"network_interfaces": [Interface(network=NETWORK, ip_addresses=["nonsense"], new_port=NewPort())]},
        ),
        (
            "network_interfaces[1].floating_network",
            {"network_interfaces": [Interface(network=NETWORK), Interface(network=NETWORK, floating_network=EXTERNAL)]},
        ),
    ],
)
def test_parts_that_contradict_each_other_name_their_field(field, more):
    """Before anything is made."""
    server = Server(display_name="web", flavor=f"{REF}/flavors/1", image=f"{REF}/images/i1")
    with pytest.raises(InvalidRequest) as caught:
        plan_of(Request(server=server, **more), CreateServerOptions(), REF)
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.fixture
async def volume(bench) -> str:
    """An available volume's name."""
    answer = await bench.session.send(
        bench.call(), "POST", "volume", "/volumes", dict, json={"volume": {"size": 1, "name": "data"}}
    )
    await bench.clock.advance(1)
    return f"{REF}/volumes/{answer['volume']['id']}"


async def test_a_volume_is_attached_and_detached_once(bench, server, volume):
    """Both may be asked again; the second time finds it done."""
    attach = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    detach = server_pb2.DetachVolumeRequest(name=server, volume=volume)
    attached = [await bench.done("attach_volume", attach, Server) for _ in range(2)]
    detached = [await bench.done("detach_volume", detach, Server) for _ in range(2)]
    assert [[a.volume for a in s.volume_attachments] for s in attached + detached] == [[volume], [volume], [], []]
    assert bench.cloud.control.count("compute", "POST", "/os-volume_attachments$") == 1
    assert bench.cloud.control.count("compute", "DELETE", "/os-volume_attachments/") == 1


async def test_attaching_without_a_reply_ends_attached(bench, server, volume):
    """And so does detaching."""
    bench.cloud.control.fault("lost_reply", service="compute", path="/os-volume_attachments", method="POST", count=1)
    attach = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    attached = await bench.done("attach_volume", attach, Server)
    bench.cloud.control.fault("lost_reply", service="compute", path="/os-volume_attachments", method="DELETE", count=1)
    detach = server_pb2.DetachVolumeRequest(name=server, volume=volume)
    detached = await bench.done("detach_volume", detach, Server)
    assert ([a.volume for a in attached.volume_attachments], list(detached.volume_attachments)) == ([volume], [])


async def test_a_volume_of_another_server_is_refused_with_that_servers_name(bench, server, volume):
    """FAILED_PRECONDITION that says where to detach it."""
    await bench.done("attach_volume", server_pb2.AttachVolumeRequest(name=server, volume=volume), Server)
    [other] = bench.cloud.control.seed_kind("servers", 1, with_ports=True)
    request = server_pb2.AttachVolumeRequest(name=f"{REF}/servers/{other}", volume=volume)
    answer = await bench.operate("attach_volume", request)
    assert (answer.error.code, server in answer.error.message) == (9, True)
