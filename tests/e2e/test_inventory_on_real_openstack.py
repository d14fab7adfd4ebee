"""The inventory of two real clusters: it holds what they hold, and shows what others change there, and how soon."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import duration_pb2
from tests.e2e.conftest import BUILD_S, EVERYWHERE, ready
from tests.e2e.sites import PREFIX, write_clouds
from tests.e2e.test_every_kind_is_listed import KINDS, _native_names
from tests.harness.processes import openstack, world

from cloudspan.client import AsyncClient, result_of, waiting
from cloudspan.v1 import common_pb2, event_pb2, inventory_pb2, volume_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from openstack.connection import Connection
    from tests.e2e.sites import Site
    from tests.harness.processes import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FASTEST_S, SLOWEST_S = 3.0, 30.0
_SYNCED_S = 120.0
# A change is asked for each FASTEST_S where the platform tells changes, else found by the next whole listing.
_SHOWN_S = SLOWEST_S + 30.0
State = inventory_pb2.SyncState


@pytest.fixture(scope="module")
def running(clusters: list[Site], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("inventory")
    file = write_clouds(directory / "clouds.yaml", clusters[0].entries)
    intervals = ("--inventory-fastest", str(FASTEST_S), "--inventory-slowest", str(SLOWEST_S))
    with world(directory, *intervals, inventory=True) as made:
        made.adapter(*openstack(file, [site.name for site in clusters]))
        yield made


@pytest.fixture
async def cloud(running: World) -> AsyncIterator[AsyncClient]:
    """A client, once every collection was listed."""
    async with AsyncClient(running.address, retries=False) as client:
        await ready(client)
        async with asyncio.timeout(_SYNCED_S):
            while not await _is_synced(client):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.2)
        yield client


async def _is_synced(client: AsyncClient) -> bool:
    answer = await client.inventory.GetSyncState(inventory_pb2.GetSyncStateRequest(parent=EVERYWHERE))
    done = {State.COMPLETENESS_COMPLETE, State.COMPLETENESS_UNSUPPORTED}
    return bool(answer.states) and all(state.completeness in done for state in answer.states)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_holds_what_openstacksdk_lists(cloud: AsyncClient, clusters: list[Site], kind: str) -> None:
    """Of every kind of both clusters: by Search, and by a List that may be as old as the inventory is."""
    await cloud.inventory.SyncNow(inventory_pb2.SyncNowRequest(parent=EVERYWHERE, collections=[kind]), timeout=60)
    found = cloud.each(cloud.inventory.Search, inventory_pb2.SearchRequest(parent=EVERYWHERE, collections=[kind]))
    names = [resource.name async for resource in found]
    stub, method, request, natively = KINDS[kind]
    connections = {site.name: site.connect() for site in clusters}
    try:
        native = await asyncio.to_thread(_native_names, connections, kind, natively)
    finally:
        for connection in connections.values():
            connection.close()
    assert (set(names), len(names)) == (native, len(native))
    asked = request(parent=EVERYWHERE, max_staleness=duration_pb2.Duration(seconds=300))
    listing = cloud.each(getattr(getattr(cloud, stub), method), asked)
    assert {row.name async for row in listing} == native
    assert {status.source for status in listing.cluster_status} == {common_pb2.ClusterStatus.SOURCE_INVENTORY}


async def _until(shown: Callable[[], Awaitable[bool]], limit_s: float = _SHOWN_S) -> float:
    """Return how long it took until something is shown."""
    began = time.monotonic()
    async with asyncio.timeout(limit_s):
        while not await shown():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _names(cloud: AsyncClient, site: Site, collection: str, text: str) -> list[str]:
    request = inventory_pb2.SearchRequest(parent=site.ref, text=text, collections=[collection])
    return [resource.display_name for resource in (await cloud.inventory.Search(request)).resources]


def _volume(sdk: Connection, name: str) -> tuple[Any, Callable[[str], Any], Callable[[], Any]]:
    row = sdk.block_storage.create_volume(name=name, size=1)
    sdk.block_storage.wait_for_status(row, "available", wait=60)
    return (
        row,
        lambda other: sdk.block_storage.update_volume(row, name=other),
        lambda: sdk.block_storage.delete_volume(row),
    )


def _server(sdk: Connection, name: str) -> tuple[Any, Callable[[str], Any], Callable[[], Any]]:
    network = next(iter(sdk.network.networks(name="private")))
    flavor, image = next(iter(sdk.compute.flavors())), next(iter(sdk.image.images()))
    row = sdk.compute.create_server(name=name, flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}])
    sdk.compute.wait_for_server(row, wait=BUILD_S)
    return (
        row,
        lambda other: sdk.compute.update_server(row, name=other),
        lambda: sdk.compute.delete_server(row),
    )


def _network(sdk: Connection, name: str) -> tuple[Any, Callable[[str], Any], Callable[[], Any]]:
    row = sdk.network.create_network(name=name)
    return (
        row,
        lambda other: sdk.network.update_network(row, name=other),
        lambda: sdk.network.delete_network(row),
    )


@pytest.mark.parametrize(
    ("collection", "make"),
    [("servers", _server), ("volumes", _volume), ("networks", _network)],
    ids=("servers", "volumes", "networks"),
)
async def test_what_their_own_clients_change_is_shown(
    cloud: AsyncClient, clusters: list[Site], collection: str, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Created, renamed and deleted outside of us, on both clusters at once; the times are printed."""

    async def changed(site: Site) -> list[float]:
        name, other = f"{PREFIX}inv-{collection}-{site.name}", f"{PREFIX}renamed-{collection}-{site.name}"
        sdk = await asyncio.to_thread(site.connect)
        try:
            _row, rename, delete = await asyncio.to_thread(make, sdk, name)

            async def is_there() -> bool:
                return await _names(cloud, site, collection, name) == [name]

            async def is_renamed() -> bool:
                return await _names(cloud, site, collection, other) == [other]

            async def is_gone() -> bool:
                return await _names(cloud, site, collection, other) == []

            times = [await _until(is_there)]
            await asyncio.to_thread(rename, other)
            times.append(await _until(is_renamed))
            # A server keeps its host name, by which the old name finds it.
            assert name not in await _names(cloud, site, collection, name)
            await asyncio.to_thread(delete)
            times.append(await _until(is_gone))
            return times
        finally:
            await asyncio.to_thread(sdk.close)

    found = await asyncio.gather(*(changed(site) for site in clusters))
    with capsys.disabled():
        for site, times in zip(clusters, found, strict=True):
            created, renamed, deleted = (f"{took:.1f} s" for took in times)
            print(f"\n{collection} of {site.name}: created shown after {created}, renamed {renamed}, deleted {deleted}")


