"""Recomputes the audit's chain of hashes: whether events were changed, taken out, put in or moved.

What a chain can't show by itself is that its newest events are gone. Whoever keeps a head somewhere else, the sequence
and hash of the newest event, and starts the next verification from it, sees that too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from cloudspan.v1 import audit_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NO_HASH = "0" * 64
"""`previous_hash` of the first event."""
_CHAINED = ("hash", "previous_hash", "record")


class Broken(Exception):
    """Where the chain is broken, and how, for a person."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event that was verified, or the one that a verification goes on from."""

    sequence: int = 0
    hash: str = NO_HASH


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain that is whole: how many of its events were recomputed, and the newest."""

    events: int
    head: Head


def verify(events: Iterable[audit_pb2.AuditEvent], start: Head | None = None) -> Verified:
    """Recompute a chain from its first event on, or from `start`, which must be the first of the events then.

    Raises:
        Broken: At the first event that does not follow from the one before it.
    """
    head, count = start or Head(), 0
    for event in events:
        if start and not count:
            _check_start(event, start)
        else:
            _check_place(event, head)
        _check_record(event)
        head, count = Head(event.sequence, event.hash), count + 1
    if start and not count:
        raise Broken(f"event {start.sequence} is not there: the newest events are gone")
    return Verified(count, head)


def _check_start(event: audit_pb2.AuditEvent, start: Head) -> None:
    if event.sequence != start.sequence:
        raise Broken(f"event {start.sequence} is missing: event {event.sequence} comes at the start")
    if event.hash != start.hash:
        raise Broken(f"event {event.sequence} has the hash {event.hash}, and had {start.hash}: it is another one")


def _check_place(event: audit_pb2.AuditEvent, before: Head) -> None:
    if event.sequence != before.sequence + 1:
        what = f"event {before.sequence + 1} is missing" if event.sequence > before.sequence else "events are mixed up"
        after = f"after event {before.sequence}" if before.sequence else "at the start"
        raise Broken(f"{what}: event {event.sequence} comes {after}")
    if event.previous_hash != before.hash:
        text = (
            f"event {event.sequence} follows the hash {event.previous_hash}, and the event before it has {before.hash}"
        )
        raise Broken(f"{text}: one of them was replaced")


def _check_record(event: audit_pb2.AuditEvent) -> None:
    """Check an event for itself: its hash, and that its fields say what was hashed."""
    computed = hashlib.sha256(f"{event.previous_hash}\n{event.record}".encode()).hexdigest()
    if computed != event.hash:
        raise Broken(
            f"event {event.sequence} has the hash {event.hash}, and {computed} is that of its record: it was changed"
        )
    recorded = _recorded(event)
    shown = audit_pb2.AuditEvent()
    shown.CopyFrom(event)
    for field in _CHAINED:
        shown.ClearField(field)
    if shown != recorded:
        fields = ", ".join(sorted(_names(shown, recorded)))
        raise Broken(f"event {event.sequence} says something else than its record, in {fields}")


def _recorded(event: audit_pb2.AuditEvent) -> audit_pb2.AuditEvent:
    """Return the event that its record says."""
    try:
        found = json_format.ParseDict(_object(event.record), audit_pb2.AuditEvent())
    except (ValueError, RecursionError, json_format.ParseError) as error:
        raise Broken(f"event {event.sequence} has a record that is no event: {error}") from error
    if extra := [field for field in _CHAINED if getattr(found, field)]:
        raise Broken(f"event {event.sequence} has a record that holds {extra[0]}, which no record does")
    return found


def _object(text: str | bytes) -> dict[str, Any]:
    found = json.loads(text, object_pairs_hook=_once)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - of the text, not of this program
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values for one name are read differently by different readers."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands in it twice")
    return dict(pairs)


def _names(one: audit_pb2.AuditEvent, other: audit_pb2.AuditEvent) -> Iterator[str]:
    for field in audit_pb2.AuditEvent.DESCRIPTOR.fields:
        if getattr(one, field.name) != getattr(other, field.name):
            yield field.name


def from_lines(lines: Iterable[bytes], source: str) -> Iterator[audit_pb2.AuditEvent]:
    """Read the events of a JSON-lines file that a gateway wrote (`--audit-log`).

    Raises:
        Broken: A line is no event; says which.
    """
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            yield _from_line(_object(line))
        except (ValueError, TypeError, KeyError, RecursionError, json_format.ParseError) as error:
            raise Broken(f"{source}, line {number} is no event: {error!r}") from error


def _from_line(found: dict[str, Any]) -> audit_pb2.AuditEvent:
    """A line has `sequence`, `record`, `hash`, `previous_hash`; other fields that it lacks are those of its record."""
    event = audit_pb2.AuditEvent(**{field: found[field] for field in _CHAINED}, sequence=int(found["sequence"]))
    try:
        recorded = _recorded(event)
    except Broken:
        return event  # `verify` says what is wrong with it, in its turn
    claimed = json_format.ParseDict(found, audit_pb2.AuditEvent(), ignore_unknown_fields=True)
    for field in audit_pb2.AuditEvent.DESCRIPTOR.fields:
        if field.name in found or field.json_name in found:
            recorded.ClearField(field.name)
    recorded.MergeFrom(claimed)
    return recorded
