r"""AIP-160 filters: the subset that lists take, parsed once into a tree that others compile.

`state = RUNNING AND (labels.team = "db" OR NOT display_name : "tmp")`. Comparisons: `=` `!=` `<` `<=` `>` `>=` and
`:` (contains, case-insensitive for text; has for maps and lists; `field:*` means "is set"). `NOT` or `-` negates.
Precedence as in AIP-160: OR binds tighter than AND. Fields are those of the resource; strings may be quoted, and a
`*` at either end is a wildcard (`\*` in quotes a star); enums go by name with or without their prefix; times are
RFC 3339. What is not set equals nothing and is neither more nor less than anything; `!=` is exactly NOT `=`.
Unknown fields and values of the wrong type are InvalidRequest.

`filter_match` makes a predicate over messages of the tree; drivers ask `Filter.equal` for what their platform can do
itself. Whoever compiles it to something else (SQL, say) needs nothing but the nodes: a value has its field's type, a
path knows lists, maps and presence, and `!=` is a `Not` already.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor as Fd

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.listing.filter_values import (
    Literal,
    Time,
    Value,
    filterable,
    has_order,
    is_map,
    is_time,
    shown,
    typed,
    unquoted,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import Descriptor

MAX_CHARS = 4096
# Deeper nesting would only serve to exhaust the stack.
MAX_DEPTH = 20

_QUOTED = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
_SEGMENT = re.compile(rf"{_QUOTED}|[^\s()<>=!:\"'.]+", re.DOTALL)
_COMPARATOR = re.compile(r"<=|>=|!=|[=<>:]")
# Wider than AIP-160's TEXT: times, MAC and IPv6 addresses hold colons and need no quotes here.
_VALUE = re.compile(rf"{_QUOTED}|[^\s()<>=!\"']+", re.DOTALL)
_AND, _OR, _NOT = (re.compile(rf"{word}(?=[\s(\"'-]|$)") for word in ("AND", "OR", "NOT"))
_MINUS, _OPEN, _CLOSE, _DOT = (re.compile(sign) for sign in ("-", r"\(", r"\)", r"\."))
_BLANKS = re.compile(r"\s*")


class Operator(enum.StrEnum):
    """What a comparison asks of the values that its path names; true when one of them has it."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    CONTAINS = "contains"
    """Text contains the value, whatever the case; a pattern is matched whatever the case."""
    HOLDS = "holds"
    """One of the values is the value: `:` of lists, map entries and types that contain nothing."""
    HAS_KEY = "has key"
    """A map has the value as a key."""
    IS_SET = "is set"
    """There is a value, and not a default where presence is not kept. The comparison's own value is empty."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way to a field through the messages around it, and the key when it is an entry of a map."""

    text: str
    steps: tuple[Fd, ...]
    field: Fd
    key: str | None = None

    @property
    def is_whole_map(self) -> bool:
        """Whether it names a map and not an entry of it."""
        return self.key is None and is_map(self.field)

    @property
    def is_in_list(self) -> bool:
        """Whether it names many values: a list, or a field of a list's elements."""
        is_list = self.field.is_repeated and not is_map(self.field)
        return is_list or any(step.is_repeated for step in self.steps)

    @property
    def value_field(self) -> Fd:
        """The field that has the type of what is compared."""
        if self.key is None or self.field.message_type is None:
            return self.field
        return self.field.message_type.fields_by_name["value"]

    @property
    def is_message(self) -> bool:
        """Whether it names something that has fields and no value."""
        fd = self.value_field
        return fd.message_type is not None and not is_map(fd) and not is_time(fd)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field compared with one value of its type."""

    path: Path
    operator: Operator
    value: Value = ""


@dataclass(frozen=True, slots=True)
class Not:
    """Whatever its node does not hold for, unset fields included."""

    node: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of two nodes or more."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two nodes or more."""

    nodes: tuple[Node, ...]


