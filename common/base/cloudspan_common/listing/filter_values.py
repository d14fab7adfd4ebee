"""The right side of a filter's comparison: a literal as written, and the value that it is for a field's type.

Only `filter_ast` and `filter_match` use it. What does not fit the field is a ValueError whose text goes on after the
field's name.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor as Fd
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor, EnumDescriptor

_INTEGERS = frozenset({Fd.CPPTYPE_INT32, Fd.CPPTYPE_INT64, Fd.CPPTYPE_UINT32, Fd.CPPTYPE_UINT64})
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_WELL_KNOWN = "google.protobuf."

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FINAL_STAR = re.compile(r"(?<!\\)(?:\\\\)*\*$")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with a wildcard at one end or both."""

    core: str
    starts_open: bool
    ends_open: bool


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A value of an enum; its name without the enum's prefix."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Time:
    """A time as nanoseconds since 1970, and as it was written."""

    nanos: int
    text: str


Value = str | Pattern | bool | int | float | EnumValue | Time


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


def typed(fd: Fd, literal: Literal) -> Value:
    """Return `literal` as a value of `fd`'s type; `fd` is the field, or the value field of a map's entry.

    Raises:
        ValueError: The literal does not have the field's type.
    """
    if fd.cpp_type == Fd.CPPTYPE_STRING:
        return literal.text if literal.is_exact else Pattern(literal.core, literal.starts_open, literal.ends_open)
    if fd.cpp_type == Fd.CPPTYPE_BOOL:
        return _bool_of(literal.text)
    if fd.enum_type is not None:
        return _enum_of(literal.text, fd.enum_type)
    if is_time(fd):
        return _time_of(literal.text)
    return _integer_of(literal.text) if fd.cpp_type in _INTEGERS else _float_of(literal.text)


def has_order(fd: Fd) -> bool:
    """Whether values of a field are more or less than others."""
    return fd.cpp_type not in (Fd.CPPTYPE_BOOL, Fd.CPPTYPE_ENUM)


def written(value: Value) -> str | None:
    """Return a value as text for a platform's own filter, an enum's without its prefix; None for a pattern."""
    match value:
        case Pattern():
            return None
        case EnumValue():
            return value.name
        case Time():
            return value.text
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def nanos(time: Timestamp) -> int:
    """Return a time as nanoseconds since 1970."""
    return time.seconds * 10**9 + time.nanos


def _time_of(text: str) -> Time:
    time = Timestamp()
    wrong = f"is a time, and {shown(text)} is not in RFC 3339; write for example 2026-01-31T08:00:00Z"
    if not _TIME.fullmatch(text):
        raise ValueError(wrong)
    try:
        time.FromJsonString(text)
    except ValueError as error:
        raise ValueError(wrong) from error
    return Time(nanos(time), text)


def _integer_of(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"is a whole number, and {shown(text)} is not one")
    return int(text)


def _float_of(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"is a number, and {shown(text)} is not one")
    return float(text)


def _bool_of(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is true or false, and {shown(text)} is neither")
    return text == "true"


def _enum_of(text: str, enum: EnumDescriptor) -> EnumValue:
    numbers = _enum_numbers(enum)
    number = numbers.get(text)
    if number is None:
        number = numbers.get(text.removeprefix(_enum_prefix(enum)))
    if number is None:
        raise ValueError(f"has no value {shown(text)}; it has {', '.join(numbers)}")
    return EnumValue(text.removeprefix(_enum_prefix(enum)), number)


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
