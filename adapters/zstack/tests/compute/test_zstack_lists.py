"""Lists of servers over ZStack's pages: whole whatever happens to them, filtered, in order."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import Busy, NotFound
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_kit import Query

from .conftest import REF

_Server = server_pb2.Server


def _ids(items):
    return [item.name.rsplit("/", 1)[-1] for item in items]


async def test_a_listing_goes_past_the_rows_that_the_server_gives_unasked(bench):
    """Without a limit it gives 1 000 and says nothing."""
    seeded = bench.cloud.control.seed(servers=1203)["servers"]
    listed = _ids(await bench.everything("list_servers", _Server, limit=1000))
    assert (len(listed), set(listed)) == (1203, set(seeded))


async def test_rows_deleted_between_two_pages_hide_none(bench):
    """The offset would skip as many rows as were deleted before it."""
    seeded = sorted(bench.cloud.control.seed(servers=60)["servers"])
    first = await bench.page("list_servers", _Server, limit=20)
    for uuid in seeded[:15]:
        bench.cloud.store.vms.present(uuid)["state"] = "Destroyed"
    rest, cursor = [], first.position(19)
    while True:
        page = await bench.page("list_servers", _Server, limit=20, cursor=cursor)
        rest += _ids(page.items)
        if not page.more:
            break
        cursor = page.position(len(page.items) - 1)
    assert _ids(first.items)[:20] + rest == seeded


async def test_rows_added_between_two_pages_are_told_once_at_most(bench):
    """Nothing is told twice."""
    before = set(bench.cloud.control.seed(servers=30)["servers"])
    first = await bench.page("list_servers", _Server, limit=10)
    bench.cloud.control.seed(servers=30)
    listed, cursor = _ids(first.items), first.position(len(first.items) - 1)
    while cursor:
        page = await bench.page("list_servers", _Server, limit=10, cursor=cursor)
        listed += _ids(page.items)
        cursor = page.position(len(page.items) - 1) if page.more else ""
    assert (len(listed), before <= set(listed)) == (len(set(listed)), True)


async def test_pages_that_come_half_are_made_up_for(bench):
    """The total tells that there is more."""
    seeded = set(bench.cloud.control.seed(servers=100)["servers"])
    rule = bench.cloud.control.fault("half_page", call="QueryVmInstance", count=3)
    listed = _ids(await bench.everything("list_servers", _Server, limit=40))
    assert (len(listed), set(listed) == seeded, rule.hits) == (100, True, 3)


async def test_rows_that_are_counted_and_not_shown_make_a_listing_partial(bench):
    """It says so instead of ending as if whole."""
    bench.cloud.control.seed(servers=1)
    bench.cloud.control.fault("half_page", call="QueryVmInstance", count=1)
    page = await bench.page("list_servers", _Server)
    assert (list(page.items), page.more) == ([], False)
    assert "1 rows as it says" in page.partial


async def test_a_listing_in_the_callers_order_says_when_it_has_moved(bench):
    """There is no field without ties to find the place again by."""
    bench.cloud.control.seed(servers=20)
    order = (("display_name", True),)
    page = await bench.page("list_servers", _Server, limit=5, order_by=order)
    names = [item.display_name for item in page.items]
    assert names == sorted(names, reverse=True)
    bench.cloud.store.vms.present(_ids(page.items)[0])["state"] = "Destroyed"
    with pytest.raises(Busy, match="start the listing again"):
        await bench.page("list_servers", _Server, limit=5, order_by=order, cursor=page.position(4))


async def test_a_destroyed_server_is_found_by_get_and_left_out_of_lists(bench):
    """SOFT_DELETED is a state of its own, not gone: `show_deleted` shows it."""
    uuids = bench.cloud.control.seed(servers=3)["servers"]
    bench.cloud.store.vms.present(uuids[0])["state"] = "Destroyed"
    got = await bench.read("get_server", f"{REF}/servers/{uuids[0]}")
    assert got.state == _Server.STATE_SOFT_DELETED
    assert set(_ids(await bench.everything("list_servers", _Server))) == set(uuids[1:])
    assert await bench.everything("list_servers", _Server, "state = SOFT_DELETED") == []
    for text, wanted in (("", uuids), ("state = SOFT_DELETED", uuids[:1]), ("state = RUNNING", uuids[1:])):
        assert set(_ids(await bench.everything("list_servers", _Server, text, show_deleted=True))) == set(wanted)


async def test_a_filter_is_asked_of_the_server_where_it_can_be(bench):
    """And a value that holds an operator is not, since the server would misread it."""
    uuids = bench.cloud.control.seed(servers=3)["servers"]
    bench.cloud.store.vms.present(uuids[0])["name"] = "a>=b"
    bench.cloud.store.vms.present(uuids[1])["name"] = "web"
    for name, wanted in (("a>=b", uuids[:1]), ("web", uuids[1:2])):
        assert _ids(await bench.everything("list_servers", _Server, f'display_name = "{name}"')) == wanted
    asked = [request.query for request in bench.cloud.control.requests(call="QueryVmInstance")]
    assert "name%3Dweb" in asked[-1] or "name=web" in asked[-1], asked[-1]
    assert "a%3E" not in asked[-2]
    assert "a>" not in asked[-2]


async def test_states_are_asked_for_in_the_platforms_words(bench):
    """Several of its states may be one of ours, and some of ours it has not."""
    uuids = bench.cloud.control.seed(servers=4)["servers"]
    for uuid, state in zip(uuids, ("Crashed", "Error", "Stopped", "Unknown"), strict=True):
        bench.cloud.control.break_server(uuid, state)
    found = {
        state: set(_ids(await bench.everything("list_servers", _Server, f"state = {state}")))
        for state in ("ERROR", "STOPPED", "UNKNOWN", "SHELVED")
    }
    assert found == {"ERROR": set(uuids[:2]), "STOPPED": {uuids[2]}, "UNKNOWN": {uuids[3]}, "SHELVED": set()}


async def test_the_whole_document_comes_under_view_full(bench):
    """As the platform tells it."""
    (uuid,) = bench.cloud.control.seed(servers=1)["servers"]
    got = await bench.read("get_server", f"{REF}/servers/{uuid}", full=True)
    query = Query(Filter.parse("", _Server.DESCRIPTOR), limit=10)
    page = await bench.function("list_servers")(bench.call(full=True), query)
    assert got.native["uuid"] == page.items[0].native["uuid"] == uuid


async def test_another_accounts_server_is_not_there(make_bench):
    """Not-found is under the cluster's own account; an administrator sees it, and whose it is."""
    mine, admin = make_bench("demo"), make_bench("admin")
    (uuid,) = mine.cloud.control.seed("demo2", servers=1)["servers"]
    with pytest.raises(NotFound):
        await mine.read("get_server", f"{REF}/servers/{uuid}")
    seen = await admin.read("get_server", f"{REF}/servers/{uuid}")
    owner = await admin.named("/accounts", "demo2")
    assert seen.project == f"{REF}/projects/{owner}"
