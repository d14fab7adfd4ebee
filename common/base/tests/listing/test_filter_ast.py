"""Filters as trees: what they parse to, what drivers may push down, and that wrong ones say what to write instead."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.filter_ast import (
    MAX_CHARS,
    MAX_DEPTH,
    And,
    Comparison,
    Filter,
    Node,
    Not,
    Or,
)
from cloudspan_common.listing.filter_values import EnumValue, Pattern, Time

RESOURCE = server_pb2.Server.DESCRIPTOR


def drawn(node: Node | None) -> object:
    """A tree as tuples, a comparison as its path, operator and value."""
    match node:
        case Comparison():
            return (node.path.text, str(node.operator), node.value)
        case Not():
            return ("NOT", drawn(node.node))
        case And() | Or():
            return (type(node).__name__.upper(), *map(drawn, node.nodes))
        case _:
            return node


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        ("vcpus = 04", ("vcpus", "=", 4)),
        ("vcpus:4", ("vcpus", "holds", 4)),
        ("vcpus != 4", ("NOT", ("vcpus", "=", 4))),
        ("locked = true", ("locked", "=", True)),
        ("state = STATE_RUNNING", ("state", "=", EnumValue("RUNNING", server_pb2.Server.STATE_RUNNING))),
        ("display_name = web*", ("display_name", "=", Pattern("web", starts_open=False, ends_open=True))),
        ("display_name : web", ("display_name", "contains", "web")),
        ("display_name < web*", ("display_name", "<", "web*")),
        ("create_time > 1970-01-01T00:00:01Z", ("create_time", ">", Time(10**9, "1970-01-01T00:00:01Z"))),
        ("labels:team", ("labels", "has key", "team")),
        ("labels.team : db", ("labels.team", "holds", "db")),
        ("fault:*", ("fault", "is set", "")),
        ("(zone = a)", ("zone", "=", "a")),
        (
            "locked = true OR vcpus = 1 -zone = a",
            ("AND", ("OR", ("locked", "=", True), ("vcpus", "=", 1)), ("NOT", ("zone", "=", "a"))),
        ),
    ],
)
def test_a_filter_is_a_tree_of_typed_comparisons(text: str, tree: object) -> None:
    """Values have the type of their field; parentheses and `!=` are gone."""
    assert drawn(Filter.parse(text, RESOURCE).root) == tree


def test_a_path_has_its_segments_and_its_key() -> None:
    """What a compiler needs besides the field: the messages on the way, and whether there are many values."""
    inner = Filter.parse("network_interfaces.port : p1", RESOURCE).root
    entry = Filter.parse('labels."a.b" = c', RESOURCE).root
    assert isinstance(inner, Comparison)
    assert isinstance(entry, Comparison)
    assert [step.name for step in inner.path.steps] == ["network_interfaces"]
    assert (inner.path.field.name, inner.path.is_in_list, inner.path.key) == ("port", True, None)
    assert (entry.path.field.name, entry.path.is_in_list, entry.path.key) == ("labels", False, "a.b")


def test_a_filter_shows_its_text() -> None:
    """Repr is for the log line of a driver."""
    assert repr(Filter.parse("locked = true", RESOURCE)) == "Filter(text='locked = true')"


def test_what_no_match_has_is_known_where_it_is_said_outright() -> None:
    """Not from a NOT around more than one comparison: either of them may fail."""
    ruled_out = {
        'display_name != "a"': "a",
        'vcpus > 1 AND NOT display_name = "a"': "a",
        'NOT (display_name = "a" AND vcpus = 1)': None,
        'display_name != "a" OR vcpus = 1': None,
        'display_name = "a"': None,
    }
    found = {text: Filter.parse(text, RESOURCE).unequal("display_name") for text in ruled_out}
    assert found == ruled_out


def test_the_earliest_time_of_a_match_is_known() -> None:
    """The latest of several bounds; none where one of two may hold."""
    bounds = {
        'create_time >= "1970-01-01T00:00:10Z"': 10.0,
        'create_time > "1970-01-01T00:00:10Z" AND create_time >= "1970-01-01T00:00:20Z"': 20.0,
        'create_time = "1970-01-01T00:00:05Z"': 5.0,
        'create_time < "1970-01-01T00:00:05Z"': None,
        'create_time >= "1970-01-01T00:00:05Z" OR vcpus = 1': None,
        'NOT create_time >= "1970-01-01T00:00:05Z"': None,
    }
    assert {text: Filter.parse(text, RESOURCE).since("create_time") for text in bounds} == bounds


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("state = STATE_RUNNING", "state", "RUNNING"),
        ("state = RUNNING AND locked = true", "locked", "true"),
        ("(state = RUNNING) AND (vcpus = 04 AND zone = a)", "vcpus", "4"),
        ("labels.team = db zone = z", "labels.team", "db"),
        ('display_name = ""', "display_name", ""),
        ("zone = a AND zone = b", "zone", "a"),
        ("state = RUNNING OR state = STOPPED", "state", None),
        ("NOT state = RUNNING", "state", None),
        ("state != RUNNING", "state", None),
        ("display_name = web*", "display_name", None),
        ("display_name : web", "display_name", None),
        ("vcpus > 4", "vcpus", None),
        ("labels.team : db", "labels.team", None),
    ],
)
def test_only_what_holds_in_every_match_is_pushed_down(text: str, path: str, value: str | None) -> None:
    """A driver may ask its platform for this value alone without losing a match."""
    assert Filter.parse(text, RESOURCE).equal(path) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour = red", "'colour' at position 1; Server can be filtered by name, display_name, state"),
        ("locked = true AND fault.kode = 1", "'kode' at position 19; Server.fault can be filtered by code, message"),
        ("admin_password = x", "'admin_password' at position 1"),
        ("user_data:*", "'user_data' at position 1"),
        ("native.flavor = x", "'native' at position 1"),
    ],
)
def test_an_unknown_field_is_refused_with_the_known_ones(text: str, part: str) -> None:
    """Secrets and the platform's own document are never in a plain answer, so filtering by them is refused too."""
    with pytest.raises(InvalidRequest) as refused:
        Filter.parse(text, RESOURCE)
    assert refused.value.reason == "UNKNOWN_FILTER_FIELD"
    assert part in refused.value.message
    assert [violation.field for violation in refused.value.violations] == ["filter"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("web", "at position 1: 'web' is compared with nothing; write a field before it, as in display_name:\"web\""),
        ("display_name = my server", "at position 19: 'server' is compared with nothing"),
        ("locked = true and vcpus = 1", "and needs a comparison on each side and capitals"),
        ("locked = true AND", "at its end: a comparison must start with a field here"),
        ("AND locked = true", "AND needs a comparison"),
        ("locked =", "at its end: locked = needs a value"),
        ("locked = (true)", "at position 10: locked = needs a value"),
        ('display_name = "open', "at position 16"),
        ("(locked = true", "a ( is not closed"),
        ("locked = true)", "at position 14: this ) has no ( before it"),
        ("vcpus = four", "at position 1: vcpus is a whole number, and 'four' is not one"),
        ("vcpus = 1_0", "'1_0' is not one"),
        ("locked = yes", "locked is true or false, and 'yes' is neither"),
        ("locked > true", "locked has no order"),
        ("state = running", "state has no value 'running'; it has UNSPECIFIED, BUILDING"),
        ("state < RUNNING", "state has no order"),
        ("create_time > yesterday", "create_time is a time"),
        ("create_time > 2026-13-31T08:00:00Z", "write for example 2026-01-31T08:00:00Z"),
        ("create_time > 2026-01-31", "write for example 2026-01-31T08:00:00Z"),
        ("create_time.seconds > 1", "create_time has no fields of its own"),
        ("zone.name = x", "zone has no fields of its own"),
        ("labels = x", "labels is a map: write labels.key = value"),
        ("security_groups = web", "security_groups is a list: write security_groups:value"),
        ("network_interfaces.port = x", "network_interfaces.port is a list"),
        ("fault = x", "fault is a message: compare a field of it (fault.code, fault.message"),
        ("network_interfaces:x", "network_interfaces is a message"),
        ("x" * (MAX_CHARS + 1), f"longer than {MAX_CHARS}"),
        ("(" * (MAX_DEPTH + 1), f"deeper than {MAX_DEPTH}"),
        ("NOT " * (MAX_DEPTH + 1) + "locked = true", f"deeper than {MAX_DEPTH}"),
    ],
)
def test_a_malformed_filter_is_refused_with_what_to_write(text: str, part: str) -> None:
    """The position counts from 1, and the advice fits the field."""
    with pytest.raises(InvalidRequest) as refused:
        Filter.parse(text, RESOURCE)
    assert refused.value.reason == "MALFORMED_FILTER"
    assert part in refused.value.message