async def test_an_operation_of_ours_is_shown_at_once(cloud: AsyncClient, clusters: list[Site]) -> None:
    """What was created and deleted through the gateway is in the next stored list."""
    site = clusters[0]
    minute = duration_pb2.Duration(seconds=300)
    volume = volume_pb2.Volume(display_name=f"{PREFIX}ours", size_bytes=2**30)
    made = await (
        await cloud.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=site.ref, volume=volume))
    ).result(60)
    request = volume_pb2.ListVolumesRequest(parent=site.ref, max_staleness=minute, page_size=1000)
    assert made.name in [row.name for row in (await cloud.volumes.ListVolumes(request)).volumes]
    await (await cloud.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=made.name))).result(60)
    assert made.name not in [row.name for row in (await cloud.volumes.ListVolumes(request)).volumes]


async def test_what_happens_there_is_told_by_events(
    cloud: AsyncClient, clusters: list[Site], capsys: pytest.CaptureFixture[str]
) -> None:
    """What openstacksdk does outside of us, and our own operation with what it made; the times are printed."""
    site = clusters[0]
    name, ours = f"{PREFIX}told-{site.name}", f"{PREFIX}told-ours-{site.name}"
    wanted = f'cluster = "{site.ref}" AND (type = "resource.volumes.*" OR type = "operation.*")'
    stream = cloud.follow_events(event_pb2.WatchEventsRequest(filter=wanted, consumer=f"e2e-{uuid.uuid4().hex[:8]}"))
    sdk = await asyncio.to_thread(site.connect)
    told: list[tuple[str, str, float]] = []

    async def follow() -> None:
        async for event in stream:
            told.append((event.type, event.resource.display_name, time.monotonic()))  # noqa: PERF401 - seen meanwhile

    async def until(kind: str, display_name: str = "") -> float:
        async with asyncio.timeout(_SHOWN_S):
            while True:
                for each in told:
                    if each[0] == kind and display_name in ("", each[1]):
                        return each[2]
                await asyncio.sleep(0.02)

    following = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(20):
            while not stream.resume_token:  # noqa: ASYNC110 - it has begun
                await asyncio.sleep(0.05)
        row, _, delete = await asyncio.to_thread(_volume, sdk, name)
        made = time.monotonic()
        added_s = await until("resource.volumes.added", name) - made
        await asyncio.to_thread(delete)
        began = time.monotonic()
        removed_s = await until("resource.volumes.removed", name) - began
        request = volume_pb2.CreateVolumeRequest(
            parent=site.ref, volume=volume_pb2.Volume(display_name=ours, size_bytes=1024**3)
        )
        began = time.monotonic()
        operation = await cloud.volumes.CreateVolume(request, metadata=waiting(BUILD_S))
        ended_s = await until("operation.succeeded") - began
        shown_s = await until("resource.volumes.added", ours) - began
        delete_ours = volume_pb2.DeleteVolumeRequest(name=result_of(operation).name)
        await cloud.volumes.DeleteVolume(delete_ours, metadata=waiting(BUILD_S))
        assert row.id
    finally:
        following.cancel()
        await asyncio.to_thread(sdk.close)
    with capsys.disabled():
        print(f"\nevents of {site.name}: added {added_s:.1f} s, removed {removed_s:.1f} s after openstacksdk's call; "
              f"our operation's end {ended_s:.1f} s, its volume {shown_s:.1f} s after the request")  # fmt: skip


async def test_the_last_known_rows_are_served_while_nobody_answers(running: World, cloud: AsyncClient) -> None:
    """Marked with why and how old; the adapter is ended, as the last test of this file."""
    running.adapters["adapter"].stop()
    request = volume_pb2.ListVolumesRequest(parent=EVERYWHERE, stale_ok=True)
    answer = await cloud.volumes.ListVolumes(request, timeout=20)
    assert list(answer.unreachable) == []
    assert {(status.state, status.reason) for status in answer.cluster_status} == {
        (common_pb2.ClusterStatus.STATE_PARTIAL, "STALE")
    }
    assert all(status.HasField("observe_time") and status.age.ToSeconds() >= 0 for status in answer.cluster_status)
