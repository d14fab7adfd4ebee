"""Where operations are kept: the narrow interface.

The runner claims, steps and finishes through it; the doors accept, read and cancel. Every write of a runner carries
the epoch of its claim and is refused with `Fenced` once another claim was made. `memory` keeps them for the life of the
process, `sql` in a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudspan_common.errors import AlreadyExists, NotFound, PreconditionFailed
from cloudspan_gateway.operations.model import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf import any_pb2
    from google.rpc import status_pb2

    from cloudspan_gateway.access.limits import OperationLimit
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.operations.model import Intent, Progress, Row


class Fenced(Exception):
    """Another runner has claimed the operation since, or it was ended: this one must let go of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A runner's right to write, until its lease ends or another claim is made."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which operations a page is to hold, as far as a store can distinguish them; empty means any."""

    cluster: str = ""
    method: str = ""
    resource: str = ""
    done: bool | None = None
    tenant: str = ""
    caller: str = ""
    code: str = ""
    """What it ended with; those that have not ended, or were kept without it, are among them too."""
    reason: str = ""
    """As `code`."""
    created_since: float | None = None
    """Unix seconds."""
    ended_since: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation that has ended, as far as it matters to what it changed."""

    cluster: str
    method: str
    resource: str
    also: tuple[str, ...]
    end_time: float
    succeeded: bool


class OperationStore(Protocol):
    """Keeps operations. Every method returns rows as they are after its write, and returns when that is durable."""

    async def accept(self, intent: Intent, event: Event | None = None, limits: Sequence[OperationLimit] = ()) -> Row:
        """Keep a new operation; the same request under the same `request_id` returns the one that there is.

        Like every write that takes an event it keeps that for the audit, together with the change or not at all; so
        does every write that ends an operation with an event of its own.

        Raises:
            TenantLimit: One of the `limits` is reached, counted within the same write; several gateways that accept at
                the same moment don't see each other's.
            AlreadyExists: The `request_id` was used for another request.
            Busy: Another operation on its resource stands in the way (`conflicts.judge`).
        """
        ...

    async def known(self, intent: Intent) -> Row | None:
        """Return the operation that this request under this `request_id` became, if it did.

        Raises:
            AlreadyExists: The `request_id` was used for another request.
        """
        ...

    async def under_way(self, tenant: str) -> Mapping[str, int]:
        """Return how many operations of a tenant have not ended, by the name of their cluster."""
        ...

    async def claim(self, limit: int) -> Sequence[tuple[Claim, Row]]:
        """Claim at most `limit` unfinished operations that nobody holds and that queue behind none, the oldest first.

        A claim holds as long as its store's lease: `heartbeat` renews it.
        """
        ...

    async def heartbeat(self) -> None:
        """Renew the lease of all claims of this store's; those that were lost meanwhile stay lost."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Let go of claims, so that another runner takes the operations at once; nothing happens to lost ones."""
        ...

    async def begin_attempt(self, claim: Claim) -> Row:
        """Count one more sending of the cursor, before it is sent.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def advance(self, claim: Claim, progress: Progress, explained: bytes = b"") -> Row:
        """Keep where the operation is, before the next step is sent, and what it took so far unless that is empty.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def note(self, claim: Claim, progress: Progress, explained: bytes = b"", *, sent: bool = True) -> Row:
        """Keep what watchers should see of a step without an answer.

        The attempt stays counted, unless it surely was not `sent` to anybody.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def finish(
        self, claim: Claim, progress: Progress, outcome: any_pb2.Any | status_pb2.Status, explained: bytes = b""
    ) -> Row:
        """Keep how it ended, and end the claim; what queued behind it is free.

        Raises:
            Fenced: The claim was lost.
        """
        ...

    async def end(
        self, operation_id: str, progress: Progress, outcome: status_pb2.Status, event: Event | None = None
    ) -> Row:
        """End an operation whoever holds it; one that has ended stays as it is.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def request_cancel(self, operation_id: str, event: Event | None = None) -> Row:
        """Note that its end is wanted; a finished one stays as it is.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def reveal(self, operation_id: str) -> Row:
        """Return a finished operation with the secrets of its outcome, if nobody has fetched them before.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def get(self, operation_id: str) -> Row:
        """Return one operation.

        Raises:
            NotFound: There is none of that id.
        """
        ...

    async def find(self, operation_ids: Sequence[str]) -> Sequence[Row]:
        """Return those of the operations that there are."""
        ...

    async def ended(self, tenant: str | None, since: float, limit: int) -> Sequence[Ended]:
        """Return at most `limit` operations of a tenant, or of all, that ended at `since` or later; the last first."""
        ...

    async def preempted_by(self, operation_id: str) -> Sequence[Row]:
        """Return the operations that have not ended and give way to this one."""
        ...

    async def explained(self, operation_id: str) -> bytes:
        """Return what was last kept of what an operation took; empty when nothing was."""
        ...

    async def page(self, limit: int, before: int | None = None, wanted: Wanted | None = None) -> Sequence[Row]:
        """Return operations newest first, those with a sequence below `before`."""
        ...

    async def delete(self, operation_id: str, event: Event | None = None) -> None:
        """Forget a finished operation.

        Raises:
            NotFound: There is none of that id.
            PreconditionFailed: It has not ended.
        """
        ...

    async def purge(self, ended_before: float, limit: int) -> int:
        """Forget at most `limit` operations that ended before this time (Unix, seconds); return how many."""
        ...

    async def changed(self, operation_id: str, revision: int) -> Row:
        """Return the row as soon as its revision is above `revision`.

        Raises:
            NotFound: There is none of that id, or it was deleted meanwhile.
        """
        ...

    async def work(self) -> None:
        """Return when there may be something to claim: a new operation, one that was freed, a lease that ran out."""
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of everything."""
        ...


def check_same(row: Row, intent: Intent) -> None:
    """Raise AlreadyExists if `intent` is another request than the one that became `row`."""
    if (row.intent.method, row.intent.digest) != (intent.method, intent.digest):
        text = (
            f"request_id {intent.request_id!r} was used for another request, which became {row.name} "
            f"({row.intent.method}); choose a new request_id for a new request"
        )
        raise AlreadyExists(text, reason="REQUEST_ID_REUSED", resource=row.name)


def not_there(operation_id: str) -> NotFound:
    """Return the error for an id that no operation has."""
    name = (PREFIX + operation_id)[:120]
    return NotFound(f"there is no {name}; it may have been deleted or be too old", resource=name)


def not_ended(row: Row) -> PreconditionFailed:
    """Return the error for the deletion of an operation that goes on."""
    return PreconditionFailed(f"{row.name} has not ended; cancel it first, then wait for its end")
