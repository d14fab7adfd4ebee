"""What many operations wait for is seen by few calls, and what our creates mark is found again, kind by kind."""

from __future__ import annotations

import pytest

from cloudspan.v1 import network_pb2, security_group_pb2, server_pb2, volume_pb2
from cloudspan_common.errors import PreconditionFailed, RateLimited, Unreachable
from cloudspan_common.names import ClusterRef
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.session import PINNED

Server, Request = server_pb2.Server, server_pb2.CreateServerRequest
REF = ClusterRef("openstack", "east")
GIB = 1 << 30
PREFIX = "cs-test-"


def transits(bench, collection):
    return Abilities(bench.cluster).transits[collection]


def marked(bench):
    return Abilities(bench.cluster).marked


async def new_servers(bench, count):
    """Ask for servers that are still built; return their ids."""
    names = await bench.ids()
    native = {key: name.rpartition("/")[2] for key, name in names.items()}
    body = {
        "server": {
            "name": "w", "flavorRef": "1", "imageRef": native["image"], "networks": [{"uuid": native["network"]}],
        }
    }  # fmt: skip
    answers = [
        await bench.session.send(bench.call(), "POST", "compute", "/servers", dict, json=body) for _ in range(count)
    ]
    return [answer["server"]["id"] for answer in answers]


@pytest.mark.parametrize("count", [3, 12])
async def test_servers_in_transit_are_told_by_a_get_each_or_by_one_listing(bench, count):
    """As long as they are built, or deleted; not once they are idle, gone, or were never there."""
    bench.cloud.control.set_quota("compute", instances=50, cores=50, ram=999_999)
    bench.cloud.control.set_timing(build_s=10, delete_s=10)
    ids = await new_servers(bench, count)
    bench.cloud.control.clear_requests()
    look = transits(bench, "servers")
    assert await look(bench.call(), [*ids, "never"]) == set(ids)
    asked = bench.cloud.control.requests("compute", "GET", "/servers/")
    assert len(asked) == (count + 1 if count < 8 else 1)
    await bench.clock.advance(11)
    assert await look(bench.call(), ids) == set()
    await bench.session.send(bench.call(), "DELETE", "compute", "/servers/{id}", None, args={"id": ids[0]})
    assert await look(bench.call(), ids) == {ids[0]}
    await bench.clock.advance(11)
    assert await look(bench.call(), ids) == set()


async def test_servers_whose_cell_is_down_are_left_out(bench):
    """Whoever waits for one looks for himself."""
    bench.cloud.control.set_quota("compute", instances=50, cores=50, ram=999_999)
    bench.cloud.control.set_timing(build_s=10)
    ids = await new_servers(bench, 10)
    bench.cloud.control.set_cell_down(True)
    assert await transits(bench, "servers")(bench.call(), ids) == set()
    assert await transits(bench, "servers")(bench.call(), ids[:2]) == set()


@pytest.mark.parametrize("count", [2, 10])
async def test_volumes_in_transit_are_told_alike(bench, count):
    """Creating, then available."""
    bench.cloud.control.set_quota("volume", volumes=50)
    bench.cloud.control.set_timing(volume_s=10)
    body = {"volume": {"size": 1, "name": "v"}}
    answers = [
        await bench.session.send(bench.call(), "POST", "volume", "/volumes", dict, json=body) for _ in range(count)
    ]
    ids = [answer["volume"]["id"] for answer in answers]
    look = transits(bench, "volumes")
    assert await look(bench.call(), ids) == set(ids)
    await bench.clock.advance(11)
    assert await look(bench.call(), ids) == set()


@pytest.fixture
async def everything(bench):
    """One of each marked kind, made by operations; their names by collection."""
    names = await bench.ids()
    external = next(row["id"] for row in bench.cloud.store.networks if row["name"] == "public")
    interface = Request.NetworkInterface(
        network=names["network"], new_port=Request.NewPort(), floating_network=f"{REF}/networks/{external}"
    )
    wanted = Server(display_name="web", image=names["image"], flavor=names["flavor"])
    volumes = [Request.NewVolume(size_bytes=GIB)]
    request = Request(parent=str(REF), server=wanted, network_interfaces=[interface], new_volumes=volumes)
    await bench.done("create_server", request, Server)
    network = network_pb2.CreateNetworkRequest(
        parent=str(REF), network=network_pb2.Network(display_name="n"), router=network_pb2.NewRouter(),
        subnets=[network_pb2.NewSubnet(display_name="s", cidr="10.7.0.0/24")],
    )  # fmt: skip
    await bench.done("create_network", network, network_pb2.Network)
    group = security_group_pb2.CreateSecurityGroupRequest(parent=str(REF))
    group.security_group.display_name = "g"
    await bench.done("create_security_group", group, security_group_pb2.SecurityGroup)
    return bench


