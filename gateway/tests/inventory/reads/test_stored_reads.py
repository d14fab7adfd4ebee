"""List and Get out of the inventory: where it is fresh enough, where a cluster is down, and never what is another's."""

from __future__ import annotations

import time
from contextlib import contextmanager

import grpc
import pytest
from gateway.tests.filled_inventory import EAST, WEST, asked, ids, keep, lists, opened, server
from gateway.tests.hand_made_adapter import GET_SERVER

from cloudspan.v1 import common_pb2, server_pb2
from cloudspan_common.errors import Unreachable
from cloudspan_common.etags import etag_of
from cloudspan_gateway.inventory.model import Brake, Completeness

Get, List = server_pb2.GetServerRequest, server_pb2.ListServersRequest
Status = common_pb2.ClusterStatus
HOUR = {"seconds": 3600}
ALL = "platforms/-/clusters/-"


async def get_with_trailers(deployment, request, metadata=()):
    """Return what GetServer answers, and the trailers behind it."""
    serialize, parse = Get.SerializeToString, server_pb2.Server.FromString
    call = deployment.channel.unary_unary(GET_SERVER, serialize, parse)(request, metadata=metadata)
    return await call, dict(await call.trailing_metadata())


async def test_a_get_within_max_staleness_asks_no_platform_and_says_how_old_it_is(deployment):
    """The age is that of the last whole listing, and the trailer says where the answer came from."""
    adapter = await deployment.plug_in()
    async with opened(deployment) as (gateway, _):
        await keep(gateway, EAST, server("a", labels={"team": "x"}), age_s=100)
        found, trailers = await get_with_trailers(deployment, Get(name=f"{EAST}/servers/a", max_staleness=HOUR))
    assert trailers["x-source"] == "inventory"
    assert found.labels == {"team": "x"}
    assert 99 < time.time() - found.observe_time.seconds < 110
    assert found.etag == etag_of(server("a", labels={"team": "x"}))
    assert asked(adapter) == 0


async def test_a_row_that_was_read_before_a_listing_ended_is_no_newer_for_it(deployment):
    """It is what the listing before had."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a", vcpus=1), age_s=100)
        get = gateway.inventory.query.get

        async def get_and_list(name):
            row = await get(name)
            await keep(gateway, EAST, server("a", vcpus=2), age_s=5)
            return row

        gateway.inventory.query.get = get_and_list
        found = await client.servers.GetServer(Get(name=f"{EAST}/servers/a", max_staleness=HOUR))
    assert found.vcpus == 1
    assert time.time() - found.observe_time.seconds > 99


async def test_a_get_keeps_to_its_read_mask(deployment):
    """As a live one does, the name always there."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a", vcpus=4))
        found = await client.servers.GetServer(
            Get(name=f"{EAST}/servers/a", max_staleness=HOUR, read_mask={"paths": ["vcpus"]})
        )
    assert found == server_pb2.Server(name=f"{EAST}/servers/a", vcpus=4)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": f"{EAST}/servers/a"},
        {"name": f"{EAST}/servers/a", "max_staleness": {"seconds": 5}},
        {"name": f"{EAST}/servers/a", "max_staleness": {"seconds": 0}},
        {"name": f"{EAST}/servers/a", "max_staleness": HOUR, "view": common_pb2.RESOURCE_VIEW_FULL},
        {"name": f"{EAST}/servers/unknown", "max_staleness": HOUR},
    ],
    ids=["not asked for", "too old", "zero", "full view", "not there"],
)
async def test_a_get_asks_the_platform_where_the_inventory_will_not_do(deployment, fields):
    """And what is not kept is never said to be missing."""
    adapter = await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), age_s=30)
        await client.servers.GetServer(Get(**fields))
    assert asked(adapter) == 1


@pytest.mark.parametrize("duration", [{"seconds": -1}, {"nanos": -1}, {"seconds": 2**60}, {"nanos": 2 * 10**9}])
async def test_a_max_staleness_that_is_no_duration_is_refused(deployment, duration):
    """Negative ones, and those beyond what a Duration may hold."""
    await deployment.plug_in()
    async with opened(deployment) as (_, client):
        for call in (
            client.servers.GetServer(Get(name=f"{EAST}/servers/a", max_staleness=duration)),
            client.servers.ListServers(List(parent=EAST, max_staleness=duration)),
        ):
            with pytest.raises(Exception, match="max_staleness is") as refused:
                await call
            assert "or leave it out" in str(refused.value)


