"""How large the end of a failed call is, and how it is made small enough for every client to read.

A client refuses headers and trailers of more than 8 KiB unless it was configured otherwise: gRPC's core and Java then
report RESOURCE_EXHAUSTED, and neither message nor details are seen. A message is sent twice: percent-encoded as
`grpc-message`, and in the `google.rpc.Status` under `grpc-status-details-bin`. Both must be the same, else the standard
helpers (Python's `grpc_status.rpc_status`) refuse the details.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf import any_pb2

    Metadata = tuple[tuple[str, str | bytes], ...]

DETAILS_KEY = "grpc-status-details-bin"
MAX_BYTES = 8192
"""As RFC 9113, section 6.5.2 counts: an entry is its name, its value as sent, and 32 bytes."""
_ENTRY_BYTES = 32
_PROXY_BYTES = 192  # of what a proxy adds: server, date
_GRPC_BYTES = 256  # :status, content-type, grpc-status, and the names of grpc-message and the details
_REQUEST_ID_BYTES = 172  # the entry x-request-id, with 128 characters
_SERVED_BY_BYTES = 104  # the entry x-served-by, with 60
ROOM = MAX_BYTES - _PROXY_BYTES - _GRPC_BYTES - _REQUEST_ID_BYTES - _SERVED_BY_BYTES
"""For the values of message and details, as sent."""
_MOST_OTHERS = 2048
_REQUEST_INFO_BYTES = 240  # added by whoever knows the request id
# What grpc-message holds as it is; any other byte takes three.
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte != ord("%"))


def fit(status: status_pb2.Status, room: int = ROOM) -> status_pb2.Status:
    """Cut `status` in place until its message, sent twice, and its details fit into `room` bytes; returns it.

    A long message gets half of the room and what the details leave; where it was cut it ends with "…". Details are kept
    in their order as long as they fit: the most useful should come first.
    """
    message_bytes = min(_cost(status.message), room // 2)
    left = room - message_bytes - _REQUEST_INFO_BYTES
    kept: list[any_pb2.Any] = []
    for detail in status.details:
        size = _base64(detail.ByteSize() + 4)
        if size <= left:
            kept.append(detail)
            left -= size
    message = _shortened(status.message, message_bytes + left)
    if message != status.message or len(kept) < len(status.details):
        status.CopyFrom(status_pb2.Status(code=status.code, message=message, details=kept))
    return status


def sendable(text: str) -> str:
    """Return `text` as UTF-8 can hold it: half of a surrogate pair becomes a question mark."""
    return text.encode(errors="replace").decode()


def passed_on(code: int, message: str, trailers: Iterable[tuple[str, str | bytes]]) -> tuple[str, Metadata]:
    """Return the message and the trailers that another process ended a call with, as every client can read them.

    What is small enough and says the same twice is left as it came. Details that are not a google.rpc.Status, and
    trailers beyond 2 KiB, are left out.
    """
    details, others = b"", list[tuple[str, str | bytes]]()
    room, most = ROOM + _SERVED_BY_BYTES, _MOST_OTHERS
    for key, value in trailers:
        size = _entry_bytes(key, value)
        if key == DETAILS_KEY and isinstance(value, bytes):
            details = value
        elif size <= most:
            others.append((key, value))
            room, most = room - size, most - size
    status = _parsed(details)
    if status is None:
        return _shortened(message, room), tuple(others)
    message = message or status.message
    if (status.code, status.message) != (code, message) or _cost(message) + _base64(len(details)) > room:
        status.code, status.message = code, message
        details = fit(status, room).SerializeToString()
    return status.message, (*others, (DETAILS_KEY, details))


def with_more(message: str, trailers: Metadata, more: Metadata) -> Metadata:
    """Return the trailers of a failed call, and those of `more` that leave its error readable."""
    left = MAX_BYTES - _PROXY_BYTES - _GRPC_BYTES - _encoded_bytes(message.encode())
    left -= sum(_entry_bytes(key, value) for key, value in trailers)
    kept = []
    for key, value in more:
        size = _entry_bytes(key, value)
        if size <= left:
            kept.append((key, value))
            left -= size
    return (*trailers, *kept)


def _entry_bytes(key: str, value: str | bytes) -> int:
    return len(key) + _ENTRY_BYTES + (len(value) if isinstance(value, str) else _base64(len(value)))


def _parsed(details: bytes) -> status_pb2.Status | None:
    if not details:
        return None
    try:
        return status_pb2.Status.FromString(details)
    except DecodeError:
        return None


def _shortened(text: str, room: int) -> str:
    if _cost(text) <= room:
        return text
    most = range(min(len(text), room))
    length = bisect_right(most, room, key=lambda length: _cost(f"{text[:length]}…")) - 1
    return f"{text[: max(length, 0)]}…"


def _cost(text: str) -> int:
    """How many bytes a message takes that is sent twice."""
    data = text.encode()
    return _encoded_bytes(data) + _base64(len(data) + 4)


def _encoded_bytes(data: bytes) -> int:
    return len(data) + 2 * len(data.translate(None, _PLAIN))


def _base64(size: int) -> int:
    return -(-size // 3) * 4
