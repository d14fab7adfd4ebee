"""The query API: conditions with all operators, paging with its silent limit, sorting, counts, chosen fields.

`Queries` serves every `Query*` call by the tables; which fields an inventory has comes from the reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cloudspan_zstack_fake.api import stamps
from cloudspan_zstack_fake.api.relations import plain_value, relations
from cloudspan_zstack_fake.wire import BadRequest, Call, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.store import Store

    Test = Callable[[Json], bool]

_DEFAULT_LIMIT = 1000
_OPERATORS = ("!=", ">=", "<=", "!?=", "!~=", "~=", "?=", "=", ">", "<", "is null", "not null")
"""In the order in which the server looks for them, anywhere in the condition."""
_JAVA_PACKAGE = "org.zstack.header"
_NO_TOTAL = ("NetworkServiceProviderInventory",)
"""Inventories that the server does not count, whatever is asked."""
_RUNTIME = "org.zstack.header.exception.CloudRuntimeException"


class Queries:
    """Answers queries for inventories."""

    def __init__(self, store: Store, views: Views, inventories: Mapping[str, Mapping[str, str]]) -> None:
        self._store, self._views, self._inventories = store, views, inventories
        self._relations = relations(store)

    def answer(self, call: Call, inventory: str, rows: Iterable[Json]) -> Json:
        """Return what a query call answers of these rows; a uuid in the path makes a list of one, or of none."""
        if call.path_params:
            wanted = call.uuid()
            return self._page([row for row in rows if row["uuid"] == wanted], inventory, ())
        params = call.params
        _check_paging(params)
        tests = [self._test(inventory, condition) for condition in params.get("q", ())]
        found = [row for row in rows if all(test(row) for test in tests)]
        told = {} if inventory in _NO_TOTAL else {"total": len(found)}
        if params.get("count"):
            return {"schema": {}, **told}
        ordered = self._ordered(found, inventory, params.get("sort", ""))
        start, limit = params.get("start", 0), params.get("limit", _DEFAULT_LIMIT)
        fields = tuple(name for name in params.get("fields", "").split(",") if name)
        answer = self._page(ordered[start : start + limit], inventory, fields)
        return answer | (told if params.get("replyWithCount") else {})

    def _page(self, rows: list[Json], inventory: str, fields: tuple[str, ...]) -> Json:
        shown = [self._views.show(inventory, row) for row in rows]
        for field in fields:
            if field not in self._inventories[inventory]:
                raise Failure("SYS.1000", f"{_RUNTIME}: inventory[${{selfInventoryClass}}] has no field[{field}]")
        if fields:
            shown = [{name: row[name] for name in fields if name in row} for row in shown]
        kinds = (self._views.kind(inventory, row) for row in rows)
        schema = {f"inventories[{place}]": f"{_JAVA_PACKAGE}.{kind}" for place, kind in enumerate(kinds)}
        return {"inventories": shown, "schema": schema}

    def _ordered(self, rows: list[Json], inventory: str, sort: str) -> list[Json]:
        # Without a sort the database answers by its primary key: random uuids, so new rows shift the pages.
        by_key = sorted(rows, key=lambda row: str(row["uuid"]))
        if not sort:
            return by_key
        field = sort.lstrip("+- ")
        if field not in self._inventories[inventory]:
            text = f"invalid order by clause, inventory[{inventory}] doesnt have field[{{1}}]"
            raise Failure("SYS.1000", f"org.zstack.zql.ast.visitors.ZQLError: {text}")
        present = [row for row in by_key if row.get(field) is not None]
        absent = [row for row in by_key if row.get(field) is None]
        present.sort(key=lambda row: row[field], reverse=sort.startswith("-"))
        return present + absent if sort.startswith("-") else absent + present

    def _field_type(self, inventory: str, field: str) -> str:
        known = self._inventories[inventory].get(field)
        if known is None:
            raise _unknown(inventory, field)
        return known

    def _test(self, inventory: str, condition: str) -> Test:
        operator = next((op for op in _OPERATORS if op in condition), None)
        if operator is None:
            what = f"The '{condition}' in the parameter[q] doesn't contain any query operator"
            raise BadRequest(f"Invalid query parameter. {what}. Valid query operators are [[{', '.join(_OPERATORS)}]]")
        _check_text(condition)
        field, _, value = condition.partition(operator)
        field = field.strip()
        if field in ("__systemTag__", "__userTag__"):
            return self._tag_test(field, operator, value)
        values, kind = self._reach(inventory, field)
        if operator in ("is null", "not null"):
            return lambda row: bool(values(row)) is (operator == "not null")
        matches = self._comparison(operator, value, kind, field)
        # As in SQL, null meets no comparison, not even `!=`.
        return lambda row: any(matches(one) for one in values(row))

    def _tag_test(self, field: str, operator: str, value: str) -> Test:
        table = self._store.system_tags if field == "__systemTag__" else self._store.user_tags
        matches = self._comparison(operator, value, "string", field)
        return lambda row: any(matches(one) for one in self._store.tags(row["uuid"], table))

    def _reach(self, inventory: str, field: str) -> tuple[Callable[[Json], list[Any]], str]:
        """Return how to come from a row to the values of a field, over relations, and the field's type."""
        head, _, tail = field.partition(".")
        if not tail:
            return (lambda row: plain_value(row, field)), self._field_type(inventory, field)
        if head not in self._relations.get(inventory, {}):
            raise _unknown(inventory, field)
        target, follow = self._relations[inventory][head]
        beyond, kind = self._reach(target, tail)
        return (lambda row: [value for child in follow(row) for value in beyond(child)]), kind

    def _comparison(self, operator: str, value: str, kind: str, field: str) -> Callable[[Any], bool]:
        if operator in ("~=", "!~="):
            pattern = re.compile(_like(value), re.IGNORECASE | re.DOTALL)
            wanted = operator == "~="
            return lambda one: (pattern.fullmatch(str(one)) is not None) is wanted
        try:
            if operator in ("?=", "!?="):
                choices = {self._operand(part, kind) for part in value.split(",")}
                wanted = operator == "?="
                return lambda one: (_comparable(one) in choices) is wanted
            operand = self._operand(value, kind)
        except ValueError:
            raise Failure("SYS.1007", f"field[{field}] is a {kind}, it can't be compared with {value!r}") from None
        return _ORDER[operator](operand)

    def _operand(self, value: str, kind: str) -> Any:
        if kind in ("int", "long"):
            return int(value)
        if kind == "timestamp":
            return stamps.parse_condition(value, self._store.settings.utc_offset_s)
        # The database compares text without regard to case (utf8_general_ci), booleans by their words.
        return value.casefold()


