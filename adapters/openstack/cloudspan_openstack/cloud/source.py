"""How OpenStack's collections are read, created and deleted: what `cinder`, `neutron` and `nova` have in common.

Three rules of the platforms shape the paging by markers:

* A next link, or a page as long as was asked for, means there is more. Behind a shorter page without a link it is
  asked whether anything follows: services and proxies have lost their links, and services cut pages to a limit of
  their own.
* A marker that was deleted since is an error: 404 from Neutron and Cinder, 400 from Glance. In the default order
  the position that the cursor also holds says where the listing was, so it is walked again from the start and goes
  on exactly behind that position: nothing twice, nothing lost. In an order that the caller chose the place can't
  be told any more, and the answer is ABORTED: start the listing again.
* An administrator's listing shows every project unless a scope says which; see `scopes`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import Busy, Defect, GaveUp, InvalidRequest, NotFound, PlatformFault, PreconditionFailed
from cloudspan_kit import Kind, Made, Query, RowPage, Rows, Source, Unreadable, push, read_row, watch_of
from cloudspan_openstack.cloud.rows import Collection, Position
from cloudspan_openstack.cloud.session import Session
from cloudspan_openstack.cloud.values import zulu

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from cloudspan_common.errors import CloudspanError
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.rows import Answered

R = TypeVar("R")
M = TypeVar("M", bound=Message)
B_contra = TypeVar("B_contra", contravariant=True)
Params = tuple[tuple[str, str], ...]
AnyKind = Kind[R, M, Never]

MAX_LIMIT = 1000
_GONE = ("gone", True)  # what waits for a deletion have ended with in stored cursors

# `project:*`, `project != "..."`, `project = "a" OR project = "b"`: whoever writes so means projects beyond his own.
_PROJECT = re.compile(r"(?<![\w.\"'])project\s*(?:!?=|:|<|>)")


def session_of(call: Call) -> Session:
    """Return the session of the call's cluster."""
    if not isinstance(call.cloud, Session):
        raise Defect(f"{call.cluster} has no session: its `cloud` is {call.cloud!r}")
    return call.cloud


@dataclass(frozen=True, slots=True)
class Scope(Generic[R]):
    """A part of a collection; parts must not overlap, so `keep` drops what another part shows."""

    params: Params = ()
    keep: Callable[[R], bool] | None = None


