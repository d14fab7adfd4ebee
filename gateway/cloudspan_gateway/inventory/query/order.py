"""The order of rows in the inventory, and the place in it where a page ends.

`query` sorts by `Order` and goes on behind a `Place`. Text goes by code point, whatever the database's own collation,
and what is not set comes before everything; the name decides in the end, so that every row has a place of its own.
"""

from __future__ import annotations

import functools
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import UnaryExpression, and_, false, or_, true
from sqlalchemy.sql.operators import custom_op

from cloudspan_common import projects
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_gateway.inventory.columns import COLUMNS, SIZES, message_of
from cloudspan_gateway.storage.tables import resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, ColumnElement

Value = str | int | float | None

_R = resources.c
_COMMON = (
    "name", "collection", "cluster", "display_name", "state", "project", "zone", "flavor", "create_time", "vcpus",
    "memory_bytes", "disk_bytes",
)  # fmt: skip
_MAX_CURSOR_CHARS = 16_384
_MAX_INTEGER = 2**63
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # what no database takes


@dataclass(frozen=True, slots=True)
class Key:
    """One column that rows are sorted by."""

    column: Column[Any]
    descending: bool = False

    def ordered(self, *, from_index: bool) -> ColumnElement[Any]:
        """Return the key as ORDER BY takes it."""
        column = self.column if from_index else unindexed(self.column)
        ordered = column.desc() if self.descending else column.asc()
        if not self.column.nullable:
            return ordered
        return ordered.nulls_last() if self.descending else ordered.nulls_first()

    def behind(self, value: Value) -> ColumnElement[bool]:
        """Return the condition that a row's value comes after one."""
        if value is None:
            return false() if self.descending else self.column.is_not(None)
        if not self.descending:
            return self.column > value
        return or_(self.column < value, self.column.is_(None)) if self.column.nullable else self.column < value

    def not_before(self, value: Value) -> ColumnElement[bool]:
        """Return the condition that a row's value is one, or comes after it."""
        if value is None:
            return self.same(value) if self.descending else true()
        if not self.descending:
            return self.column >= value
        return or_(self.column <= value, self.column.is_(None)) if self.column.nullable else self.column <= value

    def same(self, value: Value) -> ColumnElement[bool]:
        """Return the condition that a row has that value."""
        return self.column.is_(None) if value is None else self.column == value

    def admits(self, value: object) -> bool:
        """Whether a value may be one of the column's."""
        if value is None:
            return bool(self.column.nullable)
        if isinstance(value, str):
            return self.column.type.python_type is str and _UNWRITABLE.search(value) is None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or self.column.type.python_type is str:
            return False
        return -_MAX_INTEGER <= value < _MAX_INTEGER and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place: which rank of a search it is in, and the values of its keys."""

    rank: int
    values: tuple[Value, ...]

    @property
    def cursor(self) -> str:
        """The place as text; holds nothing but what the row's reader sees of it."""
        return json.dumps([self.rank, *self.values], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Order:
    """By what rows are sorted; the name is the last key."""

    keys: tuple[Key, ...]

    @classmethod
    def of(cls, order_by: Sequence[tuple[str, bool]], collection: str) -> Order:
        """Return the order by fields of a collection's resources, or of StoredResource when that is empty.

        Raises:
            InvalidRequest: UNSORTABLE_IN_INVENTORY, with the fields that it sorts by.
        """
        columns = sortable(collection)
        keys: list[Key] = []
        for field, descending in order_by:
            if field not in columns:
                text = f"order_by names {field[:80]!r}; the inventory sorts these by: {', '.join(columns)}"
                raise InvalidRequest(text, reason="UNSORTABLE_IN_INVENTORY", violations=[Violation("order_by", text)])
            if all(key.column is not columns[field] for key in keys):
                keys.append(Key(columns[field], descending))
            if columns[field] is _R.name:
                return cls(tuple(keys))
        return cls((*keys, Key(_R.name)))

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns of a place."""
        return tuple(key.column for key in self.keys)

    def sorted(self, *, from_index: bool = True) -> list[ColumnElement[Any]]:
        """Return what ORDER BY takes; not `from_index` where SQLite should sort what it finds otherwise."""
        return [key.ordered(from_index=from_index) for key in self.keys]

    def start(self, rank: int) -> Place:
        """Return the place before all rows of a rank."""
        return Place(rank, ())

    def behind(self, values: Sequence[Value], *, or_at: bool = False) -> ColumnElement[bool]:
        """Return the condition that a row comes after a place, or has it."""
        (key, value), *rest = zip(self.keys, values, strict=True)
        if not rest:
            return key.not_before(value) if or_at else key.behind(value)
        inner = Order(self.keys[1:]).behind(values[1:], or_at=or_at)
        # The first part says nothing more, but an index can start from it, as it can't from an OR.
        return and_(key.not_before(value), or_(key.behind(value), and_(key.same(value), inner)))

    def up_to(self, values: Sequence[Value]) -> ColumnElement[bool]:
        """Return the condition that a row comes before a place, or has it."""
        return Order(tuple(Key(key.column, not key.descending) for key in self.keys)).behind(values, or_at=True)

    def place(self, cursor: str) -> Place | None:
        """Return the place that a cursor stands for; None at the start.

        Raises:
            InvalidRequest: PAGE_TOKEN_MALFORMED.
        """
        if not cursor:
            return None
        if len(cursor) > _MAX_CURSOR_CHARS:
            _malformed()
        try:
            found = json.loads(cursor)
        except (ValueError, RecursionError):
            _malformed()
        if not isinstance(found, list) or len(found) not in (1, 1 + len(self.keys)):
            _malformed()
        rank, *values = found
        if type(rank) is not int or not 0 <= rank <= 9:
            _malformed()
        if values and not all(key.admits(value) for key, value in zip(self.keys, values, strict=True)):
            _malformed()
        return Place(rank, tuple(values))


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column that SQLite looks for in no index: with its unary plus, which does nothing else."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


@functools.cache
def sortable(collection: str) -> Mapping[str, Column[Any]]:
    """Return the columns by the fields that rows can be sorted by: of a collection, or those that all have."""
    if not collection:
        return {name: _R[name] for name in _COMMON}
    fields = message_of(collection).DESCRIPTOR.fields_by_name
    left_out = {"project"} if collection in projects.OF_PROJECTS else set()
    own = {name: _R[name] for name in COLUMNS if name in fields and name not in left_out}
    return own | {field: _R[column] for column, (field, _) in SIZES.get(collection, {}).items()}


def _malformed() -> NoReturn:
    text = "invalid page_token; send next_page_token exactly as it came, or leave it out to start again"
    raise InvalidRequest(text, reason="PAGE_TOKEN_MALFORMED", violations=[Violation("page_token", text)])
