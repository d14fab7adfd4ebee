"""What followers of events hear of refusals, beside what the audit keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import event_pb2
from cloudspan_gateway.outbox.event import OutboxEvent

if TYPE_CHECKING:
    from cloudspan_gateway.audit.chain import Link


def refused(link: Link) -> OutboxEvent:
    """Return the event of a refusal in its place in the chain; its hash stands there alone."""
    fields: dict[str, Any] = msgspec.json.decode(link.record)
    data = event_pb2.Event()
    recorded = data.audit_event
    recorded.create_time.FromJsonString(fields.pop("create_time"))
    recorded.type = link.type
    del fields["type"]
    for name, value in fields.items():
        setattr(recorded, name, value)
    return OutboxEvent(
        "audit.refused",
        recorded.create_time.ToNanoseconds() / 1e9,
        subject=recorded.resource,
        cluster=recorded.cluster,
        tenant=recorded.tenant,
        data=data,
    )
