"""Page through ZStack's query API, and prove that nothing is missing.

The areas' `list_` functions call `list_page` with a `Listing` (what the collection is). Three rules of the platform
shape it:

* It cuts answers in silence (1000 rows at most), so every page asks for the count of what its conditions meet: the
  listing goes on for as long as that is more than what came. Rows that are counted and never shown are an error.
* Its own paging is by offset, which skips rows when others are deleted. In the default order a page is therefore
  "the first ones whose uuid is greater", sorted by uuid: nothing twice, nothing lost.
* It sorts by one field and leaves open what comes first among equals. In an order that the caller chose a page begins
  with the last row of the one before: when that is another row now, the answer is ABORTED: start the listing again.
  When equals meet at a page's edge the page says that it can't be proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cloudspan_common.adapterkit.driver import Page
from cloudspan_common.errors import Busy, InvalidRequest, PlatformFault, Violation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call, Query
    from cloudspan_zstack.session import Session

# The platform's advice: pages of 100 to 500. What stands beside the rows is read by uuid and must fit into a URL.
MAX_LIMIT = 500


class HasUuid(Protocol):
    """A row of any kind."""

    @property
    def uuid(self) -> str: ...


R = TypeVar("R", bound=HasUuid)
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Listing(Generic[R, M]):
    """One native collection."""

    path: str
    row: type[R]
    messages: Callable[[Call, Sequence[R]], Awaitable[Sequence[M]]]
    """Turns rows into messages, one for each, reading what stands beside them."""
    conditions: Sequence[str] = ()
    """What every row must meet."""
    sortable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Batch(Generic[R]):
    """Rows in order, their documents if those are wanted, and how many rows the conditions meet."""

    rows: Sequence[R]
    documents: Sequence[dict[str, Any]]
    total: int

    def behind_first(self) -> _Batch[R]:
        return _Batch(self.rows[1:], self.documents[1:], self.total)


async def list_page(
    session: Session, call: Call, listing: Listing[R, M], query: Query, conditions: Sequence[str] = ()
) -> Page[M]:
    """Return the native page behind the query's cursor, as messages.

    Raises:
        Busy: The row that the caller's own order stood at is no longer there.
        InvalidRequest: It asks for an order by several fields.
    """
    walk = _Walk(session, call, listing, [*listing.conditions, *conditions])
    if query.order_by:
        return await walk.ordered(query)
    return await walk.by_uuid(query)


async def read_one(session: Session, call: Call, listing: Listing[R, M]) -> M:
    """Return one resource of a listing, `call.id`, as a message.

    Raises:
        NotFound: There is none of that id under the cluster's scope.
    """
    template = f"{listing.path}/{{uuid}}"
    row, document = await session.get_with_document(call, template, listing.row, args={"uuid": call.id})
    (message,) = await listing.messages(call, [row])
    if document:
        message.native.update(document)  # type: ignore[attr-defined] # every resource has it
    return message


class _Walk(Generic[R, M]):
    """One call's way through one listing."""

    def __init__(self, session: Session, call: Call, listing: Listing[R, M], conditions: Sequence[str]) -> None:
        self._session, self._call, self._listing, self._conditions = session, call, listing, conditions

    async def by_uuid(self, query: Query) -> Page[M]:
        conditions = [*self._conditions, *([f"uuid>{_plain_uuid(query.cursor)}"] if query.cursor else ())]
        batch = await self._fetch(conditions, "uuid", 0, _limit(query))
        self._refuse_hidden(batch, hides=bool(batch.total) and not batch.rows)
        rows = batch.rows
        return Page(await self._messages(batch), more=len(rows) < batch.total, position=lambda index: rows[index].uuid)

    async def ordered(self, query: Query) -> Page[M]:
        field, sort = self._sort(query)
        offset, anchor = _place(query.cursor)
        start = max(offset - 1, 0)
        batch = await self._fetch(self._conditions, sort, start, _limit(query) + bool(offset))
        if anchor and (not batch.rows or batch.rows[0].uuid != anchor):
            raise self._changed()
        rest = batch.behind_first() if anchor else batch
        ends = offset + len(rest.rows) >= batch.total
        self._refuse_hidden(rest, hides=not ends and not rest.rows)
        messages = await self._messages(rest)
        partial = ""
        if anchor and rest.rows:
            (before,) = await self._listing.messages(self._call, batch.rows[:1])
            partial = _tie(field, before, messages[0])
        rows = rest.rows
        return Page(messages, not ends, lambda index: f"{offset + index + 1}|{rows[index].uuid}", partial)

    def _sort(self, query: Query) -> tuple[str, str]:
        if len(query.order_by) > 1:
            text = f"order_by names {len(query.order_by)} fields; ZStack sorts by one, name the most important only"
            raise InvalidRequest(text, reason="ORDER_BY_ONE_FIELD", violations=[Violation("order_by", text)])
        ((field, descending),) = query.order_by
        return field, f"{'-' if descending else '+'}{self._listing.sortable[field]}"

    async def _fetch(self, conditions: Sequence[str], sort: str, start: int, limit: int) -> _Batch[R]:
        call, listing = self._call, self._listing
        found = await self._session.query(
            call, listing.path, listing.row, conditions=conditions, limit=limit, start=start, sort=sort, count=True
        )
        if found.total is None:
            text = f"{call.cluster} does not count the rows of {listing.path}: nothing proves that none is missing"
            raise PlatformFault(text, reason="ROWS_NOT_COUNTED")
        return _Batch(found.rows, found.documents, found.total)

    async def _messages(self, batch: _Batch[R]) -> Sequence[M]:
        messages = await self._listing.messages(self._call, batch.rows) if batch.rows else []
        for message, document in zip(messages, batch.documents, strict=False):
            message.native.update(document)  # type: ignore[attr-defined] # every resource has it
        return messages

    def _refuse_hidden(self, batch: _Batch[R], *, hides: bool) -> None:
        if hides:
            text = f"{self._call.cluster} counts {batch.total} rows of {self._listing.path} and shows none of them"
            raise PlatformFault(text, reason="ROWS_NOT_SHOWN")

    def _changed(self) -> Busy:
        text = (
            f"{self._listing.path} of {self._call.cluster} changed while it was listed, and in the chosen order the "
            "place where the last page ended can't be found again; start the listing again"
        )
        return Busy(text, reason="LISTING_CHANGED")


def _limit(query: Query) -> int:
    return min(max(query.limit, 1), MAX_LIMIT)


def _tie(field: str, before: Any, after: Any) -> str:
    """Say that two pages meet between equals, if they do: another page's rows may come first among them now."""
    if getattr(before, field) != getattr(after, field):
        return ""
    return f"equals of {field} meet at a page's edge and ZStack leaves open which comes first; list without order_by"


def _place(cursor: str) -> tuple[int, str]:
    if not cursor:
        return 0, ""
    offset, bar, uuid = cursor.partition("|")
    if not bar or not offset.isdigit() or not int(offset):
        raise _foreign()
    return int(offset), _plain_uuid(uuid)


def _plain_uuid(cursor: str) -> str:
    if not cursor.isalnum():
        raise _foreign()
    return cursor


def _foreign() -> InvalidRequest:
    return InvalidRequest("the page token's position is not one of this listing; start the listing again")
