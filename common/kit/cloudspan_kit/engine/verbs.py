"""The short verbs of an operation, `create`, `ready` and `delete` of a kind, made of its steps.

`run.OperationRun` and `validate.Validation` inherit them: a request that is only checked goes the same way to its first
step that would change something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import Defect, GaveUp
from cloudspan_kit.operation import Operation, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.errors import CloudspanError, PreconditionFailed
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Kind
    from cloudspan_kit.operation import Made

R = TypeVar("R")
B = TypeVar("B")
M = TypeVar("M", bound=Message)


class KindVerbs(Operation):
    """The verbs that name a kind."""

    async def create(self, kind: Kind[R, M, B], body: B, *, step: str = "", part: bool = False) -> Made[R]:
        return await kind.source.create(self, kind, body, step or kind.step, part=part)

    async def ready(self, kind: Kind[R, M, B], made: Made[R], *, step: str = "ready", percent: int = 50) -> R:
        async def poll() -> R | None:
            row = await kind.source.row(self.call, kind, made.id)
            if state := kind.failed(row):
                raise given_up(self.call, kind, made.id, state)
            return row if kind.is_usable(row) else None

        return await self.wait_until(step, poll, percent=percent, watch=watch_of(kind, made.id))

    async def delete(
        self,
        kind: Kind[R, M, B],
        native_id: str,
        *,
        step: str = "delete",
        check: Callable[[Call, str], Awaitable[None]] | None = None,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None = None,
    ) -> None:
        if not native_id:
            raise Defect(f"a delete of {kind.collection} names none: its id is empty")
        self.set_resource(self.call.cluster.resource(kind.collection, native_id))
        if check is not None:
            await self.read_once("check", lambda: check(self.call, native_id))
        await kind.source.delete(self, kind, native_id, step, refused)


def watch_of(kind: Kind[R, M, B], native_id: str) -> Watch | None:
    """Return what is watched of a kind whose waits are shared; None of one where nothing takes time."""
    return None if kind.settled is None else Watch(kind.collection, native_id)


def given_up(call: Call, kind: Kind[R, M, B], native_id: str, state: str) -> GaveUp:
    """Return the end of an operation on something that the platform gave up on; `state` is what it says of it."""
    name = call.cluster.resource(kind.collection, native_id)
    text = f"the cloud accepted the request and then failed: {name} is in state {state}; ask the cloud's operator"
    return GaveUp(text, reason=kind.failed_reason or "CREATE_FAILED", resource=name)
