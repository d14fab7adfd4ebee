"""What the audit keeps of one event, before it has its place in the chain.

The audit stage makes an `Event` of each call that changes something or is refused, and hands it on with the call: a
store that keeps what the call did writes the event in the same transaction, so that neither is there without the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudspan.v1 import audit_pb2

Type = audit_pb2.AuditEvent.Type


@dataclass(frozen=True, slots=True)
class Event:
    """One event; the fields are those of cloudspan.v1.AuditEvent."""

    type: Type
    create_time: float
    """Unix seconds."""
    subject: str = ""
    tenant: str = ""
    peer: str = ""
    credential: str = ""
    method: str = ""
    cluster: str = ""
    resource: str = ""
    operation: str = ""
    outcome: str = "OK"
    """The canonical code's name."""
    reason: str = ""
    message: str = ""
    request_id: str = ""
    via: str = ""
    """The way in, by the caller's word."""
