"""What is known of an operation: the row that a store keeps, and the messages made from it.

Only the runner and the doors of operations read it. Spec: design, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2
from google.rpc import status_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import any_pb2

    from cloudspan_common.names import ClusterRef

Phase = operation_pb2.OperationMetadata.Phase
PREFIX = "operations/"


@dataclass(frozen=True, slots=True)
class Intent:
    """What the gateway accepted."""

    id: str
    """UUID; with a step's name it makes the marker that finds a resource again."""
    method: str
    request: bytes = field(repr=False)  # may hold user data and passwords
    cluster: ClusterRef
    request_id: str
    """The caller's, else one made by the gateway."""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the adapter says an operation is."""

    cursor: bytes = b""
    phase: Phase = Phase.PHASE_QUEUED
    stage: str = ""
    percent: int = 0
    resource: str = ""
    native_ids: Mapping[str, str] = field(default_factory=dict)
    left_overs: tuple[operation_pb2.LeftOver, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """An operation as stored. A store hands out new rows, it never changes one."""

    intent: Intent
    create_time: float
    update_time: float
    sequence: int = 0
    """Place in the order of acceptance; pages go by it, so that a deleted row does not end a traversal."""
    progress: Progress = Progress()
    attempt: int = 0
    """How often the cursor was sent; 0 right after it changed."""
    epoch: int = 0
    """Grows with each claim; a write of an older one is refused."""
    revision: int = 0
    """Grows with each change; what watchers compare."""
    end_time: float | None = None
    outcome: any_pb2.Any | status_pb2.Status | None = field(default=None, repr=False)
    cancel_requested: bool = False

    @property
    def name(self) -> str:
        return PREFIX + self.intent.id

    @property
    def done(self) -> bool:
        return self.outcome is not None


def to_message(row: Row) -> operations_pb2.Operation:
    """Return the operation as callers see it."""
    operation = operations_pb2.Operation(name=row.name, done=row.done)
    operation.metadata.Pack(metadata_of(row))
    if isinstance(row.outcome, status_pb2.Status):
        operation.error.CopyFrom(row.outcome)
    elif row.outcome is not None:
        operation.response.CopyFrom(row.outcome)
    return operation


def metadata_of(row: Row) -> operation_pb2.OperationMetadata:
    """Return where the operation is, as callers see it."""
    progress = row.progress
    metadata = operation_pb2.OperationMetadata(
        method=row.intent.method,
        cluster=str(row.intent.cluster),
        resource=progress.resource,
        phase=Phase.PHASE_DONE if row.done else progress.phase,
        stage=progress.stage,
        percent=progress.percent,
        native_ids=progress.native_ids,
        request_id=row.intent.request_id,
        cancel_requested=row.cancel_requested,
        left_overs=progress.left_overs,
    )
    metadata.create_time.FromMilliseconds(round(row.create_time * 1000))
    metadata.update_time.FromMilliseconds(round(row.update_time * 1000))
    if row.end_time is not None:
        metadata.end_time.FromMilliseconds(round(row.end_time * 1000))
    return metadata


def id_of(name: str) -> str:
    """Return the uuid of `operations/{uuid}`.

    Raises:
        InvalidRequest: Another form.
    """
    if not name.startswith(PREFIX) or not name[len(PREFIX) :] or "/" in name[len(PREFIX) :]:
        text = f"name is {name[:120]!r}; expected the form operations/{{uuid}}"
        raise InvalidRequest(text, reason="MALFORMED_NAME", violations=[Violation("name", text)])
    return name[len(PREFIX) :]