async def test_a_list_within_max_staleness_is_filtered_sorted_masked_and_paged_without_the_platform(deployment):
    """With the source, the time and the age of its part."""
    adapter = await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, *(server(f"s{number}", vcpus=number) for number in range(5)), age_s=60)
        request = List(
            parent=EAST, max_staleness=HOUR, filter="vcpus > 0", order_by="vcpus desc", page_size=3,
            read_mask={"paths": ["vcpus"]},
        )  # fmt: skip
        first = await client.servers.ListServers(request)
        request.page_token = first.next_page_token
        second = await client.servers.ListServers(request)
    assert [ids(first), ids(second)] == [["s4", "s3", "s2"], ["s1"]]
    assert second.next_page_token == ""
    assert first.servers[0] == server_pb2.Server(name=f"{EAST}/servers/s4", vcpus=4)
    (status,) = first.cluster_status
    assert (status.cluster, status.state, status.source) == (EAST, Status.STATE_OK, Status.SOURCE_INVENTORY)
    assert 59 < status.age.seconds < 70
    assert asked(adapter) == 0


@pytest.mark.parametrize("fields", [{"max_staleness": {"seconds": 5}}, {"max_staleness": HOUR, "show_deleted": True}])
async def test_a_list_that_is_not_fresh_enough_or_asks_for_more_is_the_platforms(deployment, fields):
    """It is answered as without max_staleness."""
    adapter = await deployment.plug_in()
    lists(adapter, server("live"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("kept"), age_s=30)
        assert ids(await client.servers.ListServers(List(parent=EAST, **fields))) == ["live"]


async def test_a_traversal_goes_on_where_it_began(deployment):
    """A live one at the platform, whose own token says where; a stored one in the inventory, grown old or not."""
    adapter = await deployment.plug_in()
    lists(adapter, server("live"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), server("b"))
        request = List(parent=EAST, max_staleness=HOUR, page_size=1)
        first = await client.servers.ListServers(request)
        await keep(gateway, EAST, age_s=7200)
        request.page_token = first.next_page_token
        assert ids(await client.servers.ListServers(request)) == ["b"]
        request.page_token = "an-adapters-own"
        assert ids(await client.servers.ListServers(request)) == ["live"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"brake": Brake(40, 100, 1.0)}, "BRAKED"),
        ({"completeness": Completeness.PARTIAL, "reason": "ROWS_UNREADABLE"}, "ROWS_UNREADABLE"),
    ],
)
async def test_what_may_be_wrong_with_the_last_listing_is_said(deployment, state, reason):
    """Deletions that are held back, and rows that could not be read."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), **state)
        found = await client.servers.ListServers(List(parent=EAST, max_staleness=HOUR))
    assert (found.cluster_status[0].state, found.cluster_status[0].reason) == (Status.STATE_PARTIAL, reason)


async def test_a_list_over_all_clusters_is_sorted_out_of_the_inventory(deployment):
    """What no platform can: one order over all of them, page after page, and nobody is asked."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a", vcpus=1), server("c", vcpus=3))
        await keep(gateway, WEST, server("b", WEST, vcpus=2), server("d", WEST, vcpus=4))
        request, found = List(parent=ALL, max_staleness=HOUR, order_by="vcpus desc", page_size=3), []
        while True:
            page = await client.servers.ListServers(request)
            found.append(ids(page))
            assert [status.cluster for status in page.cluster_status] == [EAST, WEST]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert found == [["d", "c", "b"], ["a"]]
    assert asked(adapter) == 0


