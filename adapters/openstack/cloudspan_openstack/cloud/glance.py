"""Glance's collections: bare documents in which people's own pairs stand beside the standard attributes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never, TypeVar, cast

import msgspec
from google.protobuf.message import Message

from cloudspan_openstack.cloud.source import (
    AnyKind,
    OpenStackSource,
    Params,
    Scope,
    asks_for_projects,
    session_of,
    wanted_project,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Call, Query, Rows
    from cloudspan_openstack.cloud.rows import Answered

R = TypeVar("R")
M = TypeVar("M", bound=Message)

# What Glance itself keeps beside what rows have; anything else in a document is somebody's pair.
_OTHERS = frozenset({"direct_url", "file", "kernel_id", "locations", "ramdisk_id", "schema", "self"})


class Glance(OpenStackSource[Never]):
    """One of Glance's collections, newest first; each row gets its pairs in `pairs`."""

    descending = True
    compared = "gte:"

    def __init__(self, path: str, one: str) -> None:
        super().__init__("image", path, one)

    def place(self, row: Any) -> tuple[str, str]:
        return str(row.created_at), row.id

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        order = [f"{field}:{'desc' if descending else 'asc'}" for field, descending in chosen]
        # Glance's own default, said aloud: the order that a listing can be taken up again in.
        return (("sort", ",".join(order) or "created_at:desc,id:desc"),)

    async def scopes(self, call: Call, kind: AnyKind[R, M], query: Query) -> Sequence[Scope[R]]:
        """Return the parts of a listing.

        A member sees its own, public images and what was shared with it; an administrator would see every project's
        private ones as well, so those are left out unless `project` asks for them. Shared images of others stay:
        Glance does not tell an administrator which of them are shared with whom.
        """
        wanted = wanted_project(call, query)
        login = await session_of(call).scope(call)
        if call.caller.project:
            return _of_project(call.caller.project, query) if login.is_admin else [Scope()]
        if wanted:
            return [Scope((("owner", wanted),))]
        if not login.is_admin or asks_for_projects(query):
            return [Scope()]

        def is_for_us(row: Any) -> bool:
            return bool(row.owner == login.project_id or row.visibility in ("public", "shared"))

        return [Scope((), is_for_us)]

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        path, whole = f"{self.path}/{{id}}", replace(call, full=True)
        found = await session_of(call).row(whole, self.service, path, "", kind.row, args={"id": native_id})
        return _with_pairs(call, kind, found)

    async def fetch(
        self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]], limit: int, marker: str
    ) -> Answered[R]:
        answer = await super().fetch(replace(call, full=True), kind, params, limit, marker)
        return replace(answer, rows=_with_pairs(call, kind, answer.rows))


def _of_project(project: str, query: Query) -> Sequence[Scope[Any]]:
    """Return the parts of what one project may read, so that a place in the listing is never at another's image."""
    visibility = query.filter.equal("visibility")
    if visibility in ("PUBLIC", "COMMUNITY"):
        return [Scope()]  # it is pushed down
    own: Scope[Any] = Scope((("owner", project),))
    if visibility:
        return [own]

    def is_others(row: Any) -> bool:
        return bool(row.owner != project)

    if query.order_by:  # the two parts can't be sorted together
        return [Scope((), lambda row: not is_others(row) or row.visibility == "public")]
    return [own, Scope((("visibility", "public"),), is_others)]


def _with_pairs(call: Call, kind: AnyKind[R, M], found: Rows[R]) -> Rows[R]:
    known = _OTHERS.union(field.encode_name for field in msgspec.structs.fields(cast("type[msgspec.Struct]", kind.row)))
    rows: Sequence[Any] = found.rows
    for row, document in zip(rows, found.documents, strict=True):
        row.pairs = {key: value for key, value in document.items() if key not in known and isinstance(value, str)}
    return found if call.full else replace(found, documents=())
