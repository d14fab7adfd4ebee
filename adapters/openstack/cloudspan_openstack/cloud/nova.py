"""Nova's collections: flavors, servers, and key pairs.

Nova pages by marker, and cuts a page to its own `max_limit` without a word. A deleted row stays a good marker until
Nova's database is purged. See `cells` for what a page of servers can't say.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from google.protobuf.message import Message

from cloudspan_common.errors import (
    AlreadyExists,
    Busy,
    GaveUp,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Unreachable,
)
from cloudspan_kit import Made, Marked, MarkedRows, RowPage, Rows, push, watch_of
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.cells import Cells
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.rows import Answered, Collection
from cloudspan_openstack.cloud.source import MAX_LIMIT, AnyKind, CreatesByMarker, OpenStackSource, Params, session_of
from cloudspan_openstack.cloud.values import is_marker, unix_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from cloudspan_common.errors import CloudspanError
    from cloudspan_kit import Call, Kind, Operation, Query

R = TypeVar("R")
M = TypeVar("M", bound=Message)
B_contra = TypeVar("B_contra", contravariant=True)

_PAGES_SINCE = Microversion(2, 35)
_TAGS_AT_CREATE = Microversion(2, 52)
_FILTERS_FOR_ALL = Microversion(2, 83)
_DELETING = ("deleting", "soft-deleting")
PASSWORD = "password"  # noqa: S105 - no password, but what one is called in `Made.data`
"""Key under which a create keeps the password that Nova made."""


class Nova(OpenStackSource[B_contra]):
    """One of Nova's collections, in pages that go on behind an id."""

    def __init__(self, path: str, one: str) -> None:
        super().__init__("compute", path, one, detail=f"{path}/detail")

    def place(self, row: Any) -> tuple[str, str]:
        return "", row.id

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        order = [(field, "desc" if descending else "asc") for field, descending in chosen]
        return tuple(param for field, way in order for param in (("sort_key", field), ("sort_dir", way)))

    async def conditions(self, call: Call, kind: AnyKind[R, M], query: Query) -> Params:
        """Return what Nova applies of a query's filter."""
        return tuple(c for c in push.pushed(query, call.cluster, kind.push) if not isinstance(c, str))

    async def follows(self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], last_id: str) -> bool:
        """Ask for the next row without its details, which costs Nova less."""
        asked = [*params, ("limit", "1"), ("marker", last_id)]
        return bool(
            (await session_of(call).get(call, self.service, self.path, dict[str, Any], params=asked)).get(self.key)
        )

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        limit, cursor = min(max(query.limit, 1), MAX_LIMIT), query.cursor
        order = self.sorted([(kind.sort[field], descending) for field, descending in query.order_by])
        changed = await self.changed(call, kind, query)
        params = (*await self.own_scope(call), *await self.conditions(call, kind, query), *changed, *order)
        try:
            answer = await self.fetch(call, kind, params, limit, cursor)
        except NotFound as error:
            if not cursor:
                raise
            text = f"the {self.one_key} that the listing stood at is gone for good; start the listing again"
            raise Busy(text, reason="LISTING_CHANGED", metadata=error.metadata) from error
        rows, last_id = answer.rows.rows, answer.last_id
        if cursor and last_id == cursor:
            raise self.loop(call)
        more = await self.goes_on(call, kind, params, answer, limit)
        page = RowPage(answer.rows, more, lambda index: self.id_of(rows[index]), end=last_id if more else "")
        return replace(page.split(_is_deleted, self.id_of), changes_only=True) if changed else page

    async def fetch(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], limit: int, marker: str
    ) -> Answered[R]:
        try:
            return await super().fetch(call, kind, params, limit, marker)
        except InvalidRequest as error:
            if not marker or "marker" not in error.message:
                raise
            raise NotFound(error.message, metadata=error.metadata) from error


class NovaFlavors(Nova["Mapping[str, object]"]):
    """Flavors, by id."""

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        return super().sorted(chosen or [("flavorid", False)])

    async def own_scope(self, call: Call) -> Params:
        # Without it an administrator sees public flavors only.
        return (("is_public", "None"),) if (await session_of(call).scope(call)).is_admin else ()


# ---------------------------------------------------------------------- servers


@dataclass(frozen=True, slots=True)
class ServerBody:
    """What a create of a server sends."""

    document: Callable[[Microversion], dict[str, Any]]
    """The request in Nova's words, by the microversion that it is sent in."""
    exclusive: bool = False
    """Whether it names what only one server can have: a second send meets the first one's."""


class MarkedServers(MarkedRows[Any]):
    """Finds marks in tags, or in metadata; never while a cell is down: what is not seen may carry one."""

    def __init__(self) -> None:
        super().__init__(_marks)

    async def find(self, call: Call, kind: Kind[Any, Any, Any], prefix: str) -> Sequence[Marked]:
        if doubt := await session_of(call).own(Cells).hidden(call):
            raise Unreachable(doubt, reason="CELL_DOWN")
        return await super().find(call, kind, prefix)


