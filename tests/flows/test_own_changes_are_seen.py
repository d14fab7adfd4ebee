"""A tenant never gets an answer from the inventory that is older than what it has changed itself."""

from __future__ import annotations

import pytest
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import deployment

from cloudspan.v1 import common_pb2, server_pb2, volume_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_gateway.app import Gateway

HOUR = {"seconds": 3600}
INVENTORY, LIVE = common_pb2.ClusterStatus.SOURCE_INVENTORY, common_pb2.ClusterStatus.SOURCE_LIVE


class Forgetful(Gateway):
    """Ends before it writes what operations have changed, as a process that is killed."""

    def _assemble(self, store):
        super()._assemble(store)
        self.runner._heard.clear()


class Running:
    def __init__(self, running):
        self.client, self.inventory = running.client, running.gateway.inventory

    async def swept(self):
        await self.inventory.sync.now([MAIN], deadline=Deadline.after(20))

    async def done(self, operation):
        found = await (await operation).result(10)
        await self.inventory.write_through.settled()
        return found

    async def servers(self, **fields):
        """Return the servers' display names, and where they came from."""
        request = server_pb2.ListServersRequest(parent=MAIN, max_staleness=HOUR, **fields)
        found = await self.client.servers.ListServers(request)
        return [one.display_name for one in found.servers], found.cluster_status[0].source


@pytest.fixture(params=[Gateway, Forgetful], ids=["written", "never written"])
async def running(request):
    """Once swept; with an operation's end written, or lost."""
    async with deployment(memory_cluster(delay_s=0.0), kind=request.param, no_inventory=False) as made:
        found = Running(made)
        await found.swept()
        yield found


async def test_what_an_operation_has_changed_is_in_the_next_list_and_get(running):
    """A server that was created, stopped and deleted, each seen at once, out of the inventory."""
    client = running.client
    assert await running.servers() == ([], INVENTORY)
    made = await running.done(client.servers.CreateServer(create_request("web")))
    assert await running.servers() == (["web"], INVENTORY)
    await running.done(client.servers.StopServer(server_pb2.StopServerRequest(name=made.name)))
    assert await running.servers(filter="state = STOPPED") == (["web"], INVENTORY)
    got = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name, max_staleness=HOUR))
    assert got.state == server_pb2.Server.STATE_STOPPED
    await running.done(client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=made.name)))
    assert await running.servers() == ([], INVENTORY)


async def test_what_an_operation_may_have_changed_beside_is_the_platforms_until_it_is_listed_again(running):
    """A server's volumes are live after it was changed, and out of the inventory after the next listing."""
    client = running.client
    volume = volume_pb2.Volume(display_name="data", size_bytes=2**30)
    await running.done(client.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=MAIN, volume=volume)))
    await running.done(client.servers.CreateServer(create_request("web")))
    request = volume_pb2.ListVolumesRequest(parent=MAIN, max_staleness=HOUR)
    assert (await client.volumes.ListVolumes(request)).cluster_status[0].source == LIVE
    await running.swept()
    found = await client.volumes.ListVolumes(request)
    assert found.cluster_status[0].source == INVENTORY
    assert [one.display_name for one in found.volumes] == ["data"]


async def test_a_stored_resource_has_the_etag_of_the_platforms_own_answer(running):
    """So that an Update or a Delete takes it, wherever it was read."""
    client = running.client
    made = await running.done(client.servers.CreateServer(create_request("web")))
    for _ in range(2):
        live = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
        kept = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name, max_staleness=HOUR))
        assert kept.etag == live.etag != ""
        await running.swept()