def _check_text(condition: str) -> None:
    """Fail on the characters that the server's parser or its database does not get over."""
    if "'" in condition:
        text = f"java.lang.StringIndexOutOfBoundsException: String index out of range: {len(condition)}"
        raise Failure("SYS.1000", text)
    if max(condition) > "\uffff":
        text = "org.hibernate.exception.GenericJDBCException: could not extract ResultSet"
        raise Failure("SYS.1000", f"javax.persistence.PersistenceException: {text}")


def _check_paging(params: Json) -> None:
    if params.get("filterName"):
        raise Failure("SYS.1007", "filterName must be formatted as [filterType:condition(s)]")
    for name, word in (("limit", "max-results"), ("start", "first-result")):
        if params.get(name, 0) < 0:
            raise Failure("SYS.1000", f"java.lang.IllegalArgumentException: {word} cannot be negative")


def _unknown(inventory: str, field: str) -> Failure:
    what = f"inventory class[class {_JAVA_PACKAGE}.{inventory}] not having field[{field}]"
    return Failure("SYS.1000", f"{_RUNTIME}: {what}")


def _comparable(one: Any) -> Any:
    return str(one).casefold() if isinstance(one, (str, bool)) else one


def _like(value: str) -> str:
    return "".join(".*" if char == "%" else "." if char == "_" else re.escape(char) for char in value)


_ORDER: dict[str, Callable[[Any], Callable[[Any], bool]]] = {
    "=": lambda operand: lambda one: bool(_comparable(one) == operand),
    "!=": lambda operand: lambda one: bool(_comparable(one) != operand),
    ">": lambda operand: lambda one: bool(_comparable(one) > operand),
    "<": lambda operand: lambda one: bool(_comparable(one) < operand),
    ">=": lambda operand: lambda one: bool(_comparable(one) >= operand),
    "<=": lambda operand: lambda one: bool(_comparable(one) <= operand),
}
