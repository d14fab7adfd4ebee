"""Servers: power, volumes, and what goes with them."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.memory.tests.steps import GIB, MAIN, a_server, changed

from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import floating_ip_pb2, port_pb2, server_pb2, volume_pb2
from cloudspan_memory.cluster import MemoryCluster

State = server_pb2.Server.State


async def make_server(client: AsyncClient, name: str = "web", **fields: Any) -> server_pb2.Server:
    server = server_pb2.Server(display_name=name, flavor=f"{MAIN}/flavors/small")
    return await changed(
        client.servers.CreateServer(server_pb2.CreateServerRequest(**{"parent": MAIN, "server": server} | fields))
    )


async def make_volume(client: AsyncClient) -> volume_pb2.Volume:
    volume = volume_pb2.Volume(display_name="data", size_bytes=2**30)
    return await changed(client.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=MAIN, volume=volume)))


async def test_a_server_lives_through_all_its_changes(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Made, stopped, started, rebooted, with a volume on and off, deleted."""
    server = await make_server(client)
    volume = await make_volume(client)
    name = server.name
    assert (server.state, server.vcpus, server.memory_mib) == (State.STATE_RUNNING, 2, 2048)
    stopped = await changed(client.servers.StopServer(server_pb2.StopServerRequest(name=name)))
    assert stopped.state == State.STATE_STOPPED
    with pytest.raises(client_errors.PreconditionFailed, match="STOPPED"):
        await changed(client.servers.RebootServer(server_pb2.RebootServerRequest(name=name)))
    started = await changed(client.servers.StartServer(server_pb2.StartServerRequest(name=name)))
    assert started.state == State.STATE_RUNNING
    assert (
        await changed(client.servers.RebootServer(server_pb2.RebootServerRequest(name=name)))
    ).state == State.STATE_RUNNING
    attach = server_pb2.AttachVolumeRequest(name=name, volume=volume.name, device="/dev/vdc")
    attached = await changed(client.servers.AttachVolume(attach))
    assert [(a.volume, a.device) for a in attached.volume_attachments] == [(volume.name, "/dev/vdc")]
    with pytest.raises(client_errors.PreconditionFailed, match=name):
        await changed(client.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=volume.name)))
    detach = server_pb2.DetachVolumeRequest(name=name, volume=volume.name)
    assert not (await changed(client.servers.DetachVolume(detach))).volume_attachments
    await changed(client.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=volume.name)))
    await changed(client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=name)))
    assert not cluster.store.all("servers")
    assert not cluster.store.all("volumes")


async def test_secrets_of_a_create_are_not_kept(client: AsyncClient) -> None:
    """User data and password are sent to the platform once, and never read back."""
    server = server_pb2.Server(display_name="web", flavor=f"{MAIN}/flavors/small")
    made = await make_server(client, server=server, user_data=b"#!secret", admin_password="hunter2")
    got = await client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
    assert b"secret" not in got.SerializeToString()
    assert b"hunter2" not in got.SerializeToString()


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
