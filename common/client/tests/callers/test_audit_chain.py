"""The recomputing of the audit's chain: whatever was changed shows."""

from __future__ import annotations

import hashlib
import json

import pytest
from common.client.tests.callers.chains import chain, event, line
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.cli.callers.audit_chain import Broken, Head, from_lines, verify
from cloudspan.v1.audit_pb2 import AuditEvent

SAID = [
    {"type": AuditEvent.TYPE_LOGIN, "subject": "users/alice", "outcome": "OK"},
    {
        "type": AuditEvent.TYPE_MUTATION,
        "subject": "users/ö€",
        "resource": 'a"b\\',
        "outcome": "OK",
        "operation": "operations/1",
    },
    {"type": AuditEvent.TYPE_OPERATION_ENDED, "operation": "operations/1", "outcome": "INTERNAL", "message": "é\u2028"},
    {"type": AuditEvent.TYPE_REFUSAL, "peer": "10.0.0.1", "outcome": "PERMISSION_DENIED"},
    {"type": AuditEvent.TYPE_POLICY, "subject": "users/root", "outcome": "OK"},
]
WHOLE = chain(*SAID)
TEXTS = [field.name for field in AuditEvent.DESCRIPTOR.fields if field.cpp_type == field.CPPTYPE_STRING]


def copies():
    return [AuditEvent.FromString(found.SerializeToString()) for found in WHOLE]


def rehashed(events, at):
    """What somebody writes who changed an event and knows how hashes are made, from there on."""
    for index in range(at, len(events)):
        before = events[index - 1].hash if index else "0" * 64
        events[index].previous_hash = before
        events[index].hash = hashlib.sha256(f"{before}\n{events[index].record}".encode()).hexdigest()
    return events


def test_a_whole_chain_is_verified_to_its_head():
    found = verify(WHOLE)
    assert (found.events, found.head) == (5, Head(5, WHOLE[-1].hash))
    assert verify([]).events == 0


def test_lines_of_a_file_are_verified_like_events():
    """Also where a line says more than its record, the same."""
    assert verify(from_lines([line(found).encode() for found in WHOLE], "f")) == verify(WHOLE)
    more = [
        line(found, subject=found.subject, type=AuditEvent.Type.Name(found.type), extra=1).encode() for found in WHOLE
    ]
    assert verify(from_lines([*more, b"\n"], "f")).events == 5


@given(st.integers(0, 4), st.sampled_from(TEXTS), st.text(max_size=80))
def test_a_changed_text_of_an_event_shows(at, field, text):
    """Whichever field, whatever is written there."""
    events = copies()
    before = getattr(events[at], field)
    setattr(events[at], field, text)
    if text == before:
        assert verify(events).events == 5
    else:
        with pytest.raises(Broken, match=rf"event {at + 1}|event {at + 2}"):
            verify(events)


@pytest.mark.parametrize("at", range(5))
def test_a_changed_number_time_or_type_shows(at):
    for change in (
        lambda found: setattr(found, "sequence", found.sequence + 100),
        lambda found: setattr(found, "type", AuditEvent.TYPE_UNSPECIFIED),
        lambda found: setattr(found.create_time, "nanos", 1),
        lambda found: found.ClearField("create_time"),
    ):
        events = copies()
        change(events[at])
        with pytest.raises(Broken):
            verify(events)


@given(st.permutations(range(5)))
def test_events_in_another_order_show(order):
    events = [WHOLE[at] for at in order]
    if order == sorted(order):
        assert verify(events).events == 5
    else:
        with pytest.raises(Broken):
            verify(events)


@pytest.mark.parametrize("at", range(4))
def test_an_event_that_was_taken_out_or_put_in_shows(at):
    """But for the newest, which only a kept head shows."""
    with pytest.raises(Broken, match=rf"event {at + 1} is missing: event {at + 2} comes"):
        verify([*WHOLE[:at], *WHOLE[at + 1 :]])
    with pytest.raises(Broken, match="mixed up"):
        verify([*WHOLE[: at + 1], WHOLE[at], *WHOLE[at + 1 :]])
    forged = event(at + 2, WHOLE[at].hash, subject="users/mallory")
    with pytest.raises(Broken, match=f"event {at + 2} comes|mixed up"):
        verify([*WHOLE[: at + 1], forged, *WHOLE[at + 1 :]])


def test_missing_newest_events_show_against_a_kept_head():
    head = Head(4, WHOLE[3].hash)
    assert verify(WHOLE[3:], head).events == 2
    with pytest.raises(Broken, match="event 4 is missing: event 5 comes at the start"):
        verify(WHOLE[4:], head)
    with pytest.raises(Broken, match="event 4 is not there: the newest events are gone"):
        verify([], head)


def test_a_chain_that_was_written_anew_shows_against_a_kept_head():
    """Somebody who can write the whole database makes a chain that is whole, but not that one."""
    events = copies()
    events[1].record = events[1].record.replace("ö€", "bob")
    events[1].subject = "users/bob"
    events = rehashed(events, 1)
    assert verify(events).events == 5
    for kept in (2, 3, 4):
        with pytest.raises(Broken, match="it is another one"):
            verify(events[kept - 1 :], Head(kept, WHOLE[kept - 1].hash))
    with pytest.raises(Broken, match="one of them was replaced"):
        verify([WHOLE[3], events[4]], Head(4, WHOLE[3].hash))


@pytest.mark.parametrize(
    "record",
    [
        "", "null", "[]", "{", "3", '"x"', '{"sequence":1,"unknown":1}', '{"sequence":1,"sequence":1}',
        '{"sequence":1,"hash":"x"}', '{"sequence":"one"}', '{"type":"TYPE_NONE"}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_record_that_is_no_event_shows_whatever_its_hash(record):
    """In events and in lines; nothing but Broken comes of it."""
    [found] = rehashed([AuditEvent(sequence=1, record=record)], 0)
    with pytest.raises(Broken, match=r"event 1 (has a record that|says something else)"):
        verify([found])
    with pytest.raises(Broken, match=r"event 1 (has a record that|says something else)"):
        verify(from_lines([line(found).encode()], "f"))


@pytest.mark.parametrize(
    "text",
    [b"{", b"[]", b"3", b"null", b"\xff\xfe{", b"{}", b'{"sequence":1}', b"[" * 100_000,
     b'{"sequence":"x","record":"","hash":"","previous_hash":""}',
     b'{"sequence":1,"record":1,"hash":"","previous_hash":""}',
     b'{"sequence":99999999999999999999,"record":"","hash":"","previous_hash":""}',
     b'{"sequence":1,"record":"\\ud800","hash":"","previous_hash":""}'],
)  # fmt: skip
def test_a_line_that_is_no_event_is_named(text):
    lines = [line(WHOLE[0]).encode(), text + b"\n"]
    with pytest.raises(Broken, match=r"audit\.jsonl, line 2 is no event"):
        verify(from_lines(lines, "audit.jsonl"))


@pytest.mark.parametrize("field", ["subject", "type", "outcome", "create_time", "createTime"])
def test_a_line_that_says_something_else_than_its_record_shows(field):
    """A reader of the file sees the field, not the record."""
    other = {"subject": "users/bob", "type": "TYPE_POLICY", "outcome": ""} | dict.fromkeys(
        ["create_time", "createTime"], "2020-01-01T00:00:00Z"
    )
    text = json.dumps(json.loads(line(WHOLE[0])) | {field: other[field]})
    with pytest.raises(Broken, match="event 1 says something else than its record, in "):
        verify(from_lines([text.encode()], "f"))
