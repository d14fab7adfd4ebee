"""Make and delete one resource, each exactly once: what the changes of every area are built of.

The id of what is made is derived from the operation's marker (`resourceUuid`), and so is the id of the job that makes
it: asked again, the platform refuses both, and a look at the id tells what became of it. A job is watched for its
errors only. Whether something is there is judged by the thing itself, for a job can be lost, or stay processing for
ever when the management node was restarted. Every create carries its marker as a tag too (`markers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_common.errors import AlreadyExists, GaveUp, InvalidRequest, NotFound, RateLimited
from cloudspan_kit import BY_KEY, Made, Watch
from cloudspan_zstack.cloud.error_rules import LostJob
from cloudspan_zstack.cloud.jobs import Change, Job, marked, resource_uuid
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.cloud.session import Session

R = TypeVar("R", bound=Row)

# A row that is written before its job's work is done counts after this time, for the job may never end.
_BELIEVED_S = 120.0


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What is made or deleted: where it is, and when it is finished or gone."""

    path: str
    row: type[R]
    collection: str
    finished: Callable[[R], bool] = lambda _: True
    """Whether making it has ended, well or not."""
    gone: Callable[[R], bool] = lambda _: False
    """Whether it is deleted although it can still be read: soft deletion."""
    expunge: str = ""
    """The action that removes what is only softly deleted."""
    passes: bool = False
    """Whether its area's `transits` tell while it is being made."""
    early: bool = False
    """Whether its row is written before the work is done, and taken back where that fails."""
    shown: Callable[[R], bool] = lambda _: True
    """Whether it is of the kind at all: what is not is as if it were not there."""

    @property
    def one(self) -> str:
        return f"{self.path}/{{uuid}}"


