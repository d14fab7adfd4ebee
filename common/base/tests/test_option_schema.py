"""Options that a published schema does not have are named by their path; what it leaves open is not judged."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from cloudspan_common.option_schema import plain_struct, unknown_options

SCHEMA = {
    "properties": {
        "size": {"type": "integer"},
        "policy": {"anyOf": [{"properties": {"name": {}}, "additionalProperties": False}, {"type": "null"}]},
        "disks": {"items": {"properties": {"bus": {}}, "additionalProperties": False}},
        "hints": {"additionalProperties": {"properties": {"key": {}}, "additionalProperties": False}},
        "anything": {},
    }
}


def struct(value: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(value)
    return made


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        ({"size": 1, "anything": {"deep": [1, {"x": None}]}}, []),
        ({"sise": 1}, ["sise"]),
        ({"policy": {"name": "a", "nam": "b"}}, ["policy.nam"]),
        ({"disks": [{"bus": "virtio"}, {"buss": "ide"}]}, ["disks[1].buss"]),
        ({"hints": {"one": {"key": 1}, "two": {"other": 2}}}, ["hints.two.other"]),
    ],
)
def test_an_unknown_option_is_named_by_its_path(options: dict[str, Any], unknown: list[str]) -> None:
    assert unknown_options(struct(SCHEMA), struct(options)) == unknown


def test_every_option_is_unknown_where_none_is_published() -> None:
    assert unknown_options(Struct(), struct({"size": 1})) == ["size"]


def test_whole_numbers_come_back_as_integers_where_a_double_holds_them_exactly() -> None:
    """JSON knows doubles only; beyond 2**53 nobody knows which whole number was meant."""
    plain = plain_struct(struct({"a": 4, "b": 4.5, "c": 1e300, "d": [True, None, "x"], "e": {"f": -1}}))
    assert plain == {"a": 4, "b": 4.5, "c": 1e300, "d": [True, None, "x"], "e": {"f": -1}}
    assert [type(plain["a"]), type(plain["c"])] == [int, float]
