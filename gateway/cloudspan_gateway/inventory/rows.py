"""Resources as the tables take them: columns, values and the payload beside.

`store` makes rows before it begins a transaction: decoding and taking apart costs more than writing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from cloudspan_common.errors import InvalidRequest, PlatformFault
from cloudspan_gateway.inventory.columns import columns_of, message_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_gateway.inventory.model import Observed


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One resource, ready to be written."""

    name: str
    digest: bytes = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    """Columns of `resources`, payload and digest among them."""
    values: frozenset[tuple[str, str]] = field(repr=False)

    @property
    def cluster(self) -> str:
        return str(self.fields["cluster"])

    @property
    def project(self) -> str:
        return str(self.fields["project"])


def row_of(collection: str, observed: Observed) -> ResourceRow:
    """Return a resource of that collection as a row.

    Raises:
        PlatformFault: UNEXPECTED_ANSWER, the payload is not a message of the collection's, or names something else.
    """
    try:
        resource: Any = message_of(collection).FromString(observed.payload)
        columns = columns_of(collection, resource)
    except (DecodeError, InvalidRequest) as error:
        text = f"what was read as {observed.name[:200]} is not one of {collection}: {error}"
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER") from error
    if resource.name != observed.name:
        text = f"what was read as {observed.name[:200]} calls itself {resource.name[:200]!r}"
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER")
    fields = {**columns.fields, "payload": observed.payload, "digest": observed.digest}
    return ResourceRow(observed.name, observed.digest, fields, columns.values)
