"""Whole listings out of ZStack's pages, and conditions that mean what they say. Every area's lists use it.

ZStack pages by offset: a row deleted between two pages moves all later ones forward, over the edge of the page. So
pages are sorted by uuid, the one field without ties, and the cursor holds the last uuid seen; the offset is only where
to look for it. Whatever was deleted or added meanwhile, no row that was there all the time is skipped or told twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from cloudspan_common.errors import Busy, InvalidRequest, Violation
from cloudspan_kit import RowPage
from cloudspan_kit import Rows as KitRows
from cloudspan_zstack.cloud.rows import Row, Rows
from cloudspan_zstack.cloud.session import PAGE
from cloudspan_zstack.cloud.texts import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_kit import Call, Query
    from cloudspan_zstack.cloud.session import Session

R = TypeVar("R", bound=Row)
A = TypeVar("A")

MAX_LIMIT = 500
# The server takes the first of these that it finds anywhere in a condition for the operator.
_OPERATORS = ("!=", ">=", "<=", "!?=", "!~=", "~=", "?=", "=", ">", "<", "is null", "not null")
_BATCH = 100  # uuids in one condition; 3.3 KB of a URL
_MAX_PAGES = 1000


def condition(field: str, value: str) -> list[str]:
    """Return the condition that `field` equals `value`, in a list; an empty one where it can't be asked.

    A value that holds an operator would be taken apart at it, one with quotes or the like breaks the server's parser or
    finds nothing, and an empty one says nothing: the kit filters these.
    """
    if not value or not is_plain(value) or any(operator in value for operator in _OPERATORS):
        return []
    return [f"{field}={value}"]


def one_of(field: str, values: Sequence[str]) -> list[str]:
    """Return the condition that `field` is one of `values`, which are uuids or the platform's own words."""
    return [f"{field}?={','.join(values)}"]


async def rows_page(  # noqa: PLR0913, PLR0917 - what is listed
    session: Session,
    call: Call,
    query: Query,
    template: str,
    into: type[R],
    conditions: Sequence[str],
    sort_fields: Mapping[str, str],
) -> tuple[RowPage[R], Rows[R]]:
    """Return the page of a listing that `query` asks for.

    Args:
        session: Whose cluster.
        call: The call that this is part of.
        query: What the kit asks for; its filter is not looked at, `conditions` are what is pushed down of it.
        template: The resource's path.
        into: What its rows are.
        conditions: What all rows must fulfil.
        sort_fields: Native field by the contract's, for the fields that the kind declares sortable.

    Raises:
        Busy: A listing sorted by something else than uuid has moved under the reader: start again.
        InvalidRequest: It asks for an order by several fields.
    """
    if len(query.order_by) > 1:
        text = f"order_by names {len(query.order_by)} fields; ZStack sorts by one, name the most important only"
        raise InvalidRequest(text, reason="ORDER_BY_ONE_FIELD", violations=[Violation("order_by", text)])
    limit = min(max(query.limit, 1), MAX_LIMIT)
    offset, last = _position(query.cursor)
    if query.order_by:
        field, descending = query.order_by[0]
        sort = f"{'-' if descending else '+'}{sort_fields[field]}"
        found, start = await _ordered(session, call, template, into, conditions, sort, offset, last, limit)
    else:
        found, start = await _by_uuid(session, call, template, into, conditions, offset, last, limit)
    uuids, places = found.uuids, found.places or range(len(found.rows))
    end = start + len(uuids)
    total = end if found.total is None else found.total
    partial = (
        "" if uuids or start >= total else f"{template} has {total} rows as it says, and gives none from {start} on"
    )
    # Without a total the end is an empty page.
    more = bool(uuids) and (found.total is None or end < total)
    last_uuid = next((uuid for uuid in reversed(uuids) if uuid), last)
    page = RowPage(
        KitRows(found.rows, found.documents, found.unread),
        more,
        lambda index: f"{start + places[index] + 1}:{found.rows[index].uuid}",
        partial,
        f"{end}:{last_uuid}" if more else "",
    )
    return page, found


def without(page: RowPage[A], hidden: Callable[[A], bool]) -> RowPage[A]:
    """Return a page without some of its rows; it goes on where it did with them."""
    kept = [index for index, row in enumerate(page.rows.rows) if not hidden(row)]
    documents = [page.rows.documents[index] for index in kept] if page.rows.documents else ()
    rows = KitRows([page.rows.rows[index] for index in kept], documents, page.rows.unread)
    return replace(page, rows=rows, position=lambda index: page.position(kept[index]))


async def _by_uuid(  # noqa: PLR0913, PLR0917 - see rows_page
    session: Session, call: Call, template: str, into: type[R], conditions: Sequence[str],
    offset: int, last: str, limit: int,
) -> tuple[Rows[R], int]:  # fmt: skip
    """Return the first rows behind uuid `last`, which was the one before `offset`, and the first one's offset now."""
    start, step = max(0, offset - 1), limit
    while True:
        found = await session.query(
            call, template, into, conditions=conditions, limit=limit + 1, start=start, sort="+uuid", count=True
        )
        uuids = found.uuids
        if last and start and (not uuids or uuids[0] > last):
            # Rows before the position were deleted; what followed it has moved in front of it.
            start, step = max(0, start - step), step * 2
            continue
        seen = sum(uuid <= last for uuid in uuids) if last else 0
        if uuids and seen == len(uuids) and start + seen < (found.total or 0):
            start += seen  # rows were added before the position
            continue
        return found.behind(seen), start + seen


async def _ordered(  # noqa: PLR0913, PLR0917 - see rows_page
    session: Session, call: Call, template: str, into: type[R], conditions: Sequence[str], sort: str,
    offset: int, last: str, limit: int,
) -> tuple[Rows[R], int]:  # fmt: skip
    """Return the rows from `offset` on, if the one before it is still `last`."""
    before = 1 if last else 0
    found = await session.query(
        call, template, into, conditions=conditions, limit=limit + before, start=offset - before, sort=sort, count=True
    )
    if last and (not found.uuids or found.uuids[0] != last):
        text = f"{template} of {call.cluster} has changed while it was listed in order; start the listing again"
        raise Busy(text, reason="LISTING_CHANGED")
    return found.behind(before), offset


def _position(cursor: str) -> tuple[int, str]:
    offset, _, last = cursor.partition(":")
    return (int(offset) if offset.isdigit() else 0), last


async def everything(
    session: Session, call: Call, template: str, into: type[R], conditions: Sequence[str] = ()
) -> list[R]:
    """Return all rows that fulfil `conditions`, page by page; for what belongs to rows already found."""
    rows: list[R] = []
    offset, last = 0, ""
    for _ in range(_MAX_PAGES):
        found, start = await _by_uuid(session, call, template, into, conditions, offset, last, PAGE)
        rows += found.rows
        offset = start + len(found.uuids)
        last = next((uuid for uuid in reversed(found.uuids) if uuid), last)
        if not found.uuids or (found.total is not None and offset >= found.total):
            return rows
    return rows


def batches(values: Sequence[str]) -> list[Sequence[str]]:
    """Return `values`, which are uuids, in portions that fit into a URL; what can't be asked for is left out."""
    values = [value for value in values if is_plain(value)]
    return [values[i : i + _BATCH] for i in range(0, len(values), _BATCH)]
