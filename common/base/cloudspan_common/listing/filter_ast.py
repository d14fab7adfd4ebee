r"""AIP-160 filters: the subset that lists take, parsed once, applied to messages.

`state = RUNNING AND (labels.team = "db" OR NOT display_name : "tmp")`. Comparisons: `=` `!=` `<` `<=` `>` `>=` and
`:` (contains, case-insensitive for text; has for maps and lists; `field:*` means "is set"). `NOT` or `-` negates.
Precedence as in AIP-160: OR binds tighter than AND. Fields are those of the resource; strings may be quoted, and a
`*` at either end is a wildcard (`\*` in quotes a star); enums go by name with or without their prefix; times are
RFC 3339. What is not set equals nothing and is neither more nor less than anything; `!=` is exactly NOT `=`.
Unknown fields and values of the wrong type are InvalidRequest.

The kit's servicer parses and `paging` applies; drivers ask `Filter.equal` for what their platform can do itself.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor as Fd

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.listing.filter_values import (
    Literal,
    Test,
    filterable,
    is_map,
    is_time,
    shown,
    unquoted,
    value_test,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

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


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; make one with `Filter.parse`."""

    text: str
    _test: Test = field(default=_always, repr=False, compare=False)
    _equalities: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, resource: Descriptor) -> Filter:
        """Return the filter that `text` says of messages of `resource`; blank text filters nothing.

        Raises:
            InvalidRequest: UNKNOWN_FILTER_FIELD or MALFORMED_FILTER, with the position and what to write instead.
        """
        if not text or text.isspace():
            return EVERYTHING
        node = _Parser(text, resource).parse()
        return cls(text, node.test, node.equalities)

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through: then nobody needs to ask `matches`."""
        return not self.text

    def matches(self, message: Message) -> bool:
        """Whether `message` is wanted."""
        return self._test(message)

    def equal(self, path: str) -> str | None:
        """Return what `path` equals in every match, so that the platform may be asked for just that.

        An enum's value comes without its prefix (`RUNNING`). None when the filter requires no single value.
        """
        return self._equalities.get(path)


EVERYTHING = Filter("")
"""What blank text parses to."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of a filter: its test, and the equalities that hold whenever it does."""

    test: Test
    equalities: Mapping[str, str] = field(default_factory=dict)


