"""Resources as they are kept, as callers get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan.v1 import inventory_pb2
from cloudspan_gateway.inventory.columns import ADDRESSES, columns_of, message_of

if TYPE_CHECKING:
    from cloudspan_gateway.inventory.base import StoredRow

_TEXTS = ("name", "collection", "cluster", "display_name", "state", "project", "zone", "flavor")
_SIZES = ("vcpus", "memory_bytes", "disk_bytes")


def to_stored(row: StoredRow, observe_time: float) -> inventory_pb2.StoredResource:
    """Return a row by what all kinds have; `observe_time` is when it was last known to be like this, Unix seconds."""
    resource: Any = message_of(row.collection).FromString(row.payload)
    columns = columns_of(row.collection, resource)
    fields: dict[str, Any] = {name: columns.fields[name] for name in _TEXTS}
    fields |= {name: columns.fields[name] or 0 for name in _SIZES}
    stored = inventory_pb2.StoredResource(
        **fields,
        labels=getattr(resource, "labels", {}),
        addresses=sorted(value for path, value in columns.values if path == ADDRESSES),
    )
    if columns.fields["create_time"] is not None:
        stored.create_time.CopyFrom(resource.create_time)
    stored.observe_time.FromNanoseconds(round(observe_time * 1e9))
    stored.resource.Pack(resource)
    return stored
