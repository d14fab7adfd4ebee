"""Rows as clouds really send them: what is read leniently, what is left away, what is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
import pytest

from cloudspan_kit.lists.rows import read_rows


class Part(msgspec.Struct):
    name: str | None = None
    count: int = 0


class Row(msgspec.Struct, kw_only=True):
    id: str
    name: str = ""
    size: int = 0
    ratio: float = 0.0
    on: bool = False
    bootable: str | bool | None = None
    created_at: datetime | None = None
    labels: dict[str, str] = {}
    parts: list[Part] = []


def read(**odd):
    """Read one row with odd fields beside a sound one."""
    return read_rows([{"id": "sound"}, {"id": "odd", **odd}], Row, "id")


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"labels": None, "parts": None}, {"labels": {}, "parts": []}),
        ({"size": None, "name": None, "ratio": None, "on": None}, {"size": 0, "name": "", "ratio": 0.0, "on": False}),
        ({"size": "12", "ratio": "1.5"}, {"size": 12, "ratio": 1.5}),
        ({"size": 12.0}, {"size": 12}),
        ({"size": ""}, {"size": 0}),
        ({"name": 7, "on": "true"}, {"name": "7", "on": True}),
        ({"bootable": True}, {"bootable": True}),
        ({"created_at": ""}, {"created_at": None}),
        ({"labels": {"a": None, "b": 2}}, {"labels": {"b": "2"}}),
        ({"parts": [None, {"name": None, "count": "3"}]}, {"parts": [Part(None, 3)]}),
    ],
)
def test_what_tells_the_same_in_another_way_is_read(odd, expected):
    """Nothing is lost, so nothing is named."""
    found = read(**odd)
    assert {field: getattr(found.rows[1], field) for field in expected} == expected
    assert found.unread == []


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"size": 1e300}, "size: 1e+300 is too large"),
        ({"created_at": "yesterday"}, "created_at: 'yesterday' is not a time"),
    ],
)
def test_a_value_that_no_field_holds_is_left_away_and_named(odd, named):
    """The row stays."""
    found = read(**odd)
    assert [row.id for row in found.rows] == ["sound", "odd"]
    assert found.unread == [f"odd ({named})"]


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"size": {}}, "odd was left out (size: {} is not a number)"),
        ({"name": ["a"]}, "odd was left out (name: ['a'] is not text)"),
        ({"parts": {}}, "odd was left out (parts: {} is not a list)"),
        ({"labels": "a=b"}, "odd was left out (labels: 'a=b' is not a map)"),
        ({"id": None}, "row 2 of a page was left out (id: is needed and has no value)"),
        ({"id": ""}, "row 2 of a page was left out (id: is empty)"),
    ],
)
def test_a_row_that_can_not_be_read_is_left_out_and_named(odd, named):
    """The others stay."""
    found = read(**odd)
    assert ([row.id for row in found.rows], found.unread, found.kept) == (["sound"], [named], [0])


def test_what_is_no_row_at_all_is_left_out():
    """Such as a null in the list."""
    found = read_rows([None, {"id": "sound"}, "text"], Row, "id", full=True)
    assert ([row.id for row in found.rows], found.documents) == (["sound"], [{"id": "sound"}])
    assert found.unread == [
        "row 1 of a page was left out (None is not an object)",
        "row 3 of a page was left out ('text' is not an object)",
    ]


class Ports(msgspec.Struct):
    id: str
    first: int | str | None = None
    swap: int | Literal[""] = 0


@pytest.mark.parametrize(("sent", "read"), [(22, 22), ("22", "22"), (1e30, "1e+30"), (1.5, "1.5")])
def test_a_number_that_cannot_be_kept_is_its_digits_where_a_text_will_do(sent, read):
    """For what restricts: nobody may take it for absent."""
    found = read_rows([{"id": "odd", "first": sent}], Ports, "id")
    assert ([row.first for row in found.rows], found.unread) == ([read], [])


@pytest.mark.parametrize(
    ("swap", "read", "unread"),
    [
        ("", "", []),
        ("512", 512, []),
        (1e30, 0, ["odd (swap: 1e+30 is too large)"]),
    ],
)
def test_a_word_in_a_numbers_place_is_read_where_it_is_known(swap, read, unread):
    """Nova's empty swap."""
    found = read_rows([{"id": "odd", "swap": swap}], Ports, "id")
    assert ([row.swap for row in found.rows], found.unread) == ([read], unread)