def _all_of(nodes: Sequence[_Node]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    # Of two values for one path either is right to push down: nothing can equal both.
    equalities = {path: value for node in reversed(nodes) for path, value in node.equalities.items()}
    tests = tuple(node.test for node in nodes)
    return _Node(lambda message: all(test(message) for test in tests), equalities)


def _any_of(nodes: Sequence[_Node]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    tests = tuple(node.test for node in nodes)
    return _Node(lambda message: any(test(message) for test in tests))


def _negated(test: Test) -> Test:
    return lambda message: not test(message)


@dataclass(frozen=True, slots=True)
class _Target:
    """The left side of a comparison: the way to a field, and the key when that is a map's entry."""

    path: str
    steps: Sequence[Fd]
    field: Fd
    key: str | None = None

    @property
    def is_whole_map(self) -> bool:
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

    def reach(self, test: Test, key: str | None = None) -> Test:
        """Return the predicate over a whole resource that applies `test` to what this names."""
        test = _into(self.field, self.key if key is None else key, test)
        for step in reversed(self.steps):
            test = _into(step, None, test)
        return test

    def is_set(self) -> Test:
        """Return the predicate of AIP-160's `:*`: present, and not a default where presence is not kept."""
        is_plain = self.key is None and not self.field.is_repeated and not self.field.has_presence
        return self.reach(bool if is_plain else _always)


def _into(step: Fd, key: str | None, test: Test) -> Test:
    """Turn a test of a field's value into a test of the message around it."""
    get, name = operator.attrgetter(step.name), step.name
    if key is not None:
        return lambda message: key in (entries := get(message)) and test(entries[key])
    if step.is_repeated:
        return lambda message: any(map(test, get(message)))
    if step.has_presence:
        return lambda message: message.HasField(name) and test(get(message))
    return lambda message: test(get(message))


class _Parser:
    """A recursive descent over one filter text; `_at` stands behind what was read and the blanks after it."""

    def __init__(self, text: str, resource: Descriptor) -> None:
        self._text, self._resource = text, resource
        self._at = self._depth = 0

    def parse(self) -> _Node:
        if len(self._text) > MAX_CHARS:
            raise self._malformed(f"it is longer than {MAX_CHARS} characters", MAX_CHARS)
        self._take(_BLANKS)
        node = self._expression()
        if self._at < len(self._text):
            raise self._malformed("this ) closes nothing")
        return node

    def _expression(self) -> _Node:
        """Read `a OR b AND c`; factors without AND between them must hold as well."""
        nodes = [self._factor()]
        while self._at < len(self._text) and self._text[self._at] != ")":
            self._take(_AND)
            nodes.append(self._factor())
        return _all_of(nodes)

    def _factor(self) -> _Node:
        nodes = [self._term()]
        while self._take(_OR):
            nodes.append(self._term())
        return _any_of(nodes)

    def _term(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._malformed(f"it is nested deeper than {MAX_DEPTH} levels")
        if self._take(_NOT) or self._take(_MINUS):
            node = _Node(_negated(self._term().test))
        elif self._take(_OPEN):
            node = self._expression()
            if not self._take(_CLOSE):
                raise self._malformed("a ( is not closed")
        else:
            node = self._restriction()
        self._depth -= 1
        return node

    def _restriction(self) -> _Node:
        at, path = self._at, self._path()
        comparator = self._take(_COMPARATOR)
        if not comparator:
            raise self._malformed(_without_comparison(".".join(path)), at)
        target = self._resolve(path, at)
        token = self._take(_VALUE)
        if not token:
            raise self._malformed(
                f"{target.path} {comparator} needs a value; quote one that is empty or has signs in it"
            )
        return self._compare(target, comparator, Literal.of(token), at)

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

    def _resolve(self, path: Sequence[str], at: int) -> _Target:
        """Follow a path through the resource's messages; what follows a map's field is the key, dots and all."""
        message, steps = self._resource, list[Fd]()
        for index, segment in enumerate(path[:-1]):
            fd = self._field(message, segment, path[:index], at)
            if is_map(fd):
                return _Target(".".join(path), steps, fd, ".".join(path[index + 1 :]))
            if fd.message_type is None or is_time(fd):
                raise self._malformed(f"{segment} has no fields of its own; compare {segment} itself", at)
            steps.append(fd)
            message = fd.message_type
        return _Target(".".join(path), steps, self._field(message, path[-1], path[:-1], at))

    def _field(self, message: Descriptor, segment: str, parents: Iterable[str], at: int) -> Fd:
        fields = filterable(message)
        if segment in fields:
            return fields[segment]
        owner = ".".join([self._resource.name, *parents])
        text = f"the filter names {shown(segment)} at position {at + 1}; {owner} can be filtered by {', '.join(fields)}"
        raise InvalidRequest(text, reason="UNKNOWN_FILTER_FIELD", violations=[Violation("filter", text)])

    def _compare(self, target: _Target, comparator: str, literal: Literal, at: int) -> _Node:
        if wrong := _misfit(target, comparator, literal):
            raise self._malformed(wrong, at)
        if comparator == ":" and literal.is_star:
            return _Node(target.is_set())
        if target.is_whole_map:
            return _Node(target.reach(_always, literal.text))
        contains = target.key is None and not target.is_in_list
        try:
            test, only = value_test(target.value_field, comparator, literal, contains=contains)
        except ValueError as error:
            raise self._malformed(f"{target.path} {error}", at) from error
        reached = target.reach(test)
        if comparator == "!=":
            return _Node(_negated(reached))
        return _Node(reached, {target.path: only} if comparator == "=" and only is not None else {})

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


def _misfit(target: _Target, comparator: str, literal: Literal) -> str:
    """Say what to write instead of a comparison that the field's shape can't have; empty when it can."""
    path = target.path
    is_presence = comparator == ":" and literal.is_star
    if target.is_whole_map and comparator != ":":
        return f"{path} is a map: write {path}.key = value, or {path}:key for having the key"
    if target.is_message and not is_presence:
        inner = ", ".join(f"{path}.{name}" for name in filterable(target.value_field.message_type))
        return f"{path} is a message: compare a field of it ({inner}), or write {path}:* for being set"
    if target.is_in_list and comparator != ":":
        return f"{path} is a list: write {path}:value for holding the value"
    return ""


def _without_comparison(word: str) -> str:
    """Say what to write instead of a word that compares nothing."""
    if word.upper() in ("AND", "OR", "NOT"):
        return f"{word} needs a comparison on each side and capitals: a = 1 {word.upper()} b = 2"
    quoted = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown(word)} is compared with nothing; write a field before it, as in display_name:{quoted[:80]}"
