"""Resources as the tables take them: texts of a length that an index takes, numbers that fit, payloads beside.

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

MAX_TEXT_BYTES = 1_000
"""Of a text in an index: PostgreSQL's take 2 700 bytes an entry, of which a path and a value are two."""
_MOST = 2**63 - 1
_UNINDEXED = frozenset({"search"})


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
    fields = {name: _fitting(name, value) for name, value in columns.fields.items()}
    fields |= {"name": observed.name, "payload": observed.payload, "digest": observed.digest}
    values = frozenset((fitting(path), fitting(value)) for path, value in columns.values)
    return ResourceRow(observed.name, observed.digest, fields, values)


def fitting(text: str) -> str:
    """Return a text as it is kept in an indexed column: without NUL, which PostgreSQL refuses, and cut.

    Whoever looks for a text looks for this.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if 4 * len(text) <= MAX_TEXT_BYTES:
        return text
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def _fitting(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if name in _UNINDEXED else fitting(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_MOST, min(value, _MOST))  # a cloud may report any size, and a sum of MiB is in bytes here
    return value
