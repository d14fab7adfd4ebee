"""Ends without an adapter: preempted, refused, abandoned, of a cluster that is gone. Each says what it leaves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.errors import Busy, CloudspanError, OutcomeUnknown

if TYPE_CHECKING:
    from google.rpc import status_pb2

    from cloudspan_gateway.operations.model import Progress, Row


def preempted(row: Row, deleter: Row) -> tuple[Progress, status_pb2.Status]:
    """It gave way to a Delete and could not be undone in time; another tenant's is not named."""
    is_own = row.intent.tenant == deleter.intent.tenant or not row.intent.caller
    by = deleter.name if is_own else "an operation of another tenant"
    text = f"{row.name} gave way to {by}, which deletes {row.resource}; what else it had made is in left_overs"
    error = Busy(text, reason="PREEMPTED", metadata={"operation": by} if is_own else {}, resource=row.resource)
    return left_as_it_is(row, f"was made before {by} ended the operation"), errors.to_status(error)


def abandoned(row: Row, reason: str) -> tuple[Progress, status_pb2.Status]:
    """Somebody gave it up."""
    return _unknown(row, f"it was abandoned: {reason}")


def of_a_lost_cluster(row: Row, error: CloudspanError) -> tuple[Progress, status_pb2.Status]:
    """Its cluster was removed; what was never sent there was not done."""
    if not row.attempt and not row.progress.cursor:
        return row.progress, errors.to_status(error)
    return _unknown(row, f"{row.intent.cluster} was removed ({error.message})")


def _unknown(row: Row, why: str) -> tuple[Progress, status_pb2.Status]:
    text = (
        f"{row.name} ended with an unknown outcome, since {why}; look at {row.intent.cluster} for what left_overs "
        f"lists, and for anything marked with {marker_of(row.intent.id)}"
    )
    metadata = {"cluster": str(row.intent.cluster), "marker": marker_of(row.intent.id)}
    error = OutcomeUnknown(text, metadata=metadata, resource=row.resource)
    return left_as_it_is(row, "was made, and nothing was undone"), errors.to_status(error)


def left_as_it_is(row: Row, why: str) -> Progress:
    """Return the progress with everything that was made listed as left behind."""
    progress = row.progress
    listed = {left.name for left in progress.left_overs}
    made = [
        operation_pb2.LeftOver(name="", reason=f"{step} {made} {why}") for step, made in progress.native_ids.items()
    ]
    if row.resource and row.resource not in listed:
        made.insert(0, operation_pb2.LeftOver(name=row.resource, reason=f"it {why}"))
    return dataclasses.replace(progress, left_overs=(*progress.left_overs, *made))


def marker_of(operation_id: str) -> str:
    """Return what every marker of an operation contains, whatever the installation and the step."""
    return operation_id.replace("-", "")
