"""Filters made from what people type: parsed by the gateway's own parser, they match that and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.cli import filters
from cloudspan.v1.audit_pb2 import AuditEvent
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate

NOW = datetime(2026, 11, 28, 20, 0, 0, tzinfo=UTC)


def _matches(text, **fields):
    return predicate(Filter.parse(text, AuditEvent.DESCRIPTOR))(AuditEvent(**fields))


@given(st.text(min_size=1, max_size=50), st.text(max_size=50))
def test_a_quoted_text_equals_itself_alone(text, other):
    """Whatever quotes, backslashes, stars and operators are in it."""
    wanted = filters.equals("resource", text)
    assert _matches(wanted, resource=text)
    assert _matches(wanted, resource=other) == (text == other)


@pytest.mark.parametrize(
    "text", ['x" OR type = LOGIN', "*", "a*", "\\", '\\" OR resource = "', "x\\*", "' AND", "\\\\*"]
)
def test_an_argument_can_t_widen_its_filter(text):
    wanted = filters.all_of([filters.equals("resource", text), "type = MUTATION"])
    assert not _matches(wanted, resource="another", type=AuditEvent.TYPE_LOGIN)
    assert not _matches(wanted, resource="another", type=AuditEvent.TYPE_MUTATION)
    assert _matches(wanted, resource=text, type=AuditEvent.TYPE_MUTATION)


def test_a_filter_that_somebody_wrote_stands_in_brackets():
    """OR in it can't take the other conditions out."""
    wanted = filters.all_of([filters.equals("subject", "users/a")], 'outcome = "OK" OR type = LOGIN')
    assert wanted == 'subject = "users/a" AND (outcome = "OK" OR type = LOGIN)'
    assert not _matches(wanted, subject="users/b", type=AuditEvent.TYPE_LOGIN)
    assert filters.all_of(["", ""], "  ") == ""
    assert filters.all_of([], "type = LOGIN") == "(type = LOGIN)"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("12h", "2026-11-28T08:00:00Z"),
        ("30m", "2026-11-28T19:30:00Z"),
        ("7d", "2026-11-21T20:00:00Z"),
        ("2w", "2026-11-14T20:00:00Z"),
        ("2026-11-27T22:30:15.5+02:00", "2026-11-27T20:30:15Z"),
        ("2026-11-27T22:30Z", "2026-11-27T22:30:00Z"),
    ],
)
def test_a_time_is_how_long_ago_or_a_date(text, means):
    assert filters.moment(text, NOW) == means
    assert _matches(filters.since("create_time", means), create_time=NOW)


@pytest.mark.parametrize(
    "text", ["yesterday", "12", "-3h", "999999w", "h", "12 h", "2026-13-01", "0000-01-01", "12h OR"]
)
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="is no time; expected how long ago, such as 30m, 12h or 7d"):
        filters.moment(text, NOW)
