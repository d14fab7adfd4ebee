"""Literals of a filter as values of a field's type; what does not fit says what does."""

from __future__ import annotations

from typing import Any

import pytest

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common.listing.filter_values import EnumValue, Literal, Pattern, Time, filterable, typed, written

SERVER, VOLUME = server_pb2.Server.DESCRIPTOR.fields_by_name, volume_pb2.Volume.DESCRIPTOR.fields_by_name


@pytest.mark.parametrize(
    ("field", "token", "value", "text"),
    [
        (SERVER["display_name"], "web", "web", "web"),
        (SERVER["display_name"], r'"a\"b"', 'a"b', 'a"b'),
        (SERVER["display_name"], '"web*"', Pattern("web", starts_open=False, ends_open=True), None),
        (SERVER["display_name"], r'"web\*"', "web*", "web*"),
        (SERVER["state"], "RUNNING", EnumValue("RUNNING", server_pb2.Server.STATE_RUNNING), "RUNNING"),
        (SERVER["state"], "STATE_RUNNING", EnumValue("RUNNING", server_pb2.Server.STATE_RUNNING), "RUNNING"),
        (VOLUME["size_bytes"], "1073741824", 1 << 30, "1073741824"),
        (VOLUME["bootable"], "true", True, "true"),
        (SERVER["create_time"], '"1970-01-01T00:00:01Z"', Time(10**9, "1970-01-01T00:00:01Z"), "1970-01-01T00:00:01Z"),
    ],
)
def test_a_literal_becomes_a_value_of_the_fields_type(field: Any, token: str, value: Any, text: str | None) -> None:
    """And text again for a platform's own filter, where it is one value."""
    assert typed(field, Literal.of(token)) == value
    assert written(typed(field, Literal.of(token))) == text


@pytest.mark.parametrize(
    ("field", "token", "why"),
    [
        (SERVER["state"], "RUNING", "has no value 'RUNING'; it has "),
        (VOLUME["size_bytes"], "1.5", "is a whole number"),
        (VOLUME["bootable"], "yes", "is true or false"),
        (SERVER["create_time"], '"2026-01-31"', "write for example 2026-01-31T08:00:00Z"),
        (SERVER["create_time"], '"2026-02-31T08:00:00Z"', "is not in RFC 3339"),
        (VOLUME["size_bytes"], "9" * 300, "is a whole number"),
    ],
)
def test_a_literal_of_another_type_says_what_the_field_takes(field: Any, token: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        typed(field, Literal.of(token))
    assert len(str(refused.value)) < 400


def test_what_no_answer_ever_holds_can_not_be_filtered_by() -> None:
    """The platform's own document is there under view FULL only; user data never."""
    fields = filterable(server_pb2.Server.DESCRIPTOR)
    assert "display_name" in fields
    assert "native" not in fields
