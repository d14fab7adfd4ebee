"""Orders of the inventory and the places where pages end: what is sorted by, and that no cursor does harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.inventory.columns import collections
from cloudspan_gateway.inventory.query.order import Order, Place, sortable

BY_TIME = Order.of([("create_time", True), ("display_name", False)], "servers")


def test_what_rows_can_be_sorted_by_is_what_they_have():
    assert list(sortable("servers")) == [
        *("name", "project", "display_name", "state", "zone", "flavor", "create_time", "vcpus", "memory_mib")
    ]
    assert "size_bytes" in sortable("volumes")
    assert "volume_size_bytes" in sortable("snapshots")
    assert "project" not in sortable("quotas")  # their column is not their field
    assert {"cluster", "collection", "disk_bytes"} < set(sortable(""))


@pytest.mark.parametrize("collection", [*collections(), ""])
def test_every_kind_is_sorted_by_its_name_in_the_end(collection):
    assert [key.column.name for key in Order.of([], collection).keys] == ["name"]
    assert [key.column.name for key in Order.of([("display_name", True)], collection).keys] == ["display_name", "name"]


def test_what_follows_the_name_decides_nothing():
    order = Order.of([("name", True), ("state", False)], "servers")
    assert [(key.column.name, key.descending) for key in order.keys] == [("name", True)]


@pytest.mark.parametrize("field", ["hostname", "Name", "", "name; DROP TABLE resources", "x" * 10_000])
def test_another_field_is_refused_with_those_that_there_are(field):
    with pytest.raises(InvalidRequest, match="sorts these by: name, project") as refused:
        Order.of([(field, False)], "servers")
    assert refused.value.reason == "UNSORTABLE_IN_INVENTORY"
    assert len(refused.value.message) < 400


def test_a_cursor_leads_back_to_its_place():
    place = Place(0, (None, "a\u6d4b\U0001f600", "platforms/x"))
    assert BY_TIME.place(place.cursor) == place
    assert BY_TIME.place("") is None
    assert BY_TIME.place(BY_TIME.start(2).cursor) == Place(2, ())


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "{}", "null", "[]", "[0,1]", '["0",1,"a","b"]', '[-1,1,"a","b"]', "[10]", "[true]", "[0.0]"),
        *('[0,"1","a","b"]', '[0,1,1,"b"]', '[0,1,null,"b"]', '[0,1,"a",null]', '[0,true,"a","b"]', '[0,[1],"a","b"]'),
        *(
            '[0,NaN,"a","b"]',
            '[0,Infinity,"a","b"]',
            '[0,1e999,"a","b"]',
            f'[0,{2**63},"a","b"]',
            '[0,1,"\\u0000","b"]',
        ),
        *("[" * 10_000, json.dumps([0, 1, "a", "b" * 20_000]), '[0,1,"a","b","c"]', '[0,1,"\\ud800","b"]'),
    ],
)
def test_a_forged_cursor_is_refused(cursor):
    with pytest.raises(InvalidRequest, match="invalid page_token") as refused:
        BY_TIME.place(cursor)
    assert refused.value.reason == "PAGE_TOKEN_MALFORMED"


@given(
    st.text()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_any_cursor_is_a_place_or_refused(cursor):
    try:
        BY_TIME.place(cursor)
    except InvalidRequest as refused:
        assert refused.reason == "PAGE_TOKEN_MALFORMED"  # noqa: PT017 - either end is right
