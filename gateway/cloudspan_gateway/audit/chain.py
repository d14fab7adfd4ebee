"""The chain that every event becomes part of: numbered without gaps, each with the hash of the one before in its own.

`Chain.append` is called inside any transaction, as its last statement: what the transaction does and what is recorded
of it are kept together or not at all. One chain for all gateways of a database. Whoever has the rows can recompute it
with `record_of` and `hash_of`; a row that was changed, left out, put in or moved shows, except at the newest end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, text

from cloudspan_common.redaction import masked_text
from cloudspan_gateway.audit.event import Type
from cloudspan_gateway.storage.tables import audit_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.storage.engine import Database

FIRST_PREVIOUS = "0" * 64
"""What stands in the first event for the hash of the one before."""
MAX_CHARS = 500
"""Of any text in an event: most of them are callers' words, and an index takes 2 700 bytes."""
_MICRO = 1_000_000
# PostgreSQL's advisory lock of whoever appends; resources have the whole range beside it, so a clash costs a wait.
_LOCK = text("SELECT pg_advisory_xact_lock(4852734651038231924)")
_HEAD = select(audit_events.c.sequence, audit_events.c.hash).order_by(audit_events.c.sequence.desc()).limit(1)
_INSERTS: dict[str, tuple[str, tuple[str, ...]]] = {}  # by dialect
_MEMO = "audit: the newest event"
_TEXTS = (
    "subject", "tenant", "peer", "credential", "method", "cluster", "resource", "operation", "outcome", "reason",
    "message", "request_id", "via",
)  # fmt: skip
_COLUMNS = ("subject", "tenant", "method", "cluster", "resource", "operation", "outcome")
_ENCODER = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Link:
    """One event in its place."""

    sequence: int
    record: str
    hash: str
    previous_hash: str
    type: Type


class Chain:
    """The chain of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.length = 0
        """The sequence of the newest event that this process has appended."""
        self._heard: list[Callable[[Sequence[Link]], None]] = []

    def __repr__(self) -> str:
        return f"<Chain of {self.length} events on {self.database!r}>"

    def subscribe(self, heard: Callable[[Sequence[Link]], None]) -> None:
        """Call `heard` with what this process has appended, once it is durable, in the order of the chain."""
        self._heard.append(heard)

    def append(self, conn: Connection, events: Sequence[Event]) -> Sequence[Link]:
        """Append events within the transaction of `conn`, which may run twice, and return them in their places.

        To be called last in it, before `outbox.append` alone: on PostgreSQL other gateways wait from here on until it
        is committed.
        """
        if not events:
            return ()
        sequence, previous = self._head(conn)
        links, rows = [], []
        for event in events:
            sequence += 1
            link, row = _linked(event, sequence, previous)
            links.append(link)
            rows.append(row)
            previous = link.hash
        statement, columns = _insert(conn)
        conn.exec_driver_sql(statement, [tuple(row[column] for column in columns) for row in rows])
        self.database.memo.keep({_MEMO: ((sequence, previous), 0)})
        self.database.once_committed(conn, lambda: self._tell(links))
        return links

    def _head(self, conn: Connection) -> tuple[int, str]:
        """Return sequence and hash of the newest event."""
        known: tuple[int, str] | None = self.database.memo.get(_MEMO)
        if known is not None:
            return known
        if self.database.shared:
            conn.execute(_LOCK)  # a statement of its own: the next one must see what was committed while it waited
        found = conn.execute(_HEAD).first()
        return (found.sequence, found.hash) if found else (0, FIRST_PREVIOUS)

    def _tell(self, links: Sequence[Link]) -> None:
        self.length = links[-1].sequence
        for heard in self._heard:
            heard(links)


def record_of(event: Event, sequence: int) -> str:
    """Return an event as it is hashed: JSON of its fields, sorted by name, without spaces."""
    return _encoded(_fields(event, sequence))


def hash_of(previous_hash: str, record: str) -> str:
    """Return the hash of an event: SHA-256, hex."""
    return hashlib.sha256(f"{previous_hash}\n{record}".encode()).hexdigest()


def micros(seconds: float) -> int:
    """Return a time in whole microseconds, as records have them."""
    return round(seconds * _MICRO)


def _insert(conn: Connection) -> tuple[str, tuple[str, ...]]:
    """Return what inserts a row, in the driver's own words, and its columns in their order.

    An operation waits for it twice: handed to SQLAlchemy as a statement it costs 87 us, so 44.
    """
    known = _INSERTS.get(conn.dialect.name)
    if known is None:
        made: Any = audit_events.insert().compile(dialect=conn.dialect, column_keys=audit_events.c.keys())
        known = _INSERTS[conn.dialect.name] = (made.string, tuple(made.positiontup))
    return known


def _linked(event: Event, sequence: int, previous: str) -> tuple[Link, dict[str, Any]]:
    fields = _fields(event, sequence)
    record = _encoded(fields)
    link = Link(sequence, record, hash_of(previous, record), previous, event.type)
    row = {
        "sequence": sequence,
        "create_time": micros(event.create_time) / _MICRO,
        "type": fields["type"],
        **{name: fields[name] for name in _COLUMNS},
        "record": record,
        "hash": link.hash,
        "previous_hash": previous,
    }
    return link, row


def _fields(event: Event, sequence: int) -> dict[str, Any]:
    fields: dict[str, Any] = {name: _clean(getattr(event, name)) for name in _TEXTS}
    if event.message:
        fields["message"] = masked_text(fields["message"])
    fields["sequence"] = sequence
    fields["type"] = Type.Name(event.type)
    at = micros(event.create_time)
    moment = datetime.fromtimestamp(at // _MICRO, UTC).replace(microsecond=at % _MICRO)
    fields["create_time"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return fields


def _clean(said: str) -> str:
    """Return a text that any database takes: of bounded length, UTF-8, without NUL, which PostgreSQL refuses."""
    if len(said) > MAX_CHARS:
        said = said[: MAX_CHARS - 1] + "…"
    if said.isascii():
        return said.replace("\0", "�") if "\0" in said else said
    return said.encode("utf-8", "replace").decode().replace("\0", "�")


def _encoded(fields: dict[str, Any]) -> str:
    return _ENCODER.encode(fields).decode()
