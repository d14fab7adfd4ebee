"""Pages of a list out of the inventory: what a request asks for, where a traversal is, and the answer made of rows.

`stored_reads` decides which clusters' rows go in; nothing here knows how fresh they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing import mask as masks
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.order import parse_order
from cloudspan_common.listing.page_token import (
    MAX_ANSWER_BYTES,
    Check,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
)
from cloudspan_gateway.inventory.base import Question
from cloudspan_gateway.inventory.columns import plural_of
from cloudspan_gateway.inventory.query.order import Order, sortable
from cloudspan_gateway.inventory.query.sql_filter import names_field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor

    from cloudspan_common.contract import Method
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.base import Reads, StoredPage, StoredRow
    from cloudspan_gateway.inventory.model import Scope

_STORED = "stored:"
"""What a cursor of ours begins with, so that tokens of lists that ask platforms are told apart."""
_ROW_BYTES = 16  # tag and length of one item, and its observe_time


class Position(msgspec.Struct, array_like=True, frozen=True):
    """Where a traversal of the inventory is."""

    cursor: str
    """`StoredPage.cursor`."""
    clusters: list[str] = []
    """Whose rows it goes through, in order; empty for a list of one cluster."""
    left_out: list[str] = []
    """Clusters that were not fresh enough when it began."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list's request asks for."""

    method: Method
    collection: str
    filter: Filter
    order: tuple[tuple[str, bool], ...]
    size: int
    masked: Callable[[Any], Any] | None
    query: bytes
    """What a page token is good for: the request, and whose it is."""

    @classmethod
    def of(cls, method: Method, call: Call) -> Listing:
        """Read it off a call.

        Raises:
            InvalidRequest: A page size, filter, order or mask that can't be used.
        """
        request: Any = call.target.message
        text = request.order_by
        whose = f" {call.access.tenant}" if call.principal.authenticated else ""
        resource = cast("Descriptor", method.item.DESCRIPTOR)
        return cls(
            method,
            plural_of(method.item),
            Filter.parse(request.filter, resource),
            parse_order(text, text.replace(",", " ").split()),  # whether they can be sorted by is told by the reader
            effective_page_size(request.page_size),
            masks.compiled(request.read_mask, resource),
            hash_query(method.full_name + whose, request),
        )

    @property
    def is_sortable(self) -> bool:
        """Whether the inventory can sort like that."""
        known = sortable(self.collection)
        return all(field in known for field, _ in self.order)

    @property
    def names_project(self) -> bool:
        """Whether its filter asks for projects."""
        return names_field(self.filter, "project")

    def check_sortable(self) -> None:
        """Raise InvalidRequest, UNSORTABLE_IN_INVENTORY, where the inventory can't sort like that."""
        Order.of(self.order, self.collection)

    def position(self, token: str, check: Check) -> Position | None:
        """Return where a page token goes on; None for one of a list that asks platforms.

        Raises:
            InvalidRequest: It is ours, and of another query.
        """
        try:
            cursor = decode_token(token, self.query, check)
        except InvalidRequest as error:
            if error.reason != "PAGE_TOKEN_MALFORMED":
                raise
            return None  # an adapter's own, or forged: the adapter says which
        if not cursor.startswith(_STORED):
            return None
        return msgspec.json.decode(cursor.removeprefix(_STORED), type=Position)

    def token(self, position: Position, check: Check) -> str:
        """Return the page token that goes on at a position; none at the end."""
        if not position.cursor:
            return ""
        return encode_token(self.query, _STORED + msgspec.json.encode(position).decode(), check)

    def question(self, scope: Scope, after: str, size: int = 0) -> Question:
        """Return what is asked of the inventory for one page."""
        return Question(
            scope, (self.collection,), self.filter, order_by=self.order, limit=size or self.size, after=after
        )


async def read_page(
    reads: Reads, listing: Listing, question: Question, confirmed: Mapping[str, float]
) -> tuple[Any, str]:
    """Return the response with one page's items, below what clients take, and the cursor behind them.

    `confirmed` says as of when all rows of a cluster are known at least.

    Raises:
        InvalidRequest: UNSORTABLE_IN_INVENTORY, PAGE_TOKEN_MALFORMED.
    """
    while True:
        page: StoredPage = await reads.page(question)
        response: Any = listing.method.response()
        taken = _fill(getattr(response, listing.method.items_field), page.rows, listing, confirmed)
        if taken == len(page.rows):
            return response, page.cursor
        question = replace(question, limit=taken)  # read again, for the cursor behind those that fit


def _fill(items: Any, rows: Sequence[StoredRow], listing: Listing, confirmed: Mapping[str, float]) -> int:
    """Add rows until the answer has no more room, at least one; return how many."""
    room = MAX_ANSWER_BYTES
    for index, row in enumerate(rows):
        if listing.masked is None:
            room -= len(row.payload) + _ROW_BYTES
        if room < 0 and index:
            return index
        item = items.add()
        item.MergeFromString(row.payload)
        set_time(item.observe_time, max(row.observe_time, confirmed[row.cluster]))
        if listing.masked is not None:
            kept = listing.masked(item)
            item.CopyFrom(kept)
            room -= item.ByteSize() + _ROW_BYTES
    return len(rows)


def set_time(timestamp: Any, seconds: float) -> None:
    """Set a google.protobuf.Timestamp; far cheaper than its own FromNanoseconds, and there is one in each row."""
    timestamp.seconds = whole = int(seconds)
    timestamp.nanos = int((seconds - whole) * 1e9)
