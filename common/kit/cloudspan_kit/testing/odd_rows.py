"""The proof that one odd row hides no others: every field of a row null, empty, of another type, too large and dropped.

A number that no field holds costs its value alone: the row is shown without it.

An adapter's test names, for each list, the answers that it is made of (`Answers`), and calls `check_odd_rows`. The
answers come from the adapter's fake cloud over a real socket and are changed on their way in: of three rows the second
is odd.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_kit.cluster import Call
from cloudspan_kit.lists.fill import list_page
from cloudspan_kit.serve.capabilities import Abilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudspan_kit.cluster import Cluster
    from cloudspan_kit.http.transport import Answer, HttpTransport

_DROPPED = object()
_VALUES: tuple[object, ...] = (None, "", 7, "7", {"odd": [1]}, ["odd"], True, 1.5, _DROPPED)
# What is beyond the fields of the contract, of 64 bits, of the platform's documents, and of all of them.
_NUMBERS: tuple[object, ...] = (1 << 31, 1 << 32, 1 << 63, 1 << 64, -1, 1e30)
_HUGE: tuple[object, ...] = (1 << 70, 1e300)


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that a list reads: those of a path, their rows, and what a row is decoded into."""

    path: str
    """What the request's path contains: `/volumes/detail`."""
    key: str
    """Where the rows stand: `volumes`."""
    row: type[Any]
    identify: str = "id"
    within: str = ""
    """What each row stands in: `keypair`."""
    shown: bool = True
    """Whether these are the rows that the list shows; else they are read beside."""


class _Tap:
    """Changes the answers that come in on a wire."""

    def __init__(self, wire: HttpTransport, answers: Answers) -> None:
        self._wire, self._answers, self._exchange = wire, answers, wire.exchange
        self.odd: Mapping[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self._came: dict[str, Answer] = {}
        wire.exchange = self.exchange  # type: ignore[method-assign] # between the socket and the session

    def close(self) -> None:
        self._wire.exchange = self._exchange  # type: ignore[method-assign]

    async def exchange(self, asked: Any, url: Any, headers: Any, body: Any, *, timeout_s: float) -> Answer:
        # Thousands of lists of a cloud that doesn't change: what it says to one it would say to all.
        key = f"{asked.method} {url} {body!r}"
        if (answer := self._came.get(key)) is None:
            answer = self._came[key] = await self._exchange(asked, url, headers, body, timeout_s=timeout_s)
        wanted = self._answers
        if asked.method != "GET" or not url.path.endswith(wanted.path):
            return answer
        if "marker" in url.query:  # the fake does not know the ids that are made up here
            return replace(answer, status=200, body=msgspec.json.encode({wanted.key: []}))
        document = msgspec.json.decode(answer.body)
        found = document.get(wanted.key) or []
        if not self.rows:
            self.rows = [row[wanted.within] if wanted.within else row for row in found]
        rows = self._three()
        document[wanted.key] = [{wanted.within: row} for row in rows] if wanted.within else rows
        document.pop(f"{wanted.key}_links", None)
        if "total" in document:
            document["total"] = len(rows)
        return replace(answer, body=msgspec.json.encode(document))

    def _three(self) -> list[dict[str, Any]]:
        assert self.rows, f"the fake cloud has nothing at {self._answers.path}"  # noqa: S101 - a test's own
        first, _, last = (self.numbered(i) for i in range(3))
        return [first, dict(self.odd) or self.numbered(1), last]

    def numbered(self, number: int) -> dict[str, Any]:
        row = copy.deepcopy(self.rows[0])
        if self._answers.shown:
            row[self._answers.identify] = f"{number}{str(row[self._answers.identify])[1:]}"
        return row


async def check_odd_rows(cluster: Cluster, wire: HttpTransport, function: str, answers: Answers) -> int:
    """List with every field of one row odd in every way; return how many lists that were.

    Raises:
        AssertionError: With each field and value for which a list failed, or hid a row in silence.
    """
    method = next(m for m in contract.methods().values() if m.python_name == function)
    abilities, tap = Abilities(cluster), _Tap(wire, answers)
    wrong: list[str] = []
    count = 0
    try:
        all_rows, _ = await _listed(cluster, abilities, method)
        for field, value, odd, may_hide in _oddities(tap.numbered(1), answers.row):
            count += 1
            tap.odd = odd
            try:
                names, unread = await _listed(cluster, abilities, method)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                wrong.append(f"{field} = {value}: the list failed with {type(error).__name__}: {error}")
                continue
            hidden = len(all_rows) - len(names)
            if hidden > (answers.shown and may_hide) or (hidden and not unread):
                wrong.append(f"{field} = {value}: {hidden} rows are hidden, named as unread: {unread}")
    finally:
        tap.close()
    if wrong:
        raise AssertionError(f"{len(wrong)} of {count} lists of {function}:\n" + "\n".join(wrong))
    return count


async def _listed(cluster: Cluster, abilities: Abilities, method: contract.Method) -> tuple[set[str], list[str]]:
    call = Call(cluster.ref, Deadline.after(20), cloud=abilities.cloud)
    request = method.request(parent=str(cluster.ref))
    listed = await list_page(method, request, call, abilities.function(method))
    return {item.name for item in listed.items}, list(listed.unread)


def _oddities(row: dict[str, Any], into: type[Any]) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Yield the row with one field odd, that field and its value, and whether the row may be left out for it."""
    for path, kind in _fields(inspect.type_info(into), ()):
        is_number = _is_number(kind)
        large = [(value, not is_number) for value in (_NUMBERS if is_number else _HUGE)]
        for value, may_hide in [*((value, True) for value in _VALUES), *large]:
            odd = copy.deepcopy(row)
            _put(odd, path, value)
            yield ".".join(map(str, path)), "dropped" if value is _DROPPED else repr(value), odd, may_hide


def _fields(kind: inspect.Type, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], inspect.Type]]:
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                yield (*at, field.encode_name), field.type
                yield from _fields(field.type, (*at, field.encode_name))
        case inspect.ListType(item_type=item) if isinstance(item, inspect.StructType):
            yield from _fields(item, (*at, 0))
        case inspect.UnionType(types=types):
            for part in types:
                yield from _fields(part, at)
        case _:
            return


def _is_number(kind: inspect.Type) -> bool:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return any(isinstance(part, inspect.IntType | inspect.FloatType) for part in kinds)


def _put(document: Any, path: tuple[str | int, ...], value: object) -> None:
    for i, part in enumerate(path[:-1]):
        empty: Any = [{}] if isinstance(path[i + 1], int) else {}
        if isinstance(document, list):
            document = document[0]
        else:
            if not document.get(part):
                document[part] = empty
            document = document[part]
    if isinstance(document, list):
        document = document[0]
    if value is _DROPPED:
        document.pop(path[-1], None)
    else:
        document[path[-1]] = value