Node = And | Or | Not | Comparison


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; make one with `Filter.parse`."""

    text: str
    root: Node | None = field(default=None, repr=False, compare=False)
    """None lets everything through."""

    @classmethod
    def parse(cls, text: str, resource: Descriptor) -> Filter:
        """Return the filter that `text` says of messages of `resource`; blank text filters nothing.

        Raises:
            InvalidRequest: UNKNOWN_FILTER_FIELD or MALFORMED_FILTER, with the position and what to write instead.
        """
        if not text or text.isspace():
            return EVERYTHING
        return cls(text, _Parser(text, resource).parse())

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through: then nobody needs to match anything."""
        return self.root is None

    def equal(self, path: str) -> str | None:
        """Return what `path` equals in every match, so that the platform may be asked for just that.

        An enum's value comes without its prefix (`RUNNING`). None when the filter requires no single value.
        """
        return None if self.root is None else _equal(self.root, path)

    def unequal(self, path: str) -> str | None:
        """Return what `path` equals in no match, written as for `equal`; None when the filter rules no value out."""
        ruled_out = (node.node for node in self._required() if isinstance(node, Not))
        comparisons = (node for node in ruled_out if isinstance(node, Comparison))
        return next((found for node in comparisons if (found := _equal(node, path)) is not None), None)

    def since(self, path: str) -> float | None:
        """Return the earliest time that `path` has in a match, Unix seconds; None when the filter bounds it not."""
        asked = (Operator.AT_LEAST, Operator.GREATER, Operator.EQUAL)
        bounds = [
            node.value.nanos / 1e9
            for node in self._required()
            if isinstance(node, Comparison) and node.path.text == path and node.operator in asked
            if isinstance(node.value, Time)
        ]
        return max(bounds, default=None)

    def _required(self) -> tuple[Node, ...]:
        """Return nodes that hold for every match."""
        return () if self.root is None else _parts(self.root)


EVERYTHING = Filter("")
"""What blank text parses to."""


def _parts(node: Node) -> tuple[Node, ...]:
    return tuple(found for part in node.nodes for found in _parts(part)) if isinstance(node, And) else (node,)


def _equal(node: Node, path: str) -> str | None:
    if isinstance(node, Comparison):
        is_said = node.operator is Operator.EQUAL and node.path.text == path
        return written(node.value) if is_said else None
    if isinstance(node, And):
        # Of two values for one path either is right to push down: nothing can equal both.
        return next((found for part in node.nodes if (found := _equal(part, path)) is not None), None)
    return None


