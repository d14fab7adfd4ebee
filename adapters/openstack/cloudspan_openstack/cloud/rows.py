"""Collections of OpenStack's services as they answer them: rows, links, and what is odd among the rows.

`session.rows` decodes by a `Collection`: whole, which is fast, and row by row when that fails.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from cloudspan_common.errors import InvalidRequest
from cloudspan_kit import RowPage, Rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from cloudspan_kit import Query

R = TypeVar("R")


class Link(msgspec.Struct):
    """A link beside a collection."""

    rel: str = ""
    href: str = ""


class NamedLinks(msgspec.Struct):
    """Keystone's links."""

    next: str | None = None


@dataclass(frozen=True, slots=True)
class Collection(Generic[R]):
    """What a collection's answer holds."""

    key: str
    """Where the rows stand: `volumes`; their links in `volumes_links`."""
    row: type[R]
    within: str = ""
    """What each row stands in, where it is not bare: `keypair`."""
    identify: str = "id"


@dataclass(frozen=True, slots=True)
class Answered(Generic[R]):
    """One answer."""

    rows: Rows[R]
    count: int
    """How many rows the service sent, those that could not be read included."""
    has_next: bool
    """Whether a link leads to another page."""
    last_id: str
    """The id of the last row that the service sent; empty where it can't be told."""
    is_cut: bool = False
    """Whether the service left rows out, without another page (Keystone)."""
    has_links: bool = False
    """Whether there are links beside the rows at all."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a listing: after the row `place` of one scope; at its start when the id is empty."""

    scope: int = 0
    place: tuple[str, str] = ("", "")

    @property
    def marker(self) -> str:
        return self.place[1]

    def __str__(self) -> str:
        return f"{self.scope}|{self.place[0]}|{self.place[1]}"

    @classmethod
    def parse(cls, cursor: str, scopes: int) -> Position:
        if not cursor:
            return cls()
        scope, _, rest = cursor.partition("|")
        first, bar, second = rest.rpartition("|")
        if not scope.isdigit() or int(scope) >= scopes or not bar:
            raise InvalidRequest("the page token's position is not one of this listing; start the listing again")
        return cls(int(scope), (first, second))


def page_by_id(found: Rows[R], id_of: Callable[[R], str], query: Query, partial: str = "") -> RowPage[R]:
    """Return what comes behind the query's cursor of a collection that was read whole: all of it, by id."""
    order = sorted(range(len(found.rows)), key=lambda i: id_of(found.rows[i]))
    ids = [id_of(found.rows[i]) for i in order]
    start = bisect.bisect_right(ids, query.cursor)
    documents = [found.documents[i] for i in order[start:]] if found.documents else []
    rows = Rows([found.rows[i] for i in order[start:]], documents, found.unread)
    return RowPage(rows, more=False, position=lambda index: ids[start + index], partial=partial)


def decode_whole(collection: Collection[R], body: bytes) -> Answered[R]:
    """Return an answer of which everything is as documented.

    Raises:
        msgspec.DecodeError: It is not.
    """
    page: Any = _decoder(cast("Hashable", collection.row), collection.key, collection.within).decode(body)
    rows: Sequence[R] = [entry.row for entry in page.rows] if collection.within else page.rows
    if not all(getattr(row, collection.identify) for row in rows):
        raise msgspec.ValidationError("a row has an empty id")
    has_next = any(link.rel == "next" for link in page.links) or bool(page.ways and page.ways.next)
    last = getattr(rows[-1], collection.identify) if rows else ""
    return Answered(Rows(rows), len(rows), has_next, last, page.truncated, bool(page.links))


def decode_one(key: str, into: type[R], body: bytes) -> R:
    """Return the resource that an answer holds at `key`, or is where that is empty.

    Raises:
        msgspec.DecodeError: It is not as documented.
    """
    answer = _one_decoder(cast("Hashable", into), key).decode(body)
    row: R = answer.row if key else answer
    return row


def decode_each(collection: Collection[R], body: dict[str, Any], *, full: bool) -> Answered[R]:
    """Return an answer row by row; `full` keeps the documents.

    Raises:
        msgspec.ValidationError: It holds no rows at all.
    """
    documents = msgspec.convert(body.get(collection.key), list[Any])
    if collection.within:
        documents = [entry.get(collection.within) if isinstance(entry, dict) else entry for entry in documents]
    rows = _strictly(documents, collection.row) if full else None
    if rows is not None and not all(getattr(row, collection.identify) for row in rows):
        rows = None
    found = Rows(rows, documents) if rows is not None else read_rows(
        documents, collection.row, collection.identify, full=full
    )  # fmt: skip
    links = body.get(f"{collection.key}_links")
    links = links if isinstance(links, list) else ()
    ways = body.get("links")
    # Glance has one link, bare; Keystone has them by name.
    bare = body.get("next") or (isinstance(ways, dict) and ways.get("next"))
    has_next = bool(bare) or any(isinstance(link, dict) and link.get("rel") == "next" for link in links)
    last = documents[-1].get(collection.identify) if documents and isinstance(documents[-1], dict) else ""
    last = last if isinstance(last, str) else ""
    return Answered(found, len(documents), has_next, last, bool(body.get("truncated")), bool(links))


def _strictly(documents: Sequence[Any], row: type[R]) -> Sequence[R] | None:
    try:
        return msgspec.convert(documents, list[row])  # type: ignore[valid-type] # the row's type is a value here
    except msgspec.ValidationError:
        return None


@functools.cache
def _decoder(row: Any, key: str, within: str) -> msgspec.json.Decoder[Any]:
    entry = msgspec.defstruct("Entry", [("row", row, msgspec.field(name=within))]) if within else row
    links: Any = ("links", list[Link], msgspec.field(name=f"{key}_links", default_factory=list))
    ways: Any = ("ways", NamedLinks | None, msgspec.field(name="links", default=None))
    fields = [("rows", list[entry], msgspec.field(name=key)), links, ways, ("truncated", bool, False)]  # type: ignore[valid-type]
    page = msgspec.defstruct("Page", fields)
    return msgspec.json.Decoder(page)


@functools.cache
def _one_decoder(row: Any, key: str) -> msgspec.json.Decoder[Any]:
    into = msgspec.defstruct("One", [("row", row, msgspec.field(name=key))]) if key else row
    return msgspec.json.Decoder(into)
