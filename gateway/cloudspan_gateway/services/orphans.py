"""Finds and deletes resources that operations created and nobody uses: answers cloudspan.v1.OrphanService.

An adapter lists what carries this installation's marks; the store knows how the operations of those marks ended.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import orphan_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import NotFound, PreconditionFailed, RateLimited
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import ClusterRef, encode_id, malformed, parse_cluster
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.operations.model import PREFIX, id_of
from cloudspan_gateway.routing.forward import Question, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.stores.base import OperationStore
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router

LIST_MARKED = "cloudspan.adapter.v1.MarkService/ListMarked"
REMOVE_MARKED = "cloudspan.adapter.v1.MarkService/RemoveMarked"
Kind = orphan_pb2.Orphan.Kind
_MARKER = re.compile(r"cs-(?P<installation>[a-z0-9]{1,8})-(?P<operation>[0-9a-f]{32})-(?P<step>.+)")


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a marker says."""

    marked: step_pb2.Marked
    operation_id: str
    step: str


class OrphanService:
    """Answers cloudspan.v1.OrphanService."""

    def __init__(self, store: OperationStore, router: Router, forwarder: Forwarder, installation: str) -> None:
        self._store = store
        self._router = router
        self._forwarder = forwarder
        self._installation = installation

    def __repr__(self) -> str:
        return f"<OrphanService of {self._installation} over {self._store!r}>"

    async def list_orphans(self, request: orphan_pb2.ListOrphansRequest, call: Call) -> orphan_pb2.ListOrphansResponse:
        """Return what carries this installation's marks on a cluster and is nobody's."""
        parent = request.parent or self._router.tags.cluster(call.tags, call.access)
        ref = parse_cluster(parent)
        if ref.is_wildcard or str(ref) != parent:
            raise malformed(parent, "parent", "platforms/{platform}/clusters/{cluster}, one cluster at a time")
        if not request.parent:  # only the tags say which cluster: no stage has asked about it
            self._router.check_known(ref, call.access)
            call.access.require(Permission.PERMISSION_READ, call.path[1:], ref)
        listed, marks = await self._marks(ref, call)
        marks, rows = await self._seen(marks, ref, call)
        page, token = page_by_name(call.path[1:], request, _orphans(marks, rows))
        return orphan_pb2.ListOrphansResponse(
            orphans=page, marked=len(marks), incomplete=list(listed.incomplete), next_page_token=token
        )

    async def delete_orphan(
        self, request: orphan_pb2.DeleteOrphanRequest, call: Call
    ) -> orphan_pb2.DeleteOrphanResponse:
        """Delete an orphan that is still one; wait until it is gone.

        Raises:
            NotFound: Nothing of that name carries a mark.
            PreconditionFailed: It is not an orphan, or another operation's, or its operation is no longer known.
        """
        ref = parse_cluster(request.name, "name")
        operation_id = id_of(request.operation)
        _, marks = await self._marks(ref, call)
        marks, rows = await self._seen(marks, ref, call)
        mark = next((mark for mark in marks if mark.marked.name == request.name), None)
        if mark is None:
            text = f"nothing named {request.name} carries a mark of installation {self._installation!r}; list again"
            raise NotFound(text, resource=request.name)
        found = _orphans([mark], rows)
        _check(request, found[0] if found else None, mark, operation_id)
        removal = step_pb2.RemoveMarkedRequest(name=request.name, marker=mark.marked.marker)
        while True:
            try:
                await self._ask(ref, REMOVE_MARKED, removal.SerializeToString(), call)
                return orphan_pb2.DeleteOrphanResponse()
            except RateLimited as error:  # it goes, and is to be asked for again
                await asyncio.sleep(min(error.retry_after_s or 1.0, call.deadline.remaining()))

    async def _marks(self, ref: ClusterRef, call: Call) -> tuple[step_pb2.ListMarkedResponse, list[_Mark]]:
        request = step_pb2.ListMarkedRequest(cluster=str(ref), installation=self._installation)
        answer = await self._ask(ref, LIST_MARKED, request.SerializeToString(), call)
        listed = read_answer(step_pb2.ListMarkedResponse, answer, f"the adapter of {ref}")
        return listed, [mark for marked in listed.marked if (mark := self._read(marked)) is not None]

    async def _ask(self, ref: ClusterRef, method: str, body: bytes, call: Call) -> bytes:
        question = Question(f"/{method}", body, call.deadline, call.outgoing(), call.behalf(ref))
        return await self._forwarder.ask(lambda: self._router.endpoints(ref, method, call.access), question)

    def _read(self, marked: step_pb2.Marked) -> _Mark | None:
        match = _MARKER.fullmatch(marked.marker)
        if match is None or match["installation"] != self._installation:
            return None
        return _Mark(marked, str(uuid.UUID(match["operation"])), match["step"])

    async def _seen(self, marks: Sequence[_Mark], ref: ClusterRef, call: Call) -> tuple[list[_Mark], dict[str, Row]]:
        """Return the marks that exist for the caller, with their operations.

        Those of its own tenant's; what an unknown operation made is nobody's, and exists for who sees all tenants.
        """
        found = await self._store.find(sorted({mark.operation_id for mark in marks}))
        rows = {row.intent.id: row for row in found}

        def seen(mark: _Mark) -> bool:
            row = rows.get(mark.operation_id)
            return call.access.sees(EVERY_TENANT, ref) if row is None else row.intent.exists_for(call.access)

        return [mark for mark in marks if seen(mark)], rows


