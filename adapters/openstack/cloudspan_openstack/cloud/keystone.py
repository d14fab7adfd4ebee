"""Keystone's projects: listed whole, since it knows no pages; a member is told of its own alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import Forbidden
from cloudspan_kit import Source
from cloudspan_openstack.cloud.rows import Collection
from cloudspan_openstack.cloud.source import AnyKind, page_by_id, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_kit import Call, Query, RowPage, Rows

R = TypeVar("R")
M = TypeVar("M", bound=Message)


class Projects(Source[Never]):
    """The credentials' own project, or for an administrator all of them."""

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
        found, is_cut = await self._all(call, kind)
        partial = "Keystone cut the list at its list_limit; ask for projects by name" if is_cut else ""
        return page_by_id(found, self.id_of, query, partial)

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        found, _ = await self._all(call, kind)
        yield found.rows

    async def _all(self, call: Call, kind: AnyKind[R, M]) -> tuple[Rows[R], bool]:
        session = session_of(call)
        login = await session.scope(call)
        if login.is_admin:
            try:
                answer = await session.rows(call, "identity", "/projects", Collection("projects", kind.row))
            except Forbidden:
                pass  # an administrator of one project only, by this cloud's policy: a member here
            else:
                return answer.rows, answer.is_cut
        return await self._read(call, kind, login.project_id), False

    async def _read(self, call: Call, kind: AnyKind[R, M], project_id: str) -> Rows[R]:
        path, args = "/projects/{id}", {"id": project_id}
        return await session_of(call).row(call, "identity", path, "project", kind.row, args=args)


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
