"""AuditService: what was recorded, in pages; of one tenant, or of all of them.

What a filter says of columns is asked of the database, and the rest of what that returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from cloudspan.v1 import audit_pb2
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.listing.page_token import (
    MAX_ANSWER_BYTES,
    Check,
    checksum,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
    sequence_of,
)
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.audit.chain import micros
from cloudspan_gateway.audit.event import Type
from cloudspan_gateway.audit.store import Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import Descriptor
    from sqlalchemy.engine import Row

    from cloudspan_gateway.audit.store import AuditStore
    from cloudspan_gateway.call import Call

METHOD = "cloudspan.v1.AuditService/ListAuditEvents"
_READ_AT_ONCE, _MOST_READ = 500, 2_000
_MOST_BYTES = MAX_ANSWER_BYTES - 2**17  # an event takes less than 100 kB, however long its words are
_TYPES: dict[str, Type] = dict(Type.items())  # type: ignore[arg-type] # numbers, as protobuf's stubs have it
_COLUMNS = ("subject", "tenant", "cluster", "resource", "operation", "outcome", "method")
_IN_RECORD = ("peer", "credential", "reason", "message", "request_id", "via")


class AuditService:
    """Answers cloudspan.v1.AuditService; who may ask is for the authorize stage to say."""

    def __init__(self, store: AuditStore, check: Check = checksum) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._store = store
        self._check = check

    def __repr__(self) -> str:
        return f"<AuditService over {self._store!r}>"

    async def list_audit_events(
        self, request: audit_pb2.ListAuditEventsRequest, call: Call
    ) -> audit_pb2.ListAuditEventsResponse:
        """Return events of the caller's tenant, or of all to whoever sees them all.

        A page looks through a bounded number of events, so it may hold fewer than were asked for, or none, and still
        have a next_page_token.
        """
        tenant = "" if call.access.sees(EVERY_TENANT) else call.access.tenant
        size, query = effective_page_size(request.page_size), hash_query(f"{METHOD} of {tenant}", request)
        wanted = Filter.parse(request.filter, cast("Descriptor", audit_pb2.AuditEvent.DESCRIPTOR))
        beyond = sequence_of(decode_token(request.page_token, query, self._check))
        found, reached = await self._matching(wanted, _search(wanted, tenant, request), size, beyond)
        token = encode_token(query, str(reached), self._check) if reached else ""
        return audit_pb2.ListAuditEventsResponse(events=found, next_page_token=token)

    async def _matching(
        self, wanted: Filter, search: Search, count: int, beyond: int | None
    ) -> tuple[Sequence[audit_pb2.AuditEvent], int]:
        """Return the next events that match, and the sequence that the next page goes on beyond; 0 at the end."""
        matches, found, read, size = predicate(wanted), list[audit_pb2.AuditEvent](), 0, 0
        while True:
            rows, reached = await self._store.page(min(_READ_AT_ONCE, count), search, beyond)
            for row in rows:
                event = _event(row)
                if not matches(event):
                    continue
                found.append(event)
                # Texts are callers' words: whoever makes them long must not make the audit too large to be read.
                size += event.ByteSize()
                if len(found) == count or size >= _MOST_BYTES:
                    return found, row.sequence
            read += len(rows)
            if not reached or read >= _MOST_READ or not rows:
                return found, reached
            beyond = reached


def _search(wanted: Filter, tenant: str, request: audit_pb2.ListAuditEventsRequest) -> Search:
    equal = {column: value for column in _COLUMNS if (value := wanted.equal(column))}
    if kind := wanted.equal("type"):
        equal["type"] = f"TYPE_{kind}"
    if tenant:
        equal["tenant"] = tenant  # whatever the filter says: of another tenant's nothing matches then
    return Search(
        tuple(equal.items()), wanted.unequal("outcome") == "OK", wanted.since("create_time"), request.oldest_first
    )


def _event(row: Row[Any]) -> audit_pb2.AuditEvent:
    """Return an event as it is kept: from its columns where there are any, so that a column that was altered shows."""
    fields: dict[str, Any] = {column: getattr(row, column) for column in _COLUMNS}
    event = audit_pb2.AuditEvent(
        sequence=row.sequence,
        hash=row.hash,
        previous_hash=row.previous_hash,
        record=row.record,
        type=_TYPES.get(row.type, Type.TYPE_UNSPECIFIED),
        **fields,
        **_recorded(row.record),
    )
    event.create_time.FromMicroseconds(micros(row.create_time))
    return event


def _recorded(record: str) -> dict[str, Any]:
    """Return the fields that stand in the record alone; none of one that was altered and can't be read."""
    try:
        fields = msgspec.json.decode(record, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
    return {name: value for name in _IN_RECORD if isinstance(value := fields.get(name), str)}
