"""Filters as SQL: a parsed filter becomes conditions on `resources`, two where SQL can't say it exactly.

`query` and `summary` call `condition`. What is kept in columns is at times cut, rounded or folded otherwise than Python
does, and many fields have no column: then `maybe` is true of every row that matches, `surely` of none that doesn't, and
`filter_match.predicate` decides about the rows between. NOT turns the two around, so that they hold at any depth.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import cast as type_cast

from sqlalchemy import ColumnElement, LargeBinary, and_, cast, exists, false, func, not_, or_, select, true

from cloudspan_common import projects
from cloudspan_common.listing.filter_ast import And, Comparison, Node, Not, Operator, Or
from cloudspan_common.listing.filter_values import EnumValue, Pattern, Time, is_time
from cloudspan_gateway.inventory.columns import (
    ADDRESSES,
    COLUMNS,
    LABELS,
    MAX_INTEGER,
    MAX_PATH_CHARS,
    MAX_TEXT_CHARS,
    MAX_VALUE_CHARS,
    NUL_AS,
    SIZES,
    address_paths,
    enum_names,
    kept_integer,
    kept_text,
    search_text,
    value_paths,
)
from cloudspan_gateway.storage.tables import resource_values, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
    from sqlalchemy import Select

    from cloudspan_common.listing.filter_ast import Filter
    from cloudspan_common.listing.filter_values import Value

    Bool = ColumnElement[bool]

# SQLite takes expressions of at most 1000 levels, and each AND is one: longer filters are left to the predicate.
_MAX_COMPARISONS = 100
_R, _V = resources.c, resource_values.c
_STORED_TEXTS = frozenset({"name", "collection", "cluster", "project", "display_name", "state", "zone", "flavor"})
_STORED_SIZES = frozenset({"vcpus", "memory_bytes", "disk_bytes"})
_INDEXED = frozenset({"name", "display_name", "state", "project"})

_STRICT: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.lt,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.gt,
}
_WEAK: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.LESS: operator.le,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.ge,
    Operator.AT_LEAST: operator.ge,
}
_EXACT: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: operator.eq,
    Operator.HOLDS: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What is known in SQL of the rows that match."""

    maybe: Bool
    """True of every row that matches."""
    surely: Bool
    """True of no row that does not match."""
    indexed: Sequence[Bool] = ()
    """Conditions that an index of `resources` finds, each true of every row that matches."""
    ids: Sequence[Select[Any]] = ()
    """Statements that find, by an index, the ids of every row that matches."""

    @property
    def is_exact(self) -> bool:
        """Whether SQL alone decides."""
        return self.maybe is self.surely

    @property
    def is_found(self) -> bool:
        """Whether an index finds the rows that match and no others."""
        return self is EVERY or (self.is_exact and any(self.maybe is one for one in self.indexed))

    @classmethod
    def exactly(cls, condition: Bool) -> Condition:
        """Return a condition that SQL says exactly."""
        return cls(condition, condition)


EVERY = Condition.exactly(true())
UNKNOWN = Condition(true(), false())
"""Of what SQL can say nothing."""


def condition(wanted: Filter, collection: str, *, shared: bool) -> Condition:
    """Return what SQL can say of the rows that `wanted` matches.

    Args:
        wanted: Parsed for the message of `collection`, or for StoredResource when that is empty.
        collection: The only one that is asked for; empty when the filter is over StoredResource.
        shared: Whether the database is PostgreSQL, else SQLite.
    """
    if wanted.root is None:
        return EVERY
    return (
        _Compiler(collection, shared=shared).condition(wanted.root)
        if _count(wanted.root) <= _MAX_COMPARISONS
        else UNKNOWN
    )


def names_field(wanted: Filter, field: str) -> bool:
    """Whether a filter compares that field of the resource."""
    return wanted.root is not None and any(node.path.text == field for node in _comparisons(wanted.root))


def _comparisons(node: Node) -> Sequence[Comparison]:
    match node:
        case Comparison():
            return (node,)
        case Not():
            return _comparisons(node.node)
        case And() | Or():
            return [found for part in node.nodes for found in _comparisons(part)]


def _count(node: Node) -> int:
    return len(_comparisons(node))


def contains(text: ColumnElement[str], part: str, *, shared: bool) -> Bool:
    """Return the condition that a text contains another, as it is written."""
    return (func.strpos if shared else func.instr)(text, part) > 0


