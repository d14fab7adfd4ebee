"""Two tenants with a project each of one cluster: what each learns of the other by the inventory is nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from gateway.tests.known_callers import Guarded, as_user, binding, pool, tenant
from tests.harness.clouds import MAIN, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import Forbidden, InvalidRequest, NotFound
from cloudspan.v1 import network_pb2, server_pb2
from cloudspan.v1.inventory_pb2 import (
    GetSyncStateRequest,
    SearchRequest,
    SummarizeRequest,
    SyncNowRequest,
    WatchRequest,
)
from cloudspan_gateway.access.store import Changes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OTHERS = f"{MAIN}/projects/other"
ROWS = (
    tenant("acme"), pool("acme", "prod", MAIN, project="main"), binding("acme", "alice", "admin"),
    tenant("beta"), pool("beta", "prod", MAIN, project="other"), binding("beta", "carol", "admin"),
    tenant("whole"), pool("whole", "prod", MAIN), binding("whole", "wanda", "admin"),
)  # fmt: skip
FOREIGN, ABSENT = f"{MAIN}/servers/foreign", f"{MAIN}/servers/absent"
Group = SummarizeRequest.Group
AN_HOUR = {"seconds": 3600}


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    cluster = memory_cluster(delay_s=0.0)
    put = cluster.store.put
    put("servers", "own", server_pb2.Server(display_name="own", labels={"team": "red"}))
    put("servers", "foreign", server_pb2.Server(display_name="foreign", project=OTHERS, labels={"secret": "blue"}))
    put("networks", "shared", network_pb2.Network(display_name="shared", project=OTHERS, shared=True))
    put("networks", "hidden", network_pb2.Network(display_name="hidden", project=OTHERS))
    async with deployment(cluster, kind=Guarded, no_inventory=False) as made:
        await made.gateway.policy.change(lambda _policy, _conn: (None, Changes(ROWS)))
        await ask(made, "SyncNow", SyncNowRequest(parent=MAIN), "wanda")
        yield made


async def ask(running: Deployment, rpc: str, request: Any, user: str = "alice") -> Any:
    return await getattr(running.client.inventory, rpc)(request, metadata=as_user(user))


async def names(running: Deployment, user: str = "alice", **fields: Any) -> list[str]:
    answer = await ask(running, "Search", SearchRequest(collections=["servers", "networks"], **fields), user)
    return sorted(resource.name.rpartition("/")[2] for resource in answer.resources)


async def test_a_search_finds_what_the_project_has_and_what_is_shared_with_it(running: Deployment) -> None:
    """By text, label and filter; the id of another's server is as one that nobody has."""
    assert await names(running) == ["own", "private", "public", "shared"]
    assert await names(running, "wanda") == ["foreign", "hidden", "own", "private", "public", "shared"]
    assert "own" not in await names(running, "carol")
    for text in ("foreign", "secret=blue", FOREIGN, "blue", "hidden", "nothing"):
        assert await names(running, text=text) == [], text
    for filtered in (f'project = "{OTHERS}"', "labels:secret", 'display_name = "foreign"', "NOT project:*"):
        assert set(await names(running, filter=filtered)) <= {"shared", "public"}, filtered


async def test_sums_and_states_count_what_the_project_sees(running: Deployment) -> None:
    """In all groups, and by the values of labels."""
    request = SummarizeRequest(collections=["servers"], group_by=[Group.GROUP_LABEL], label="secret")
    answer = await ask(running, "Summarize", request)
    assert [(list(one.group), one.count) for one in answer.summaries] == [([""], 1)]
    state = await ask(running, "GetSyncState", GetSyncStateRequest(parent=MAIN, collections=["servers"]))
    assert (state.states[0].rows, state.visible_rows) == (1, 1)
    assert "foreign" not in str(state)
    whole = await ask(running, "GetSyncState", GetSyncStateRequest(parent=MAIN, collections=["servers"]), "wanda")
    assert (sum(state.rows for state in whole.states), whole.visible_rows) == (2, 2)


async def test_a_watch_tells_of_the_project_alone(running: Deployment) -> None:
    """And nobody goes on with another's token."""
    watch = running.client.inventory.Watch(WatchRequest(collections=["servers"]), metadata=as_user("carol"))
    token, told = "", []
    async with asyncio.timeout(10):
        async for answer in watch:
            told += [change.resource.display_name for change in answer.changes]
            token = answer.resume_token
            if answer.snapshot_complete:
                break
    assert told == ["foreign"]
    with pytest.raises(InvalidRequest):
        async for _ in running.client.inventory.Watch(
            WatchRequest(collections=["servers"], resume_token=token), metadata=as_user("alice")
        ):
            pass


async def test_a_loss_is_accepted_by_who_has_the_whole_cluster(running: Deployment) -> None:
    """Others' resources go with it."""
    with pytest.raises(Forbidden):
        await ask(running, "SyncNow", SyncNowRequest(parent=MAIN, release_brake=True))
    assert (await ask(running, "SyncNow", SyncNowRequest(parent=MAIN, collections=["servers"]))).states[0].rows == 1


@pytest.mark.parametrize("fields", [{}, {"max_staleness": AN_HOUR}, {"stale_ok": True}])
async def test_reads_that_may_be_old_hide_what_others_do_not_see(running: Deployment, fields: Any) -> None:
    """A server of another project is missing word for word as one that nobody has."""
    texts = []
    for name in (FOREIGN, ABSENT):
        request = server_pb2.GetServerRequest(name=name, **fields)
        with pytest.raises(NotFound) as refused:
            await running.client.servers.GetServer(request, metadata=as_user("alice"))
        texts.append(refused.value.message.replace(name, "NAME"))
    assert texts[0] == texts[1]
    for filtered in ("", 'display_name = "foreign"', "labels:secret"):
        listed = await running.client.servers.ListServers(
            server_pb2.ListServersRequest(parent=MAIN, filter=filtered, **fields), metadata=as_user("alice")
        )
        assert {server.display_name for server in listed.servers} <= {"own"}
