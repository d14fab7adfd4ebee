"""Get and list of a kind: what `serve.capabilities` puts into the function table for a `KindDriver`.

Rows become messages a page at a time. When that fails the page is halved until the odd row stands alone: a number that
its field can't hold is left away and named, and a row that still can't be read is left out and named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog
from google.protobuf.message import Message

from cloudspan_common.errors import PlatformFault
from cloudspan_kit.kind import Page
from cloudspan_kit.lists.large_numbers import UNEXPECTED, converted_in_part

if TYPE_CHECKING:
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import KindDriver, Query
    from cloudspan_kit.lists.rows import Rows

R = TypeVar("R")
M = TypeVar("M", bound=Message)
_ToMessages = Callable[[Sequence[R]], Awaitable[tuple[Sequence[M], str]]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Converted(Generic[M]):
    """Messages, and which rows they are of; what could not be read of the others."""

    items: list[M] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    lacking: dict[str, None] = field(default_factory=dict)
    """What the messages lack, each once."""


async def get_resource(driver: KindDriver[R, M], call: Call) -> M:
    """Return the resource of `call.id`.

    Raises:
        NotFound: There is none of that id under the cluster's scope.
        PlatformFault: What the platform says of it can't be read.
    """
    kind = driver.kind

    async def to_messages(rows: Sequence[R]) -> tuple[Sequence[M], str]:
        return await driver.messages(call, rows), ""

    found = await kind.source.one(call, kind, call.id)
    converted = await _convert(driver, to_messages, found)
    if not converted.items:
        text = f"{call.cluster.resource(kind.collection, call.id)} can't be read: {'; '.join(converted.unread)}"
        raise PlatformFault(text, reason="UNEXPECTED_SHAPE")
    if converted.unread:
        log.warning("resource read in part", collection=kind.collection, unread=converted.unread)
    return converted.items[0]


async def list_resources(driver: KindDriver[R, M], call: Call, query: Query) -> Page[M]:
    """Return the native page that `query` asks for, as messages."""
    page = await driver.kind.source.page(call, driver.kind, query)
    converted = await _convert(driver, lambda rows: driver.listed(call, query, rows), page.rows)
    if converted.unread:
        log.warning("rows read in part", collection=driver.kind.collection, unread=converted.unread)
    partial = "; ".join(filter(None, (page.partial, *converted.lacking)))
    listed = Page(
        converted.items, page.more, page.position, partial, page.end, converted.unread, page.changes_only, page.gone
    )
    if len(converted.items) == len(page.rows.rows):
        return listed
    kept = converted.rows
    end = page.end or (page.position(len(page.rows.rows) - 1) if page.more else "")
    return replace(listed, position=lambda i: page.position(kept[i]), end=end)


async def _convert(driver: KindDriver[R, M], to_messages: _ToMessages[R, M], rows: Rows[R]) -> _Converted[M]:
    converted: _Converted[M] = _Converted(unread=list(rows.unread))
    if rows.rows:
        await _convert_some(driver, to_messages, rows.rows, 0, converted)
    if rows.documents:
        for item, index in zip(converted.items, converted.rows, strict=True):
            item.native.update(rows.documents[index])  # type: ignore[attr-defined] # every resource has it
    return converted


async def _convert_some(
    driver: KindDriver[R, M], to_messages: _ToMessages[R, M], rows: Sequence[R], start: int, converted: _Converted[M]
) -> None:
    try:
        messages, lacking = await to_messages(rows)
    except UNEXPECTED as error:
        if len(rows) > 1:
            half = len(rows) // 2
            await _convert_some(driver, to_messages, rows[:half], start, converted)
            await _convert_some(driver, to_messages, rows[half:], start + half, converted)
        else:
            await _convert_odd(driver, to_messages, rows[0], start, converted, error)
        return
    converted.items += messages
    converted.rows += range(start, start + len(rows))
    converted.lacking |= {lacking: None} if lacking else {}


async def _convert_odd(
    driver: KindDriver[R, M],
    to_messages: _ToMessages[R, M],
    row: R,
    index: int,
    converted: _Converted[M],
    error: Exception,
) -> None:
    """Convert one row without the numbers that no field holds; else name it as left out."""
    name = driver.kind.source.id_of(row)
    found = await converted_in_part(row, lambda left: to_messages([left]))
    if found is not None:
        (messages, _), why = found
        converted.items += messages
        converted.rows.append(index)
        converted.unread.append(f"{name} ({why})")
        return
    log.warning("row left out", collection=driver.kind.collection, id=name, exc_info=error)
    converted.unread.append(f"{name} was left out ({error})")
