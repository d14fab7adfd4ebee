"""Servers, volumes, networks and key pairs of real clusters: made, changed, deleted, on all clusters at once."""

from __future__ import annotations

import asyncio
import base64

import pytest
from google.protobuf import struct_pb2
from tests.e2e.conftest import build, fresh, parts_of, remove
from tests.harness.create_server import BootVolume, Interface

from cloudspan.client import AlreadyExists, NotFound, PreconditionFailed, waiting
from cloudspan.v1 import key_pair_pb2, network_pb2, port_pb2, server_pb2, subnet_pb2, volume_pb2, volume_type_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GIB = 1024**3
State = server_pb2.Server.State
HARD = server_pb2.RebootServerRequest.MODE_HARD


async def _on_all(clusters, life, cloud):
    """Run the same life on every cluster at once."""
    async with asyncio.TaskGroup() as group:
        for site in clusters:
            group.create_task(life(cloud, site.ref))


async def _gone(call):
    with pytest.raises(NotFound):
        await call


async def test_a_server_lives_from_create_to_delete(clusters, cloud):
    """Made of image, network, key, user data and labels; stopped, started, rebooted soft and hard, deleted."""
    await _on_all(clusters, _life_of_a_server, cloud)


async def _life_of_a_server(cloud, ref):
    parts = await parts_of(cloud, ref)
    key = await _import_key(cloud, ref, fresh("key"), "A")
    user_data = "#!/bin/sh\necho é\n".encode()
    server = await build(cloud, parts.server(key_pair=key.name, user_data=user_data, labels={"team": "e2e"}))
    assert (server.state, server.labels, server.key_pair) == (State.STATE_RUNNING, {"team": "e2e"}, key.name)
    [interface] = server.network_interfaces
    assert (interface.network_display_name, bool(interface.fixed_ips)) == ("private", True)
    assert interface.network == parts.network
    assert interface.port.startswith(f"{ref}/ports/")
    steps = (
        (cloud.servers.StopServer, server_pb2.StopServerRequest(name=server.name), State.STATE_STOPPED),
        (cloud.servers.StartServer, server_pb2.StartServerRequest(name=server.name), State.STATE_RUNNING),
        (cloud.servers.RebootServer, server_pb2.RebootServerRequest(name=server.name), State.STATE_RUNNING),
        (cloud.servers.RebootServer, server_pb2.RebootServerRequest(name=server.name, mode=HARD), State.STATE_RUNNING),
    )
    for method, request, state in steps:
        changed = await (await method(request, metadata=waiting(30))).result(60)
        assert changed.state == state, method
        assert (await _get(cloud, server.name)).state == state
    await remove(cloud, server.name)
    await _gone(_get(cloud, server.name))
    await (await cloud.key_pairs.DeleteKeyPair(key_pair_pb2.DeleteKeyPairRequest(name=key.name))).result(30)


async def _get(cloud, name):
    return await cloud.servers.GetServer(server_pb2.GetServerRequest(name=name))


async def test_a_server_without_interfaces_or_with_none_gets_what_was_asked(clusters, cloud):
    """Options say what only OpenStack knows."""
    ref = clusters[0].ref
    parts = await parts_of(cloud, ref)
    options = struct_pb2.Struct()
    options.update({"network_mode": "none"})
    server = await build(cloud, parts.server(network_interfaces=[], description="e2e", options=options))
    try:
        assert list(server.network_interfaces) == []
    finally:
        await remove(cloud, server.name)


async def test_a_server_boots_from_a_volume_that_is_there(clusters, cloud):
    """The volume is attached, and stays when the server goes."""
    await _on_all(clusters, _boot_from_existing_volume, cloud)


async def _boot_from_existing_volume(cloud, ref):
    parts = await parts_of(cloud, ref)
    volume = await _volume(cloud, ref, image=parts.image)
    assert volume.bootable
    boot = BootVolume(volume=volume.name)
    server = await build(cloud, parts.server(image="", boot_volume=boot))
    assert [attached.volume for attached in server.volume_attachments] == [volume.name]
    await remove(cloud, server.name)
    assert (await _get_volume(cloud, volume.name)).state == volume_pb2.Volume.STATE_AVAILABLE
    await _delete_volume(cloud, volume.name)


async def test_a_server_boots_from_an_image_in_a_new_volume_that_goes_with_it(clusters, cloud):
    """A volume of the type asked for is made, and deleted with the server as asked."""
    await _on_all(clusters, _boot_from_new_volume, cloud)


async def _boot_from_new_volume(cloud, ref):
    parts = await parts_of(cloud, ref)
    default = f"{ref}/volumeTypes/{await _default_type(cloud, ref)}"
    boot = BootVolume(size_bytes=GIB, volume_type=default, delete_with_server=True)
    server = await build(cloud, parts.server(boot_volume=boot))
    [attached] = server.volume_attachments
    volume = await _get_volume(cloud, attached.volume)
    assert (volume.size_bytes, volume.volume_type, attached.delete_with_server) == (GIB, default, True)
    await remove(cloud, server.name)
    async with asyncio.timeout(20):
        while await _volume_is_there(cloud, attached.volume):  # noqa: ASYNC110 - a cloud has no event
            await asyncio.sleep(0.05)


async def _default_type(cloud, ref):
    answer = await cloud.volume_types.ListVolumeTypes(volume_type_pb2.ListVolumeTypesRequest(parent=ref))
    return answer.volume_types[0].name.rpartition("/")[2]


async def _volume_is_there(cloud, name):
    try:
        await _get_volume(cloud, name)
    except NotFound:
        return False
    return True


