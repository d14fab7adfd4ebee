"""A user's day: an adapter is plugged in, servers are made, listed over clusters, lost sight of, and deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import deployment

from cloudspan.client import errors, result_of, waiting
from cloudspan.v1 import cluster_pb2, common_pb2, platform_pb2, server_pb2, volume_pb2

ALL = "platforms/-/clusters/-"
Lists = server_pb2.ListServersRequest


async def test_a_new_adapters_server_is_created_listed_and_deleted() -> None:
    """Every answer names things in a way that the next call takes."""
    async with deployment() as running:
        cloud = running.client
        with pytest.raises(errors.NotFound, match="not plugged in"):
            await cloud.servers.CreateServer(create_request())
        await running.plug([memory_cluster()])
        (platform,) = (await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())).platforms
        assert list(platform.clusters) == [MAIN]
        cluster = await cloud.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=platform.clusters[0]))
        assert "cloudspan.v1.ServerService/CreateServer" in {c.method for c in cluster.capabilities}
        server = result_of(await cloud.servers.CreateServer(create_request(), metadata=waiting(5)))
        volume = volume_pb2.CreateVolumeRequest(parent=MAIN, volume={"display_name": "d", "size_bytes": 2**30})
        data = result_of(await cloud.volumes.CreateVolume(volume, metadata=waiting(5)))
        attach = server_pb2.AttachVolumeRequest(name=server.name, volume=data.name)
        attached = result_of(await cloud.servers.AttachVolume(attach, metadata=waiting(5)))
        assert attached.volume_attachments[0].volume == data.name
        found = await cloud.servers.ListServers(Lists(parent=ALL, filter='display_name = "web"'))
        assert [s.name for s in found.servers] == [server.name]
        delete = server_pb2.DeleteServerRequest(name=server.name)
        result_of(await cloud.servers.DeleteServer(delete, metadata=waiting(5)))
        with pytest.raises(errors.NotFound):
            await cloud.servers.GetServer(server_pb2.GetServerRequest(name=server.name))


async def test_one_list_over_two_platforms_goes_on_when_one_dies() -> None:
    """Each server once, the dead platform's clusters named, with the reason."""
    memory = [memory_cluster("a"), memory_cluster("b")]
    other = memory_cluster("c", platform="other")
    for cluster in (*memory, other):
        cluster.seed_servers(30)
    async with deployment(*memory) as running:
        await running.plug([other], "other-1")
        everything = running.client.each(running.client.servers.ListServers, Lists(parent=ALL, page_size=25))
        names = [server.name async for server in everything]
        assert len(names) == len(set(names)) == 90
        assert not everything.unreachable
        first = await running.client.servers.ListServers(Lists(parent=ALL, page_size=6))
        await running.kill("other-1")
        rest: Any = running.client.each(
            running.client.servers.ListServers, Lists(parent=ALL, page_size=50, page_token=first.next_page_token)
        )
        left = [server.name async for server in rest]
        assert list(rest.unreachable) == ["platforms/other/clusters/c"]
        assert len(left) == 60 - 4
        states = {status.cluster: status.state for status in rest.cluster_status}
        assert states["platforms/other/clusters/c"] == common_pb2.ClusterStatus.STATE_UNREACHABLE
        again = await running.client.servers.ListServers(Lists(parent=ALL))
        assert list(again.unreachable) == ["platforms/other/clusters/c"]


async def test_many_servers_at_once_are_each_made_once() -> None:
    """Fifty casts, then all are awaited."""
    cluster = memory_cluster()
    async with deployment(cluster) as running:
        casts = [running.client.servers.CreateServer(create_request(f"s{n}")) for n in range(50)]
        operations = await asyncio.gather(*casts)
        servers = await asyncio.gather(*(operation.result(10) for operation in operations))
        assert len({server.name for server in servers}) == len(cluster.store.all("servers")) == 50
