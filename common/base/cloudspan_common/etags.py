"""Etags of resources (AIP-154): the platform's revision where it has one, else a digest of the content.

Adapters fill them in what they return, and the gateway in what it answers from its inventory: the same resource has
the same etag, wherever it was read.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.message import Message

_ETAG_BYTES = 8
# These change with every read, with the view, or are the etag itself.
_NOT_CONTENT = ("observe_time", "native", "etag")


def etag_of(resource: Message) -> str:
    """Return the resource's etag: the platform's revision if the driver set one, else a digest of its content."""
    return str(getattr(resource, "etag", "")) or _digest(resource)


def fill_etag(resource: Message) -> None:
    """Give a resource that was read by itself its etag; rows of a list hold too little for a digest to be compared."""
    if "etag" in resource.DESCRIPTOR.fields_by_name:
        resource.etag = etag_of(resource)  # type: ignore[attr-defined] # the descriptor says so


def clear_digest(resource: Message) -> None:
    """Take out an etag that is a digest of the rest: the same resource as a list has it."""
    if getattr(resource, "etag", "") and resource.etag == _digest(resource):  # type: ignore[attr-defined] # just read
        resource.ClearField("etag")


def _digest(resource: Message) -> str:
    content = type(resource)()
    content.CopyFrom(resource)
    for field in _NOT_CONTENT:
        if field in content.DESCRIPTOR.fields_by_name:
            content.ClearField(field)
    return hashlib.blake2b(content.SerializeToString(deterministic=True), digest_size=_ETAG_BYTES).hexdigest()
