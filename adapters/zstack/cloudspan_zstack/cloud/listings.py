"""What a native collection is, so that listing it and getting one of it are one line each.

The network, storage, image and identity areas declare a `Listing` for each kind and read through `list_page` and
`read_one`; the paging itself is in `queries`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from google.protobuf.message import Message

from cloudspan_zstack.cloud.conditions import pushed
from cloudspan_zstack.cloud.queries import page_of
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cloudspan_kit import Call, Page, Query
    from cloudspan_zstack.cloud.conditions import Push
    from cloudspan_zstack.cloud.rows import Rows
    from cloudspan_zstack.cloud.session import Session

R = TypeVar("R", bound=Row)
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Listing(Generic[R, M]):
    """One native collection."""

    path: str
    row: type[R]
    messages: Callable[[Call, Sequence[R]], Awaitable[Sequence[M]]]
    """Turns rows into messages, one for each in their order, reading what stands beside them."""
    _: KW_ONLY
    conditions: Sequence[str] = ()
    """What every row must fulfil."""
    not_deleted: str = ""
    """What leaves softly deleted rows out, as the platform's own pages do, unless `show_deleted` asks for them."""
    sortable: Mapping[str, str] = field(default_factory=dict)
    pushes: Mapping[str, Push] = field(default_factory=dict)


async def list_page(session: Session, call: Call, query: Query, listing: Listing[R, M]) -> Page[M]:
    """Return the native page behind the query's cursor, as messages.

    Raises:
        Busy: The row that the caller's own order stood at is no longer there.
        InvalidRequest: It asks for an order by several fields.
    """

    async def messages(found: Rows[R]) -> Sequence[M]:
        if not found.rows:
            return []
        made = await listing.messages(call, found.rows)
        for message, document in zip(made, found.documents, strict=False):
            message.native.update(document)  # type: ignore[attr-defined] # every resource has it
        return made

    conditions = [*listing.conditions, *pushed(query, listing.pushes)]
    if listing.not_deleted and not query.show_deleted:
        conditions.append(listing.not_deleted)
    return await page_of(
        session, call, query, listing.path, listing.row, messages,
        conditions=conditions, sort_fields=listing.sortable,
    )  # fmt: skip


async def read_one(session: Session, call: Call, listing: Listing[R, M]) -> M:
    """Return one resource of a listing, `call.id`, as a message.

    Raises:
        NotFound: There is none of that id under the cluster's scope.
    """
    row, document = await session.get_with_document(
        call, f"{listing.path}/{{uuid}}", listing.row, args={"uuid": call.id}
    )
    (message,) = await listing.messages(call, [row])
    if document:
        message.native.update(document)  # type: ignore[attr-defined] # every resource has it
    return message