async def test_a_sorted_list_has_clusters_listed_first_that_are_not_fresh_enough(deployment):
    """One that can't be in time is unreachable, with why, and stays so for the traversal."""
    await deployment.plug_in(clusters=("east", "west"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), server("b"), age_s=7200)

        async def swept(clusters, collections):
            assert (list(clusters), list(collections)) == ([EAST, WEST], ["servers"])
            await keep(gateway, EAST, server("a"), server("b"), age_s=-1)

        gateway.swept = swept
        request = List(parent=ALL, max_staleness=HOUR, order_by="name", page_size=1)
        first = await client.servers.ListServers(request)
        request.page_token = first.next_page_token
        second = await client.servers.ListServers(request)
    assert [ids(first), ids(second)] == [["a"], ["b"]]
    assert [list(page.unreachable) for page in (first, second)] == [[WEST], [WEST]]
    assert [page.cluster_status[1].reason for page in (first, second)] == ["NEVER_SYNCED", "FAILED_EARLIER"]
    assert "stale_ok" in first.cluster_status[1].message


async def test_a_sorted_list_without_any_fresh_cluster_fails_with_what_to_do(deployment):
    """With stale_ok the last known rows come, marked."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), age_s=7200)
        request = List(parent=ALL, max_staleness=HOUR, order_by="name")
        with pytest.raises(Exception, match="larger max_staleness"):
            await client.servers.ListServers(request)
        request.stale_ok = True
        found = await client.servers.ListServers(request)
    assert ids(found) == ["a"]
    assert (found.cluster_status[0].reason, list(found.unreachable)) == ("STALE", [])


async def test_sorting_over_clusters_by_what_the_inventory_can_not_sort_by_is_refused(deployment):
    """It names the fields that it sorts by; without max_staleness the message says how to get there."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):
        listed = []

        async def swept(clusters, _collections):
            listed.extend(clusters)

        gateway.swept = swept
        with pytest.raises(Exception, match="inventory sorts these by"):
            await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR, order_by="locked"))
        with pytest.raises(Exception, match="set max_staleness"):
            await client.servers.ListServers(List(parent=ALL, order_by="name"))
    assert listed == []


