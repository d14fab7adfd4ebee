"""The right side of a filter's comparison: its literal, and the test it makes of a field's value.

Only `filters` uses it. What does not fit the field is a ValueError whose text goes on after the field's name.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor as Fd
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor

Test = Callable[[Any], bool]

_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_INTEGERS = frozenset({Fd.CPPTYPE_INT32, Fd.CPPTYPE_INT64, Fd.CPPTYPE_UINT32, Fd.CPPTYPE_UINT64})
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_WELL_KNOWN = "google.protobuf."

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FINAL_STAR = re.compile(r"(?<!\\)(?:\\\\)*\*$")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written: its text without quotes and escapes, and at which ends a star is a wildcard."""

    text: str
    starts_open: bool = False
    ends_open: bool = False

    @classmethod
    def of(cls, token: str) -> Literal:
        """Return the literal of a token; an escaped star is only a star."""
        raw = token[1:-1] if token[0] in "\"'" else token
        return cls(unquoted(token), raw.startswith("*"), _FINAL_STAR.search(raw) is not None)

    @property
    def is_star(self) -> bool:
        """Whether it is nothing but a wildcard."""
        return self.text == "*" and self.starts_open

    @property
    def is_exact(self) -> bool:
        """Whether it holds no wildcard."""
        return not (self.starts_open or self.ends_open)

    @property
    def core(self) -> str:
        """The text without its wildcards."""
        return "" if self.is_star else self.text[self.starts_open : len(self.text) - self.ends_open]


def unquoted(token: str) -> str:
    """Return what a quoted token says; another token as it is."""
    return _ESCAPE.sub(r"\1", token[1:-1]) if token[0] in "\"'" else token


def is_map(fd: Fd) -> bool:
    """Whether a field is a map."""
    return fd.message_type is not None and bool(fd.message_type.GetOptions().map_entry)


def is_time(fd: Fd) -> bool:
    """Whether a field is a Timestamp."""
    return fd.message_type is not None and fd.message_type.full_name == _TIMESTAMP


@functools.cache
def filterable(descriptor: Descriptor) -> Mapping[str, Fd]:
    """The fields that a filter may name, by name.

    Not those that no answer ever holds (INPUT_ONLY, secrets among them), nor the platform's own document: it is there
    under view FULL only, so that a filter on it would find nothing and not say why.
    """
    return {fd.name: fd for fd in descriptor.fields if not _is_hidden(fd)}


def _is_hidden(fd: Fd) -> bool:
    behaviour = fd.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    if field_behavior_pb2.INPUT_ONLY in behaviour or fd.type == Fd.TYPE_BYTES:
        return True
    return fd.message_type is not None and fd.message_type.full_name.startswith(_WELL_KNOWN) and not is_time(fd)


def value_test(fd: Fd, comparator: str, literal: Literal, *, contains: bool) -> tuple[Test, str | None]:
    """Return the test of one value of `fd`, and the value that it requires if that is a single one.

    `!=` makes the test of `=`: only the whole way to the value can be negated.

    Args:
        fd: The field, or the value field of a map's entry.
        comparator: One of `= != < <= > >= :`.
        literal: The value as written.
        contains: Whether `:` means "contains" for text; elsewhere it means "equals".

    Raises:
        ValueError: The literal is none of the field's type, or the type has no such comparison.
    """
    if fd.cpp_type == Fd.CPPTYPE_STRING:
        return _text_test(comparator, literal, contains=contains)
    if fd.cpp_type in (Fd.CPPTYPE_BOOL, Fd.CPPTYPE_ENUM) and comparator in _ORDERED:
        raise ValueError(f"has no order; {comparator} can't compare it, = and != can")
    if fd.cpp_type == Fd.CPPTYPE_BOOL:
        return _equals(_bool_of(literal.text)), literal.text
    if fd.enum_type is not None:
        number, short = _enum_of(literal.text, fd.enum_type)
        return _equals(number), short
    if is_time(fd):
        return _time_test(comparator, literal.text), literal.text
    wanted = _integer_of(literal.text) if fd.cpp_type in _INTEGERS else _float_of(literal.text)
    return _compares(comparator, wanted), str(wanted)


def _equals(wanted: Any) -> Test:
    return lambda value: bool(value == wanted)


def _compares(comparator: str, wanted: Any) -> Test:
    compare = _ORDERED.get(comparator)
    return _equals(wanted) if compare is None else lambda value: compare(value, wanted)


def _text_test(comparator: str, literal: Literal, *, contains: bool) -> tuple[Test, str | None]:
    if comparator in _ORDERED:
        return _compares(comparator, literal.text), None
    if comparator == ":" and contains:
        return _found_in_text(literal), None
    if literal.is_exact:
        return _equals(literal.text), literal.text
    return _open_ended(literal, literal.core), None


def _found_in_text(literal: Literal) -> Test:
    """Test whether text contains the literal whatever the case; with a wildcard, whether it starts or ends so."""
    core = literal.core.casefold()
    if literal.is_exact:
        return lambda value: core in value.casefold()
    anchored = _open_ended(literal, core)
    return lambda value: anchored(value.casefold())


def _open_ended(literal: Literal, core: str) -> Test:
    if literal.starts_open and literal.ends_open:
        return lambda value: core in value
    if literal.starts_open:
        return lambda value: bool(value.endswith(core))
    return lambda value: bool(value.startswith(core))


def _time_test(comparator: str, text: str) -> Test:
    compare = _compares(comparator, _nanos(_time_of(text)))
    return lambda value: compare(_nanos(value))


def _nanos(value: Timestamp) -> int:
    return value.seconds * 10**9 + value.nanos


def _time_of(text: str) -> Timestamp:
    time = Timestamp()
    wrong = f"is a time, and {shown(text)} is none in RFC 3339; write for example 2026-01-31T08:00:00Z"
    if not _TIME.fullmatch(text):
        raise ValueError(wrong)
    try:
        time.FromJsonString(text)
    except ValueError as error:
        raise ValueError(wrong) from error
    return time


def _integer_of(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"is a whole number, and {shown(text)} is none")
    return int(text)


def _float_of(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"is a number, and {shown(text)} is none")
    return float(text)


def _bool_of(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is true or false, and {shown(text)} is neither")
    return text == "true"


def _enum_of(text: str, enum: EnumDescriptor) -> tuple[int, str]:
    numbers = _enum_numbers(enum)
    number = numbers.get(text)
    if number is None:
        number = numbers.get(text.removeprefix(_enum_prefix(enum)))
    if number is None:
        raise ValueError(f"has no value {shown(text)}; it has {', '.join(numbers)}")
    return number, text.removeprefix(_enum_prefix(enum))


@functools.cache
def _enum_numbers(enum: EnumDescriptor) -> Mapping[str, int]:
    """Numbers by name without prefix."""
    return {value.name.removeprefix(_enum_prefix(enum)): value.number for value in enum.values}


def _enum_prefix(enum: EnumDescriptor) -> str:
    """`STATE_`: what every value's name starts with, read off the zero value `STATE_UNSPECIFIED`."""
    zero = enum.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED") if zero.endswith("_UNSPECIFIED") else ""


def shown(text: str) -> str:
    """Return `text` quoted for a message, cut to what is needed to recognise it."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
