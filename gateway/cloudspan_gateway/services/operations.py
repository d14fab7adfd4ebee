"""Operations as callers meet them: read, awaited, cancelled, forgotten, watched, explained.

Answers google.longrunning.Operations and cloudspan.v1.OperationService.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import structlog
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from cloudspan.v1 import operation_pb2
from cloudspan.v1.operation_pb2 import OperationMetadata
from cloudspan_common.contract import Permission
from cloudspan_common.errors import InvalidRequest, NotFound, PreconditionFailed, Violation
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.listing.page_token import (
    Check,
    checksum,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
    sequence_of,
)
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.operations import outcomes
from cloudspan_gateway.operations.model import id_of, metadata_of, to_message, visible_state
from cloudspan_gateway.operations.stores.base import Wanted, not_there
from cloudspan_gateway.operations.waiting import (
    before_deadline,
    kept_waiting,
    shown_to_caller,
    until_ended,
    without_others,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from google.protobuf.descriptor import Descriptor

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.runner import Runner
    from cloudspan_gateway.operations.stores.base import OperationStore

log = structlog.get_logger(__name__)

READ = Permission.PERMISSION_READ
_PARENT = "operations"
_LIST = "google.longrunning.Operations/ListOperations"
_PUSHED = {
    **{name: name for name in ("cluster", "method", "resource", "tenant", "caller")},
    "error_summary.reason": "reason",
    "error_summary.code": "code",
    "outcome": "code",
}
"""What a store can tell of a filter's fields, and how `Wanted` names it."""
_READ_AT_ONCE = 200
_MOST_SCANNED = 1000
"""In one page: reading 4 500 rows for a filter that matched none took 2.65 s of a caller's time."""


class OperationsService:
    """Answers google.longrunning.Operations."""

    def __init__(self, store: OperationStore, check: Check = checksum) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._store = store
        self._check = check

    def __repr__(self) -> str:
        return f"<OperationsService over {self._store!r}>"

    async def get_operation(self, request: operations_pb2.GetOperationRequest, call: Call) -> operations_pb2.Operation:
        """Return one operation as it is."""
        return await shown_to_caller(self._store, await visible(self._store, request.name, READ, call), call)

    async def list_operations(
        self, request: operations_pb2.ListOperationsRequest, call: Call
    ) -> operations_pb2.ListOperationsResponse:
        """Return operations of the caller's tenant, newest first; `filter` takes the fields of OperationMetadata.

        A page looks through a bounded number of operations, so it may hold fewer than were asked for, or none, and
        still have a next_page_token.
        """
        if request.name not in ("", _PARENT):
            text = f"name is {request.name[:120]!r}; operations have one parent, {_PARENT!r}"
            raise InvalidRequest(text, reason="MALFORMED_NAME", violations=[Violation("name", text)])
        size = effective_page_size(request.page_size)
        tenant = "" if call.access.sees(EVERY_TENANT) else call.access.tenant
        query_hash = hash_query(f"{_LIST} of {tenant}", request)
        wanted = Filter.parse(request.filter, cast("Descriptor", OperationMetadata.DESCRIPTOR))
        before = sequence_of(decode_token(request.page_token, query_hash, self._check))
        rows, goes_on = await self._matching(_Listing(wanted, tenant, call.access), size, before)
        response = operations_pb2.ListOperationsResponse(
            operations=[to_message(row) for row in await without_others(self._store, rows, call.access)]
        )
        if goes_on is not None:
            response.next_page_token = encode_token(query_hash, str(goes_on), self._check)
        return response

    async def _matching(self, listing: _Listing, count: int, before: int | None) -> tuple[Sequence[Row], int | None]:
        """Return the next operations that match, and the sequence that the next page goes on after, if there is one."""
        found: list[Row] = []
        scanned = 0
        shows, pushed = listing.shows(), listing.pushed()
        while rows := await self._store.page(_READ_AT_ONCE, before, pushed):
            before, scanned = rows[-1].sequence, scanned + len(rows)
            found += [row for row in rows if shows(row)]
            if len(found) > count:
                return found[:count], found[count - 1].sequence
            if len(rows) < _READ_AT_ONCE:
                break
            if scanned >= _MOST_SCANNED:
                return found, before
        return found, None

    async def wait_operation(
        self, request: operations_pb2.WaitOperationRequest, call: Call
    ) -> operations_pb2.Operation:
        """Return an operation once it has ended, or as it is at the time-out or just before the deadline."""
        row = await visible(self._store, request.name, READ, call)
        budget_s = before_deadline(call)
        if request.HasField("timeout"):
            budget_s = min(budget_s, request.timeout.ToNanoseconds() / 1e9)
        with kept_waiting(call):
            row = await until_ended(self._store, row, budget_s)
        return await shown_to_caller(self._store, row, call)

    async def cancel_operation(self, request: operations_pb2.CancelOperationRequest, call: Call) -> empty_pb2.Empty:
        """Ask for an operation's end: what it has done is undone. It ends CANCELLED, or finished if it was faster."""
        row = await visible(self._store, request.name, Permission.PERMISSION_OPERATE, call)
        with _recorded(call, row) as event:
            await self._store.request_cancel(row.intent.id, event)
        return empty_pb2.Empty()

    async def delete_operation(self, request: operations_pb2.DeleteOperationRequest, call: Call) -> empty_pb2.Empty:
        """Forget a finished operation; the resource it made stays."""
        row = await visible(self._store, request.name, Permission.PERMISSION_DELETE, call)
        with _recorded(call, row) as event:
            await self._store.delete(row.intent.id, event)
        return empty_pb2.Empty()


