"""Nova's key pairs: named, not numbered, and marked by their key alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import AlreadyExists, NotFound
from cloudspan_kit import Made, Rows
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.rows import Answered, Collection
from cloudspan_openstack.cloud.source import AnyKind, OpenStackSource, Params, session_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cloudspan_common.errors import CloudspanError, PreconditionFailed
    from cloudspan_kit import Call, Operation

R = TypeVar("R")
M = TypeVar("M", bound=Message)

_PAGES_SINCE = Microversion(2, 35)


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
