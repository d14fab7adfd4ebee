"""Etags of resources: the platform's own revision where it has one, else a digest of what is told of the resource.

The kit fills them when a resource is read by itself. Rows of lists, and so those of sweeps and of the gateway's
inventory, have the platform's own alone; what is kept of a resource that was read by itself has no digest either.
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
    return str(getattr(resource, "etag", "")) or _digest_of(resource)


def fill_etag(resource: Message) -> None:
    """Give a resource that was read by itself its etag; rows of a list hold too little for a digest to be compared."""
    if "etag" in resource.DESCRIPTOR.fields_by_name:
        resource.etag = etag_of(resource)  # type: ignore[attr-defined] # the descriptor says so


def clear_filled_etag(resource: Message) -> None:
    """Take from a resource the etag that `fill_etag` gave it; the platform's own stays."""
    etag = getattr(resource, "etag", "")
    if etag and etag == _digest_of(resource):
        resource.ClearField("etag")


def _digest_of(resource: Message) -> str:
    content = type(resource)()
    content.CopyFrom(resource)
    for field in _NOT_CONTENT:
        if field in content.DESCRIPTOR.fields_by_name:
            content.ClearField(field)
    return hashlib.blake2b(content.SerializeToString(deterministic=True), digest_size=_ETAG_BYTES).hexdigest()
