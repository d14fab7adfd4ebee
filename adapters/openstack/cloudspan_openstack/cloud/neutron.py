"""Neutron's collections: how they are made exactly once, tagged, found by their marks, and whose rows are listed.

The marker of a create travels in the description, the only field that Neutron both takes at create and filters by; tags
at create are refused, or ignored for a port. Afterwards the marker becomes a tag beside the labels, and the description
is what the caller wanted: in this order, so that the marker can be found all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Never, TypeVar

import msgspec
from google.protobuf.message import Message

from cloudspan.v1 import network_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, Violation
from cloudspan_kit import Kind, Made, Marked, Marker, Query
from cloudspan_openstack.cloud.source import (
    AnyKind,
    OpenStackSource,
    Params,
    Scope,
    asks_for_projects,
    session_of,
    wanted_project,
)
from cloudspan_openstack.cloud.values import is_mark, unix_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit import Call, Operation, RowPage
    from cloudspan_openstack.cloud.session import Session

R = TypeVar("R")
M = TypeVar("M", bound=Message)

_N = network_pb2.Network
# Network, port and router have the same states with the same numbers, in enums of their own.
_STATES = {
    "ACTIVE": _N.STATE_ACTIVE,
    "DOWN": _N.STATE_DOWN,
    "BUILD": _N.STATE_CREATING,
    "ERROR": _N.STATE_ERROR,
    "PENDING_CREATE": _N.STATE_CREATING,
    "PENDING_DELETE": _N.STATE_DELETING,
}
_MARK_FIELDS = tuple(("fields", name) for name in ("id", "name", "description", "tags", "created_at"))


@dataclass(frozen=True, slots=True)
class NeutronBody:
    """What is wanted of a new resource."""

    fields: Mapping[str, object]
    tags: Sequence[str] = ()
    description: str = ""


class Row(msgspec.Struct, kw_only=True):
    """What nearly every kind has."""

    id: str
    name: str | None = None
    description: str | None = None
    project_id: str | None = None
    tenant_id: str | None = None
    tags: list[str] = []
    created_at: datetime | None = None
    updated_at: datetime | None = None
    revision_number: int | None = None

    @property
    def project(self) -> str | None:
        """The id of the project that owns it, in new words or old."""
        return self.project_id or self.tenant_id

    @property
    def etag(self) -> str | None:
        """Neutron's revision number, which grows with each change."""
        return None if self.revision_number is None else str(self.revision_number)


def state_of(status: str | None, admin_state_up: bool = True) -> Any:
    """Return the state of a network, port or router; what its owner switched off stays ACTIVE for Neutron."""
    if not admin_state_up and status in ("ACTIVE", "DOWN"):
        return _N.STATE_DOWN
    return _STATES.get(status or "", _N.STATE_UNKNOWN)


class _Changes:
    """What is known of how a cluster's Neutron takes `changed_since`.

    Where it validates filters, as it does by default since Rocky, it refuses this one, which its own extension
    `standard-attr-timestamp` has (seen in Zed). Older ones apply it.
    """

    def __init__(self, _session: Session) -> None:
        self.are_refused = False


class _InTags(Marker):
    """Finds marks in tags, and in descriptions of what is not yet labelled; asks for no more than it takes."""

    async def find(self, call: Call, kind: Kind[Any, Any, Never], prefix: str) -> Sequence[Marked]:
        marked = Kind(kind.collection, kind.message, Row, kind.source)
        source: Any = kind.source
        own = await source.own_scope(call)
        found: dict[tuple[str, str], Marked] = {}
        async for rows in source.all(call, marked, (*_MARK_FIELDS, *own)):
            for row in rows:
                created = unix_time(row.created_at)
                for marker in {*row.tags, row.description or ""}:
                    if marker.startswith(prefix):
                        found[row.id, marker] = Marked(row.id, marker, row.name or "", created)
        return list(found.values())


def in_tags() -> Marker:
    """Return what finds the marks of Neutron's resources."""
    return _InTags()


