"""Small translations that adapters of every platform need: references, configured names, decoded documents.

Drivers and configurations call these, drivers some of them once a field, so they stay flat and cheap.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cloudspan_common.errors import InvalidRequest, PlatformFault, Violation
from cloudspan_common.names import is_tag, parse_resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from cloudspan_common.names import ClusterRef

T = TypeVar("T")
M = TypeVar("M", bound="Message")

GIB = 1 << 30
MIB = 1 << 20
# An error carries about 2 900 characters (`trailers`), our own words among them.
_MAX_WORDS = 2000
_MAX_PAGE_BYTES = 4096


def native_id(cluster: ClusterRef, collection: str, name: str, field: str) -> str:
    """Return the platform's id of a resource that a request refers to; empty for an empty reference.

    Raises:
        InvalidRequest: It is of another form, or of another cluster.
    """
    if not name:
        return ""
    ref, resource_id = parse_resource(name, collection, field)
    if ref != cluster:
        text = f"{field} is in {ref}, the request goes to {cluster}; both must be of one cluster"
        raise InvalidRequest(text, reason="OTHER_CLUSTER", violations=[Violation(field, text)])
    return resource_id


def tagged_cloud(text: str) -> tuple[str, str]:
    """Return (tag, cloud) of a configured cluster: `tag=cloud`, or a cloud whose name can be a tag.

    Raises:
        ValueError: Another form.
    """
    tag, equals, cloud = text.partition("=")
    cloud = cloud if equals else tag
    if not is_tag(tag) or not cloud:
        text = f"{text!r} is not a cluster; write tag=cloud, the tag in lower-case letters, digits and hyphens"
        raise ValueError(text)
    return tag, cloud


def copy_fields(source: Message, into: M) -> M:
    """Copy the set fields of `source` to the fields of the same names in `into`, and return it.

    What a request asks for a part, NewSubnet, is what the part's own create takes.
    """
    for field, _ in source.ListFields():
        value, target = getattr(source, field.name), into.DESCRIPTOR.fields_by_name[field.name]
        if target.is_repeated or target.message_type is not None:
            getattr(into, field.name).MergeFrom(value)
        else:
            setattr(into, field.name, value)
    return into


def listed(names: Iterable[str], most: int = 10) -> str:
    """Return names for a message: the first few, and how many more."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def cloud_words(text: str) -> str:
    """Return what a cloud says on one line, no longer than an error can carry; where it was cut it ends with "…"."""
    words = " ".join(text.split())
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"


def page_words(body: bytes) -> str:
    """Return the words of an HTML page, or of any other body that is not what it should be."""
    text = body[:_MAX_PAGE_BYTES].decode("utf-8", "replace")
    return cloud_words(re.sub(r"(?is)<(script|style|head).*?</\1>|<[^>]+>", " ", text))


def converted(document: Any, into: type[T]) -> T:
    """Return a decoded document as a struct.

    Raises:
        PlatformFault: It is of another form than the platform documents.
    """
    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError as error:
        text = f"the cloud answered something that is not a {into.__name__}: {error}"
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER") from error