def _orphans(marks: Sequence[_Mark], rows: Mapping[str, Row]) -> list[orphan_pb2.Orphan]:
    judged = ((mark, _judge(mark, rows.get(mark.operation_id))) for mark in marks)
    return [_orphan(mark, *verdict) for mark, verdict in judged if verdict is not None]


def _judge(mark: _Mark, row: Row | None) -> tuple[Kind, str] | None:
    """Return why something marked is an orphan; None when it is not, or not yet."""
    if row is None:
        return Kind.KIND_OPERATION_UNKNOWN, "its operation is no longer known: it may be what that operation returned"
    if not row.done:
        return None
    if row.failed:
        why = row.outcome.message if row.outcome is not None else ""  # type: ignore[union-attr] # a status
        return Kind.KIND_LEFT_BEHIND, f"its operation failed and left it behind: {why}"
    kept = {encode_id(native_id) for native_id in row.progress.native_ids.values()}
    native_id = mark.marked.name.rpartition("/")[2]
    if native_id in kept or mark.marked.name == row.resource:
        return None
    return Kind.KIND_DUPLICATE, f"its operation made {row.resource or 'another one'} as well and returned that one"


def _orphan(mark: _Mark, kind: Kind, reason: str) -> orphan_pb2.Orphan:
    orphan = orphan_pb2.Orphan(
        name=mark.marked.name,
        display_name=mark.marked.display_name,
        kind=kind,
        operation=PREFIX + mark.operation_id,
        step=mark.step,
        reason=reason,
    )
    if mark.marked.HasField("create_time"):
        orphan.create_time.CopyFrom(mark.marked.create_time)
    return orphan


def _check(
    request: orphan_pb2.DeleteOrphanRequest, orphan: orphan_pb2.Orphan | None, mark: _Mark, operation_id: str
) -> None:
    if mark.operation_id != operation_id:
        text = f"{request.name} carries the mark of {PREFIX}{mark.operation_id}, not of {request.operation}; list again"
    elif orphan is None:
        text = f"{request.name} is not an orphan: {request.operation} has not ended, or returned it"
    elif orphan.kind == Kind.KIND_OPERATION_UNKNOWN and not request.even_unknown:
        text = f"{request.name}: {orphan.reason}; set even_unknown if you know that nobody needs it"
    else:
        return
    raise PreconditionFailed(text, reason="NO_ORPHAN", resource=request.name)
