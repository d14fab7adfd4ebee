"""What followers of events hear of operations: how they ended. Stores keep it in the transaction of the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.rpc import status_pb2

from cloudspan.v1 import event_pb2
from cloudspan_common.errors import Code
from cloudspan_gateway.operations.model import metadata_of
from cloudspan_gateway.outbox.event import OutboxEvent

if TYPE_CHECKING:
    from cloudspan_gateway.operations.model import Row

_OUTCOMES = {Code.OK.name: "succeeded", Code.CANCELLED.name: "cancelled"}


def ended(row: Row) -> OutboxEvent:
    """Return the event of an operation's end, without its response, which may hold secrets.

    And without the operations that it waited for or gave way to: not all who hear of it may know of those.
    """
    metadata = metadata_of(row)
    for other in ("waits_for", "preempted_by"):
        metadata.ClearField(other)
    data = event_pb2.Event()
    data.operation.name, data.operation.done = row.name, True
    data.operation.metadata.Pack(metadata)
    if isinstance(row.outcome, status_pb2.Status):
        data.operation.error.CopyFrom(row.outcome)
    return OutboxEvent(
        f"operation.{_OUTCOMES.get(row.code, 'failed')}",
        row.end_time or row.update_time,
        subject=row.resource,
        cluster=str(row.intent.cluster),
        tenant=row.intent.tenant,
        project=row.intent.project,
        data=data,
    )
