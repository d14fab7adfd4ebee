"""The adapter as its callers see it: over a socket, without a gateway."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc, sweep_pb2, sweep_pb2_grpc
from cloudspan.client import AsyncClient, NotFound, PreconditionFailed, Unsupported, result_of, waiting
from cloudspan.v1 import flavor_pb2, server_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit import Adapter, AdapterConfig, Call, serve_adapter
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_template.cluster import TemplateCluster

MAIN = "platforms/template/clusters/main"


@pytest.fixture
async def cloud():
    """A client of the running adapter."""
    bound = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    adapter = Adapter(
        "template", "Template", "cloudspan-template", [TemplateCluster(ClusterRef("template", "main"), "http://x")]
    )
    config = AdapterConfig(drain_s=0.0)
    serving = asyncio.create_task(
        serve_adapter(adapter, config, stop, registry=MemoryRegistry(), ready=bound.set_result)
    )
    async with AsyncClient(await bound, timeout_s=10) as client:
        yield client
    stop.set()
    await serving


async def _names(cloud, **request):
    request = server_pb2.ListServersRequest(parent=MAIN, **request)
    return [server.display_name async for server in cloud.each(cloud.servers.ListServers, request)]


async def _create(cloud, name):
    request = server_pb2.CreateServerRequest(parent=MAIN, server=server_pb2.Server(display_name=name))
    return result_of(await cloud.servers.CreateServer(request, metadata=waiting(5)))


async def test_a_created_server_runs_and_can_be_read(cloud):
    """Its name leads back to it."""
    made = await _create(cloud, "web")
    assert made.state == server_pb2.Server.STATE_RUNNING
    read = await cloud.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
    assert read.display_name == "web"


async def test_what_is_only_checked_is_not_made(cloud):
    """The kit sees to it."""
    request = server_pb2.CreateServerRequest(parent=MAIN, server={"display_name": "web"}, validate_only=True)
    result_of(await cloud.servers.CreateServer(request))
    assert await _names(cloud) == ["hello"]


async def test_what_was_made_is_found_by_its_mark_and_removed(cloud):
    """Only what carries it: the machine that was there before is nobody's."""
    made = await _create(cloud, "web")
    marks = step_pb2_grpc.MarkServiceStub(cloud.channel)
    (found,) = (await marks.ListMarked(step_pb2.ListMarkedRequest(cluster=MAIN, installation="direct"))).marked
    assert (found.name, found.display_name) == (made.name, "web")
    with pytest.raises(PreconditionFailed):
        await marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=f"{MAIN}/servers/m-1", marker=found.marker))
    await marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=found.name, marker=found.marker))
    assert await _names(cloud) == ["hello"]


@pytest.mark.parametrize("others", [0, 20])
async def test_a_machine_is_in_transit_until_it_is_up(others):
    """By a look at a few, and by one listing for many."""
    cluster = TemplateCluster(ClusterRef("template", "main"), "http://x")
    booting = await cluster.cloud.boot("web", "tag")
    transits = Abilities(cluster).transits["servers"]
    call = Call(cluster.ref, Deadline.after(10), cloud=cluster.cloud)
    ids = ["m-1", "gone", *(f"m-0{number}" for number in range(others))]
    assert await transits(call, ids) == set()
    if others:  # a look at one boots it
        assert await transits(call, [*ids, booting.id]) == {booting.id}
    await cluster.cloud.machine(booting.id)
    assert await transits(call, [*ids, booting.id]) == set()


async def test_a_list_of_several_pages_holds_every_server_once(cloud):
    """Two a page; there is one at the start."""
    for name in ("a", "b", "c", "d"):
        await _create(cloud, name)
    assert sorted(await _names(cloud, page_size=2)) == ["a", "b", "c", "d", "hello"]


async def test_a_server_that_is_not_there_is_not_found(cloud):
    """The message says what to do."""
    with pytest.raises(NotFound, match="ListServers shows what does"):
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name=f"{MAIN}/servers/none"))


async def test_what_nobody_wrote_is_unsupported(cloud):
    """It is absent from the capabilities too."""
    with pytest.raises(Unsupported):
        await cloud.flavors.ListFlavors(flavor_pb2.ListFlavorsRequest(parent=MAIN))


async def test_a_sweep_brings_every_server(cloud):
    """Out of the list: an adapter writes nothing for it."""
    for name in ("a", "b"):
        await _create(cloud, name)
    request = sweep_pb2.SweepPageRequest(cluster=MAIN, collection="servers")
    page = await sweep_pb2_grpc.SweepServiceStub(cloud.channel).SweepPage(request)
    found = [server_pb2.Server.FromString(row.resource).display_name for row in page.rows]
    assert sorted(found) == sorted(await _names(cloud)) == ["a", "b", "hello"]
