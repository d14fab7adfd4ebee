"""An error's way over gRPC: its status is small enough for every peer, and what programs read survives."""

from __future__ import annotations

import base64
import string
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common import errors, trailers
from cloudspan_common.errors import CloudspanError, NotFound, QuotaExceeded, RateLimited, Violation

EVERY = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CloudspanError)]

# quote() leaves letters and digits alone, as grpc-message does; these too.
ENCODED_AS_ONE = (string.punctuation + " ").replace("%", "")


def detail(status, kind):
    found = kind()
    return found if any(each.Unpack(found) for each in status.details) else None


@given(
    message=st.text(max_size=3000),
    metadata=st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=12), st.text(max_size=1500), max_size=15),
    violations=st.lists(st.builds(Violation, st.text(max_size=60), st.text(max_size=400)), max_size=30),
)
def test_status_and_trailers_stay_small_and_keep_the_reason(message, metadata, violations):
    """A call whose trailers pass 8 KiB is dropped; ErrorInfo is what programs decide by."""
    error = QuotaExceeded(message, metadata=metadata, violations=violations, retry_after_s=1.5, resource="x" * 400)
    text, ((_, details),) = errors.ending(error, "r" * 128)
    status = status_pb2.Status.FromString(details)
    assert len(quote(text, safe=ENCODED_AS_ONE)) + len(base64.b64encode(details)) <= trailers.ROOM
    assert status.message == text
    assert detail(status, error_details_pb2.ErrorInfo).reason == "QUOTA_EXCEEDED"
    assert detail(status, error_details_pb2.RequestInfo).request_id == "r" * 128
    assert detail(status, error_details_pb2.RetryInfo) is not None


@pytest.mark.parametrize("letter", ["x", "ü", "虚", "🙂"])
def test_a_long_message_leaves_room_for_the_violations(letter):
    """The field that is wrong is what a program needs; its description repeats the message."""
    violations = [Violation(f"server.labels[{n}]", letter * 200) for n in range(30)]
    status = errors.to_status(CloudspanError(letter * 9000, violations=violations))
    fields = detail(status, error_details_pb2.BadRequest).field_violations
    assert fields[0].field == "server.labels[0]"
    assert len(fields) >= 2
    assert len(status.message) >= 200


def test_half_of_a_surrogate_pair_ends_no_call():
    """A cloud's JSON may hold one; UTF-8 can't."""
    lone = "\ud83d"
    violations = [Violation(lone, lone)]
    error = NotFound(lone, metadata={"native_code": lone}, violations=violations, resource=f"servers/{lone}")
    assert errors.to_status(error).message == "?"


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_comes_back_as_what_it_was(kind):
    """All its details survive; several errors share a code and come back as one."""
    error = kind(
        "asked, found, do",
        metadata={"cluster": "east"},
        retry_after_s=2.5,
        violations=[Violation("a.b", "c")],
        resource="platforms/openstack/clusters/east/servers/1",
    )
    back = errors.from_status(errors.to_status(error))
    assert back.code == error.code or error.code.name == "UNKNOWN"
    assert (back.message, back.reason, back.metadata) == (error.message, error.reason, {"cluster": "east"})
    assert (back.retry_after_s, back.violations) == (2.5, (Violation("a.b", "c"),))
    assert back.resource == error.resource


def test_an_error_carries_its_recovery():
    """A program may act on it without knowing our reasons."""
    told = {kind: detail(errors.to_status(kind("x")), error_details_pb2.ErrorInfo) for kind in (NotFound, RateLimited)}
    assert told[NotFound].metadata["recovery"] == "fix_request"
    assert told[RateLimited].metadata["recovery"] == "retry_after"


def test_a_status_gets_one_request_id():
    """The first hop's stays: its log is the one to look into."""
    status = errors.with_request_id(errors.to_status(NotFound("x")), "first")
    errors.with_request_id(status, "second")
    assert detail(status, error_details_pb2.RequestInfo).request_id == "first"
    assert len(status.details) == 2
