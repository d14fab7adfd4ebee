"""Lists: page tokens, and the engine that fills a page of the contract from a platform's own pages.

The servicer calls `list_page` for every list; the gateway uses `encode_token`, `decode_token` and `hash_query` for its
own tokens. Without a filter a page is passed on as it came: nothing is done item by item but measuring its size.
Spec: design, section 3 (Manners) and 7 (every list is proven complete).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_common.adapterkit import masks
from cloudspan_common.adapterkit.driver import Page, Query
from cloudspan_common.adapterkit.filters import EVERYTHING, Filter
from cloudspan_common.errors import InvalidRequest, PlatformFault, Violation

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan_common.adapterkit.driver import Call
    from cloudspan_common.contract import Method
    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.names import ClusterRef

T = TypeVar("T")
Fetch = Callable[[Query], Awaitable[Page[T]]]

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_ANSWER_BYTES = 3 * 2**20
"""gRPC clients refuse answers of 4 MiB and more; the gateway joins several parts into one below that."""
MAX_NATIVE_PAGES = 200
"""A filter that finds next to nothing must end in an answer, not in the caller's deadline."""

_MIN_SEARCHED = 100
_ITEM_OVERHEAD = 6  # tag and length of one item within the answer, at most
_ENVELOPE_BYTES = 64 * 1024  # kept free for token, unreachable and cluster_status

_TOKEN_VERSION = b"\x01"
_CHECK_BYTES = 4
_HASH_BYTES = 8
_HEAD_BYTES = len(_TOKEN_VERSION) + _CHECK_BYTES + _HASH_BYTES


def hash_query(method: str, request: Message) -> bytes:
    """Return a digest of what a traversal must keep: the method and all of `request` but page size and token."""
    kept = type(request)()
    kept.CopyFrom(request)
    kept.ClearField("page_size")
    kept.ClearField("page_token")
    said = method.encode() + b"\0" + kept.SerializeToString(deterministic=True)
    return hashlib.blake2b(said, digest_size=_HASH_BYTES).digest()


def encode_token(query_hash: bytes, cursor: str) -> str:
    """Return the page token that goes on at `cursor` of that query; opaque to callers, good in a URL."""
    body = query_hash + cursor.encode()
    check = zlib.crc32(body).to_bytes(_CHECK_BYTES, "big")
    return base64.urlsafe_b64encode(_TOKEN_VERSION + check + body).rstrip(b"=").decode()


def decode_token(token: str, query_hash: bytes) -> str:
    """Return the cursor of a page token; empty for an empty token, the start.

    Raises:
        InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when the query is not the one it was made for.
    """
    if not token:
        return ""
    data = _decoded(token)
    body = data[len(_TOKEN_VERSION) + _CHECK_BYTES :]
    check = data[len(_TOKEN_VERSION) : -len(body) or None]
    if (
        len(data) < _HEAD_BYTES
        or not data.startswith(_TOKEN_VERSION)
        or zlib.crc32(body) != int.from_bytes(check, "big")
    ):
        text = "page_token is none of ours, or was cut or changed on the way; send next_page_token as it came, or none"
        raise _bad_field("page_token", text, "PAGE_TOKEN_MALFORMED")
    if body[:_HASH_BYTES] != query_hash:
        text = (
            "page_token was made for another query; keep parent, filter, order_by, view and read_mask as they were "
            "(page_size may change), or leave page_token out to start again"
        )
        raise _bad_field("page_token", text, "PAGE_TOKEN_OTHER_QUERY")
    return body[_HASH_BYTES:].decode()


def _decoded(token: str) -> bytes:
    """Return the bytes of a token; none when it is not base64url."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return b""


def effective_page_size(asked: int) -> int:
    """Return how many items a page may hold: 100 when 0 was asked, at most 1000.

    Raises:
        InvalidRequest: It is negative.
    """
    if asked < 0:
        text = f"page_size is {asked}; give 1 to {MAX_PAGE_SIZE}, or 0 for {DEFAULT_PAGE_SIZE}"
        raise _bad_field("page_size", text, "NEGATIVE_PAGE_SIZE")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def parse_order(text: str, sortable: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """Return `order_by` (AIP-132: `create_time desc, name`) as (field, descending).

    Raises:
        InvalidRequest: MALFORMED_ORDER, or UNSORTABLE_FIELD with those that can be sorted by.
    """
    order = []
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if not words or len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]):
            wrong = f"order_by holds {part.strip()!r}; write fields, each with desc or nothing, with commas between"
            raise _bad_field("order_by", wrong, "MALFORMED_ORDER")
        if words[0] not in sortable:
            wrong = f"order_by names {words[0]!r}; this cluster can sort by: {', '.join(sortable) or 'nothing'}"
            raise _bad_field("order_by", wrong, "UNSORTABLE_FIELD")
        order.append((words[0], words[1:] == ["desc"]))
    return tuple(order)


def _bad_field(path: str, text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(text, reason=reason, violations=[Violation(path, text)])


@dataclass(frozen=True, slots=True)
class Ask:
    """What one page is asked of."""

    cluster: ClusterRef
    deadline: Deadline
    query_hash: bytes
    page_size: int = 0
    page_token: str = ""
    filter: Filter = EVERYTHING
    order_by: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of the contract. `partial` says why the platform can't prove that nothing is missing, if so."""

    items: Sequence[T]
    next_page_token: str
    partial: str = ""
    token_after: Callable[[int], str] = field(default=lambda _: "", repr=False, compare=False)
    """The token that goes on after one of `items`, for cutting the page short."""


