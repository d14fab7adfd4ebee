"""Cinder's collections: marks in the metadata, deletion that is refused while something is on its way."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import NotFound, PreconditionFailed, RateLimited
from cloudspan_kit import Made, Marked, MarkedRows, Query, RowPage, Rows
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.rows import Collection
from cloudspan_openstack.cloud.source import (
    AnyKind,
    CreatesByMarker,
    Params,
    Scope,
    asks_for_projects,
    session_of,
    wanted_project,
)
from cloudspan_openstack.cloud.values import unix_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from cloudspan_kit import Call

R = TypeVar("R")
M = TypeVar("M", bound=Message)

_COMPARES_TIMES = Microversion(3, 60)
MARKER_KEY = "cloudspan-marker"
"""Metadata key that a create's marker travels under; no label."""


@dataclass(frozen=True, slots=True)
class CinderBody:
    """What a create sends: the resource, and what stands beside it in the request."""

    fields: Mapping[str, object]
    beside: Mapping[str, object] = field(default_factory=dict)
    complete: Callable[[Call, Mapping[str, object]], Awaitable[Mapping[str, object]]] | None = None
    """What has to be looked up just before it is sent."""


class CinderRow(Protocol):
    """What every row of Cinder tells."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def created_at(self) -> datetime | None: ...


def in_metadata() -> MarkedRows[CinderRow]:
    """Return what finds marks in the metadata; Cinder can't search for their beginning."""

    def describe(row: CinderRow) -> Iterable[Marked]:
        if marker := row.metadata.get(MARKER_KEY):
            yield Marked(row.id, marker, row.name or "", unix_time(row.created_at))

    return MarkedRows(describe)


def labels_in(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Return metadata without the marker."""
    return {k: v for k, v in metadata.items() if k != MARKER_KEY} if MARKER_KEY in metadata else metadata


class Cinder(CreatesByMarker[CinderBody]):
    """One of Cinder's collections, newest first as Cinder itself lists."""

    descending = True
    compared = "gte:"

    def __init__(self, path: str, one: str, *, detail: str = "") -> None:
        super().__init__("volume", path, one, detail=detail)

    def place(self, row: Any) -> tuple[str, str]:
        return str(row.created_at), row.id

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        order = [f"{field}:{'desc' if descending else 'asc'}" for field, descending in chosen]
        # Cinder's own default, said aloud: the order that a listing can be taken up again in.
        return (("sort", ",".join(order) or "created_at:desc,id:desc"),)

    async def scopes(self, call: Call, kind: AnyKind[R, M], query: Query) -> Sequence[Scope[R]]:
        """Without a filter Cinder shows our own, to anybody."""
        login = await session_of(call).scope(call)
        if not login.is_admin or not asks_for_projects(query):
            return (Scope(),)
        wanted = wanted_project(call, query)
        return (Scope((("all_tenants", "1"), *((("project_id", wanted),) if wanted else ()))),)

    async def changed(self, call: Call, kind: AnyKind[R, M], query: Query) -> Params:
        """Below 3.60 Cinder does not compare times: it ignores the filter, or takes it for the name of an attribute."""
        asked = await super().changed(call, kind, query)
        compares = asked and await session_of(call).microversion(call, self.service) >= _COMPARES_TIMES
        return asked if compares else ()

    async def own_scope(self, call: Call) -> Params:
        """Return the parameters for the caller's project; without any Cinder shows the credentials' own."""
        if not call.caller.project or not (await session_of(call).scope(call)).is_admin:
            return ()
        return (("all_tenants", "1"), ("project_id", call.caller.project))

    async def _send(self, call: Call, kind: AnyKind[R, M], body: CinderBody, marker: str) -> Made[R]:
        fields = body.fields if body.complete is None else await body.complete(call, body.fields)
        labels: Any = fields.get("metadata") or {}
        document = {self.one_key: {**fields, "metadata": {**labels, MARKER_KEY: marker}}, **body.beside}
        answer = await session_of(call).send(call, "POST", self.service, self.path, dict[str, Any], json=document)
        return self.made_of(kind, answer)

    async def _find(self, call: Call, kind: AnyKind[R, M], marker: str) -> Sequence[Made[R]]:
        """Return what carries the marker; a marker holds no quote, so the filter's Python dict is safe to write."""
        rows = await self.find(call, kind, (("metadata", repr({MARKER_KEY: marker})),))
        return self.made(kind, [row for row in rows if _metadata(row).get(MARKER_KEY) == marker])

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        """Delete what a create made; done only when it is gone, else it would be reported as removed too early."""
        refused: PreconditionFailed | None = None
        try:
            await self.remove(call, native_id)
        except PreconditionFailed as error:
            refused = error
        try:
            row = await self.row(call, kind, native_id)
        except NotFound:
            return
        what = f"{self.one_key} {native_id}"
        if kind.settled is not None and not kind.settled(row):
            # Cinder deletes nothing that it is still making: the undo is asked again, as after any "slow down".
            text = f"{what} is not settled; its removal is looked at again"
            raise RateLimited(text, reason="STILL_BUSY", retry_after_s=1.0) from refused
        raise refused or PreconditionFailed(f"{what} was not deleted", reason="NOT_DELETED")


class WholeCinder(Cinder):
    """A small collection of Cinder's, read whole and listed by id.

    Cinder answers the first page of types again, with 200, when the marker was deleted meanwhile, and proxies lose its
    links: the end is a page that brings nothing new.
    """

    def __init__(self, path: str, one: str, *, key: str) -> None:
        super().__init__(path, one)
        self.key = key

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        found = await self.whole(call, kind)
        ids = [self.id_of(row) for row in found.rows]
        start = bisect.bisect_right(ids, query.cursor)
        rest = Rows(found.rows[start:], found.documents[start:], found.unread)
        return RowPage(rest, more=False, position=lambda index: ids[start + index])

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        yield (await self.whole(call, kind)).rows

    async def whole(self, call: Call, kind: AnyKind[R, M]) -> Rows[R]:
        """Return all rows by id, each once."""
        collection = Collection(self.key, kind.row)
        rows: dict[str, R] = {}
        documents: dict[str, Mapping[str, Any]] = {}
        unread: dict[str, None] = {}
        marker = ""
        while True:
            params = (("sort", "id:asc"), *((("marker", marker),) if marker else ()))
            answer = await session_of(call).rows(call, self.service, self.listing, collection, params=params)
            ids = [self.id_of(row) for row in answer.rows.rows]
            is_last = rows.keys() >= set(ids)
            rows |= dict(zip(ids, answer.rows.rows, strict=True))
            documents |= dict(zip(ids, answer.rows.documents, strict=False))  # none unless they are wanted
            unread |= dict.fromkeys(answer.rows.unread)
            if is_last:
                break
            marker = answer.last_id
        return Rows([rows[i] for i in sorted(rows)], [documents[i] for i in sorted(documents)], list(unread))


def _metadata(row: Any) -> Mapping[str, str]:
    found: Mapping[str, str] = row.metadata
    return found
