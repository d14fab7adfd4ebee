"""Lists of servers over ZStack's pages: whole whatever happens to them, filtered, in order."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import Busy, InvalidRequest
from cloudspan_zstack.cloud.queries import condition

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


@pytest.mark.parametrize(
    "value",
    ["a>=b", "a!=b", "a=b", "x is null", "a~=b", "", "o'neil", 'say "hi"', "a\\", "a`b", "50%", "x;y",
     "\N{GRINNING FACE}", "a\x00b", "\U00020bb7", "a{b}"],
)  # fmt: skip
def test_a_value_that_the_server_would_take_apart_is_not_asked_for(value):
    """At an operator, a quote or the like: the kit filters instead."""
    assert condition("name", value) == []


@pytest.mark.parametrize("value", ["web-1", "\u4e91\u4e3b\u673a 1", "a.b:c/d@e", "caf\u00e9"])
def test_a_plain_value_is_asked_for(value):
    """Of any script."""
    assert condition("name", value) == [f"name={value}"]


@pytest.mark.parametrize("name", ["o'neil", 'say "hi"', "back\\slash", "50%", "(a, b)"])
async def test_a_name_that_can_not_be_asked_for_is_found_all_the_same(bench, name):
    """By reading all of them; the server breaks on a quote, whatever else is asked."""
    uuid, _ = bench.cloud.control.seed(servers=2)["servers"]
    bench.cloud.store.vms.present(uuid)["name"] = name
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert _ids(await bench.everything("list_servers", _Server, f'display_name = "{quoted}"')) == [uuid]
    assert await bench.everything("list_servers", _Server, 'display_name = "\N{GRINNING FACE}"') == []


@pytest.mark.parametrize("uuid", ["o'neil", "\N{GRINNING FACE}", 'a"b'])
@pytest.mark.parametrize("method", ["get_server", "get_volume", "get_network", "get_image"])
async def test_an_id_that_would_break_the_servers_parser_is_refused(bench, method, uuid):
    """It is nobody's, and nothing is asked."""
    bench.cloud.control.clear_requests()
    with pytest.raises(InvalidRequest, match="no id of it holds"):
        await bench.read(method, f"{REF}/x/{uuid}")
    assert bench.cloud.control.count(call="QueryVmInstance") == 0