class OperationService:
    """Answers cloudspan.v1.OperationService."""

    def __init__(self, store: OperationStore, runner: Runner) -> None:
        self._store = store
        self._runner = runner

    async def watch_operation(
        self, request: operation_pb2.WatchOperationRequest, call: Call
    ) -> AsyncIterator[operations_pb2.Operation]:
        """Yield an operation as it is, then at each change that can be seen, until it has ended."""
        row = await visible(self._store, request.name, READ, call)
        shown = None
        while True:
            (seen,) = await without_others(self._store, [row], call.access)
            state = visible_state(seen)
            if state != shown:
                shown = state
                yield to_message(seen)
            if row.done:
                return
            try:
                with kept_waiting(call):
                    row = await self._store.changed(row.intent.id, row.revision)
            except NotFound:
                return  # deleted right after its end
            _check_visible(row, READ, call)  # what the caller may do has changed meanwhile, perhaps

    async def explain_operation(
        self, request: operation_pb2.ExplainOperationRequest, call: Call
    ) -> operation_pb2.OperationExplanation:
        """Return what an operation took: up to now where this gateway drives it, else up to its last new stage."""
        row = await visible(self._store, request.name, READ, call)
        kept = self._runner.trace(row.intent.id) or await self._store.explained(row.intent.id)
        explanation = operation_pb2.OperationExplanation.FromString(kept)
        explanation.name = row.name
        (seen,) = await without_others(self._store, [row], call.access)
        explanation.metadata.CopyFrom(metadata_of(seen))
        return explanation

    async def abandon_operation(
        self, request: operation_pb2.AbandonOperationRequest, call: Call
    ) -> operations_pb2.Operation:
        """End an operation as it is.

        Raises:
            PreconditionFailed: It has ended.
        """
        row = await visible(self._store, request.name, Permission.PERMISSION_OPERATE, call)
        if row.done:
            raise PreconditionFailed(f"{row.name} has ended; there is nothing to abandon", resource=row.name)
        log.warning("operation abandoned", operation=row.name, reason=request.reason)
        with _recorded(call, row) as event:
            row = await self._store.end(row.intent.id, *outcomes.abandoned(row, request.reason), event)
        (seen,) = await without_others(self._store, [row], call.access)
        return to_message(seen)


@dataclass(frozen=True, slots=True)
class _Listing:
    """What one ListOperations is to show."""

    wanted: Filter
    tenant: str
    """Whose; empty for all of them."""
    access: Access

    def pushed(self) -> Wanted:
        """Return what of it the store can tell."""
        equal: dict[str, Any] = {word: value for path, word in _PUSHED.items() if (value := self.wanted.equal(path))}
        if self.tenant:
            equal["tenant"] = self.tenant  # whatever the filter says: of another tenant's nothing matches then
        created, ended = self.wanted.since("create_time"), self.wanted.since("end_time")
        return Wanted(**equal, created_since=created, ended_since=ended)

    def shows(self) -> Callable[[Row], bool]:
        """Return what says of a row whether it is shown."""
        matches, access, everything = predicate(self.wanted), self.access, self.wanted.is_empty

        def shown(row: Row) -> bool:
            return row.intent.exists_for(access) and (everything or matches(metadata_of(row)))

        return shown


async def visible(store: OperationStore, name: str, permission: Permission, call: Call) -> Row:
    """Return an operation that exists for the caller, who may do with it what `permission` says.

    Raises:
        NotFound: There is none, or it is not the caller's to know of: in the same words.
        NotPermitted: It is there, and the caller lacks the permission on its cluster.
    """
    operation_id = id_of(name)
    row = await store.get(operation_id)
    _check_visible(row, permission, call)
    return row


def _check_visible(row: Row, permission: Permission, call: Call) -> None:
    if not row.intent.exists_for(call.access):
        raise not_there(row.intent.id)
    call.access.require(permission, call.path[1:], row.intent.cluster)


@contextmanager
def _recorded(call: Call, row: Row) -> Iterator[Event | None]:
    """Hand over the event of a change of an operation, with what the operation is about."""
    if call.event is not None:
        call.event = dataclasses.replace(call.event, cluster=str(row.intent.cluster), resource=row.resource)
    with call.event_handed_over() as event:
        yield event
