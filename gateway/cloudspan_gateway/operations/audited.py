"""What the audit keeps of operations: that one was asked for, and how it ended.

Stores append these in the transaction that keeps the change itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from google.rpc import status_pb2

from cloudspan_common import errors
from cloudspan_gateway.audit.event import Event, Type

if TYPE_CHECKING:
    from cloudspan_gateway.operations.model import Intent, Row


def accepted(event: Event, intent: Intent, row: Row) -> Event:
    """Return the event of a mutation that became `row`, or had become it before under the same `request_id`."""
    again = "" if row.intent.id == intent.id else "the same request_id as before: no new operation"
    return dataclasses.replace(event, operation=row.name, message=again)


def ended(row: Row) -> Event:
    """Return the event of an operation's end, whoever ended it."""
    error = row.outcome if isinstance(row.outcome, status_pb2.Status) else None
    return Event(
        Type.TYPE_OPERATION_ENDED,
        row.end_time or row.update_time,
        subject=row.intent.caller,
        tenant=row.intent.tenant,
        method=row.intent.method,
        cluster=str(row.intent.cluster),
        resource=row.resource,
        operation=row.name,
        outcome=row.code,
        reason=errors.from_status(error).reason if error else "",
        message=error.message if error else "",
        request_id=row.intent.request_id,
    )