async def test_a_server_takes_the_port_that_it_is_given(clusters, cloud):
    """The port belongs to it, and to nobody once it is gone."""
    site = clusters[0]
    parts = await parts_of(cloud, site.ref)
    port_id = await asyncio.to_thread(_make_port, site, parts.network.rpartition("/")[2])
    port = f"{site.ref}/ports/{port_id}"
    interface = Interface(port=port)
    try:
        server = await build(cloud, parts.server(network_interfaces=[interface]))
        taken = await _port(cloud, port)
        assert taken.server == server.name
        assert [one.mac_address for one in server.network_interfaces] == [taken.mac_address]
        await remove(cloud, server.name)
        assert (await _port(cloud, port)).server == ""
    finally:
        await asyncio.to_thread(_delete_port, site, port_id)


def _make_port(site, network_id):
    with site.connect() as sdk:
        return sdk.network.create_port(network_id=network_id, name=fresh("port")).id


def _delete_port(site, port_id):
    with site.connect() as sdk:
        sdk.network.delete_port(port_id)


async def _port(cloud, name):
    return await cloud.ports.GetPort(port_pb2.GetPortRequest(name=name))


async def test_a_volume_is_made_attached_detached_and_deleted(clusters, cloud):
    """Nova and Cinder agree at each step; a volume in use is not deleted."""
    await _on_all(clusters, _life_of_a_volume, cloud)


async def _life_of_a_volume(cloud, ref):
    parts = await parts_of(cloud, ref)
    server, volume = await asyncio.gather(build(cloud, parts.server()), _volume(cloud, ref, description="e2e"))
    assert (volume.size_bytes, volume.state, volume.description) == (GIB, volume_pb2.Volume.STATE_AVAILABLE, "e2e")
    attach = server_pb2.AttachVolumeRequest(name=server.name, volume=volume.name)
    attached = await (await cloud.servers.AttachVolume(attach)).result(60)
    assert [one.volume for one in attached.volume_attachments] == [volume.name]
    in_use = await _get_volume(cloud, volume.name)
    assert (in_use.state, [one.server for one in in_use.attachments]) == (volume_pb2.Volume.STATE_IN_USE, [server.name])
    with pytest.raises(PreconditionFailed):
        await _delete_volume(cloud, volume.name)
    detach = server_pb2.DetachVolumeRequest(name=server.name, volume=volume.name)
    detached = await (await cloud.servers.DetachVolume(detach)).result(60)
    assert list(detached.volume_attachments) == []
    await asyncio.gather(_delete_volume(cloud, volume.name), remove(cloud, server.name))
    await _gone(_get_volume(cloud, volume.name))


async def _volume(cloud, ref, **more):
    volume = volume_pb2.Volume(display_name=fresh("volume"), size_bytes=GIB, **more)
    request = volume_pb2.CreateVolumeRequest(parent=ref, volume=volume)
    return await (await cloud.volumes.CreateVolume(request)).result(60)


async def _get_volume(cloud, name):
    return await cloud.volumes.GetVolume(volume_pb2.GetVolumeRequest(name=name))


async def _delete_volume(cloud, name):
    await (await cloud.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=name))).result(60)


async def test_a_network_and_its_subnet_are_made_and_deleted(clusters, cloud):
    """With what was asked for."""
    await _on_all(clusters, _life_of_a_network, cloud)


async def _life_of_a_network(cloud, ref):
    network = network_pb2.Network(display_name=fresh("net"), description="made by a test")
    request = network_pb2.CreateNetworkRequest(parent=ref, network=network)
    made = await (await cloud.networks.CreateNetwork(request)).result(60)
    assert (made.display_name, made.description) == (network.display_name, "made by a test")
    pools = [subnet_pb2.Subnet.AllocationPool(start="10.77.0.10", end="10.77.0.99")]
    subnet = subnet_pb2.Subnet(
        display_name=fresh("sub"), network=made.name, cidr="10.77.0.0/24", allocation_pools=pools
    )
    asked = subnet_pb2.CreateSubnetRequest(parent=ref, subnet=subnet)
    cut = await (await cloud.subnets.CreateSubnet(asked)).result(60)
    assert (cut.cidr, cut.gateway_ip, cut.ip_version) == ("10.77.0.0/24", "10.77.0.1", 4)
    assert list(cut.allocation_pools) == pools
    await (await cloud.subnets.DeleteSubnet(subnet_pb2.DeleteSubnetRequest(name=cut.name))).result(60)
    await (await cloud.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=made.name))).result(60)
    await _gone(cloud.networks.GetNetwork(network_pb2.GetNetworkRequest(name=made.name)))


async def test_a_key_pair_is_imported_once_and_never_replaced(clusters, cloud):
    """The same key again is the same key pair; another key under its name is refused."""
    await _on_all(clusters, _life_of_a_key_pair, cloud)


async def _life_of_a_key_pair(cloud, ref):
    name = fresh("key")
    first = await _import_key(cloud, ref, name, "A")
    again = await _import_key(cloud, ref, name, "A")
    assert (first.name, first.fingerprint) == (again.name, again.fingerprint)
    with pytest.raises(AlreadyExists):
        await _import_key(cloud, ref, name, "B")
    await (await cloud.key_pairs.DeleteKeyPair(key_pair_pb2.DeleteKeyPairRequest(name=first.name))).result(30)
    await _gone(cloud.key_pairs.GetKeyPair(key_pair_pb2.GetKeyPairRequest(name=first.name)))


async def _import_key(cloud, ref, name, letter):
    pair = key_pair_pb2.KeyPair(display_name=name, public_key=_public_key(letter))
    request = key_pair_pb2.CreateKeyPairRequest(parent=ref, key_pair=pair)
    return await (await cloud.key_pairs.CreateKeyPair(request)).result(30)


def _public_key(letter):
    """Return a well-formed Ed25519 key, of which nobody has the private half."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + letter.encode() * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} e2e"
