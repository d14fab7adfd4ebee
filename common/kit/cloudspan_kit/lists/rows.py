"""Rows as clouds really send them: decoded strictly where they are as documented, leniently where they are not.

Sources decode a page whole, which is fast. Only when that fails they call `read_rows`, which reads each row alone, so
that one odd row never hides the others:

* null for a list or map is an empty one, null for a number or text is absent, unless the field is needed;
* a number as text or as a whole float is that number, a number as text is its digits;
* a number beyond 64 bits, or a time that is none, is absent, and its field is named;
* a row that still can't be read is left out, and its id and field are named;
* a struct that forbids unknown fields gets those that have a value in its field `OTHERS`.

What is named goes through `Rows.unread` into the list's `cluster_status`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Hashable

R = TypeVar("R")

OTHERS = "*"
"""Name in documents of the field that takes what else a row holds: `msgspec.field(name=OTHERS, default_factory=dict)`
in a struct with `forbid_unknown_fields`. For rows of which nothing may be overlooked, such as what restricts a rule."""

MAX_INT, MIN_INT = (1 << 63) - 1, -(1 << 63)


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """Rows in the platform's order; what could not be read of them is named in `unread`."""

    rows: Sequence[R]
    documents: Sequence[Mapping[str, Any]] = ()
    """The rows as the platform tells them, one for each, where those are wanted (view FULL)."""
    unread: Sequence[str] = ()
    """Rows that were left out, and fields that are absent, for a person: `3f2 (size: 1e400 is too large)`."""
    kept: Sequence[int] | None = None
    """Which of the platform's rows these are, where some were left out."""


class Unreadable(Exception):
    """A field whose value can't be read."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)


def read_rows(documents: Sequence[object], into: type[R], identify: str, *, full: bool = False) -> Rows[R]:
    """Return what can be read of a page's rows; `identify` is the field of their ids, to name odd ones by."""
    rows: list[R] = []
    kept: list[int] = []
    unread: list[str] = []
    for index, document in enumerate(documents):
        name = _name(document, identify, index)
        notes: list[str] = []
        try:
            _check_id(document, identify)
            rows.append(read_row(document, into, notes))
        except Unreadable as error:
            unread.append(f"{name} was left out ({error})")
            continue
        kept.append(index)
        if notes:
            unread.append(f"{name} ({'; '.join(notes)})")
    documents_kept = [d for index in kept if isinstance(d := documents[index], Mapping)] if full else []
    return Rows(rows, documents_kept, unread, kept)


def read_row(document: object, into: type[R], notes: list[str]) -> R:
    """Return one row; what is absent since it could not be read is added to `notes`.

    Raises:
        Unreadable: With the field that it fails for.
    """
    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError:
        return read_leniently(document, into, notes)


def read_leniently(document: object, into: type[R], notes: list[str]) -> R:
    """Return one row, as `read_row` does where a document is not as documented."""
    cleaned = _Reader(notes).read(document, _type_of(cast("Hashable", into)), "")
    try:
        return msgspec.convert(cleaned, into)
    except msgspec.ValidationError as error:
        raise Unreadable("", str(error)) from error


def _check_id(document: object, identify: str) -> None:
    if isinstance(document, Mapping) and document.get(identify) == "":
        raise Unreadable(identify, "is empty")


def _name(document: object, identify: str, index: int) -> str:
    found = document.get(identify) if isinstance(document, Mapping) else None
    return found if isinstance(found, str) and found else f"row {index + 1} of a page"


@functools.cache
def _type_of(into: Hashable) -> inspect.Type:
    return inspect.type_info(into)


def _others(document: Mapping[Any, object], read: Mapping[str, object], kind: inspect.StructType) -> dict[str, object]:
    """Return the fields with a value that a struct does not know."""
    if OTHERS in read:  # it was read before
        return cast("dict[str, object]", read[OTHERS])
    known = {field.encode_name for field in kind.fields}
    found = {str(name): value for name, value in document.items() if name not in known}
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


_ABSENT = object()
_NO, _YES = ("false", "0", "no", "off"), ("true", "1", "yes", "on")


