"""A create whose reply is lost on the way leaves exactly one resource on a real cloud.

A relay before Nova, Neutron and Cinder passes the create on and resets the adapter's connection.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.e2e.conftest import SETTLE_S, behind_relays, build, fresh, parts_of, remove

from cloudspan.v1 import network_pb2, operation_pb2, server_pb2, volume_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

Phase = operation_pb2.OperationMetadata.Phase


async def _watched(cloud, operation):
    """Wait for an operation; return its result and the phases that it went through."""
    phases = []
    async for change in operation.changes():
        phases.append(change.metadata.phase)
        if change.done:
            return await change.result(), phases
    raise AssertionError("the watch ended before the operation")


@pytest.mark.parametrize("late_s", [0.0, 3.0], ids=["carried out at once", "carried out three seconds later"])
async def test_a_server_whose_create_got_no_reply_is_there_once(clusters, apart, late_s):
    """It is found by its marker, and never made again."""
    site = clusters[0]
    async with behind_relays(apart, site) as (cloud, relays):
        parts = await parts_of(cloud, site.ref)
        relays["compute"].lose("^POST /v2.1/servers ", send_after_s=late_s)
        wanted = parts.server()
        server, phases = await _watched(cloud, await cloud.servers.CreateServer(wanted))
        try:
            assert relays["compute"].lost == 1
            assert Phase.PHASE_RECONCILING in phases
            assert relays["compute"].count("POST", r"^/v2\.1/servers$") == 1
            await asyncio.sleep(0.05)
            names = await asyncio.to_thread(_native_names, site, "servers")
            assert names.count(wanted.server.display_name) == 1
            assert server.state == server_pb2.Server.STATE_RUNNING
        finally:
            await remove(cloud, server.name)


async def test_a_create_that_never_arrived_is_sent_again_after_the_settle_time(clusters, apart):
    """The relay drops the request; one server is made, and not before the settle time is over."""
    site = clusters[0]
    async with behind_relays(apart, site) as (cloud, relays):
        parts = await parts_of(cloud, site.ref)
        relays["compute"].drop("^POST /v2.1/servers ")
        began = asyncio.get_running_loop().time()
        wanted = parts.server()
        server = await build(cloud, wanted)
        took_s = asyncio.get_running_loop().time() - began
        try:
            names = await asyncio.to_thread(_native_names, site, "servers")
            assert names.count(wanted.server.display_name) == 1
            assert took_s >= SETTLE_S
            assert relays["compute"].count("POST", r"^/v2\.1/servers$") == 2
        finally:
            await remove(cloud, server.name)


async def test_a_volume_and_a_network_whose_creates_got_no_reply_are_there_once(clusters, apart):
    """Cinder finds them by metadata, Neutron by description, which holds nothing of ours afterwards."""
    site = clusters[0]
    async with behind_relays(apart, site) as (cloud, relays):
        relays["volume"].lose(r"^POST /v3/\w+/volumes ")
        relays["network"].lose("^POST /v2.0/networks ")
        volume, network = await asyncio.gather(_volume(cloud, site.ref), _network(cloud, site.ref))
        assert (relays["volume"].lost, relays["network"].lost) == (1, 1)
        for kind, made in (("volumes", volume), ("networks", network)):
            names = await asyncio.to_thread(_native_names, site, kind)
            assert names.count(made.display_name) == 1
        assert network.description == "one of its kind"
        await (await cloud.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=volume.name))).result(60)
        await (await cloud.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=network.name))).result(60)


async def _volume(cloud, ref):
    volume = volume_pb2.Volume(display_name=fresh("volume"), size_bytes=1024**3)
    request = volume_pb2.CreateVolumeRequest(parent=ref, volume=volume)
    return (await _watched(cloud, await cloud.volumes.CreateVolume(request)))[0]


async def _network(cloud, ref):
    network = network_pb2.Network(display_name=fresh("net"), description="one of its kind")
    request = network_pb2.CreateNetworkRequest(parent=ref, network=network)
    return (await _watched(cloud, await cloud.networks.CreateNetwork(request)))[0]


def _native_names(site, kind):
    with site.connect() as sdk:
        rows = {
            "servers": sdk.compute.servers,
            "volumes": sdk.block_storage.volumes,
            "networks": sdk.network.networks,
        }
        return [row.name for row in rows[kind]()]