class Neutron(OpenStackSource[NeutronBody]):
    """One of Neutron's collections, by id."""

    def __init__(self, path: str, one: str, *, shared: bool = False, external: bool = False) -> None:
        super().__init__("network", path, one)
        self._shared, self._external = shared, external
        """What others can share with us, and whether some of it is external networks."""

    def place(self, row: Any) -> tuple[str, str]:
        return "", row.id

    def sorted(self, chosen: Sequence[tuple[str, bool]]) -> Params:
        # By id unless told otherwise: the order that a listing can be taken up again in.
        order = [(field, "desc" if descending else "asc") for field, descending in chosen] or [("id", "asc")]
        return tuple(param for field, way in order for param in (("sort_key", field), ("sort_dir", way)))

    async def own_scope(self, call: Call) -> Params:
        return (("project_id", call.caller.project or (await session_of(call).scope(call)).project_id),)

    async def scopes(self, call: Call, kind: AnyKind[R, M], query: Query) -> Sequence[Scope[R]]:
        """Return the parts that a listing is made of.

        A member's listing is one part: Neutron shows its own and what is shared with it. An administrator's would be
        every project's, so it gets the same as a member would: its own, then what is shared with all, then external
        networks. `project = "..."` asks for another project, `project:*` for all of them; not for a caller who has one
        project alone.
        """
        login, only = await session_of(call).scope(call), call.caller.project
        own, wanted = only or login.project_id, query.filter.equal("project") or ""
        if wanted.startswith(f"{call.cluster}/projects/") and (not only or wanted == call.project):
            return [Scope((("project_id", only or wanted_project(call, query)),))]
        if not login.is_admin or (asks_for_projects(query) and not only):
            return [Scope()]
        if query.order_by and self._shared:
            text = (
                "an administrator's listing is made of its own, the shared and the external resources, which can't be "
                'sorted together; leave order_by out, or say whose with project = "..." or project:* in the filter'
            )
            raise InvalidRequest(text, reason="ORDER_NEEDS_PROJECT", violations=[Violation("order_by", text)])

        def is_others(row: Any) -> bool:
            return bool(row.project != own)

        found: list[Scope[R]] = [Scope((("project_id", own),))]
        if self._shared:
            found.append(Scope((("shared", "True"),), is_others))
        if self._external:
            found.append(Scope((("router:external", "True"),), lambda row: is_others(row) and not _is_shared(row)))
        return found

    async def changed(self, call: Call, kind: AnyKind[R, M], query: Query) -> Params:
        return () if session_of(call).own(_Changes).are_refused else await super().changed(call, kind, query)

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        try:
            return await super().page(call, kind, query)
        except InvalidRequest as error:
            if query.since is None or kind.changes_since not in error.message:
                raise
        session_of(call).own(_Changes).are_refused = True
        return await super().page(call, kind, query)

    async def create(self, op: Operation, kind: AnyKind[R, M], body: NeutronBody, step: str, *, part: bool) -> Made[R]:
        """Make one, then set its tags and description; as a part of something larger all of it is named by the step."""
        made = await op.create_step(
            step,
            send=lambda marker: self._send(op.call, kind, {**body.fields, "description": marker}),
            find=lambda marker: self._find(op.call, kind, marker),
            undo=lambda native_id: self.remove(op.call, native_id),
            safety=kind.safety,
            collection=kind.collection,
        )
        if not part:
            op.set_resource(op.call.cluster.resource(kind.collection, made.id))
        prefix, tags = f"{step} " if part else "", [*body.tags, op.marker(step)]
        # Both may be done twice, and go with the resource.
        await op.change(f"{prefix}labels", lambda: self._tag(op.call, made.id, tags), undo=goes_with_it)
        await op.change(
            f"{prefix}description",
            lambda: self.put(op.call, made.id, {"description": body.description}),
            undo=goes_with_it,
        )
        return made

    async def _send(self, call: Call, kind: AnyKind[R, M], body: Mapping[str, object]) -> Made[R]:
        try:
            answer = await session_of(call).send(
                call, "POST", self.service, self.path, dict[str, Any], json={self.one_key: body}
            )
        except InvalidRequest as error:
            if "overlaps with another subnet" not in error.message:
                raise
            text = f"{body['cidr']} overlaps another subnet of the network; choose another range: {error.message}"
            raise AlreadyExists(text, reason="RANGE_OVERLAPS", metadata=error.metadata) from error
        return self.made_of(kind, answer)

    async def find_own(self, call: Call, kind: AnyKind[R, M], params: Sequence[tuple[str, str]]) -> Sequence[R]:
        """Return those of the cluster's own project that meet the parameters; unpaged, so for few."""
        return await self.find(call, kind, (*params, *await self.own_scope(call)))

    async def _find(self, call: Call, kind: AnyKind[R, M], marker: str) -> Sequence[Made[R]]:
        """Return what carries the marker: in the description at first, as a tag once that is restored."""
        found: dict[str, R] = {}
        for field in ("description", "tags"):
            for row in await self.find_own(call, kind, ((field, marker),)):
                if _carries(row, marker):
                    found[self.id_of(row)] = row
        return self.made(kind, list(found.values()))

    async def _tag(self, call: Call, native_id: str, tags: Sequence[str]) -> None:
        path, body = f"{self.path}/{{id}}/tags", {"tags": list(tags)}
        await session_of(call).send(
            call, "PUT", self.service, path, None, args={"id": native_id}, json=body, redo_ok=True
        )

    async def put(self, call: Call, native_id: str, fields: Mapping[str, object]) -> None:
        """Change fields of a resource; the same twice is harmless."""
        path, body = f"{self.path}/{{id}}", {self.one_key: dict(fields)}
        await session_of(call).send(
            call, "PUT", self.service, path, None, args={"id": native_id}, json=body, redo_ok=True
        )

    async def update(
        self, op: Operation, kind: AnyKind[R, M], native_id: str, fields: Mapping[str, object], tags: list[str] | None
    ) -> None:
        """Change fields of a resource, then its labels to `tags` unless that is None; it keeps its marks."""

        async def label() -> None:
            row: Any = await self.row(op.call, kind, native_id)
            await self._tag(op.call, native_id, [*(tags or ()), *filter(is_mark, row.tags)])

        if fields:
            await op.change("update", lambda: self.put(op.call, native_id, fields))
        if tags is not None:
            await op.change("labels", label)


async def goes_with_it() -> None:
    """What was only written on a resource goes with it."""


def _carries(row: Any, marker: str) -> bool:
    return bool(row.description == marker or marker in row.tags)


def _is_shared(row: Any) -> bool:
    return bool(getattr(row, "shared", False))