async def list_page(
    method: Method,
    request: Any,
    call: Call,
    function: Callable[[Call, Query], Awaitable[Page[Any]]],
    sortable: Sequence[str] = (),
) -> Listed[Any]:
    """Return the page that a list request asks for, masked, and small enough to send.

    Raises:
        InvalidRequest: Page size or token, filter, order or mask can't be used.
        PlatformFault: PAGING_LOOP, see `fill`; beside what the driver raises.
    """
    resource = request_item = method.response.DESCRIPTOR.fields_by_name[method.items_field].message_type
    mask = masks.compiled(getattr(request, "read_mask", None), request_item)
    ask = Ask(
        cluster=call.cluster,
        deadline=call.deadline,
        query_hash=hash_query(method.full_name, request),
        page_size=request.page_size,
        page_token=request.page_token,
        filter=Filter.parse(getattr(request, "filter", ""), resource),
        order_by=parse_order(getattr(request, "order_by", ""), sortable),
    )
    listed: Listed[Any] = await fill(lambda query: function(call, query), ask)
    if mask is not None:
        listed = replace(listed, items=[mask(item) for item in listed.items])
    return cut_to_fit(listed)


async def fill(fetch: Fetch[T], ask: Ask) -> Listed[T]:
    """Ask for native pages until the page is full, the listing ends, or half of the time left is used.

    Stopped by time, the page is short (or empty) and has a token: no item is lost or repeated over a traversal.

    Raises:
        InvalidRequest: The page size or the token can't be used.
        PlatformFault: PAGING_LOOP: the platform leads back to where it has been, or on to nowhere.
    """
    filling = _Filling[T](ask)
    reserve_s = ask.deadline.remaining() / 2
    for _ in range(MAX_NATIVE_PAGES):
        filling.take(await fetch(filling.next_query()))
        if filling.is_done or ask.deadline.remaining() <= reserve_s:
            break
    return filling.listed()


class _Filling(Generic[T]):
    """One page under way: what was chosen so far, and where the platform goes on."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._size = effective_page_size(ask.page_size)
        self._cursor = decode_token(ask.page_token, ask.query_hash)
        self._been = {"", self._cursor}
        self._limit = max(_MIN_SEARCHED, self._size)
        self._items: list[T] = []
        self._sources: list[tuple[Page[T], Sequence[int]]] = []
        self._partial: dict[str, None] = {}
        self.is_done = False

    def __repr__(self) -> str:
        return f"<_Filling {len(self._items)} of {self._size} from {len(self._sources)} native pages>"

    def next_query(self) -> Query:
        limit = self._size - len(self._items)
        if not self._ask.filter.is_empty:
            limit = self._limit
            self._limit = min(2 * limit, MAX_PAGE_SIZE)  # the rarer the matches, the fewer round trips
        return Query(self._ask.filter, limit, self._cursor, self._ask.order_by)

    def take(self, page: Page[T]) -> None:
        """Choose what is wanted from `page`, and go on behind the last item that was looked at."""
        chosen = self._choose(page)
        self._sources.append((page, chosen))
        if page.partial:
            self._partial[page.partial] = None
        is_full = len(self._items) == self._size
        last = chosen[-1] if is_full else len(page.items) - 1
        is_end = last == len(page.items) - 1 and not page.more
        self._cursor = "" if is_end else self._moved(page, last)
        self.is_done = is_full or is_end

    def _choose(self, page: Page[T]) -> Sequence[int]:
        missing = self._size - len(self._items)
        if self._ask.filter.is_empty:
            fits = len(page.items) <= missing
            self._items.extend(page.items if fits else page.items[:missing])
            return range(min(missing, len(page.items)))
        matches: Callable[[Any], bool] = self._ask.filter.matches
        chosen = list(islice((i for i, item in enumerate(page.items) if matches(item)), missing))
        self._items.extend(page.items[i] for i in chosen)
        return chosen

    def _moved(self, page: Page[T], last: int) -> str:
        """Return the cursor behind item `last`: a new one, else the traversal would never end."""
        cursor = page.position(last) if last >= 0 else self._cursor
        if cursor in self._been:
            raise _loop(self._ask.cluster, cursor)
        self._been.add(cursor)
        return cursor

    def listed(self) -> Listed[T]:
        token = encode_token(self._ask.query_hash, self._cursor) if self._cursor else ""
        return Listed(self._items, token, "; ".join(self._partial), self._token_after)

    def _token_after(self, index: int) -> str:
        for page, chosen in self._sources:
            if index < len(chosen):
                return encode_token(self._ask.query_hash, page.position(chosen[index]))
            index -= len(chosen)
        raise IndexError(index)


def _loop(cluster: ClusterRef, cursor: str) -> PlatformFault:
    text = (
        f"{cluster} said that its listing goes on, but led back to position {cursor!r}, where it has been; "
        "nothing proves what is missing, so nothing is returned; look at the platform's paging"
    )
    metadata = {"platform": cluster.platform, "cluster": cluster.cluster}
    return PlatformFault(text, reason="PAGING_LOOP", metadata=metadata)


def cut_to_fit(listed: Listed[Any], max_bytes: int = MAX_ANSWER_BYTES) -> Listed[Any]:
    """Return `listed` with as many of its items as an answer below `max_bytes` can hold, but at least one."""
    sizes = [item.ByteSize() for item in listed.items]
    room = max_bytes - _ENVELOPE_BYTES
    if sum(sizes) + _ITEM_OVERHEAD * len(sizes) <= room:
        return listed
    kept = sum(total <= room for total in accumulate(size + _ITEM_OVERHEAD for size in sizes)) or 1
    if kept == len(sizes):
        return listed
    return replace(listed, items=listed.items[:kept], next_page_token=listed.token_after(kept - 1))
