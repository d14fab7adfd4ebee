"""How kinds are read, created and deleted here: the source that all of them share, and the driver above it.

Rows are the stored messages themselves. Ids come out of the markers of creates, so that a create that is sent twice
makes the same resource twice: BY_KEY.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

from google.protobuf.message import Message

from cloudspan_common import projects
from cloudspan_common.errors import Defect
from cloudspan_common.names import parse_resource
from cloudspan_kit import Kind, KindDriver, Made, Marked, RowPage, Rows, Source, watch_of
from cloudspan_memory.cloud.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

    from cloudspan_common.errors import CloudspanError, PreconditionFailed
    from cloudspan_kit import Call, Operation, Query

R = TypeVar("R")
M = TypeVar("M", bound=Message)


def store_of(call: Call) -> Store:
    """Return the store of the call's cluster."""
    if not isinstance(call.cloud, Store):
        raise Defect(f"{call.cluster} has no store: its `cloud` is {call.cloud!r}")
    return call.cloud


@dataclass(frozen=True, slots=True)
class New(Generic[M]):
    """What a create makes."""

    build: Callable[[str], M]
    """Returns the resource that gets this id; whatever it raises refuses the create."""
    becomes: Callable[[M], None] | None = None
    """What the cloud does to it after the cluster's delay."""


class MemorySource(Source[New[Any]]):
    """One collection of the store."""

    def __init__(self, *, collection: str = "", deleting: int = 0) -> None:
        """Make a source that reads `collection` instead of its kind's, and deletes by way of the state `deleting`."""
        self._collection, self._deleting = collection, deleting

    def __repr__(self) -> str:
        return f"<MemorySource {self._collection}>" if self._collection else "<MemorySource>"

    # ------------------------------------------------------------------ reading

    def id_of(self, row: object) -> str:
        name = str(getattr(row, "name", ""))
        return parse_resource(name, name.split("/")[-2])[1]

    async def one(self, call: Call, kind: Kind[R, M, Never], native_id: str) -> Rows[R]:
        return Rows([store_of(call).get(self._of(kind), native_id)])

    async def page(self, call: Call, kind: Kind[R, M, Never], query: Query) -> RowPage[R]:
        # A page token must not hold the id of what its caller does not see.
        row: Any = kind.row
        keep = projects.bound(row.DESCRIPTOR, call.project).sees if call.project else None
        if query.since is None or not kind.changes_since:
            return self._page(call, kind, query, keep)
        changed, gone = store_of(call).changed(self._of(kind), query.since)
        page = self._page(call, kind, query, lambda row: changed(row) and (keep is None or keep(row)))
        return replace(page, changes_only=True, gone=[] if query.cursor else gone)

    def _page(
        self, call: Call, kind: Kind[R, M, Never], query: Query, keep: Callable[[Any], bool] | None
    ) -> RowPage[R]:
        ids, rows, more = store_of(call).page(self._of(kind), query.cursor, query.limit, keep)
        return RowPage(Rows(rows), more, position=lambda index: ids[index])

    async def sweep(self, call: Call, kind: Kind[R, M, Never]) -> AsyncIterator[Sequence[R]]:
        yield store_of(call).all(self._of(kind))

    async def in_transit(self, call: Call, kind: Kind[R, M, Never], ids: Sequence[str]) -> set[str]:
        # However many: to look at one costs less than its place in a listing.
        found = {native_id: store_of(call).find(self._of(kind), native_id) for native_id in ids}
        settled = kind.settled
        return set() if settled is None else {i for i, row in found.items() if row is not None and not settled(row)}

    def _of(self, kind: Kind[R, M, Never]) -> str:
        return self._collection or kind.collection

    # ------------------------------------------------------------------ creating and deleting

    async def create(self, op: Operation, kind: Kind[R, M, Never], body: New[Any], step: str, *, part: bool) -> Made[R]:
        store, collection = store_of(op.call), kind.collection

        async def send(marker: str) -> Made[R]:
            made_id = store.id_for(marker)
            kept, becomes = store.put(collection, made_id, body.build(made_id), marker), body.becomes
            if becomes is not None:
                store.later(kept, lambda: becomes(kept))
            return Made(made_id)

        async def find(marker: str) -> list[Made[R]]:
            made_id = store.id_for(marker)
            return [Made(made_id)] if store.find(collection, made_id) is not None else []

        async def undo(made_id: str) -> None:
            store.delete(collection, made_id)

        made = await op.create_step(step, send=send, find=find, undo=undo, safety=kind.safety, collection=collection)
        if not part:
            op.set_resource(store.name(collection, made.id))
        return made

    async def delete(
        self,
        op: Operation,
        kind: Kind[R, M, Never],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        """Delete one; `refused` is not asked, since the store names what stands in the way itself."""
        store, collection = store_of(op.call), kind.collection

        async def begin() -> None:
            row = store.find(collection, native_id)
            if row is None or not self._deleting:
                store.delete(collection, native_id)
            elif row.state != self._deleting:
                row.state = self._deleting
                store.touch(row)
                store.later(row, lambda: store.delete(collection, native_id))

        async def gone() -> bool | None:
            return True if store.find(collection, native_id) is None else None

        await op.change(step, begin)
        if self._deleting:
            await op.wait_until("gone", gone, watch=watch_of(kind, native_id))

    async def discard(self, call: Call, kind: Kind[R, M, Never], native_id: str) -> None:
        store_of(call).delete(kind.collection, native_id)


class StoredMarkers:
    """Finds the marks of creates, which the store remembers beside the resources."""

    async def find(self, call: Call, kind: Kind[Any, Any, Never], prefix: str) -> Sequence[Marked]:
        """Return everything whose marker begins with `prefix`."""
        store = store_of(call)
        return [
            Marked(row_id, marker, row.display_name, row.create_time.ToMilliseconds() / 1000)
            for row_id, row in store.items(kind.collection)
            if (marker := store.marker_of(kind.collection, row_id)) and marker.startswith(prefix)
        ]


class MemoryDriver(KindDriver[M, M]):
    """Returns resources as they are stored, and changes them as steps; kinds with more to say override `message`."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.ref)
        self._store = store

    def message(self, row: M) -> M:
        return copied(row)

    async def _change(self, op: Operation, step: str, change: Callable[[M], None]) -> M:
        """Change the resource of the call as a step, and return it as it is then."""
        collection = self.kind.collection

        async def do() -> None:
            row = self._store.get(collection, op.call.id)
            change(row)
            self._store.touch(row)

        op.set_resource(self._store.name(collection, op.call.id))
        self._store.get(collection, op.call.id)  # before the first step, so that a check alone misses it too
        await op.change(step, do)
        return self.message(self._store.get(collection, op.call.id))


def set_fields(row: Any, wanted: Any, fields: Collection[str]) -> None:
    """Set fields of a resource to what a request wants; labels are replaced as a whole."""
    for field in fields:
        if field == "labels":
            row.labels.clear()
            row.labels.update(wanted.labels)
        else:
            setattr(row, field, getattr(wanted, field))