async def test_a_list_over_clusters_takes_each_part_from_where_it_is_fresh_enough(deployment):
    """The fresh ones stored, the others live, each going on where it began."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    lists(adapter, server("live", WEST))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, *(server(name) for name in "abc"))
        request, found = List(parent=ALL, max_staleness=HOUR, page_size=2), []
        while True:
            page = await client.servers.ListServers(request)
            found += ids(page)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert sorted(found) == ["a", "b", "c", "live"]
    assert asked(adapter) == 1


async def _stopped(deployment, adapter):
    await adapter.stop()
    await deployment.until(lambda: "READY" not in deployment.states())


@pytest.mark.parametrize("how", ["field", "metadata"])
async def test_the_last_known_state_comes_while_a_cluster_is_down(deployment, how):
    """Marked as stale, with why and how old; without stale_ok the call fails as ever."""
    adapter = await deployment.plug_in()
    fields, metadata = ({"stale_ok": True}, ()) if how == "field" else ({}, (("x-stale-ok", "true"),))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), age_s=7200)
        await _stopped(deployment, adapter)
        got, trailers = await get_with_trailers(deployment, Get(name=f"{EAST}/servers/a", **fields), metadata)
        assert trailers["x-stale"] in ("NO_INSTANCE", "INSTANCE_LOST", "INSTANCE_AWAY")
        listed = await client.servers.ListServers(List(parent=EAST, **fields), metadata=metadata)
        across = await client.servers.ListServers(List(parent=ALL, **fields), metadata=metadata)
        for request in (List(parent=EAST), List(parent=EAST, max_staleness={"seconds": 60})):
            with pytest.raises(Exception, match=r"no instance serves|lost under"):
                await client.servers.ListServers(request)
    assert got.name == f"{EAST}/servers/a"
    for page in (listed, across):
        assert ids(page) == ["a"]
        assert list(page.unreachable) == []
        (status,) = page.cluster_status
        assert (status.state, status.reason, status.source) == (Status.STATE_PARTIAL, "STALE", Status.SOURCE_INVENTORY)
        assert "7200 s old" in status.message or "7201 s old" in status.message
        assert "instance" in status.message


async def test_stale_ok_asks_the_platform_as_long_as_it_answers(deployment):
    """What it says stands, a refusal too."""
    adapter = await deployment.plug_in()
    lists(adapter, server("live"))

    async def gone(_body, context):
        adapter.stamp(context)
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", (("x-served-by", "os-1"),))

    adapter.answers[GET_SERVER] = gone
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"))
        assert ids(await client.servers.ListServers(List(parent=EAST, stale_ok=True))) == ["live"]
        with pytest.raises(Exception, match="gone"):
            await client.servers.GetServer(Get(name=f"{EAST}/servers/a", stale_ok=True))


async def test_a_sorted_list_takes_what_was_listed_since_it_was_asked_for(deployment):
    """However little max_staleness is: nothing is fresher."""
    await deployment.plug_in()
    async with opened(deployment) as (gateway, client):

        async def swept(_clusters, _collections):
            await keep(gateway, EAST, server("a"), age_s=-0.001)

        gateway.swept = swept
        request = List(parent=ALL, max_staleness={"nanos": 1}, order_by="name")
        assert ids(await client.servers.ListServers(request)) == ["a"]


@pytest.mark.parametrize(("reason", "state"), [("UNSUPPORTED", "UNREACHABLE"), ("SERVICE_ABSENT", "UNSUPPORTED")])
async def test_a_cluster_whose_adapter_can_not_be_swept_is_not_taken_for_one_without_such_resources(
    deployment, reason, state
):
    """The adapter is older than the gateway, or the cloud really has none."""
    await deployment.plug_in(clusters=("east", "west"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"))
        none = {"completeness": Completeness.UNSUPPORTED, "reason": reason, "observe_time": None}
        await keep(gateway, WEST, **none)
        found = await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR, order_by="name"))
    assert ids(found) == ["a"]
    assert Status.State.Name(found.cluster_status[1].state) == f"STATE_{state}"


async def test_a_cluster_that_no_longer_has_such_resources_is_asked_itself(deployment):
    """What was kept of them is neither shown nor taken for an empty list; a list over many says UNSUPPORTED of it."""
    adapter = await deployment.plug_in()
    lists(adapter, server("live"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"), completeness=Completeness.UNSUPPORTED, reason="SERVICE_ABSENT")
        assert ids(await client.servers.ListServers(List(parent=EAST, max_staleness=HOUR))) == ["live"]
        across = await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR))
    assert (ids(across), across.cluster_status[0].state) == ([], Status.STATE_UNSUPPORTED)


async def test_pages_of_the_last_known_state_go_on_over_all_clusters(deployment):
    """Each row once, with the metadata on each page."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    stale = (("x-stale-ok", "true"),)
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, *(server(name) for name in "abc"), age_s=7200)
        await keep(gateway, WEST, *(server(name, WEST) for name in "def"), age_s=7200)
        await _stopped(deployment, adapter)
        request, found = List(parent=ALL, page_size=2), []
        while True:
            page = await client.servers.ListServers(request, metadata=stale)
            found += ids(page)
            assert {status.reason for status in page.cluster_status} == {"STALE"}
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert sorted(found) == list("abcdef")


async def test_a_database_that_does_not_answer_leaves_the_platform_to_answer(deployment):
    """An older answer is allowed for, not asked for; where the platform fails too it says why."""
    adapter = await deployment.plug_in()
    lists(adapter, server("live"))
    async with opened(deployment) as (gateway, client):
        await keep(gateway, EAST, server("a"))
        with _unreadable(gateway):
            found = await client.servers.ListServers(List(parent=EAST, max_staleness=HOUR))
            across = await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR))
            got = await client.servers.GetServer(Get(name=f"{EAST}/servers/a", max_staleness=HOUR))
            assert (ids(found), ids(across), got.name) == (["live"], ["live"], f"{EAST}/servers/a")
            assert asked(adapter) == 3
            with pytest.raises(Exception, match="the database does not answer"):
                await client.servers.ListServers(List(parent=ALL, max_staleness=HOUR, order_by="name"))
            await _stopped(deployment, adapter)
            for call in (
                client.servers.ListServers(List(parent=EAST, stale_ok=True)),
                client.servers.GetServer(Get(name=f"{EAST}/servers/a", stale_ok=True)),
            ):
                with pytest.raises(Exception, match=r"no instance serves|lost under"):
                    await call


@contextmanager
def _unreadable(gateway):
    async def away(*_args, **_fields):
        raise Unreachable("the database does not answer", reason="STORE_UNAVAILABLE")

    gateway.inventory.store._database.read, read = away, gateway.inventory.store._database.read
    try:
        yield
    finally:
        gateway.inventory.store._database.read = read
