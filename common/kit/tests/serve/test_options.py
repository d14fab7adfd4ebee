"""Options: read as declared, published as a flat schema, and never ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common.errors import Defect, InvalidRequest
from cloudspan_common.option_schema import unknown_options
from cloudspan_kit.serve.options import options_schema, read_options


class Hint(msgspec.Struct, forbid_unknown_fields=True):
    group: str | None = None
    weight: float = 1.0


class Options(msgspec.Struct, forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    config_drive: bool | None = None
    disk: Literal["auto", "manual"] = "auto"
    hint: Hint | None = None
    hints: list[Hint] = []
    by_zone: dict[str, Hint] = {}
    choice: Hint | list[str] | None = None
    anything: Any = None


class Needy(msgspec.Struct, forbid_unknown_fields=True):
    host: str


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    children: list[Tree] = []


class Careless(msgspec.Struct):
    count: int = 0


class CarelessWithin(msgspec.Struct, forbid_unknown_fields=True):
    inner: Careless | None = None


def struct(**values: object) -> Struct:
    made = Struct()
    made.update(values)
    return made


def test_options_are_read_as_declared() -> None:
    """Whole numbers of the double-only Struct become int, and stay numbers where a float is declared."""
    given_options = struct(
        count=3,
        config_drive=True,
        disk="manual",
        hint={"group": "g", "weight": 2},
        hints=[{"weight": 0.5}, {}],
        by_zone={"a": {"group": None}},
        anything=[1, {"x": [None, 1.5]}],
    )
    read = read_options(given_options, Options)
    assert read == Options(
        count=3,
        config_drive=True,
        disk="manual",
        hint=Hint("g", 2.0),
        hints=[Hint(weight=0.5), Hint()],
        by_zone={"a": Hint()},
        anything=[1, {"x": [None, 1.5]}],
    )
    assert isinstance(read.count, int)


def test_no_options_are_the_defaults() -> None:
    """An empty Struct is a request that says nothing."""
    assert read_options(Struct(), Options) == Options()


def test_a_method_without_options_takes_none() -> None:
    """None declared and none given is fine; any given is unknown."""
    assert read_options(Struct(), None) is None
    with pytest.raises(InvalidRequest, match=r"unknown: options.x; .* cluster: none") as refused:
        read_options(struct(x=1), None)
    assert refused.value.reason == "UNKNOWN_OPTION"


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"colour": 1}, ["options.colour"]),
        ({"a": 1, "b": {"c": 2}}, ["options.a", "options.b"]),
        ({"hint": {"grp": 1}}, ["options.hint.grp"]),
        ({"hints": [{}, {"grp": 1}]}, ["options.hints[1].grp"]),
        ({"by_zone": {"z": {"grp": 1}}}, ["options.by_zone.z.grp"]),
    ],
)
def test_every_unknown_option_is_named_with_the_known_ones(options: dict[str, Any], paths: list[str]) -> None:
    """All of them at once, however deep."""
    with pytest.raises(InvalidRequest, match="count, config_drive, disk, hint") as refused:
        read_options(struct(**options), Options)
    assert refused.value.reason == "UNKNOWN_OPTION"
    assert sorted(violation.field for violation in refused.value.violations) == paths


@pytest.mark.parametrize(
    ("options", "path", "part"),
    [
        ({"count": "3"}, "options.count", "Expected `int`, got `str`"),
        ({"count": 1.5}, "options.count", "Expected `int`, got `float`"),
        ({"count": 10}, "options.count", "<= 9"),
        ({"count": 1e300}, "options.count", "got `float`"),
        ({"count": float("nan")}, "options.count", "got `float`"),
        ({"config_drive": 1}, "options.config_drive", "Expected `bool"),
        ({"disk": "never"}, "options.disk", "Invalid enum value"),
        ({"hint": {"group": 1}}, "options.hint.group", "Expected `str"),
        ({"hints": [{}, 2]}, "options.hints[1]", "Expected `object`"),
        ({"choice": {"grp": 1}}, "options.choice", "unknown field `grp`"),
    ],
)
def test_a_bad_value_is_refused_with_its_path(options: dict[str, Any], path: str, part: str) -> None:
    """Types are strict: a number in a string is a string."""
    with pytest.raises(InvalidRequest) as refused:
        read_options(struct(**options), Options)
    assert refused.value.reason == "BAD_OPTION"
    assert refused.value.violations[0].field == path
    assert part in refused.value.violations[0].description
    assert path in refused.value.message


def test_a_required_option_left_out_is_refused() -> None:
    """It has no path of its own; the text names it."""
    with pytest.raises(InvalidRequest, match="missing required field `host`") as refused:
        read_options(Struct(), Needy)
    assert (refused.value.reason, refused.value.violations[0].field) == ("BAD_OPTION", "options")


def test_the_published_schema_has_no_references() -> None:
    """Any tool can show it as it is."""
    schema = options_schema(Options)
    assert "$ref" not in str(schema)
    assert "$defs" not in schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["hints"]["items"]["properties"]["group"]["anyOf"][0]["type"] == "string"


def test_a_schema_that_holds_itself_ends() -> None:
    """The second level is a bare object; conversion still checks it."""
    assert options_schema(Tree)["properties"]["children"]["items"]["title"] == "Tree"
    deep = struct(children=[{"children": [{"children": []}]}])
    assert read_options(deep, Tree) == Tree([Tree([Tree()])])
    with pytest.raises(InvalidRequest):
        read_options(struct(children=[{"children": [{"kids": 1}]}]), Tree)


def test_no_options_have_an_empty_schema() -> None:
    """As the capability's field says."""
    assert options_schema(None) == Struct()


@pytest.mark.parametrize("declared", [Careless, CarelessWithin])
def test_a_declaration_that_would_ignore_options_is_our_defect(declared: type[msgspec.Struct]) -> None:
    """Found when capabilities are described, not when an option is lost."""
    with pytest.raises(Defect, match="forbid_unknown_fields=True"):
        options_schema(declared)


def test_the_gateway_finds_unknown_options_by_the_schema_alone() -> None:
    """What an adapter would refuse as unknown is refused before it is asked."""
    schema = options_schema(Options)
    asked = struct(count=1, colour="red", hint={"grp": 1}, anything={"x": 1}, choice={"x": 1})
    assert sorted(unknown_options(schema, asked)) == ["colour", "hint.grp"]
    assert unknown_options(Struct(), struct(x=1)) == ["x"]
    assert unknown_options(Struct(), Struct()) == []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["count", "config_drive", "disk", "hint", "hints", "by_zone", "choice", "anything", "x", ""])


@given(st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_no_options_do_anything_but_be_read_or_refused(options: dict[str, Any]) -> None:
    """Whatever a Struct can hold, it is options or InvalidRequest."""
    try:
        assert isinstance(read_options(struct(**options), Options), Options)
    except InvalidRequest as refused:
        assert refused.reason in {"UNKNOWN_OPTION", "BAD_OPTION"}  # noqa: PT017 - either end is right
