"""A stored operation: how each change alters it, and what callers see of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from gateway.tests.operations_for_stores import CANCELLED, DONE, PROGRESS, SERVER, intent, on_server
from google.protobuf import any_pb2
from google.rpc import status_pb2

from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.operations import model
from cloudspan_gateway.operations.model import Phase, Progress, Row

Outcome = model.CancelOutcome


def row(**fields: Any) -> Row:
    return dataclasses.replace(Row(intent(), create_time=1.0, update_time=1.0), **fields)


def test_a_change_that_watchers_see_raises_the_revision_and_others_do_not() -> None:
    before = row()
    assert model.attempted(before).revision == before.revision
    assert model.advanced(before, PROGRESS, 2.0).revision == before.revision + 1
    assert model.noted(before, before.progress, 2.0).revision == before.revision


def test_an_answer_starts_the_count_of_attempts_anew_and_a_note_does_not() -> None:
    """Only what surely was not sent is taken back."""
    sent = model.attempted(model.attempted(row()))
    assert model.advanced(sent, PROGRESS, 2.0).attempt == 0
    assert model.noted(sent, PROGRESS, 2.0).attempt == 2
    assert model.noted(sent, PROGRESS, 2.0, sent=False).attempt == 1
    assert model.noted(row(), PROGRESS, 2.0, sent=False).attempt == 0


def test_the_end_forgets_the_request_and_whoever_held_it() -> None:
    ended = model.finished(row(waits_for="x", epoch=3), PROGRESS, DONE, 9.0)
    assert (ended.intent.request, ended.progress.cursor, ended.waits_for) == (b"", b"", "")
    assert (ended.epoch, ended.end_time, ended.done, ended.failed) == (4, 9.0, True, False)


def test_a_cancel_is_counted_once_and_never_after_the_end() -> None:
    """A delete that comes after a cancel still says that it was it."""
    asked = model.cancelled(row(waits_for="x"), 2.0)
    assert (asked.cancel_requested, asked.waits_for) == (True, "")
    assert model.cancelled(asked, 3.0) is asked
    preempted = model.cancelled(asked, 3.0, preempted_by="7")
    assert model.cancelled(preempted, 4.0, preempted_by="8").preempted_by == "7"
    ended = model.finished(row(), PROGRESS, DONE, 2.0)
    assert model.cancelled(ended, 3.0) is ended


@pytest.mark.parametrize("percent", [-5, 0, 40, 99, 100, 250])
def test_only_success_is_a_hundred_percent(percent: int) -> None:
    """Whatever an adapter estimates; an operation that failed was not done."""
    progress = dataclasses.replace(PROGRESS, percent=percent)
    shown = [
        model.metadata_of(each).percent
        for each in (
            model.advanced(row(), progress, 2.0),
            model.finished(row(), progress, CANCELLED, 2.0),
            model.finished(row(), progress, DONE, 2.0),
        )
    ]
    assert shown == [min(max(percent, 0), 99), min(max(percent, 0), 99), 100]


def test_a_look_that_found_nothing_new_can_not_be_seen() -> None:
    """It is stored all the same: contact_time tells slow from dead."""
    before = model.advanced(row(), PROGRESS, 2.0)
    again = model.advanced(before, dataclasses.replace(PROGRESS, cursor=b"2"), 3.0)
    assert model.visible_state(again) == model.visible_state(before)
    assert model.metadata_of(again) != model.metadata_of(before)
    further = model.advanced(again, dataclasses.replace(PROGRESS, stage="active"), 4.0)
    assert model.visible_state(further) != model.visible_state(again)


def test_the_secrets_of_an_outcome_are_shown_once() -> None:
    made = any_pb2.Any()
    made.Pack(server_pb2.Server(name="s", generated_password="secret"))
    ended = model.finished(row(), PROGRESS, made, 2.0)
    assert ended.secret

    def password(operation: Any) -> str:
        found = server_pb2.Server()
        assert operation.response.Unpack(found)
        return found.generated_password

    assert password(model.to_message(ended)) == ""
    assert password(model.to_message(ended, reveal=True)) == "secret"
    shown = model.revealed(ended)
    assert (shown.secret, shown.revision) == (False, ended.revision)
    assert password(model.to_message(shown, reveal=True)) == ""


@pytest.mark.parametrize(
    ("left_overs", "outcome", "seen"),
    [
        ((), DONE, Outcome.CANCEL_OUTCOME_TOO_LATE),
        ((), CANCELLED, Outcome.CANCEL_OUTCOME_UNDONE),
        ((), status_pb2.Status(code=13), Outcome.CANCEL_OUTCOME_FAILED),
        ((operation_pb2.LeftOver(name="n"),), CANCELLED, Outcome.CANCEL_OUTCOME_LEFT_BEHIND),
        ((operation_pb2.LeftOver(name="n", removed=True),), CANCELLED, Outcome.CANCEL_OUTCOME_UNDONE),
    ],
)
def test_a_cancel_says_what_became_of_it(left_overs: Any, outcome: Any, seen: Outcome) -> None:
    ended = model.finished(row(cancel_requested=True), Progress(left_overs=left_overs), outcome, 2.0)
    assert model.metadata_of(ended).cancel_outcome == seen
    assert model.metadata_of(row(cancel_requested=True)).cancel_outcome == Outcome.CANCEL_OUTCOME_UNSPECIFIED


def test_callers_see_where_it_is() -> None:
    """What an adapter reported goes before what was asked for; the deadline is that of the method."""
    waiting = Row(on_server("StopServer"), create_time=1.0, update_time=2.0, waits_for="8", contact_time=1.5)
    metadata = model.metadata_of(waiting)
    assert (metadata.resource, metadata.phase, metadata.waits_for) == (SERVER, Phase.PHASE_QUEUED, "operations/8")
    assert metadata.deadline_time.ToMilliseconds() > 60_000
    assert (metadata.contact_time.ToMilliseconds(), metadata.HasField("end_time")) == (1500, False)
    failed = model.finished(waiting, PROGRESS, status_pb2.Status(code=5, message="gone"), 3.0)
    summary = model.metadata_of(failed).error_summary
    assert (summary.code, summary.message, summary.create_time.ToMilliseconds()) == ("NOT_FOUND", "gone", 3000)
    assert model.metadata_of(failed).phase == Phase.PHASE_DONE


@pytest.mark.parametrize("name", ["", "operations/", "operations/1/2", "7", "operation/7"])
def test_a_malformed_operation_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"expected the form operations/\{uuid\}"):
        model.id_of(name)
    assert model.id_of("operations/7") == "7"
