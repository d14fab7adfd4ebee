"""List and Get out of the inventory for callers who have one project of a cluster, and beside them."""

from __future__ import annotations

import time

import grpc
import pytest
from gateway.tests.filled_inventory import EAST, GuardedNotSwept, asked, ids, keep, lists, opened, server
from gateway.tests.hand_made_adapter import GET_SERVER
from gateway.tests.known_callers import as_user, binding, pool, tenant

from cloudspan.v1 import common_pb2, server_pb2

Get, List = server_pb2.GetServerRequest, server_pb2.ListServersRequest
Status = common_pb2.ClusterStatus
HOUR = {"seconds": 3600}
ALL = "platforms/-/clusters/-"


ROWS = (
    tenant("acme"), pool("acme", "whole", EAST), binding("acme", "alice", "viewer"),
    tenant("beta"), pool("beta", "part", EAST, project="p2"), binding("beta", "carol", "viewer"),
)  # fmt: skip


async def test_a_caller_with_one_project_gets_nothing_of_another(deployment):
    """Neither listed nor read by name, and a page token of one tenant is refused to the other."""
    adapter = await deployment.plug_in()

    async def missing(body, context):
        adapter.stamp(context)
        await context.abort(grpc.StatusCode.NOT_FOUND, "none of that name", (("x-served-by", "os-1"),))

    adapter.answers[GET_SERVER] = missing
    async with opened(deployment, GuardedNotSwept) as (gateway, client):
        await deployment.keep(*ROWS)
        await keep(
            gateway, EAST, *(server(name, project=f"{EAST}/projects/p1") for name in "ab"),
            server("c", project=f"{EAST}/projects/p2"),
        )  # fmt: skip
        request = List(parent=EAST, max_staleness=HOUR, page_size=1)
        alice, carol = as_user("alice"), as_user("carol")
        first = await client.servers.ListServers(request, metadata=alice)
        hers = await client.servers.ListServers(request, metadata=carol)
        own = await client.servers.GetServer(Get(name=f"{EAST}/servers/c", max_staleness=HOUR), metadata=carol)
        for stale in (False, True):
            with pytest.raises(Exception, match="none of that name"):
                await client.servers.GetServer(
                    Get(name=f"{EAST}/servers/a", max_staleness=HOUR, stale_ok=stale), metadata=carol
                )
        request.page_token = first.next_page_token
        with pytest.raises(Exception, match="page_token was made for another query"):
            await client.servers.ListServers(request, metadata=carol)
    assert (ids(first), ids(hers), hers.next_page_token) == (["a"], ["c"], "")
    assert own.project == f"{EAST}/projects/p2"


async def test_a_cluster_of_which_another_project_is_listed_is_not_listed_for_a_sorted_list(deployment):
    """That would bring nothing of the caller's; it says so."""
    await deployment.plug_in(project="p1")
    async with opened(deployment, GuardedNotSwept) as (gateway, client):
        await deployment.keep(*ROWS)
        listed = []

        async def swept(clusters, _collections):
            listed.extend(clusters)

        gateway.swept = swept
        request = List(parent=ALL, max_staleness=HOUR, order_by="name")
        with pytest.raises(Exception, match="not listed for the inventory yet"):
            await client.servers.ListServers(request, metadata=as_user("carol"))
        assert listed == []
        with pytest.raises(Exception, match="never listed"):
            await client.servers.ListServers(request, metadata=as_user("alice"))
        assert listed == [EAST]


async def test_a_caller_whose_project_is_listed_by_itself_is_answered_from_that(deployment):
    """As new as its own listing is, whenever the credentials' one was."""
    adapter = await deployment.plug_in(project="p1")
    two = f"{EAST}/projects/p2"
    async with opened(deployment, GuardedNotSwept) as (gateway, client):
        await deployment.keep(*ROWS)
        await keep(gateway, EAST, server("c", project=two), age_s=200, project=two)
        await keep(gateway, EAST, server("a", project=f"{EAST}/projects/p1"), age_s=5)
        carol = as_user("carol")
        listed = await client.servers.ListServers(List(parent=EAST, max_staleness=HOUR), metadata=carol)
        across = await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR, order_by="name"), metadata=carol)
        one = await client.servers.GetServer(Get(name=f"{EAST}/servers/c", max_staleness=HOUR), metadata=carol)
        assert asked(adapter) == 0
        lists(adapter, server("live", project=two))
        fresher = List(parent=EAST, max_staleness={"seconds": 60})
        live = await client.servers.ListServers(fresher, metadata=carol)
    assert ids(listed) == ids(across) == ["c"]
    assert ids(live) == ["live"]
    assert 199 < listed.cluster_status[0].age.seconds < 260
    assert 199 < time.time() - one.observe_time.seconds < 260


async def test_a_list_of_a_whole_cluster_has_what_its_credentials_list(deployment):
    """As when it is asked itself; with a filter for projects it is, since only some of them are kept."""
    adapter = await deployment.plug_in(project="p1")
    two = f"{EAST}/projects/p2"
    lists(adapter, server("live"))
    async with opened(deployment, GuardedNotSwept) as (gateway, client):
        await deployment.keep(*ROWS)
        await keep(gateway, EAST, server("c", project=two), project=two)
        await keep(gateway, EAST, server("a", project=f"{EAST}/projects/p1"))
        alice = as_user("alice")
        for parent in (EAST, ALL):
            request = List(parent=parent, max_staleness=HOUR)
            assert ids(await client.servers.ListServers(request, metadata=alice)) == ["a"]
            request.filter = f'project = "{two}"'
            assert ids(await client.servers.ListServers(request, metadata=alice)) == ["live"]
