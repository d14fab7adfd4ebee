"""How ZStack's collections are read, created and deleted: the source of every kind.

A create is a function from the new resource's uuid to the change that makes it. Paging is in `queries`, what makes and
deletes exactly once in `creation`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import Defect, PreconditionFailed
from cloudspan_kit import Kind, Made, Marked, Query, RowPage, Rows, Source, push
from cloudspan_zstack.cloud import creation
from cloudspan_zstack.cloud.beside import every, rows_by
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import OURS, Tag
from cloudspan_zstack.cloud.markers import find_marked
from cloudspan_zstack.cloud.queries import condition, one_of, rows_page
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import Session, nothing_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cloudspan_common.errors import CloudspanError
    from cloudspan_kit import Call, Operation

R = TypeVar("R")
M = TypeVar("M", bound=Message)
AnyKind = Kind[R, M, Never]
Create = Callable[[str], Change]
"""Returns the change that makes a resource of that uuid."""

_IN_ONE_URL = 100


def session_of(call: Call) -> Session:
    """Return the session of the call's cluster."""
    if not isinstance(call.cloud, Session):
        raise Defect(f"{call.cluster} has no session: its `cloud` is {call.cloud!r}")
    return call.cloud


class ZStackSource(Source[Create]):
    """One native collection."""

    def __init__(
        self,
        path: str,
        *,
        only: Mapping[str, Sequence[str]] | None = None,
        unless_asked: str = "",
        moving: str = "",
        expunge: str = "",
        early: bool = False,
    ) -> None:
        """Declare a collection.

        Args:
            path: Where it is: `/volumes`.
            only: What a row is by its fields, as `{"type": ("UserVm",)}`; others are hidden, by their uuid too.
            unless_asked: What leaves softly deleted rows out, unless `show_deleted` asks for them.
            moving: What rows fulfil that are not settled, for asking for all of them at once.
            expunge: The action that removes what is only softly deleted.
            early: Whether a row is written before the work is done, and taken back where that fails.
        """
        self.path, self._only, self._unless_asked = path, only or {}, unless_asked
        self._conditions = [one_of(field, values)[0] for field, values in self._only.items()]
        self._moving, self._expunge, self._early = moving, expunge, early

    def __repr__(self) -> str:
        return f"<ZStackSource {self.path}>"

    def native(self, kind: AnyKind[Any, M]) -> creation.Kind[Any]:
        """Return the kind as `creation` wants it."""
        return creation.Kind(
            self.path,
            kind.row,
            kind.collection,
            finished=kind.is_usable,
            gone=kind.gone,
            expunge=self._expunge,
            passes=kind.settled is not None,
            early=self._early,
            shown=self.shows,
        )

    def shows(self, row: object) -> bool:
        """Whether a row is one of the collection; one that lost the field that tells is."""
        return all(getattr(row, field) in ("", *values) for field, values in self._only.items())

    # ------------------------------------------------------------------ reading

    def id_of(self, row: object) -> str:
        return str(getattr(row, "uuid", ""))

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        found = await session_of(call).get_rows(call, f"{self.path}/{{uuid}}", kind.row, args={"uuid": native_id})
        if not self.shows(found.rows[0]):
            raise nothing_at(call, f"{self.path}/{native_id}")
        return Rows(found.rows[:1], found.documents[:1], found.unread)

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        conditions = list(self._conditions)
        for pushed in push.pushed(query, call.cluster, kind.push):
            conditions += [pushed] if isinstance(pushed, str) else condition(*pushed)
        changed = await self._changed(call, kind, query)
        if self._unless_asked and not query.show_deleted and not (changed and kind.tells_gone):
            conditions.append(self._unless_asked)
        row: Any = kind.row
        page, _ = await rows_page(session_of(call), call, query, self.path, row, [*conditions, *changed], kind.sort)
        return replace(page.split(kind.gone, self.id_of), changes_only=True) if changed else page

    async def _changed(self, call: Call, kind: AnyKind[R, M], query: Query) -> Sequence[str]:
        """Return the condition for what has changed since `query.since`; none as long as the server's zone is unknown.

        A time in a condition is one on the server's wall: once a year, when its clocks are put back, the hour before
        is not asked for.
        """
        if query.since is None or not kind.changes_since:
            return ()
        await session_of(call).login(call)
        zone = session_of(call).zone
        if not zone.is_known:
            return ()
        return (f"{kind.changes_since}>={zone.condition(query.since)}",)

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        yield await every(session_of(call), call, self.path, kind.row, self._conditions)

    async def in_transit(self, call: Call, kind: AnyKind[R, M], ids: Sequence[str]) -> set[str]:
        """Let the platform pick them.

        Of so many as fit into a URL it is asked by their ids too, and of more than that for all that are moving. Either
        is one call, but for more than a page of them.
        """
        conditions = [self._moving]
        if len(ids) <= _IN_ONE_URL:
            conditions += one_of("uuid", ids)
        rows = await every(session_of(call), call, self.path, Row, conditions)
        return {row.uuid for row in rows} & set(ids)

    async def some(self, call: Call, path: str, row: type[R], field: str, uuids: Sequence[str]) -> list[R]:
        """Return the rows of a table beside whose `field` is one of `uuids`."""
        return await rows_by(session_of(call), call, path, row, field, uuids)

    # ------------------------------------------------------------------ creating and deleting

    async def create(self, op: Operation, kind: AnyKind[R, M], body: Create, step: str, *, part: bool) -> Made[R]:
        async def change(_call: Call, uuid: str) -> Change:
            return body(uuid)

        def known(uuid: str) -> None:
            if not part:
                op.set_resource(op.call.cluster.resource(kind.collection, uuid))

        made = creation.Creation(session_of(op.call))
        return Made(await made.make(op, step, self.native(kind), change, known))

    async def delete(
        self,
        op: Operation,
        kind: AnyKind[R, M],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        """Delete it, if only softly; the platform refuses little for its dependants, so give `check`."""
        try:
            await creation.Creation(session_of(op.call)).remove(op, step, self.native(kind), native_id)
        except PreconditionFailed as error:
            better = await refused(op.call, native_id, error) if refused else None
            raise better or error from error

    async def update(self, op: Operation, kind: AnyKind[R, M], action: str, fields: Mapping[str, str]) -> None:
        """Change texts of `op.call.id`, if any; nothing is sent where it has them."""
        made, native = creation.Creation(session_of(op.call)), self.native(kind)

        async def holds() -> bool:
            row = await self.row(op.call, kind, op.call.id)
            # The platform keeps texts without the spaces around them.
            return all(getattr(row, field) == value.strip() for field, value in fields.items())

        if fields:
            change = Change("PUT", f"{native.one}/actions", {"uuid": op.call.id}, action, fields)
            await made.apply(op, "update", change, holds=holds)

    async def relabel(self, op: Operation, filed_as: str, labels: Sequence[str] | None) -> None:
        """Make the labels of `op.call.id` those, unless they are None, by a call for each that differs."""
        if labels is None:
            return

        async def look() -> dict[str, list[str]]:
            tags = await _tags(op.call, filed_as, op.call.id)
            there = {tag.tag.strip(): tag.uuid for tag in tags if not tag.tag.startswith(OURS)}
            wanted = [tag.strip() for tag in labels]
            surplus = [uuid for tag, uuid in there.items() if tag not in wanted]
            return {"add": [tag for tag in wanted if tag not in there], "remove": surplus}

        plan = await op.read_once("labels", look)
        for i, tag in enumerate(plan["add"]):
            await add_label(op, f"label-{i}", filed_as, op.call.id, tag)
        for i, tag_uuid in enumerate(plan["remove"]):
            await _remove_label(op, f"unlabel-{i}", filed_as, op.call.id, tag_uuid)

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        await creation.Creation(session_of(call)).discard(call, self.native(kind), native_id)


class UserTags:
    """Finds marks in user tags; `types` are the platform's resource types that it files them under."""

    def __init__(self, *types: str) -> None:
        self._types = types

    async def find(self, call: Call, kind: Kind[Any, Any, Never], prefix: str) -> Sequence[Marked]:
        """Return everything whose marker begins with `prefix`."""
        source = kind.source
        if not isinstance(source, ZStackSource):
            raise Defect(f"{kind!r} is not ZStack's")
        return await find_marked(session_of(call), call, source.native(kind), self._types, prefix)


async def add_label(op: Operation, step: str, filed_as: str, native_id: str, tag: str) -> None:
    """Give a resource a user tag; `filed_as` is the platform's type of resource."""

    async def holds() -> bool:
        # The platform keeps texts without the spaces around them.
        return tag.strip() in [row.tag.strip() for row in await _tags(op.call, filed_as, native_id)]

    params = {"resourceType": filed_as, "resourceUuid": native_id, "tag": tag}
    change = Change("POST", "/user-tags", params=params)
    await creation.Creation(session_of(op.call)).apply(op, step, change, holds=holds)


async def _remove_label(op: Operation, step: str, filed_as: str, native_id: str, tag_uuid: str) -> None:
    async def holds() -> bool:
        return tag_uuid not in [row.uuid for row in await _tags(op.call, filed_as, native_id)]

    change = Change("DELETE", "/tags/{uuid}", {"uuid": tag_uuid})
    await creation.Creation(session_of(op.call)).apply(op, step, change, holds=holds)


async def _tags(call: Call, filed_as: str, native_id: str) -> list[Tag]:
    of_it = [f"resourceType={filed_as}", f"resourceUuid={native_id}"]
    return await every(session_of(call), call, "/user-tags", Tag, of_it)
