"""What a cloud holds, found, counted and followed through a gateway, while the cloud changes outside of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import result_of, waiting
from cloudspan.v1 import inventory_pb2, server_pb2
from cloudspan.v1.inventory_pb2 import (
    GetSyncStateRequest,
    SearchRequest,
    SummarizeRequest,
    SyncNowRequest,
    WatchRequest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Change = inventory_pb2.WatchResponse.Change
Group = SummarizeRequest.Group
SERVERS = ["servers"]


@pytest.fixture
def cluster() -> Any:
    made = memory_cluster(delay_s=0.0)
    made.seed_servers(20)
    return made


@pytest.fixture
async def running(cluster: Any) -> AsyncIterator[Deployment]:
    async with deployment(cluster, no_inventory=False) as made:
        yield made


async def sync(running: Deployment, **fields: Any) -> inventory_pb2.SyncState:
    """Have the servers listed; return what is known of them."""
    request = SyncNowRequest(parent=MAIN, collections=SERVERS, **fields)
    return (await running.client.inventory.SyncNow(request)).states[0]


async def found(running: Deployment, **fields: Any) -> list[str]:
    request = SearchRequest(collections=SERVERS, **fields)
    return [one.display_name async for one in running.client.each(running.client.inventory.Search, request)]


async def test_what_changes_outside_is_found_after_a_sweep(running: Deployment, cluster: Any) -> None:
    """A new server, a new name, and a deleted one; the sums follow."""
    state = await sync(running)
    assert (state.completeness, state.rows) == (inventory_pb2.SyncState.COMPLETENESS_COMPLETE, 20)
    cluster.store.put("servers", "outside", server_pb2.Server(display_name="made outside", vcpus=8))
    cluster.store.get("servers", "seed-000003").display_name = "renamed outside"
    cluster.store.delete("servers", "seed-000004")
    assert (await sync(running)).rows == 20
    assert await found(running, text="OUTSIDE") == ["made outside", "renamed outside"]
    assert await found(running, text="seed-000004") == []
    answer = await running.client.inventory.Summarize(
        SummarizeRequest(collections=SERVERS, group_by=[Group.GROUP_CLUSTER])
    )
    assert [list(one.group) for one in answer.summaries] == [[MAIN]]
    assert (answer.total.count, answer.total.vcpus) == (20, 19 * 2 + 8)


async def test_what_an_operation_makes_is_told_to_watches(running: Deployment) -> None:
    """And found."""
    await sync(running)
    told = running.client.inventory.Watch(WatchRequest(collections=SERVERS, filter='display_name = "web"'))
    async with asyncio.timeout(20):
        async for answer in told:
            if answer.snapshot_complete:
                break
        result_of(await running.client.servers.CreateServer(create_request("web"), metadata=waiting(5)))
        await sync(running)
        async for answer in told:
            if answer.changes:
                break
    assert [(change.type, change.resource.display_name) for change in answer.changes] == [(Change.TYPE_ADDED, "web")]
    assert await found(running, text="web") == ["web"]


async def test_a_cloud_that_loses_most_of_what_it_has_is_not_believed(running: Deployment, cluster: Any) -> None:
    """Until somebody accepts it; the state says so, and how."""
    await sync(running)
    lost = [server_id for server_id, _ in cluster.store.items("servers")][:15]
    for server_id in lost:
        cluster.store.delete("servers", server_id)
    state = await sync(running)
    assert (state.reason, state.brake.missing, state.brake.total) == ("BRAKED", 15, 20)
    assert len(await found(running)) == 20
    status = await running.client.inventory.GetSyncState(GetSyncStateRequest(parent=MAIN, collections=SERVERS))
    assert "15 of 20 are not listed any more" in status.explanation
    assert (await sync(running, release_brake=True)).rows == 5
    assert len(await found(running)) == 5


async def test_a_cloud_that_is_away_is_searched_all_the_same(running: Deployment, cluster: Any) -> None:
    """What may be missing is named, and how old the rest is."""
    await sync(running)
    await running.kill()
    answer = await running.client.inventory.Search(SearchRequest(text="seed-000007"))
    [resource] = answer.resources
    assert resource.observe_time.seconds > 0
    state = await sync(running)
    assert (state.completeness, state.reason, state.rows) == (
        inventory_pb2.SyncState.COMPLETENESS_FAILED,
        "NO_INSTANCE",
        20,
    )
    assert "127.0.0.1" not in state.message