class _Reader:
    """Turns one document into what its struct takes."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def read(self, value: object, kind: inspect.Type, path: str) -> object:  # noqa: C901, PLR0911 - a case each
        """Return the value as `kind`, or `_ABSENT`.

        Raises:
            Unreadable: It is of another kind.
        """
        match kind:
            case inspect.UnionType(types=types):
                return self._union(value, types, path)
            case inspect.StructType():
                return self._struct(value, kind, path)
            case inspect.ListType(item_type=item) | inspect.CollectionType(item_type=item):
                return self._list(value, item, path)
            case inspect.DictType(value_type=item):
                return self._map(value, item, path)
            case inspect.IntType():
                return self._int(value, path)
            case inspect.FloatType():
                return self._float(value, path)
            case inspect.BoolType():
                return _bool(value, path)
            case inspect.StrType():
                return _text(value, path)
            case inspect.DateTimeType():
                return self._time(value, path)
            case inspect.LiteralType(values=words):
                return _word(value, words, path)
            case _:
                return value

    def _struct(self, value: object, kind: inspect.StructType, path: str) -> object:
        if value is None and path:
            return _ABSENT
        if not isinstance(value, Mapping):
            raise Unreadable(path, f"{_shown(value)} is not an object")
        read: dict[str, object] = {}
        for field in kind.fields:
            where = f"{path}.{field.encode_name}" if path else field.encode_name
            found = _ABSENT
            if field.encode_name in value:
                found = self.read(value[field.encode_name], field.type, where)
            if found is _ABSENT and field.required:
                found = _empty(field.type)
                if found is _ABSENT:
                    raise Unreadable(where, "is needed and has no value")
            if found is not _ABSENT:
                read[field.encode_name] = found
        if kind.cls.__struct_config__.forbid_unknown_fields:
            read[OTHERS] = _others(value, read, kind)
        return read

    def _list(self, value: object, item: inspect.Type, path: str) -> object:
        if value is None or value == "":
            return []
        if not isinstance(value, list | tuple):
            raise Unreadable(path, f"{_shown(value)} is not a list")
        read = (self.read(part, item, f"{path}[{i}]") for i, part in enumerate(value) if part is not None)
        return [part for part in read if part is not _ABSENT]

    def _map(self, value: object, item: inspect.Type, path: str) -> object:
        if value is None or value == "":
            return {}
        if not isinstance(value, Mapping):
            raise Unreadable(path, f"{_shown(value)} is not a map")
        read = {str(key): self.read(part, item, f"{path}.{key}") for key, part in value.items()}
        return {key: part for key, part in read.items() if part is not _ABSENT}

    def _union(self, value: object, types: Sequence[inspect.Type], path: str) -> object:
        if value is None:
            return None if any(isinstance(kind, inspect.NoneType) for kind in types) else _ABSENT
        failed: Unreadable | None = None
        left: list[str] | None = None
        # What the value is already comes first: of `str | bool` a bool stays one. What can't be kept as that may be
        # kept as the next: of `int | str` a number that is too large is its digits.
        for kind in sorted(types, key=lambda kind: not _is(value, kind)):
            if isinstance(kind, inspect.NoneType):
                continue
            before = len(self._notes)
            try:
                read = self.read(value, kind, path)
            except Unreadable as error:
                failed = failed or error
                continue
            if read is not _ABSENT:
                return read
            left, self._notes[before:] = self._notes[before:], []
        if left is not None:
            self._notes += left
            return _ABSENT
        raise failed or Unreadable(path, f"{_shown(value)} can't be read")

    def _int(self, value: object, path: str) -> object:
        number = _number(value, path)
        if number is _ABSENT:
            return _ABSENT
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, float) and MIN_INT <= number <= MAX_INT:
            raise Unreadable(path, f"{_shown(value)} is not a whole number")
        if not isinstance(number, int) or not MIN_INT <= number <= MAX_INT:
            return self._leave(path, f"{_shown(value)} is too large")
        return number

    def _float(self, value: object, path: str) -> object:
        number = _number(value, path)
        try:
            return number if number is _ABSENT else float(number)  # type: ignore[arg-type] # int or float
        except OverflowError:
            return self._leave(path, f"{_shown(value)} is too large")

    def _time(self, value: object, path: str) -> object:
        if value is None or value == "":
            return _ABSENT
        try:
            return msgspec.convert(value, datetime, strict=False)
        except msgspec.ValidationError:
            return self._leave(path, f"{_shown(value)} is not a time")

    def _leave(self, path: str, why: str) -> object:
        self._notes.append(f"{path}: {why}")
        return _ABSENT


def _number(value: object, path: str) -> object:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            pass
    raise Unreadable(path, f"{_shown(value)} is not a number")


def _bool(value: object, path: str) -> object:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | str):
        word = str(value).lower()
        if word in _YES or word in _NO:
            return word in _YES
    raise Unreadable(path, f"{_shown(value)} is not true or false")


def _text(value: object, path: str) -> object:
    if value is None:
        return _ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Unreadable(path, f"{_shown(value)} is not text")


def _word(value: object, words: Sequence[object], path: str) -> object:
    if value not in words:
        raise Unreadable(path, f"{_shown(value)} is none of {', '.join(map(repr, words))}")
    return value


def _is(value: object, kind: inspect.Type) -> bool:  # noqa: PLR0911 - a case each
    match kind:
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, float)
        case inspect.ListType():
            return isinstance(value, list)
        case inspect.DictType() | inspect.StructType():
            return isinstance(value, Mapping)
        case _:
            return False


def _empty(kind: inspect.Type) -> object:
    """What a needed field holds when the cloud sends null, or leaves it out: nothing can be made up for a text."""
    match kind:
        case inspect.ListType() | inspect.CollectionType():
            return []
        case inspect.DictType():
            return {}
        case inspect.IntType() | inspect.FloatType():
            return 0
        case inspect.BoolType():
            return False
        case _:
            return _ABSENT


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
