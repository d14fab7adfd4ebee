"""Ends without an adapter: each says what is left behind."""

from __future__ import annotations

import dataclasses

from gateway.tests.operation_store_suite import intent
from gateway.tests.operations_for_stores import CLUSTER, PROGRESS

from cloudspan_common.errors import Code, NotFound, OutcomeUnknown, from_status
from cloudspan_gateway.operations import outcomes
from cloudspan_gateway.operations.model import Progress, Row


def row(**fields: object) -> Row:
    return dataclasses.replace(Row(intent(), create_time=1.0, update_time=1.0, progress=PROGRESS), **fields)


def test_what_gave_way_to_a_delete_names_it() -> None:
    """ABORTED, with the operation that ended it."""
    deleter = row()
    progress, status = outcomes.preempted(row(preempted_by=deleter.intent.id), deleter)
    assert (status.code, from_status(status).metadata["operation"]) == (Code.ABORTED.value[0], deleter.name)
    assert PROGRESS.resource in {left.name for left in progress.left_overs}


def test_what_gave_way_to_another_tenants_delete_does_not_name_it() -> None:
    """Neither in the message nor in the details nor in what is left over."""
    deleter = row(intent=intent(tenant="other", caller="users/b"))
    mine = row(intent=intent(caller="users/a"), preempted_by=deleter.intent.id)
    progress, status = outcomes.preempted(mine, deleter)
    assert "an operation of another tenant" in status.message
    assert deleter.intent.id not in f"{status}{progress}"


def test_an_abandoned_operation_reports_its_marker() -> None:
    """By it whatever was made can be found on the cloud."""
    given_up = row()
    _, status = outcomes.abandoned(given_up, "no one knows")
    error = from_status(status)
    assert isinstance(error, OutcomeUnknown)
    assert error.metadata["marker"] == given_up.intent.id.replace("-", "")
    assert "no one knows" in error.message


def test_what_was_never_sent_to_a_removed_cluster_was_not_done() -> None:
    """Only what may have begun has an unknown outcome."""
    gone = NotFound(f"there is no {CLUSTER}", reason="CLUSTER_UNKNOWN")
    progress, status = outcomes.of_a_lost_cluster(row(progress=Progress()), gone)
    assert (status.code, progress.left_overs) == (Code.NOT_FOUND.value[0], ())
    _, begun = outcomes.of_a_lost_cluster(row(attempt=1), gone)
    assert begun.code == Code.UNKNOWN.value[0]
