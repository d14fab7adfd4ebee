"""What is kept of an event before it has its number."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloudspan.v1 import event_pb2


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One event; the columns say who may hear of it (`cloudspan.v1.Event`)."""

    type: str
    """`operation.succeeded`, `cluster.ready`, `audit.refused`."""
    time: float
    """Unix seconds."""
    subject: str = ""
    """The resource name of what it is about."""
    cluster: str = ""
    """The full name of its cluster."""
    tenant: str = ""
    """The id of the tenant whose it is; empty for what clusters do."""
    project: str = ""
    """The id of the only project that its operation may touch."""
    data: event_pb2.Event = field(default_factory=event_pb2.Event)
    """With the field of its `oneof` alone."""
