"""What is known of an operation: the row that a store keeps, how it changes, and the messages made from it.

Stores keep rows and apply the changes below, whatever they keep them in; the runner and the doors read them. A row is
never changed in place.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from google.rpc import code_pb2, status_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common import contract, errors
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.redaction import has_secrets, without_secrets
from cloudspan_gateway.access.behalf import Behalf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import any_pb2

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.access import Access

Phase = operation_pb2.OperationMetadata.Phase
CancelOutcome = operation_pb2.OperationMetadata.CancelOutcome
PREFIX = "operations/"
_ALL = 100


@dataclass(frozen=True, slots=True)
class Intent:
    """What the gateway accepted."""

    id: str
    """UUID; with a step's name it makes the marker that finds a resource again."""
    method: str
    request: bytes = field(repr=False)
    """May hold user data and passwords; empty once the operation has ended."""
    cluster: ClusterRef
    request_id: str
    """The caller's, else one made by the gateway."""
    digest: bytes = field(default=b"", repr=False)
    """What the same `request_id` must come with again: distinguishes requests and reveals nothing of what they hold."""
    traceparent: str = ""
    tenant: str = ""
    """On whose behalf, as far as is known; the runner is fair between tenants."""
    caller: str = ""
    """The subject that asked for it; empty where callers are not authenticated."""
    roles: tuple[str, ...] = ()
    """Its roles when it asked."""
    project: str = ""
    """The only project of the cluster that it may touch, by the pool through which it was asked for."""
    target: str = ""
    """The resource that it changes; empty for a create, until that is known."""
    also: tuple[str, ...] = ()
    """Other resources that it names, such as the volume that is attached."""

    @property
    def request_key(self) -> str:
        """What no other operation has: a `request_id` means something in its tenant alone.

        Where callers are not authenticated the tenant is anybody's word, and separates nobody.
        """
        return f"{self.tenant}/{self.request_id}" if self.caller else self.request_id

    @property
    def request_keys(self) -> tuple[str, ...]:
        """The same, and without the tenant, as operations were kept before callers were authenticated."""
        return tuple(dict.fromkeys((self.request_key, self.request_id)))

    def exists_for(self, access: Access) -> bool:
        """Whether a caller may know of it: of its own tenant, on a cluster that it has, in its project there."""
        if not access.sees(self.tenant, self.cluster):
            return False
        return access.project(self.cluster) in ("", self.project)

    @property
    def behalf(self) -> Behalf:
        """On whose behalf adapters are called for it: as it was accepted, whatever policy says since."""
        return Behalf(self.caller, self.tenant, self.roles, self.project)


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
    error: operation_pb2.ErrorSummary | None = None
    """Why the last step had no answer, and since when."""


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
    contact_time: float | None = None
    """When an adapter last answered a step, or reported that it is still in transit."""
    end_time: float | None = None
    outcome: any_pb2.Any | status_pb2.Status | None = field(default=None, repr=False)
    secret: bool = False
    """Whether the outcome holds secret fields that nobody has fetched yet."""
    cancel_requested: bool = False
    waits_for: str = ""
    """Id of the operation that it queues behind: nobody claims it before that has ended."""
    preempted_by: str = ""
    """Id of the operation that ends it."""

    @property
    def name(self) -> str:
        return PREFIX + self.intent.id

    @property
    def code(self) -> str:
        """The canonical code's name that it ended with; empty until then."""
        if isinstance(self.outcome, status_pb2.Status):
            return str(code_pb2.Code.Name(self.outcome.code))
        return "OK" if self.done else ""

    @property
    def done(self) -> bool:
        return self.outcome is not None

    @property
    def resource(self) -> str:
        """What it works on, as far as is known."""
        return self.progress.resource or self.intent.target

    @property
    def deadline_time(self) -> float:
        """When the time of its class ends; past it the operation is STALLED."""
        method = contract.methods().get(self.intent.method)
        return self.create_time + (method.deadline_s if method else contract.DEFAULT_DEADLINE_S)

    @property
    def failed(self) -> bool:
        return isinstance(self.outcome, status_pb2.Status)


# ------------------------------------------------------------------ how a row changes: what stores apply


def attempted(row: Row) -> Row:
    """The cursor is about to be sent. No change that watchers see."""
    return dataclasses.replace(row, attempt=row.attempt + 1)


def advanced(row: Row, progress: Progress, now: float) -> Row:
    """A step was answered: what is sent next is sent for the first time."""
    return _changed(row, now, progress=progress, attempt=0, contact_time=now)


def noted(row: Row, progress: Progress, now: float, *, sent: bool = True) -> Row:
    """A step had no answer: watchers see why. The attempt stays counted, unless it surely was not `sent`."""
    row = row if sent else dataclasses.replace(row, attempt=max(row.attempt - 1, 0))
    return row if row.progress == progress else _changed(row, now, progress=progress)


def finished(row: Row, progress: Progress, outcome: any_pb2.Any | status_pb2.Status, now: float) -> Row:
    """It has ended: what was asked is forgotten, and whoever held it holds it no more."""
    return _changed(
        row,
        now,
        progress=dataclasses.replace(progress, cursor=b"", error=None),
        attempt=0,
        outcome=outcome,
        secret=not isinstance(outcome, status_pb2.Status) and has_secrets(outcome),
        contact_time=now,
        end_time=now,
        waits_for="",
        epoch=row.epoch + 1,
        intent=dataclasses.replace(row.intent, request=b""),
    )