class OpenStackSource(Source[B_contra]):
    """One collection of one service."""

    descending = False
    """Whether the default order falls."""
    identify = "id"
    compared = ""
    """What stands before the time in a filter for what has changed since then."""

    def __init__(self, service: str, path: str, one: str, *, detail: str = "", within: str = "") -> None:
        self.service, self.path, self.one_key = service, path, one
        self.listing = detail or path
        self.key = path.strip("/").replace("-", "_")
        self.within = within

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    # ------------------------------------------------------------------ what services differ in

    @abstractmethod
    def place(self, row: Any) -> tuple[str, str]:
        """Return (what the default order sorts by, id) of a row; the second decides among equals."""

    @abstractmethod
    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        """Return the parameters for an order by native fields; for the default one when there are none."""

    async def scopes(self, call: Call, kind: AnyKind[R, M], query: Query) -> Sequence[Scope[R]]:
        """Return the parts of the listing, one after the other."""
        return (Scope(),)

    async def changed(self, call: Call, kind: AnyKind[R, M], query: Query) -> Params:
        """Return the parameters that ask for what has changed since `query.since`; none where that can't be asked."""
        if query.since is None or not kind.changes_since:
            return ()
        return ((kind.changes_since, f"{self.compared}{zulu(query.since)}"),)

    async def own_scope(self, call: Call) -> Params:
        """Return the parameters for what is of the cluster's own project, or of the caller's where it has one."""
        return ()

    # ------------------------------------------------------------------ reading

    def id_of(self, row: object) -> str:
        return str(getattr(row, self.identify))

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        path = f"{self.path}/{{id}}"
        return await session_of(call).row(call, self.service, path, self.one_key, kind.row, args={"id": native_id})

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        scopes = await self.scopes(call, kind, query)
        pushed = tuple(c for c in push.pushed(query, call.cluster, kind.push) if not isinstance(c, str))
        changed = await self.changed(call, kind, query)
        page = await _Walk(self, call, kind, query, (*pushed, *changed), scopes).page()
        return replace(page, changes_only=True) if changed else page

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        async for rows in self.all(call, kind, await self.own_scope(call)):
            yield rows

    async def all(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]]
    ) -> AsyncIterator[Sequence[R]]:
        """Yield all rows that meet the parameters, page by page; a row may come twice."""
        asked, marker = [*params, *self.sorted(())], ""
        while True:
            try:
                answer = await self.fetch(call, kind, asked, MAX_LIMIT, marker)
            except NotFound:
                if not marker:
                    raise
                marker = ""  # its place was deleted: from the start, rows may come twice
                continue
            yield answer.rows.rows
            # Links without a next one tell the end; where there are none it is asked for.
            if answer.has_links and not answer.has_next and answer.count < MAX_LIMIT:
                return
            if not await self.goes_on(call, kind, asked, answer, MAX_LIMIT):
                return
            if answer.last_id == marker:
                raise self.loop(call)
            marker = answer.last_id

    async def goes_on(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], answer: Answered[R], limit: int
    ) -> bool:
        """Whether anything follows a page of at most `limit` rows: the end of a list is seen, not assumed.

        Behind a short page without a link that costs one small call a listing; proxies and services that lost their
        links have cut lists short before. Behind a row without an id nothing can be asked for.
        """
        if not answer.count or answer.has_next or answer.count >= limit:
            return bool(answer.count)
        try:
            return bool(answer.last_id) and await self.follows(call, kind, params, answer.last_id)
        except (NotFound, InvalidRequest):
            return True  # the last row was deleted just now: the next page finds its way

    async def follows(self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], last_id: str) -> bool:
        """Ask whether a row follows the one of that id."""
        return bool((await self.fetch(call, kind, params, 1, last_id)).count)

    async def find(self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]]) -> Sequence[R]:
        """Return the rows that meet the parameters; unpaged, so for few."""
        collection = Collection(self.key, kind.row, self.within, self.identify)
        answer = await session_of(call).rows(call, self.service, self.listing, collection, params=params)
        return answer.rows.rows

    async def fetch(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], limit: int, marker: str
    ) -> Answered[R]:
        """Return one native page behind `marker`."""
        asked = [*params, ("limit", str(limit)), *([("marker", marker)] if marker else [])]
        collection = Collection(self.key, kind.row, self.within, self.identify)
        return await session_of(call).rows(call, self.service, self.listing, collection, params=asked)

    def loop(self, call: Call) -> PlatformFault:
        """Return the error for a listing that leads back to where it was."""
        text = f"{self.service} of {call.cluster} answers the same page of {self.listing} again"
        return PlatformFault(text, reason="PAGING_LOOP")

    # ------------------------------------------------------------------ creating and deleting

    async def remove(self, call: Call, native_id: str) -> None:
        """Ask for deletion; done as well when it is gone."""
        path, args = f"{self.path}/{{id}}", {"id": native_id}
        try:
            await session_of(call).send(call, "DELETE", self.service, path, None, args=args, redo_ok=True)
        except NotFound:
            return

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        await self.remove(call, native_id)

    async def delete(
        self,
        op: Operation,
        kind: AnyKind[R, M],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        async def remove() -> None:
            try:
                await self.remove(op.call, native_id)
            except PreconditionFailed as error:
                # Services have one text for all reasons: whoever knows the kind looks which it is.
                told = error if refused is None else await refused(op.call, native_id, error)
                if told is not None:
                    raise told from error

        async def gone() -> str | bool | None:
            try:
                row = await self.row(op.call, kind, native_id)
            except NotFound:
                return "gone"
            return "gone" if kind.gone(row) else kind.failed(row) or None

        await op.change(step, remove)
        told = await op.wait_until("gone", gone, percent=50, watch=watch_of(kind, native_id))
        if told not in _GONE:
            name = op.call.cluster.resource(kind.collection, native_id)
            text = f"the cloud could not delete {name}: it is in state {told}; ask the cloud's operator"
            raise GaveUp(text, reason=kind.failed_reason or "DELETE_FAILED", resource=name)

    def made_of(self, kind: AnyKind[R, M], answer: dict[str, Any]) -> Made[R]:
        """Return what a create's answer tells."""
        try:
            row = read_row(answer.get(self.one_key), kind.row, [])
        except Unreadable as error:
            text = f"{self.service} answered a create of {self.path} with what can't be read: {error}"
            raise PlatformFault(text, reason="UNEXPECTED_SHAPE") from error
        return Made(self.id_of(row), kind.data(row))

    def made(self, kind: AnyKind[R, M], rows: Sequence[R]) -> list[Made[R]]:
        """Return what was found of a create, oldest first."""
        by_age = sorted(rows, key=lambda row: (str(getattr(row, "created_at", "")), self.id_of(row)))
        return [Made(self.id_of(row), kind.data(row)) for row in by_age]


@dataclass(frozen=True, slots=True)
class _Batch(Generic[R]):
    """Rows of one scope, in order, whether the scope goes on, and the place of the last one that the service sent."""

    rows: Rows[R]
    more: bool
    last: tuple[str, str]

    def kept(self, keep: Callable[[R], bool] | None) -> _Batch[R]:
        if keep is None:
            return self
        chosen = [i for i, row in enumerate(self.rows.rows) if keep(row)]
        documents = [self.rows.documents[i] for i in chosen] if self.rows.documents else []
        rows = Rows([self.rows.rows[i] for i in chosen], documents, self.rows.unread)
        return _Batch(rows, self.more, self.last)


class _Walk(Generic[R, M]):
    """One call's way through one listing."""

    def __init__(
        self,
        source: OpenStackSource[Any],
        call: Call,
        kind: AnyKind[R, M],
        query: Query,
        pushed: Params,
        scopes: Sequence[Scope[R]],
    ) -> None:
        self._source, self._call, self._kind, self._query = source, call, kind, query
        order = source.sorted([(kind.sort[field], descending) for field, descending in query.order_by])
        self._params, self._scopes = (*pushed, *order), scopes
        self._unread: list[str] = []

    async def page(self) -> RowPage[R]:
        at = Position.parse(self._query.cursor, len(self._scopes))
        while True:
            whole = await self._read(at)
            batch = whole.kept(self._scopes[at.scope].keep)
            more = whole.more or at.scope + 1 < len(self._scopes)
            if batch.rows.rows or not more:
                return self._page(at, batch, more)
            self._unread += batch.rows.unread
            at = self._behind(at, whole)

    def _behind(self, at: Position, batch: _Batch[R]) -> Position:
        """Where to go on after a batch of which nothing is shown."""
        if not batch.more:
            return Position(at.scope + 1)
        if batch.last == at.place:
            raise self._source.loop(self._call)
        return Position(at.scope, batch.last)

    def _page(self, at: Position, batch: _Batch[R], more: bool) -> RowPage[R]:
        rows, place = batch.rows.rows, self._source.place
        behind = str(Position(at.scope, batch.last) if batch.more else Position(at.scope + 1)) if more else ""

        def position(index: int) -> str:
            return behind if index == len(rows) - 1 and behind else str(Position(at.scope, place(rows[index])))

        found = Rows(rows, batch.rows.documents, [*self._unread, *batch.rows.unread])
        return RowPage(found, more, position, end=behind)

    async def _read(self, at: Position) -> _Batch[R]:
        limit = min(max(self._query.limit, 1), MAX_LIMIT)
        try:
            return await self._fetch(at.scope, at.marker, limit, at.place)
        except (NotFound, InvalidRequest) as error:
            if not at.marker:
                raise
            if self._query.order_by:
                text = (
                    f"the {self._source.one_key} that the listing stood at was deleted meanwhile, and in the chosen "
                    "order its place can't be found again; start the listing again"
                )
                raise Busy(text, reason="LISTING_CHANGED") from error
            return await self._walk_again(at)

    async def _walk_again(self, at: Position) -> _Batch[R]:
        """Read from the scope's start to the first rows behind `at`; each page costs a call, none is shown twice."""
        source = self._source

        def behind(row: R) -> bool:
            place = source.place(row)
            return place < at.place if source.descending else place > at.place

        last = ("", "")
        while True:
            batch = await self._fetch(at.scope, last[1], MAX_LIMIT, last)
            rest = batch.kept(behind)
            if rest.rows.rows or not batch.more:
                return rest
            last = batch.last

    async def _fetch(self, scope: int, marker: str, limit: int, before: tuple[str, str]) -> _Batch[R]:
        params = [*self._scopes[scope].params, *self._params]
        answer = await self._source.fetch(self._call, self._kind, params, limit, marker)
        rows = answer.rows.rows
        last = self._source.place(rows[-1]) if rows else before
        if answer.last_id and last[1] != answer.last_id:
            last = (last[0], answer.last_id)  # the last one was left out, its place is behind the one before it
        more = await self._source.goes_on(self._call, self._kind, params, answer, limit)
        return _Batch(answer.rows, more, last)


class CreatesByMarker(OpenStackSource[B_contra]):
    """A source whose creates carry their marker from the first moment, and are found by it."""

    async def create(self, op: Operation, kind: AnyKind[R, M], body: B_contra, step: str, *, part: bool) -> Made[R]:
        made = await op.create_step(
            step,
            send=lambda marker: self._send(op.call, kind, body, marker),
            find=lambda marker: self._find(op.call, kind, marker),
            undo=lambda native_id: self.discard(op.call, kind, native_id),
            safety=kind.safety,
            collection=kind.collection,
        )
        if not part:
            op.set_resource(op.call.cluster.resource(kind.collection, made.id))
        return made

    @abstractmethod
    async def _send(self, call: Call, kind: AnyKind[R, M], body: B_contra, marker: str) -> Made[R]:
        """Send the create once, with the marker in it."""

    @abstractmethod
    async def _find(self, call: Call, kind: AnyKind[R, M], marker: str) -> Sequence[Made[R]]:
        """Return what carries the marker, the oldest first."""


def wanted_project(call: Call, query: Query) -> str:
    """Return the id of the one project that a listing is of: the caller's, or that which the filter names."""
    prefix, wanted = f"{call.cluster}/projects/", query.filter.equal("project") or ""
    return call.caller.project or (wanted.removeprefix(prefix) if wanted.startswith(prefix) else "")


def asks_for_projects(query: Query) -> bool:
    """Whether the filter speaks of projects, so that an administrator's own is not all that is wanted."""
    return not query.filter.is_empty and _PROJECT.search(query.filter.text) is not None