class _MovingRow(msgspec.Struct):
    """What it takes to see whether a server is settled."""

    id: str
    status: str | None = None
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state", default=None)


class NovaServers(CreatesByMarker[ServerBody], Nova[ServerBody]):
    """Servers: one marker travels in a create, as a tag from microversion 2.52 on, as metadata below.

    With a cell down Nova's pages hide its servers, so the cells are looked at beside the first and the last page.
    """

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        cells = session_of(call).own(Cells)
        if query.cursor:
            page = await super().page(call, kind, query)
            return page if page.more else replace(page, partial=await cells.doubt(call))
        await session_of(call).microversion(call, self.service)  # else both of these would ask for it
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(super().page(call, kind, query))
                looking = group.create_task(cells.doubt(call))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return replace(reading.result(), partial=looking.result())

    async def conditions(self, call: Call, kind: AnyKind[R, M], query: Query) -> Params:
        """Return what Nova does right: of hosts, and below 2.83 of key pairs, it ignores what members ask for."""
        pushed = await super().conditions(call, kind, query)
        if not pushed or (await session_of(call).scope(call)).is_admin:
            return pushed
        is_old = await session_of(call).microversion(call, "compute") < _FILTERS_FOR_ALL
        ignored = {"host", "key_name"} if is_old else {"host"}
        return tuple(param for param in pushed if param[0] not in ignored)

    async def in_transit(self, call: Call, kind: AnyKind[R, M], ids: Sequence[str]) -> set[str]:
        """Return those that are not settled, reading of each row no more than that takes.

        One whose cell is down is shown as UNKNOWN and left out: whoever waits for it looks for himself.
        """
        moving: Any = replace(kind, row=cast("Any", _MovingRow))
        return await super().in_transit(call, moving, ids)

    async def own_scope(self, call: Call) -> Params:
        """Return the parameters for the caller's project; without any Nova shows the credentials' own."""
        if not call.caller.project or not (await session_of(call).scope(call)).is_admin:
            return ()
        return (("all_tenants", "1"), ("project_id", call.caller.project))

    async def ask(self, call: Call, server_id: str, body: Mapping[str, object]) -> None:
        """Ask for an action on a server: sent once, see `Session.send`."""
        path, args = f"{self.path}/{{id}}/action", {"id": server_id}
        await session_of(call).send(call, "POST", self.service, path, None, args=args, json=body)

    # ------------------------------------------------------------------ creating

    async def _send(self, call: Call, kind: AnyKind[R, M], body: ServerBody, marker: str) -> Made[R]:
        version = await session_of(call).microversion(call, self.service)
        document = body.document(version)
        server = document[self.one_key]
        if version >= _TAGS_AT_CREATE:
            server["tags"] = [marker, *server.get("tags", ())]
        else:
            server["metadata"] = server["metadata"] | {MARKER_KEY: marker}
        try:
            answer = await session_of(call).send(call, "POST", self.service, self.path, dict[str, Any], json=document)
        except (PreconditionFailed, AlreadyExists, InvalidRequest):
            # A port, address or volume in use may be so by a server of ours that came late.
            found = await self._find(call, kind, marker) if body.exclusive else []
            if found:
                return found[0]
            raise
        # Returned once, and not again: a server whose create had no reply keeps its password to itself.
        password = answer[self.one_key].get("adminPass")
        return Made(str(answer[self.one_key]["id"]), {PASSWORD: password} if password else {})

    async def _find(self, call: Call, kind: AnyKind[R, M], marker: str) -> list[Made[R]]:
        """Return the servers that carry the marker, oldest first; each row is checked, whatever the filter did."""
        version = await session_of(call).microversion(call, self.service)
        tagged: Params = (("tags", marker),) if version >= _TAGS_AT_CREATE else ()
        params: Params = (*tagged, *self.sorted([("created_at", False)]))
        found: list[Made[R]] = []
        last_id = ""
        while True:
            answer = await self.fetch(call, kind, params, MAX_LIMIT, last_id)
            found += [Made(self.id_of(row)) for row in answer.rows.rows if marker in _markers(row)]
            if not answer.last_id or not await self.goes_on(call, kind, params, answer, MAX_LIMIT):
                return found
            last_id = answer.last_id

    # ------------------------------------------------------------------ deleting

    async def left(self, call: Call, kind: AnyKind[R, M], server_id: str) -> R | None:
        """Return a server as long as it is not deleted, or soft-deleted.

        With `reclaim_instance_interval` a deleted server answers Get with 200 and SOFT_DELETED for days. A moment
        before it is gone it answers with DELETED, which a caller who looks right afterwards would still be shown.
        """
        try:
            row = await self.row(call, kind, server_id)
        except NotFound:
            return None
        return None if kind.gone(row) else row

    async def delete(
        self,
        op: Operation,
        kind: AnyKind[R, M],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        async def remove() -> None:
            row: Any = await self.left(op.call, kind, native_id)
            if row is not None and row.task not in _DELETING and row.status != "DELETED":
                await self.remove(op.call, native_id)

        async def gone() -> bool | None:
            row: Any = await self.left(op.call, kind, native_id)
            if row is None:
                return True
            if row.task or row.status == "DELETED":
                return None
            name = op.call.cluster.resource(kind.collection, native_id)
            why = row.fault.message if row.fault else f"it is in status {row.status} with no task"
            text = f"Nova could not delete {name}: {why}; ask the cloud's operator"
            raise GaveUp(text, reason=kind.failed_reason, resource=name)

        await op.change(step, remove)
        await op.wait_until("gone", gone, percent=50, watch=watch_of(kind, native_id))

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        """Delete a server, and be done only when it is gone: what it was made with can be removed only then."""
        row: Any = await self.left(call, kind, native_id)
        if row is not None and row.task != "deleting":
            await self.remove(call, native_id)
            row = await self.left(call, kind, native_id)
        if row is not None:
            # As after any "slow down", an undo is asked again.
            raise RateLimited(f"server {native_id} is being deleted", reason="STILL_BUSY", retry_after_s=1.0)


def _is_deleted(row: Any) -> bool:
    """Whether a row is of a server that is gone: lists of what has changed hold them too, for members as well."""
    return row.status in ("DELETED", "SOFT_DELETED")


def _markers(row: Any) -> set[str]:
    """Return the create markers that a server carries: as a tag, below 2.52 as metadata."""
    tags = {tag for tag in row.tags if is_marker(tag)}
    return tags | {row.metadata[MARKER_KEY]} if MARKER_KEY in row.metadata else tags


def _marks(row: Any) -> Iterable[Marked]:
    for marker in _markers(row):
        yield Marked(row.id, marker, row.name or "", unix_time(row.created))


# ---------------------------------------------------------------------- key pairs


class NamedInNova(OpenStackSource["Mapping[str, object]"]):
    """A collection whose rows are named by their users: the name is the key that keeps a create from making two."""

    identify = "name"

    def __init__(self, path: str, one: str, same: tuple[str, ...], *, key: str) -> None:
        super().__init__("compute", path, one, within=one)
        self.key, self._same = key, same
        """Where the rows stand in an answer, and the fields that one of ours has as we sent them."""

    def place(self, row: Any) -> tuple[str, str]:
        return "", row.name

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        return ()

    async def fetch(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], limit: int, marker: str
    ) -> Answered[R]:
        if await session_of(call).microversion(call, "compute") >= _PAGES_SINCE:
            return await super().fetch(call, kind, params, limit, marker)
        collection = Collection(self.key, kind.row, self.within, self.identify)
        if marker:  # everything was on the first page
            return Answered(Rows([]), 0, has_next=False, last_id="")
        return await session_of(call).rows(call, self.service, self.listing, collection)

    async def delete(
        self,
        op: Operation,
        kind: AnyKind[R, M],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        await op.change(step, lambda: self.remove(op.call, native_id))  # Nova deletes them at once

    async def create(
        self, op: Operation, kind: AnyKind[R, M], body: Mapping[str, object], step: str, *, part: bool
    ) -> Made[R]:
        """Make one, unless it is there as it should be: what the operation did not make it never undoes."""
        call = op.call
        before = await op.read_once("look", lambda: self._look(call, kind, body))
        if before["there"]:
            made: Made[R] = Made(str(body["name"]))
        else:
            made = await op.create_step(
                step,
                send=lambda _marker: self._send(op.call, kind, body),
                find=lambda _marker: self._find(op.call, kind, body),
                undo=lambda name: self.remove(op.call, name),
                safety=kind.safety,
                collection=kind.collection,
            )
        if not part:
            op.set_resource(call.cluster.resource(kind.collection, made.id))
        return made

    async def _look(self, call: Call, kind: AnyKind[R, M], body: Mapping[str, object]) -> Mapping[str, bool]:
        return {"there": bool(await self._find(call, kind, body))}

    async def _send(self, call: Call, kind: AnyKind[R, M], body: Mapping[str, object]) -> Made[R]:
        try:
            await session_of(call).send(call, "POST", self.service, self.path, None, json={self.one_key: body})
        except AlreadyExists:
            found = await self._find(call, kind, body)
            if not found:
                raise
            return found[0]
        return Made(str(body["name"]))

    async def _find(self, call: Call, kind: AnyKind[R, M], body: Mapping[str, object]) -> Sequence[Made[R]]:
        """The name alone proves nothing: one of that name is ours only with our key in it."""
        try:
            row = await self.row(call, kind, str(body["name"]))
        except NotFound:
            return []
        same = all(str(getattr(row, field)).split() == str(body[field]).split() for field in self._same)
        return [Made(self.id_of(row))] if same else []
