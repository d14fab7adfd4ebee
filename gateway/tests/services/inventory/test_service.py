"""Searching, counting and syncing through a real gateway: what each caller gets, and what it never learns."""

from __future__ import annotations

import pytest
from gateway.tests.known_callers import EAST, WEST
from gateway.tests.services.inventory.conftest import DC1, Running, server
from tests.harness.in_process import deployment as a_deployment

from cloudspan.client import Forbidden, InvalidRequest, PreconditionFailed
from cloudspan.v1.inventory_pb2 import GetSyncStateRequest, SearchRequest, SummarizeRequest, SyncNowRequest
from cloudspan.v1.server_pb2 import Server
from cloudspan_gateway.inventory.model import Brake, Completeness
from cloudspan_gateway.services.inventory import service

Group = SummarizeRequest.Group


async def test_a_search_finds_what_its_caller_sees_and_nothing_else(running: Running) -> None:
    """Of a cluster of which a pool has one project, that project's; of hidden clusters nothing."""
    assert await running.names(SearchRequest()) == ["a", "b", "c"]
    assert await running.names(SearchRequest(), "carol") == ["b", "d"]
    assert await running.names(SearchRequest(text="B"), "carol") == ["b"]
    assert await running.names(SearchRequest(text="a"), "carol") == []
    assert await running.names(SearchRequest(filter='display_name = "a"'), "carol") == []


async def test_a_found_resource_says_all_of_it_and_how_old_it_is(running: Running) -> None:
    """As old as its row, or as the last complete listing that found it unchanged."""
    running.kept.listed(WEST, "servers", completeness=Completeness.COMPLETE, observe_time=2000.0)
    found = await running.ask(
        "Search", SearchRequest(parent="platforms/openstack/clusters/-", filter="state = RUNNING")
    )
    times = {one.display_name: one.observe_time.seconds for one in found.resources}
    assert times == {"a": 1000, "b": 1000, "c": 2000}
    whole = Server()
    assert found.resources[0].resource.Unpack(whole)
    assert whole.observe_time == found.resources[0].observe_time
    whole.ClearField("observe_time")
    assert whole == server(EAST, "a", project=f"{EAST}/projects/p1")


async def test_pages_go_on_where_they_ended_and_belong_to_who_asked(running: Running) -> None:
    """A token is another tenant's, another query's or another pool's: refused."""
    first = await running.ask("Search", SearchRequest(page_size=2))
    token = first.next_page_token
    assert await running.names(SearchRequest(page_size=1, page_token=token)) == ["c"]
    for user, request, metadata in (
        ("carol", SearchRequest(page_token=token), ()),
        ("alice", SearchRequest(page_token=token, text="c"), ()),
        ("alice", SearchRequest(page_token=token, parent=EAST), ()),
        ("alice", SearchRequest(page_token=token), (("x-pool", "prod"),)),
        ("alice", SearchRequest(page_token=token[:-2] + "AA"), ()),
    ):
        with pytest.raises(InvalidRequest, match="page_token"):
            await running.ask("Search", request, user, *metadata)


