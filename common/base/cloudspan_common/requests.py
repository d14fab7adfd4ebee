"""A request's bytes as its message, within the limits that every method has: docs/limits.md lists them.

The gateway reads each call's request here before anybody acts on it, adapters once more, since they may be called
directly. What a caller sends is bounded by gRPC at 4 MiB; these limits are for what costs more than its bytes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor as Fd
from google.protobuf.message import DecodeError

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

MAX_TOKEN_CHARS = 256 * 1024
"""Of a page token of the gateway, which holds one of an adapter for each cluster: about 250 characters each."""
MAX_TEXT_BYTES = 64 * 1024
MAX_DATA_BYTES = 1024 * 1024
MAX_ITEMS = 1000
MAX_ENTRIES = 256
MAX_KEY_BYTES, MAX_VALUE_BYTES = 256, 4096
MAX_MASK_PATHS = 256
MAX_DEPTH = 32

# Longer texts of these fields are refused whatever else a request holds.
_TEXTS = {
    "page_token": MAX_TOKEN_CHARS,
    "filter": 4096,
    "order_by": 1024,
    "name": 1024,
    "parent": 1024,
    "display_name": 1024,
    "request_id": 256,
    "etag": 256,
}
# A request below cannot exceed any limit that costs anything: it is read without being looked through.
_SMALL_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    is_map: bool
    is_repeated: bool
    is_message: bool
    most_bytes: int
    """Of a text or of bytes."""


def parsed(request: type[M], method: str, body: bytes) -> M:
    """Return the request of a method (its full name).

    Raises:
        InvalidRequest: MALFORMED_MESSAGE for other bytes, LIMIT_EXCEEDED for a part that is too long or too many.
    """
    try:
        message = request.FromString(body)
    except DecodeError as error:
        text = f"the request of {method} is not a {request.DESCRIPTOR.full_name}: {error}"
        raise InvalidRequest(text, reason="MALFORMED_MESSAGE") from error
    if len(body) > _SMALL_BYTES:
        check_limits(message)
    return message


def check_limits(message: Message) -> None:
    """Raise InvalidRequest that names the first part beyond its limit."""
    found = next(_beyond(message, "", 0), None)
    if found is not None:
        text = f"{found.field} {found.description}; docs/limits.md lists the limits"
        raise InvalidRequest(text, reason="LIMIT_EXCEEDED", violations=[found])


def _beyond(message: Message, prefix: str, depth: int) -> Iterator[Violation]:
    if depth > MAX_DEPTH:
        yield Violation(prefix.rstrip("."), f"is nested deeper than {MAX_DEPTH} levels")
        return
    fields = _fields(message.DESCRIPTOR)
    for descriptor, value in message.ListFields():
        field = fields[descriptor.name]
        path = prefix + field.name
        if field.is_map:
            yield from _map_beyond(value, path, depth, of_messages=field.is_message)
        elif field.is_repeated:
            most = MAX_MASK_PATHS if message.DESCRIPTOR.full_name == "google.protobuf.FieldMask" else MAX_ITEMS
            if len(value) > most:
                yield Violation(path, f"has {len(value)} items, at most {most} are allowed")
                return
            for index, item in enumerate(value):
                yield from _value_beyond(field, item, f"{path}[{index}]", depth)
        else:
            yield from _value_beyond(field, value, path, depth)


def _value_beyond(field: _Field, value: Any, path: str, depth: int) -> Iterator[Violation]:
    if field.is_message:
        yield from _beyond(value, f"{path}.", depth + 1)
    elif field.most_bytes and len(value) > field.most_bytes:
        yield Violation(path, f"has {len(value)} characters, at most {field.most_bytes} are allowed")


def _map_beyond(entries: Any, path: str, depth: int, *, of_messages: bool) -> Iterator[Violation]:
    if len(entries) > MAX_ENTRIES:
        yield Violation(path, f"has {len(entries)} entries, at most {MAX_ENTRIES} are allowed")
        return
    for key, value in entries.items():
        if len(str(key)) > MAX_KEY_BYTES:
            yield Violation(path, f"has a key of {len(str(key))} characters, at most {MAX_KEY_BYTES} are allowed")
        elif of_messages:
            yield from _beyond(value, f"{path}.{key}.", depth + 1)
        elif isinstance(value, str) and len(value) > MAX_VALUE_BYTES:
            text = f"has a value of {len(value)} characters, at most {MAX_VALUE_BYTES} are allowed"
            yield Violation(f"{path}.{key}", text)


@functools.cache
def _fields(descriptor: Descriptor) -> dict[str, _Field]:
    return {fd.name: _field(fd) for fd in descriptor.fields}


def _field(fd: Fd) -> _Field:
    is_map = fd.message_type is not None and bool(fd.message_type.GetOptions().map_entry)
    value = fd.message_type.fields_by_name["value"] if is_map and fd.message_type is not None else fd
    most = {Fd.TYPE_STRING: _TEXTS.get(fd.name, MAX_TEXT_BYTES), Fd.TYPE_BYTES: MAX_DATA_BYTES}.get(fd.type, 0)
    return _Field(fd.name, is_map, fd.is_repeated, value.message_type is not None, most)