STEPS = {
    "servers": "server", "volumes": "volume-0", "ports": "port-0", "floatingIps": "floating-ip-0",
    "networks": "network", "subnets": "subnet-0", "routers": "router",
    "securityGroups": "security-group",
}  # fmt: skip


async def test_every_kind_is_found_by_its_mark(everything):
    """With its own marker, its name and its age; another installation's are not."""
    for collection, kind in marked(everything).items():
        [found] = await kind.find(everything.call(), PREFIX)
        assert found.marker.startswith(PREFIX), collection
        assert found.marker.endswith(f"-{STEPS[collection]}")
        assert abs(found.create_time - everything.clock.now()) < 1000
        assert await kind.find(everything.call(), "cs-other-") == []
    assert marked(everything).keys() == STEPS.keys()


async def test_every_kind_is_removed_by_what_undoes_its_create(everything):
    """In an order in which the cloud allows it; asked again while it is on its way, and done when it is gone."""
    for collection in (
        "floatingIps",
        "servers",
        "ports",
        "volumes",
        "routers",
        "subnets",
        "networks",
        "securityGroups",
    ):
        kind = marked(everything)[collection]
        [found] = await kind.find(everything.call(), PREFIX)
        for _ in range(10):
            try:
                await kind.remove(everything.call(), found.id)
                break
            except RateLimited as again:
                await everything.clock.advance(again.retry_after_s)
        assert await kind.find(everything.call(), PREFIX) == []
        await kind.remove(everything.call(), found.id)


async def test_a_router_in_somebodys_use_is_not_removed(everything):
    """Only interfaces in subnets of the same operation are taken away."""
    kind = marked(everything)["routers"]
    [found] = await kind.find(everything.call(), PREFIX)
    send = everything.session.send
    made = await send(everything.call(), "POST", "network", "/networks", dict, json={"network": {"name": "theirs"}})
    subnet = {"network_id": made["network"]["id"], "cidr": "10.8.0.0/24", "ip_version": 4}
    made = await send(everything.call(), "POST", "network", "/subnets", dict, json={"subnet": subnet})
    body = {"subnet_id": made["subnet"]["id"]}
    path = "/routers/{id}/add_router_interface"
    await send(everything.call(), "PUT", "network", path, None, args={"id": found.id}, json=body)
    with pytest.raises(PreconditionFailed):
        await kind.remove(everything.call(), found.id)
    assert [row.id for row in await kind.find(everything.call(), PREFIX)] == [found.id]


async def test_a_part_that_is_not_dressed_yet_is_found_by_its_description(bench):
    """Its create came through, and nobody went on with it."""
    marker = f"{PREFIX}{'0' * 32}-network"
    body = {"network": {"name": "half", "description": marker}}
    await bench.session.send(bench.call(), "POST", "network", "/networks", None, json=body)
    [found] = await marked(bench)["networks"].find(bench.call(), PREFIX)
    assert (found.marker, found.display_name) == (marker, "half")


async def test_marks_behind_a_full_page_are_found(bench):
    """Page after page, in each service."""
    bench.cloud.control.seed(volumes=1100, ports=1100)
    request = volume_pb2.CreateVolumeRequest(
        parent=str(REF), volume=volume_pb2.Volume(display_name="v", size_bytes=GIB)
    )
    bench.cloud.control.set_quota("volume", volumes=5000, gigabytes=99_999_999)
    await bench.done("create_volume", request, volume_pb2.Volume)
    bench.cloud.control.seed(volumes=1100)
    assert len(await marked(bench)["volumes"].find(bench.call(), PREFIX)) == 1
    assert await marked(bench)["ports"].find(bench.call(), PREFIX) == []
    assert bench.cloud.control.count("network", "GET", "/ports") == 2


async def test_an_old_novas_servers_are_found_by_their_metadata(bench, monkeypatch):
    """Below 2.52 no tag travels in a create."""
    monkeypatch.setitem(PINNED, "compute", Microversion(2, 1))
    names = await bench.ids()
    wanted = Server(display_name="web", image=names["image"], flavor=names["flavor"])
    await bench.done("create_server", server_pb2.CreateServerRequest(parent=str(REF), server=wanted), Server)
    [found] = await marked(bench)["servers"].find(bench.call(), PREFIX)
    assert found.marker.endswith("-server")


async def test_servers_are_not_called_complete_while_a_cell_is_down(bench):
    """What is not seen may carry a mark."""
    await new_servers(bench, 1)
    bench.cloud.control.set_cell_down(True)
    with pytest.raises(Unreachable, match="a Nova cell is down"):
        await marked(bench)["servers"].find(bench.call(), PREFIX)