async def test_a_page_of_large_resources_is_cut_and_goes_on(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below what gRPC clients take."""
    monkeypatch.setattr(service, "MAX_ANSWER_BYTES", service._ROOM_BYTES + 2 * service._OVERHEAD_BYTES)
    first = await running.ask("Search", SearchRequest())
    assert len(first.resources) == 1
    rest = await running.ask("Search", SearchRequest(page_token=first.next_page_token))
    assert [one.display_name for one in rest.resources] == ["b"]


async def test_a_filter_is_over_one_kind_or_over_what_all_have(running: Running) -> None:
    """With exactly one collection its own fields; unknown ones name those that there are."""
    own = SearchRequest(collections=["servers", "servers"], filter="NOT hostname = x")
    assert await running.names(own) == ["a", "b", "c"]
    with pytest.raises(InvalidRequest, match="StoredResource can be filtered by"):
        await running.names(SearchRequest(filter="hostname = x"))
    with pytest.raises(InvalidRequest) as refused:
        await running.names(SearchRequest(collections=["unicorns"]))
    assert refused.value.reason == "UNKNOWN_COLLECTION"
    with pytest.raises(InvalidRequest, match="513 characters"):
        await running.names(SearchRequest(text="x" * 513))


async def test_counts_are_of_what_the_caller_sees(running: Running) -> None:
    """By groups, of which a request has at most three."""
    answer = await running.ask("Summarize", SummarizeRequest(group_by=[Group.GROUP_CLUSTER]))
    assert [(one.group[0], one.count) for one in answer.summaries] == [(EAST, 2), (WEST, 1)]
    assert (await running.ask("Summarize", SummarizeRequest(), "carol")).total.count == 2
    for request in (
        SummarizeRequest(group_by=[1, 2, 3, 4]),
        SummarizeRequest(group_by=[1, 1]),
        SummarizeRequest(group_by=[99]),
        SummarizeRequest(group_by=[0]),
        SummarizeRequest(group_by=[Group.GROUP_LABEL]),
        SummarizeRequest(label="team"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await running.ask("Summarize", request)
        assert refused.value.reason == "BAD_GROUP"


async def test_an_answer_says_which_collections_may_be_incomplete(running: Running) -> None:
    """Failed, never listed, overdue; not those that a cluster has not."""
    running.kept.listed(EAST, "servers", completeness=Completeness.FAILED, reason="LOGIN_REFUSED")
    running.kept.listed(WEST, "servers", completeness=Completeness.COMPLETE, observe_time=1.0, next_time=2.0)
    running.kept.listed(WEST, "zones", completeness=Completeness.COMPLETE, observe_time=1.0, next_time=4e9)
    for rpc, request in (("Search", SearchRequest()), ("Summarize", SummarizeRequest())):
        answer = await running.ask(rpc, request)
        named = {(one.cluster, one.collection, one.reason) for one in answer.incomplete}
        assert named == {(EAST, "servers", "LOGIN_REFUSED"), (WEST, "servers", "")}
    [never] = (await running.ask("Search", SearchRequest(), "carol", ("x-pool", "own"))).incomplete
    assert (never.cluster, never.collection, never.reason) == (DC1, "servers", "NEVER_SYNCED")
    only = await running.ask("Search", SearchRequest(parent=WEST, collections=["images", "zones"]))
    assert list(only.incomplete) == []


async def test_a_state_tells_nothing_of_other_projects(running: Running) -> None:
    """Neither how many rows there are nor which, nor what a message says of them; nor which gateway lists them."""
    brake = Brake(7, 9, 500.0, (f"{EAST}/servers/a",))
    running.kept.listed(
        EAST, "servers", completeness=Completeness.PARTIAL, reason="BRAKED", message="a is gone", row_count=9,
        brake=brake, owner="gateway-1",
    )  # fmt: skip
    request = GetSyncStateRequest(parent=EAST, collections=["servers"])
    whole, part, root = [await running.ask("GetSyncState", request, user) for user in ("alice", "carol", "root")]
    assert (whole.states[0].rows, whole.visible_rows, whole.states[0].brake.missing) == (9, 2, 7)
    assert (whole.states[0].owner, root.states[0].owner) == ("", "gateway-1")
    [state] = part.states
    assert (state.rows, part.visible_rows, part.matching_rows) == (1, 1, 1)
    assert (state.brake.missing, state.brake.total, list(state.brake.examples)) == (0, 0, [])
    assert state.brake.since_time.seconds == 500
    assert "servers/a" not in f"{part}"
    assert "a is gone" not in f"{part}"
    assert "7 of 9" not in f"{part}"


async def test_sync_now_lists_and_says_what_came_of_it(running: Running) -> None:
    """Of the clusters that the caller may operate on; a viewer may not."""
    running.kept.swept_then = lambda: running.kept.listed(WEST, "servers", completeness=Completeness.COMPLETE)
    answer = await running.ask("SyncNow", SyncNowRequest(parent=WEST, collections=["servers"]))
    assert running.kept.swept == [((WEST,), ("servers",), False)]
    assert [(one.cluster, one.collection, one.completeness) for one in answer.states] == [(WEST, "servers", 1)]
    for parent in (WEST, ""):
        with pytest.raises(Forbidden):
            await running.ask("SyncNow", SyncNowRequest(parent=parent), "vera")
    await running.ask("SyncNow", SyncNowRequest(collections=["servers"]), "carol")
    assert running.kept.swept[1:] == [((EAST, DC1), ("servers",), False)]
    assert running.kept.swept_projects == {EAST: f"{EAST}/projects/p2"}


async def test_only_who_has_all_of_a_cluster_accepts_a_loss(running: Running) -> None:
    """And the audit says who did, and where."""
    with pytest.raises(Forbidden, match=r"of which your pool has .*/projects/p2 alone"):
        await running.ask("SyncNow", SyncNowRequest(parent=EAST, release_brake=True), "carol")
    assert running.kept.swept == []
    await running.ask("SyncNow", SyncNowRequest(parent=EAST, collections=["servers"], release_brake=True))
    events = [row for row in (await _audited(running)) if row.method.endswith("/SyncNow")]
    refused, done = events
    assert (refused.outcome, refused.subject, refused.cluster) == ("PERMISSION_DENIED", "users/carol", EAST)
    assert (done.outcome, done.subject) == ("OK", "users/alice")
    assert "release_brake for servers" in done.record


async def _audited(running: Running):
    from cloudspan_gateway.audit.store import Search  # noqa: PLC0415 - for this alone

    rows, _ = await running.gateway.audit.page(100, Search(oldest_first=True), None)
    return rows


async def test_without_an_inventory_each_call_says_so() -> None:
    """And what to do instead."""
    async with a_deployment() as without:
        asked = [
            (without.client.inventory.Search, SearchRequest()),
            (without.client.inventory.Summarize, SummarizeRequest()),
            (without.client.inventory.SyncNow, SyncNowRequest()),
            (without.client.inventory.GetSyncState, GetSyncStateRequest()),
        ]
        for rpc, request in asked:
            with pytest.raises(PreconditionFailed, match="--no-inventory") as refused:
                await rpc(request)
            assert refused.value.reason == "NO_INVENTORY"