class _Compiler:
    """One filter's way to SQL."""

    def __init__(self, collection: str, *, shared: bool) -> None:
        self._collection = collection
        self._shared = shared

    def condition(self, node: Node) -> Condition:
        match node:
            case And():
                parts = [self.condition(part) for part in node.nodes]
                return _joined(
                    and_, parts, [one for p in parts for one in p.indexed], [one for p in parts for one in p.ids]
                )
            case Or():
                return _joined(or_, [self.condition(part) for part in node.nodes])
            case Not():
                inner = self.condition(node.node)
                if inner.is_exact:
                    return Condition.exactly(not_(inner.maybe))
                return Condition(not_(inner.surely), not_(inner.maybe))
            case Comparison():
                return self._comparison(node)

    # -------------------------------------------------------------- where a field is kept

    def _comparison(self, node: Comparison) -> Condition:
        path = node.path
        is_single = not (path.steps or path.field.is_repeated)
        if path.field.name == LABELS and not path.steps:
            return self._label(node)
        if is_single and (found := self._column(path.field)) is not None:
            return self._in_column(node, *found)
        return UNKNOWN if path.key is not None else self._by_values(node)

    def _by_values(self, node: Comparison) -> Condition:
        path = node.path.text
        if not self._collection:
            return self._among_values(node, ADDRESSES) if path == ADDRESSES else UNKNOWN
        if path in value_paths(self._collection):
            return self._reference(node)
        return self._address(node) if path in address_paths(self._collection) else UNKNOWN

    def _column(self, field: FieldDescriptor) -> tuple[ColumnElement[Any], int] | None:
        """Return the column that holds a field, and what the field is multiplied with in it."""
        name = field.name
        if not self._collection:
            if name in _STORED_SIZES:
                return func.coalesce(_R[name], 0), 1
            return (_R[name], 1) if name in _STORED_TEXTS or name == "create_time" else None
        if name == "project" and self._collection in projects.OF_PROJECTS:
            return None  # the column is that of the resource's name
        if name in COLUMNS and (is_time(field) or not field.has_presence):
            return _R[name], 1
        sizes = SIZES.get(self._collection, {}).items()
        return next(((_R[column], factor) for column, (known, factor) in sizes if known == name), None)

    def _in_column(self, node: Comparison, column: ColumnElement[Any], factor: int) -> Condition:
        field, value = node.path.field, node.value
        if node.operator is Operator.IS_SET:
            return Condition.exactly(_is_set(column, field))
        match value:
            case Time():
                return _compared(column, node.operator, value.nanos / 1e9, is_kept=False)
            case EnumValue():
                text = enum_names(type_cast("EnumDescriptor", field.enum_type)).get(value.number, str(value.number))
                return _indexed(Condition.exactly(column == text), node)
            case int():
                number = value * factor
                return _compared(column, node.operator, kept_integer(number), is_kept=abs(number) < MAX_INTEGER)
            case _:
                also = contains(_R.search, search_text(_core(value)), shared=self._shared)
                found = self._text(column, node, MAX_TEXT_CHARS, also if field.name == "display_name" else true())
                return _indexed(found, node)

    def _label(self, node: Comparison) -> Condition:
        if node.path.key is None:
            if node.operator is Operator.IS_SET:
                return Condition.exactly(_has(_V.path >= f"{LABELS}.", _V.path < f"{LABELS}/"))
            return self._among_values(node, f"{LABELS}.{node.value}", any_value=True)
        return self._among_values(node, f"{LABELS}.{node.path.key}", any_value=node.operator is Operator.IS_SET)

    def _reference(self, node: Comparison) -> Condition:
        field, value, path = node.path.field, node.value, node.path.text
        if field.is_repeated:
            return self._among_values(node, path, any_value=node.operator is Operator.IS_SET)
        if node.operator is Operator.IS_SET:
            found = _has(_V.path == path)
            return Condition(true(), found) if field.has_presence else Condition.exactly(found)
        if node.operator in _STRICT:
            return UNKNOWN
        if _core(value):  # what is empty is not kept
            return self._among_values(node, path)
        is_plain = not node.path.steps and not field.has_presence
        if not is_plain:
            return UNKNOWN
        return EVERY if _matches_empty(node) else Condition.exactly(not_(_has(_V.path == path)))

    def _address(self, node: Comparison) -> Condition:
        """Addresses of all fields stand together: what is not among them is nowhere."""
        if node.operator in _STRICT or not _core(node.value):
            return UNKNOWN
        found = self._among_values(node, ADDRESSES)
        return Condition(found.maybe, false(), ids=found.ids)

    # -------------------------------------------------------------- what is compared

    def _among_values(self, node: Comparison, path: str, *, any_value: bool = False) -> Condition:
        """Return the condition that one of the values at `path` is as asked, or that there is any."""
        kept = kept_text(path, MAX_PATH_CHARS)
        test = EVERY if any_value or node.operator is Operator.IS_SET else self._text(_V.value, node, MAX_VALUE_CHARS)
        is_kept = len(path) < MAX_PATH_CHARS and NUL_AS not in kept
        maybe = _has(_V.path == kept, test.maybe)
        surely = maybe if test.is_exact else _has(_V.path == kept, test.surely)
        is_equal = isinstance(node.value, str) and node.operator in (Operator.EQUAL, Operator.HOLDS)
        ids = (select(_V.resource).where(_V.path == kept, test.maybe),) if is_equal and not any_value else ()
        return Condition(maybe, surely if is_kept else false(), ids=ids)

    def _text(self, text: ColumnElement[str], node: Comparison, limit: int, also: Bool = UNKNOWN.maybe) -> Condition:
        """Compare a text that was cut at `limit`; `also` holds of what contains the value in any case."""
        core = _core(node.value)
        folded = core.casefold() if node.operator is Operator.CONTAINS else core
        if len(folded) >= limit or "\0" in folded or NUL_AS in folded:
            return UNKNOWN
        if node.operator is not Operator.CONTAINS:
            if isinstance(node.value, Pattern):
                return self._pattern(text, node.value, core, func.length(text) >= limit)
            return _compared(text, node.operator, core, is_kept=True)
        if not folded and _matches_empty(node):
            return EVERY
        pattern = node.value if isinstance(node.value, Pattern) else Pattern(core, True, True)
        # Lower case alone is ASCII's, in both databases; a text beyond it may fold to anything.
        found = self._pattern(func.lower(text), pattern, folded, func.length(text) >= limit)
        size = func.octet_length(text) if self._shared else func.length(cast(text, LargeBinary))
        maybe = or_(found.maybe, and_(size > func.length(text), also))
        return Condition(maybe, found.surely if folded.casefold() == folded else false())

    def _pattern(self, text: ColumnElement[str], pattern: Pattern, core: str, is_cut: Bool) -> Condition:
        if not core:
            return EVERY
        if not pattern.starts_open:
            return Condition.exactly(func.substr(text, 1, len(core)) == core)
        if pattern.ends_open:
            found = contains(text, core, shared=self._shared)
            return Condition(or_(found, is_cut), found)
        size = func.length(text)
        found = and_(size >= len(core), func.substr(text, size - len(core) + 1) == core)
        return Condition(or_(found, is_cut), and_(found, not_(is_cut)))


