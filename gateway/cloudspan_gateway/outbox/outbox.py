"""Appends events within any transaction, and numbers them together with the changes of the inventory.

An event is there exactly if what it tells of is. Numbers are given in the order of commits: whoever has read number n
has read all below it. Changes of the inventory are events as they stand (`resource_changes`), so they are numbered here
and not kept twice.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, text, union_all, update

from cloudspan_gateway.storage.tables import change_sequence, events, resource_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.outbox.event import OutboxEvent
    from cloudspan_gateway.storage.engine import Database

ANNOUNCEMENT = "events||"
"""In the form of the operations' store's announcements."""
# Taken last: on PostgreSQL whoever numbers after this waits until it is committed.
_NEXT = text(
    'INSERT INTO change_sequence ("only", sequence, oldest, epoch) VALUES (1, :count, 0, :epoch) '
    'ON CONFLICT ("only") DO UPDATE SET sequence = change_sequence.sequence + :count RETURNING sequence'
)
_BEGIN = text(
    'INSERT INTO change_sequence ("only", sequence, oldest, epoch) VALUES (1, 0, 0, :epoch) '
    'ON CONFLICT ("only") DO NOTHING'
)


def begin(conn: Connection) -> None:
    """Begin the numbers, unless there are some."""
    conn.execute(_BEGIN, {"epoch": uuid.uuid4().hex})


def first_number(conn: Connection, count: int) -> int:
    """Return the first of `count` new numbers; to be called last in a transaction, behind `Chain.append`.

    All in this order, so that gateways wait for each other and never in a circle.
    """
    last: int = conn.execute(_NEXT, {"count": count, "epoch": uuid.uuid4().hex}).scalar_one()
    return last - count + 1


def append(conn: Connection, database: Database, happened: Sequence[OutboxEvent]) -> None:
    """Keep events within the transaction of `conn`, which may run twice; the last thing that is done in it."""
    if not happened:
        return
    first = first_number(conn, len(happened))
    rows = [
        {
            "sequence": first + place,
            "time": event.time,
            "type": event.type,
            "subject": event.subject,
            "cluster": event.cluster,
            "tenant": event.tenant,
            "project": event.project,
            "data": event.data.SerializeToString(),
        }
        for place, event in enumerate(happened)
    ]
    conn.execute(insert(events), rows)
    database.announce(conn, ANNOUNCEMENT)


def purge(conn: Connection, before: float, limit: int) -> int:
    """Delete the oldest events and changes, up to the last one of before that time; return how many."""
    tables = (events, resource_changes)
    last = [
        found
        for table in tables
        if (found := conn.execute(
            select(table.c.sequence).where(table.c.time < before).order_by(table.c.sequence.desc()).limit(1)
        ).scalar()) is not None
    ]  # fmt: skip
    if not last:
        return 0
    oldest = union_all(*(select(t.c.sequence).where(t.c.sequence <= max(last)) for t in tables)).subquery()
    upto = max(conn.execute(select(oldest.c.sequence).order_by(oldest.c.sequence).limit(limit)).scalars())
    deleted = sum(conn.execute(delete(table).where(table.c.sequence <= upto)).rowcount for table in tables)
    # Another gateway may purge too for a moment, and be further: what it deleted must not seem to be kept.
    conn.execute(update(change_sequence).where(change_sequence.c.oldest < upto).values(oldest=upto))
    return int(deleted)