def cancelled(row: Row, now: float, *, preempted_by: str = "") -> Row:
    """Its end is wanted; one that has ended, or was cancelled before, stays as it is."""
    if row.done or (row.cancel_requested and (row.preempted_by or not preempted_by)):
        return row
    return _changed(row, now, cancel_requested=True, preempted_by=preempted_by, waits_for="")


def freed(row: Row, now: float) -> Row:
    """What it queued behind has ended."""
    return _changed(row, now, waits_for="")


def revealed(row: Row) -> Row:
    """The secrets of its outcome were fetched: nobody gets them again. No change that watchers see."""
    if not row.secret or isinstance(row.outcome, status_pb2.Status | None):
        return row
    return dataclasses.replace(row, outcome=without_secrets(row.outcome), secret=False)


def _changed(row: Row, now: float, **fields: Any) -> Row:
    return dataclasses.replace(row, revision=row.revision + 1, update_time=now, **fields)


# ------------------------------------------------------------------ as callers see it


def to_message(row: Row, *, reveal: bool = False) -> operations_pb2.Operation:
    """Return the operation as callers see it; the secrets of its outcome only with `reveal`."""
    operation = operations_pb2.Operation(name=row.name, done=row.done)
    operation.metadata.Pack(metadata_of(row))
    if isinstance(row.outcome, status_pb2.Status):
        operation.error.CopyFrom(row.outcome)
    elif row.outcome is not None:
        operation.response.CopyFrom(row.outcome if reveal or not row.secret else without_secrets(row.outcome))
    return operation


def metadata_of(row: Row) -> operation_pb2.OperationMetadata:
    """Return where the operation is, as callers see it."""
    progress = row.progress
    metadata = operation_pb2.OperationMetadata(
        method=row.intent.method,
        cluster=str(row.intent.cluster),
        resource=row.resource,
        phase=Phase.PHASE_DONE if row.done else progress.phase,
        stage=progress.stage,
        percent=_percent(row),
        native_ids=progress.native_ids,
        request_id=row.intent.request_id,
        cancel_requested=row.cancel_requested,
        cancel_outcome=_cancel_outcome(row),
        left_overs=progress.left_overs,
        waits_for=PREFIX + row.waits_for if row.waits_for else "",
        preempted_by=PREFIX + row.preempted_by if row.preempted_by else "",
        tenant=row.intent.tenant,
        caller=row.intent.caller,
        outcome=row.code,
    )
    if isinstance(row.outcome, status_pb2.Status):
        metadata.error_summary.CopyFrom(summary_of(row.outcome, row.end_time))
    elif progress.error is not None:
        metadata.error_summary.CopyFrom(progress.error)
    times = {"create_time": row.create_time, "update_time": row.update_time, "deadline_time": row.deadline_time}
    for name, seconds in {**times, "contact_time": row.contact_time, "end_time": row.end_time}.items():
        if seconds is not None:
            getattr(metadata, name).FromMilliseconds(round(seconds * 1000))
    return metadata


def visible_state(row: Row) -> operation_pb2.OperationMetadata:
    """Return what a watcher can see of the operation: its metadata without when it was last looked at."""
    metadata = metadata_of(row)
    metadata.ClearField("update_time")
    metadata.ClearField("contact_time")
    return metadata


def _percent(row: Row) -> int:
    """Adapters estimate; only an operation that has succeeded is done to 100 %."""
    return _ALL if row.done and not row.failed else min(max(row.progress.percent, 0), _ALL - 1)


def summary_of(error: status_pb2.Status, at: float | None) -> operation_pb2.ErrorSummary:
    """Return the short form of an error that happened at a time, Unix seconds."""
    summary = operation_pb2.ErrorSummary(
        code=code_pb2.Code.Name(error.code), reason=errors.from_status(error).reason, message=error.message
    )
    if at is not None:
        summary.create_time.FromMilliseconds(round(at * 1000))
    return summary


def _cancel_outcome(row: Row) -> CancelOutcome:
    if not row.cancel_requested or not row.done:
        return CancelOutcome.CANCEL_OUTCOME_UNSPECIFIED
    if not isinstance(row.outcome, status_pb2.Status):
        return CancelOutcome.CANCEL_OUTCOME_TOO_LATE
    if any(not left.removed for left in row.progress.left_overs):
        return CancelOutcome.CANCEL_OUTCOME_LEFT_BEHIND
    if row.outcome.code != code_pb2.CANCELLED:
        return CancelOutcome.CANCEL_OUTCOME_FAILED
    return CancelOutcome.CANCEL_OUTCOME_UNDONE


def id_of(name: str) -> str:
    """Return the uuid of `operations/{uuid}`.

    Raises:
        InvalidRequest: Another form.
    """
    if not name.startswith(PREFIX) or not name[len(PREFIX) :] or "/" in name[len(PREFIX) :]:
        text = f"name is {name[:120]!r}; expected the form operations/{{uuid}}"
        raise InvalidRequest(text, reason="MALFORMED_NAME", violations=[Violation("name", text)])
    return name[len(PREFIX) :]
