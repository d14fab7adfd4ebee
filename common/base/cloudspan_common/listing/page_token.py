"""Page sizes and page tokens of lists (AIP-158): how a traversal is kept to its query, and where it goes on.

Adapters put a position in the cloud's listing into a token, the gateway one position for each cluster.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message


class Named(Protocol):
    """A resource as far as a list by name is concerned."""

    @property
    def name(self) -> str: ...


R = TypeVar("R", bound=Named)

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_ANSWER_BYTES = 3 * 2**20
"""gRPC clients refuse answers of 4 MiB and more; the gateway joins several parts into one below that."""

Check = Callable[[bytes], bytes]
"""Returns what proves that a token is whole: a checksum, or a keyed digest that also proves who made it."""

_TOKEN_VERSION = b"\x01"
_HASH_BYTES = 8
_MAC_BYTES = 16
_MAX_SEQUENCE_DIGITS = 18  # below 2**63, which is what databases keep


def effective_page_size(asked: int) -> int:
    """Return how many items a page may hold: 100 when 0 was asked, at most 1000.

    Raises:
        InvalidRequest: It is negative.
    """
    if asked < 0:
        text = f"page_size is {asked}; give 1 to {MAX_PAGE_SIZE}, or 0 for {DEFAULT_PAGE_SIZE}"
        raise _bad_field("page_size", text, "NEGATIVE_PAGE_SIZE")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def hash_query(method: str, request: Message, *whose: str) -> bytes:
    """Return a digest of what a traversal must keep: the method, all of `request` but page size and token, and whose.

    `whose` is what the answer depends on beside the request, such as the caller's project.
    """
    kept = type(request)()
    kept.CopyFrom(request)
    kept.ClearField("page_size")
    kept.ClearField("page_token")
    said = method.encode() + b"\0" + kept.SerializeToString(deterministic=True)
    for part in whose:  # each with its length, so that no two of them are written the same
        said += len(part.encode()).to_bytes(4, "big") + part.encode()
    return hashlib.blake2b(said, digest_size=_HASH_BYTES).digest()


def checksum(body: bytes) -> bytes:
    """Tell a token that was cut in a URL or a log from a whole one; keeps nobody from forging one."""
    return zlib.crc32(body).to_bytes(4, "big")


def authenticated(digest: Callable[[bytes], bytes]) -> Check:
    """Return a check that nobody without the key of `digest`, a keyed hash, can make."""
    return lambda body: digest(b"page token\0" + body)[:_MAC_BYTES]


def encode_token(query_hash: bytes, cursor: str, check: Check = checksum) -> str:
    """Return the page token that goes on at `cursor` of that query; opaque to callers, good in a URL."""
    body = query_hash + cursor.encode()
    return base64.urlsafe_b64encode(_TOKEN_VERSION + check(body) + body).rstrip(b"=").decode()


def decode_token(token: str, query_hash: bytes, check: Check = checksum) -> str:
    """Return the cursor of a page token; empty for an empty token, the start.

    Raises:
        InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when the query is not the one it was made for.
    """
    if not token:
        return ""
    made_for, cursor = _opened(token, check)
    if made_for != query_hash:
        text = (
            "page_token was made for another query; keep parent, filter, order_by, view and read_mask as they were "
            "(page_size may change), or leave page_token out to start again"
        )
        raise _bad_field("page_token", text, "PAGE_TOKEN_OTHER_QUERY")
    return cursor


def sequence_of(cursor: str) -> int | None:
    """Return the place in a numbered listing that a cursor holds; None at the start.

    Raises:
        InvalidRequest: It holds something else.
    """
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _MAX_SEQUENCE_DIGITS):
        text = "invalid page_token; send next_page_token exactly as it came, or leave it out to start again"
        raise _bad_field("page_token", text, "PAGE_TOKEN_MALFORMED")
    return int(cursor) if cursor else None


def _opened(token: str, check: Check) -> tuple[bytes, str]:
    """Return the query hash and the cursor in a token."""
    text = (
        "invalid page_token: it was not issued here, or was cut or changed; send next_page_token exactly as it came, "
        "or leave it out"
    )
    malformed = _bad_field("page_token", text, "PAGE_TOKEN_MALFORMED")
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        body = data[len(_TOKEN_VERSION) + len(check(b"")) :]
        cursor = body[_HASH_BYTES:].decode()
    except ValueError as error:  # not ASCII, not base64, not UTF-8
        raise malformed from error
    if len(body) < _HASH_BYTES or not hmac.compare_digest(data, _TOKEN_VERSION + check(body) + body):
        raise malformed
    return body[:_HASH_BYTES], cursor


def _bad_field(path: str, text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(text, reason=reason, violations=[Violation(path, text)])


def page_by_name(method: str, request: Any, rows: Iterable[R]) -> tuple[list[R], str]:
    """Return the page of `rows` that a list request asks for, in the order of their names, and its next_page_token.

    For lists that are answered from memory: a row that comes or goes between two pages moves no other.

    Raises:
        InvalidRequest: Page size or token can't be used.
    """
    size, query = effective_page_size(request.page_size), hash_query(method, request)
    after = decode_token(request.page_token, query)
    rest = sorted((row for row in rows if row.name > after), key=lambda row: row.name)
    page = rest[:size]
    return page, encode_token(query, page[-1].name) if len(rest) > size else ""