class _Parser:
    """A recursive descent over one filter text; `_at` stands behind what was read and the blanks after it."""

    def __init__(self, text: str, resource: Descriptor) -> None:
        self._text, self._resource = text, resource
        self._at = self._depth = 0

    def parse(self) -> Node:
        if len(self._text) > MAX_CHARS:
            raise self._malformed(f"it is longer than {MAX_CHARS} characters", MAX_CHARS)
        self._take(_BLANKS)
        node = self._expression()
        if self._at < len(self._text):
            raise self._malformed("this ) has no ( before it")
        return node

    def _expression(self) -> Node:
        """Read `a OR b AND c`; factors without AND between them must hold as well."""
        nodes = [self._factor()]
        while self._at < len(self._text) and self._text[self._at] != ")":
            self._take(_AND)
            nodes.append(self._factor())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _factor(self) -> Node:
        nodes = [self._term()]
        while self._take(_OR):
            nodes.append(self._term())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._malformed(f"it is nested deeper than {MAX_DEPTH} levels")
        if self._take(_NOT) or self._take(_MINUS):
            node: Node = Not(self._term())
        elif self._take(_OPEN):
            node = self._expression()
            if not self._take(_CLOSE):
                raise self._malformed("a ( is not closed")
        else:
            node = self._restriction()
        self._depth -= 1
        return node

    def _restriction(self) -> Node:
        at, segments = self._at, self._path()
        sign = self._take(_COMPARATOR)
        if not sign:
            raise self._malformed(_without_comparison(".".join(segments)), at)
        path = self._resolve(segments, at)
        token = self._take(_VALUE)
        if not token:
            raise self._malformed(f"{path.text} {sign} needs a value; quote one that is empty or has signs in it")
        return self._compare(path, sign, Literal.of(token), at)

    def _path(self) -> list[str]:
        path = [self._segment()]
        while self._take(_DOT):
            path.append(self._segment())
        return path

    def _segment(self) -> str:
        token = self._take(_SEGMENT)
        if not token:
            raise self._malformed('a comparison must start with a field here, as in display_name = "web-1"')
        return unquoted(token)

    def _resolve(self, segments: Sequence[str], at: int) -> Path:
        """Follow a path through the resource's messages; what follows a map's field is the key, dots and all."""
        message, steps = self._resource, list[Fd]()
        for index, segment in enumerate(segments[:-1]):
            fd = self._field(message, segment, segments[:index], at)
            if is_map(fd):
                return Path(".".join(segments), tuple(steps), fd, ".".join(segments[index + 1 :]))
            if fd.message_type is None or is_time(fd):
                raise self._malformed(f"{segment} has no fields of its own; compare {segment} itself", at)
            steps.append(fd)
            message = fd.message_type
        return Path(".".join(segments), tuple(steps), self._field(message, segments[-1], segments[:-1], at))

    def _field(self, message: Descriptor, segment: str, parents: Iterable[str], at: int) -> Fd:
        fields = filterable(message)
        if segment in fields:
            return fields[segment]
        owner = ".".join([self._resource.name, *parents])
        text = f"the filter names {shown(segment)} at position {at + 1}; {owner} can be filtered by {', '.join(fields)}"
        raise InvalidRequest(text, reason="UNKNOWN_FILTER_FIELD", violations=[Violation("filter", text)])

    def _compare(self, path: Path, sign: str, literal: Literal, at: int) -> Node:
        if wrong := _misfit(path, sign, literal):
            raise self._malformed(wrong, at)
        if sign == ":" and literal.is_star:
            return Comparison(path, Operator.IS_SET)
        if path.is_whole_map:
            return Comparison(path, Operator.HAS_KEY, literal.text)
        try:
            value = typed(path.value_field, literal)
        except ValueError as error:
            raise self._malformed(f"{path.text} {error}", at) from error
        if sign == "!=":
            return Not(Comparison(path, Operator.EQUAL, value))
        is_text = path.value_field.cpp_type == Fd.CPPTYPE_STRING
        if sign == ":":
            contains = is_text and path.key is None and not path.is_in_list
            return Comparison(path, Operator.CONTAINS if contains else Operator.HOLDS, value)
        # Wildcards have no order: `<` compares with the star.
        is_ordered_text = is_text and sign != "="
        return Comparison(path, Operator(sign), literal.text if is_ordered_text else value)

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Read `pattern` here, and the blanks behind it; empty when it is not here."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        blanks = _BLANKS.match(self._text, match.end())
        self._at = match.end() if blanks is None else blanks.end()
        return match.group()

    def _malformed(self, what: str, at: int | None = None) -> InvalidRequest:
        at = self._at if at is None else at
        where = f"at position {at + 1}" if at < len(self._text) else "at its end"
        text = f"the filter is malformed {where}: {what}"
        return InvalidRequest(text, reason="MALFORMED_FILTER", violations=[Violation("filter", text)])


def _misfit(path: Path, sign: str, literal: Literal) -> str:
    """Say what to write instead of a comparison that the field can't have; empty when it can."""
    text = path.text
    is_presence = sign == ":" and literal.is_star
    if path.is_whole_map and sign != ":":
        return f"{text} is a map: write {text}.key = value, or {text}:key for having the key"
    if path.is_message and not is_presence:
        inner = ", ".join(f"{text}.{name}" for name in filterable(path.value_field.message_type))
        return f"{text} is a message: compare a field of it ({inner}), or write {text}:* for being set"
    if path.is_in_list and sign != ":":
        return f"{text} is a list: write {text}:value for holding the value"
    if sign not in ("=", "!=", ":") and not has_order(path.value_field):
        return f"{text} has no order; {sign} can't compare it, = and != can"
    return ""


def _without_comparison(word: str) -> str:
    """Say what to write instead of a word that compares nothing."""
    if word.upper() in ("AND", "OR", "NOT"):
        return f"{word} needs a comparison on each side and capitals: a = 1 {word.upper()} b = 2"
    quoted = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown(word)} is compared with nothing; write a field before it, as in display_name:{quoted[:80]}"
