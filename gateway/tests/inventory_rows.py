"""Rows of the inventory for tests that only read it: resources as a sweep would keep them, written in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert

from cloudspan_gateway.inventory.columns import columns_of
from cloudspan_gateway.inventory.model import Observed, Origin
from cloudspan_gateway.storage.tables import resource_values, resources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message
    from sqlalchemy import Connection

_BATCH = 1_000


def write(conn: Connection, messages: Iterable[Message], at: float = 0.0, first_id: int = 1) -> int:
    """Write resources, numbered from `first_id`; return the next number."""
    rows: list[dict[str, Any]] = []
    values: list[dict[str, Any]] = []
    number = first_id
    for number, message in enumerate(messages, first_id):
        row, found = _row(number, message, at)
        rows.append(row)
        values += found
        if len(rows) == _BATCH:
            _write(conn, rows, values)
            rows, values = [], []
    _write(conn, rows, values)
    return number + 1


def clear(conn: Connection) -> None:
    """Take out every row."""
    conn.execute(delete(resource_values))
    conn.execute(delete(resources))


def collection_of(message: Message) -> str:
    """Return the collection of a resource, from its name."""
    return str(message.name.split("/")[4])  # type: ignore[attr-defined]


def _row(number: int, message: Message, at: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    seen = Observed.of(message)
    columns = columns_of(collection_of(message), message)
    row = {"id": number, **columns.fields, "payload": seen.payload, "digest": seen.digest}
    row |= {"observe_time": at, "source": Origin.SWEEP.value, "deleted_time": None}
    return row, [{"path": path, "value": value, "resource": number} for path, value in columns.values]


def _write(conn: Connection, rows: list[dict[str, Any]], values: list[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(resources), rows)
    if values:
        conn.execute(insert(resource_values), values)
