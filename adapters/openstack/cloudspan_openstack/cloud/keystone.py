"""Keystone's projects: read whole; a member is told of its own alone.

Older Keystones know no pages: they ignore a marker, and say `truncated` where their `list_limit` cut a list. Newer ones
have pages with links. Neither is believed: behind the last row it is asked for more, and what can't be proven to be all
is said to be partial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import Forbidden, InvalidRequest, NotFound
from cloudspan_kit import Rows, Source
from cloudspan_openstack.cloud.rows import Answered, Collection, page_by_id
from cloudspan_openstack.cloud.source import MAX_LIMIT, AnyKind, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from cloudspan_kit import Call, Query, RowPage
    from cloudspan_openstack.cloud.session import Session

R = TypeVar("R")
M = TypeVar("M", bound=Message)

_ROUND = 100  # limits are 100, 200, 500, 1000; a list of that length from a Keystone without pages proves nothing


class Projects(Source[Never]):
    """The caller's project if it has one alone, else the credentials' own, or for an administrator all of them."""

    def __repr__(self) -> str:
        return "<Projects of Keystone>"

    def id_of(self, row: Any) -> str:
        return str(row.id)

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        """Return one row; Keystone answers a member 403 for another's, there or not."""
        try:
            return await self._read(call, kind, native_id)
        except Forbidden as error:
            raise await other_project(call, native_id, error) from error

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        found, partial = await self._all(call, kind)
        return page_by_id(found, self.id_of, query, partial)

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        found, _ = await self._all(call, kind)
        yield found.rows

    async def _all(self, call: Call, kind: AnyKind[R, M]) -> tuple[Rows[R], str]:
        """Return the projects, and why it is not proven that these are all, if so."""
        login, only = await session_of(call).scope(call), call.caller.project
        if login.is_admin and not only:
            try:
                return await _everyone(call, kind)
            except Forbidden:
                pass  # an administrator of one project only, by this cloud's policy: a member here
        return await self._read(call, kind, only or login.project_id), ""

    async def _read(self, call: Call, kind: AnyKind[R, M], project_id: str) -> Rows[R]:
        path, args = "/projects/{id}", {"id": project_id}
        return await session_of(call).row(call, "identity", path, "project", kind.row, args=args)


class _Paging:
    """What is known of how a cluster's Keystone pages."""

    def __init__(self, _session: Session) -> None:
        self.ignores_markers = False


async def _everyone(call: Call, kind: AnyKind[R, M]) -> tuple[Rows[R], str]:
    """Return every project, and why it is not proven that these are all, if so.

    A list that a Keystone without pages tells whole costs a second call once; after that it is known to have none.
    """
    paging, whole = session_of(call).own(_Paging), _Whole(kind)
    answer = await _fetch(call, kind, "")
    whole.add(answer.rows)
    while answer.last_id and (not paging.ignores_markers or answer.has_next or answer.is_cut):
        try:
            behind = await _fetch(call, kind, answer.last_id)
        except NotFound:
            return whole.rows(), "the project that the list stood at was deleted meanwhile; list again"
        except InvalidRequest:
            behind = answer  # as if it had ignored the marker
        if not behind.count:
            return whole.rows(), ""
        if not whole.add(behind.rows):
            paging.ignores_markers = True
            break
        answer = behind
    return whole.rows(), _doubt(answer)


async def _fetch(call: Call, kind: AnyKind[R, M], marker: str) -> Answered[R]:
    params = (("limit", str(MAX_LIMIT)), ("marker", marker)) if marker else ()
    collection = Collection("projects", kind.row)
    return await session_of(call).rows(call, "identity", "/projects", collection, params=params)


class _Whole(Generic[R]):
    """Rows of several answers, each once."""

    def __init__(self, kind: AnyKind[R, Any]) -> None:
        self._id_of = kind.source.id_of
        self._rows: dict[str, R] = {}
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._unread: dict[str, None] = {}

    def add(self, found: Rows[R]) -> bool:
        """Add rows; return whether any is new."""
        before, ids = len(self._rows), [self._id_of(row) for row in found.rows]
        self._rows |= dict(zip(ids, found.rows, strict=True))
        self._documents |= dict(zip(ids, found.documents, strict=False))  # none unless they are wanted
        self._unread |= dict.fromkeys(found.unread)
        return len(self._rows) > before

    def rows(self) -> Rows[R]:
        return Rows(list(self._rows.values()), list(self._documents.values()), list(self._unread))


def _doubt(last: Answered[Any]) -> str:
    """Return why a list whose last page can't be asked for more may lack something; empty where nothing says so."""
    if last.is_cut:
        return "Keystone cut the list at its list_limit; ask for projects by name"
    if last.has_next:
        return "Keystone's link to more projects brings none: some may be missing; ask for projects by name"
    if last.count and last.count % _ROUND == 0:
        return f"Keystone told {last.count} projects at once, which may be a limit; ask for projects by name"
    return ""


async def other_project(call: Call, project_id: str, error: Forbidden) -> Forbidden:
    """Say whose the credentials are, where the project is another's: the cloud only says that a policy forbids it."""
    login = await session_of(call).scope(call)
    if project_id == login.project_id:
        return error
    text = (
        f"the credentials of {call.cluster} belong to project {login.project_name} ({login.project_id}) and may not "
        f"read project {project_id}; ask for their own, or give the cluster an administrator's credentials"
    )
    return Forbidden(text, reason="OTHER_PROJECT", metadata=error.metadata)