def _indexed(found: Condition, node: Comparison) -> Condition:
    """Return a condition with what an index finds by it."""
    is_equality = node.operator in (Operator.EQUAL, Operator.HOLDS) and not isinstance(node.value, Pattern)
    is_found = is_equality and found.is_exact and node.path.field.name in _INDEXED
    return Condition(found.maybe, found.surely, (found.maybe,)) if is_found else found


def _joined(
    join: Callable[..., Bool], parts: Sequence[Condition], indexed: Sequence[Bool] = (), ids: Sequence[Select[Any]] = ()
) -> Condition:
    maybe = join(*(part.maybe for part in parts))
    surely = maybe if all(part.is_exact for part in parts) else join(*(part.surely for part in parts))
    return Condition(maybe, surely, indexed, ids)


def _is_set(column: ColumnElement[Any], field: FieldDescriptor) -> Bool:
    if field.has_presence:
        return column.is_not(None)
    is_text = field.cpp_type == field.CPPTYPE_STRING or field.enum_type is not None
    return column != ("" if is_text else 0)


def _compared(column: ColumnElement[Any], asked: Operator, bound: Any, *, is_kept: bool) -> Condition:
    """Compare a column; where others may be kept as `bound` is, what equals it is uncertain."""
    if is_kept:
        return Condition.exactly(_present(column, _EXACT[asked](column, bound)))
    if asked not in _WEAK:
        return Condition(_present(column, column == bound), false())
    weak, strict = _WEAK[asked](column, bound), _STRICT[asked](column, bound)
    return Condition(_present(column, weak), _present(column, strict))


def _present(column: ColumnElement[Any], comparison: Bool) -> Bool:
    """Keep a comparison from being NULL, whose NOT would be NULL too."""
    is_nullable = getattr(column, "nullable", False)
    return and_(column.is_not(None), comparison) if is_nullable else comparison


def _has(*tests: Bool) -> Bool:
    """Return the condition that a resource has a value of which all this is true."""
    return exists().where(_V.resource == _R.id, *tests).correlate(resources)


def _core(value: Value) -> str:
    return value.core if isinstance(value, Pattern) else str(value)


def _matches_empty(node: Comparison) -> bool:
    """Whether a comparison whose value is empty is true of the empty text because it is true of any."""
    return isinstance(node.value, Pattern) or node.operator is Operator.CONTAINS
