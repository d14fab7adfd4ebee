"""What ZStack keeps beside a row: its owner, its labels, and the rows of other tables that it points to.

Drivers ask here for a whole page of rows at once, by uuid, in as few calls as
fit into URLs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from cloudspan_common.errors import Forbidden, PlatformFault
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.queries import batches, one_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.session import Session

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R", bound="HasUuid")

_ROWS_A_PAGE = 1000


class HasUuid(Protocol):
    """A row of any kind."""

    @property
    def uuid(self) -> str: ...


class OwnerRow(msgspec.Struct, rename="camel"):
    account_uuid: str
    resource_uuid: str


class Marks:
    """Owners and labels of some resources, by uuid."""

    def __init__(self, projects: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._projects, self._labels = projects, labels

    def __repr__(self) -> str:
        return f"<Marks: {len(self._projects)} owners, labels of {len(self._labels)}>"

    def project(self, uuid: str) -> str | None:
        """Return the name of the project that a resource belongs to, if this account may know it."""
        return self._projects.get(uuid)

    def labels(self, uuid: str) -> Mapping[str, str] | None:
        return self._labels.get(uuid)


async def read_marks(session: Session, call: Call, ref: ClusterRef, kind: str, rows: Sequence[HasUuid]) -> Marks:
    """Return owners and labels of a page of rows; `kind` is the platform's resource type, `VolumeVO`.

    What is shared with an account is not its own, so owners are looked up for every account.
    """
    uuids = [row.uuid for row in rows]
    owners, labels = await both(owners_of(session, call, uuids), read_labels(session, call, kind, uuids))
    projects = f"{ref}/projects/"
    return Marks({uuid: projects + account for uuid, account in owners.items()}, labels)


async def owners_of(session: Session, call: Call, uuids: Sequence[str]) -> dict[str, str]:
    """Return the account of each of these resources, as far as this account may know it."""
    rows = await rows_by(session, call, "/accounts/resources/refs", OwnerRow, "resourceUuid", uuids)
    return {row.resource_uuid: row.account_uuid for row in rows}


async def rows_by(session: Session, call: Call, path: str, into: type[T], field: str, uuids: Iterable[str]) -> list[T]:
    """Return all rows of a table whose `field` is one of `uuids`; none where this account may not look.

    Raises:
        PlatformFault: The server counts more rows than it shows.
    """
    wanted = sorted({uuid for uuid in uuids if uuid})
    try:
        found = [await every(session, call, path, into, one_of(field, part)) for part in batches(wanted)]
    except Forbidden:
        return []  # what others' infrastructure looks like is not for every account
    return [row for part in found for row in part]


async def every(session: Session, call: Call, path: str, into: type[T], conditions: Sequence[str]) -> list[T]:
    """Return all rows that fulfil `conditions`, which need have no uuid of their own.

    Raises:
        PlatformFault: The server counts more rows than it shows.
    """
    found: list[T] = []
    seen = 0
    while True:
        page = await session.query(call, path, into, conditions=conditions, limit=_ROWS_A_PAGE, start=seen, count=True)
        found += page.rows
        seen += len(page.uuids)
        if seen >= (page.total or 0):
            return found
        if not page.uuids:
            text = f"{call.cluster} counts {page.total} rows of {path} and shows {seen}"
            raise PlatformFault(text, reason="ROWS_NOT_SHOWN")


async def both(first: Coroutine[None, None, A], second: Coroutine[None, None, B]) -> tuple[A, B]:
    """Read two things at once; when one fails the other is left."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return one.result(), other.result()


async def together(reads: Sequence[Coroutine[None, None, A]]) -> list[A]:
    """Read several things at once; when one fails the others are left."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read) for read in reads]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def by_uuid(rows: Iterable[R]) -> dict[str, R]:
    """Return rows by their uuid."""
    return {row.uuid: row for row in rows}
