"""What tests of the audit share: events, their rows, and the check that whoever has the rows can make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from cloudspan_gateway.audit.chain import FIRST_PREVIOUS, hash_of
from cloudspan_gateway.audit.event import Event, Type
from cloudspan_gateway.storage.engine import Database
from cloudspan_gateway.storage.tables import audit_events


def event(subject: str = "users/alice", **fields: Any) -> Event:
    """Return an event of a mutation."""
    return Event(**{"type": Type.TYPE_MUTATION, "create_time": 1_764_362_000.25, "subject": subject, **fields})


async def rows(database: Database) -> list[dict[str, Any]]:
    """Return every row, the oldest first."""
    asked = select(audit_events).order_by(audit_events.c.sequence)
    return await database.read(lambda conn: [dict(row._mapping) for row in conn.execute(asked)])


def broken_at(found: Iterable[dict[str, Any]]) -> int | None:
    """Return the sequence of the first row that does not fit the one before it; None for a whole chain."""
    previous = FIRST_PREVIOUS
    for sequence, row in enumerate(found, 1):
        right = (sequence, previous, hash_of(previous, row["record"]))
        if (row["sequence"], row["previous_hash"], row["hash"]) != right:
            return sequence
        previous = row["hash"]
    return None