class Creation:
    """Makes and deletes resources of one cluster."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<Creation {self._session!r}>"

    async def make(
        self,
        op: Operation,
        step: str,
        kind: Kind[R],
        change: Callable[[Call, str], Awaitable[Change]],
        known: Callable[[str], None] = lambda _uuid: None,
    ) -> str:
        """Make a resource by the change that `change` builds for its new uuid; return that once it is finished.

        `known` is told the uuid as soon as it is made.

        Raises:
            GaveUp: The platform took it, and what came of it is nothing.
        """

        async def send(marker: str) -> Made[object]:
            uuid = resource_uuid(marker)
            try:
                job = await self._session.send(op.call, marked(await change(op.call, uuid), marker), job=marker)
            except AlreadyExists:
                # The uuid is ours alone, so whatever has it was made by this step.
                if found := await find(marker):
                    return found[0]
                raise
            return Made(uuid, job.kept())

        async def find(marker: str) -> list[Made[object]]:
            row = await self.row(op.call, kind, resource_uuid(marker))
            return [] if row is None else [Made(row.uuid)]

        marker = op.marker(step)
        made = await op.create_step(
            step,
            send=send,
            find=find,
            undo=lambda uuid: self.unmake(op.call, kind, uuid, marker),
            safety=BY_KEY,
            collection=kind.collection,
        )
        known(made.id)
        job = Job.of(made.data)
        watch = Watch(kind.collection, made.id) if kind.passes else None
        await op.wait_until(f"{step} made", lambda: self._made(op.call, kind, made.id, job), percent=50, watch=watch)
        return made.id

    async def remove(self, op: Operation, step: str, kind: Kind[R], uuid: str) -> None:
        """Delete a resource, and wait until it is deleted, if only softly; done as well when it is."""

        async def delete() -> dict[str, Any]:
            job = await self._begin_delete(op.call, kind, uuid, op.marker(step))
            return {} if job is None else job.kept()

        job = Job.of(await op.change(step, delete))
        await op.wait_until(f"{step}d", lambda: self._is_gone(op.call, kind, uuid, job), percent=50)

    async def expunge(self, op: Operation, step: str, kind: Kind[R], uuid: str) -> None:
        """Remove what is softly deleted for good; done as well when it is gone."""

        async def expunge() -> dict[str, Any]:
            if await self.row(op.call, kind, uuid) is None:
                return {}
            return (await self._session.send(op.call, _expunging(kind, uuid), job=op.marker(step))).kept()

        job = Job.of(await op.change(step, expunge))
        await op.wait_until(f"{step}d", lambda: self._is_gone(op.call, kind, uuid, job, for_good=True), percent=90)

    async def apply(
        self,
        op: Operation,
        step: str,
        change: Change,
        *,
        holds: Callable[[], Awaitable[bool]],
        undo: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        """Change what a look can tell (`holds`), and wait until it does; where it does before, nothing is sent.

        `undo` is handed what was done, empty where nothing was; without it the change goes with what it was made on.

        Raises:
            GaveUp: The platform ended the change, and it does not hold.
        """
        done: Mapping[str, Any] = {}

        async def send() -> dict[str, Any]:
            if await holds():
                return {}
            return (await self._session.send(op.call, change, job=op.marker(step))).kept()

        async def back() -> None:
            if undo is not None:
                await undo(done)

        done = await op.change(step, send, undo=back)
        job = Job.of(done)
        await op.wait_until(f"{step} done", lambda: self._holds(op.call, step, job, holds))

    async def complete(
        self, op: Operation, step: str, left: Callable[[], Awaitable[Change | None]], *, undone: bool = False
    ) -> None:
        """Carry out what `left` finds still to do, and wait until that is nothing; what others did meanwhile is done.

        For changes that the platform refuses whole where a part of them is done already. The job's key holds what is
        sent, so the rest is another job. With `undone` the changes go with what they were made on.

        Raises:
            GaveUp: The platform ended the change, and something is left.
        """

        async def send() -> dict[str, Any]:
            while (change := await left()) is not None:
                try:
                    job = await self._session.send(op.call, change, job=f"{op.marker(step)} {change.params}")
                except (AlreadyExists, InvalidRequest, NotFound):
                    if await left() == change:
                        raise
                else:
                    return job.kept()
            return {}

        async def nothing_left() -> bool:
            return await left() is None

        job = Job.of(await op.change(step, send, undo=goes_with_it if undone else None))
        await op.wait_until(f"{step} done", lambda: self._holds(op.call, step, job, nothing_left))

    async def unmake(self, call: Call, kind: Kind[R], uuid: str, marker: str) -> None:
        """Take back what a create made; done as well when it is gone.

        A delete that overtakes the create's job would find nothing, and leave what the job makes after it.
        """
        row = await self.row(call, kind, uuid)
        if (row is None or not self._is_made(kind, row)) and not await self._session.is_over(call, marker):
            raise _still_made(kind, uuid)
        await self._erase(call, kind, uuid, marker)

    async def discard(self, call: Call, kind: Kind[R], uuid: str) -> None:
        """Remove something for good, whoever made it; done as well when it is gone.

        Raises:
            RateLimited: It is still being made.
        """
        row = await self.row(call, kind, uuid)
        if row is None:
            return
        if not kind.finished(row):
            raise _still_made(kind, uuid)
        # Of one key the platform does a job once, even if it failed: asked again later, it is another one.
        await self._erase(call, kind, uuid, f"{uuid} {call.request_id}")

    async def _erase(self, call: Call, kind: Kind[R], uuid: str, key: str) -> None:
        await self.delete(call, kind, uuid, f"{key} undo")
        if kind.expunge and await self.row(call, kind, uuid) is not None:
            await self._session.act(call, _expunging(kind, uuid), job=f"{key} expunge")

    async def delete(self, call: Call, kind: Kind[R], uuid: str, job: str) -> None:
        """Delete within the call; done as well when it is gone."""
        row = await self.row(call, kind, uuid)
        if row is None or kind.gone(row):
            return
        await self._session.act(call, _deletion(kind, uuid), job=job)

    async def _begin_delete(self, call: Call, kind: Kind[R], uuid: str, job: str) -> Job | None:
        """Ask for deletion and wait only for a refusal; None when it is gone already."""
        row = await self.row(call, kind, uuid)
        if row is None or kind.gone(row):
            return None
        return await self._session.send(call, _deletion(kind, uuid), job=job)

    async def _is_gone(
        self, call: Call, kind: Kind[R], uuid: str, job: Job | None, *, for_good: bool = False
    ) -> bool | None:
        """Return True once it is deleted, if only softly where not `for_good`; None while the job goes on.

        Raises:
            CloudspanError: The job failed, or ended and left it there.
        """

        async def is_gone() -> bool:
            row = await self.row(call, kind, uuid)
            return row is None or (kind.gone(row) and not for_good)

        if await is_gone():
            return True
        if not await self._ended(call, job):
            return None
        if await is_gone():
            return True
        raise GaveUp(f"the platform ended the deletion of {kind.path} {uuid} and it is still there; try again")

    async def row(self, call: Call, kind: Kind[R], uuid: str) -> R | None:
        """Return a resource as the platform tells it, softly deleted or not; None when there is none."""
        try:
            row = await self._session.get_one(call, kind.one, kind.row, args={"uuid": uuid})
        except NotFound:
            return None
        return row if kind.shown(row) else None

    async def _made(self, call: Call, kind: Kind[R], uuid: str, job: Job | None) -> bool | None:
        row = await self.row(call, kind, uuid)
        if row is not None and kind.gone(row):
            raise GaveUp(f"{kind.path} {uuid} was deleted while it was made")
        if row is not None and self._is_made(kind, row):
            return True
        if not await self._ended(call, job):
            return None
        row = await self.row(call, kind, uuid)
        if row is None:
            raise GaveUp(f"the job that should make {kind.path} {uuid} is over and nothing is there; try again")
        return True if kind.finished(row) else None

    def _is_made(self, kind: Kind[R], row: R) -> bool:
        """Whether a row alone tells that making it has ended."""
        return kind.finished(row) and (not kind.early or self._session.age_of(row.create_date) >= _BELIEVED_S)

    async def _holds(self, call: Call, step: str, job: Job | None, holds: Callable[[], Awaitable[bool]]) -> bool | None:
        if await holds():
            return True
        if not await self._ended(call, job):
            return None
        if await holds():
            return True
        raise GaveUp(f"the platform ended {step} and it does not hold; try again")

    async def _ended(self, call: Call, job: Job | None) -> bool:
        """Whether a job has ended; one that the platform lost tells nothing any more."""
        try:
            return await self._session.follow(call, job)
        except LostJob:
            return True


async def goes_with_it() -> None:
    """Undo what goes with the resource that it was done to."""


def _still_made(kind: Kind[R], uuid: str) -> RateLimited:
    text = f"{kind.path} {uuid} is still being made; its removal is looked at again"
    return RateLimited(text, reason="STILL_BUSY", retry_after_s=1.0)


def _expunging(kind: Kind[R], uuid: str) -> Change:
    return Change("PUT", f"{kind.one}/actions", {"uuid": uuid}, action=kind.expunge)


def _deletion(kind: Kind[R], uuid: str) -> Change:
    return Change("DELETE", kind.one, {"uuid": uuid})
