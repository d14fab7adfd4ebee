"""How Neutron's resources are made exactly once, dressed, found by their mark, and deleted: the same for every kind.

`network_changes`, `network_create`, `routers`, `server_parts`, `leaving` and `marks` go through it. The marker of a
create travels in the description, the only field that Neutron both takes at create and filters by; tags at create are
refused, or ignored for a port. Afterwards the marker becomes a tag beside the labels, and the description is what the
caller wanted: in this order, so that the marker can be found all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_common.errors import InvalidRequest, NotFound, Violation
from cloudspan_kit import BY_MARKER, Made, converted
from cloudspan_openstack.network.network_rows import (
    NetworkRow,
    Networks,
    PortRow,
    Ports,
    RouterRow,
    Routers,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.session import Session

R = TypeVar("R", bound=Row)

_MAX_TEXT = 255


def _nothing(_row: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """How one kind is created, found and deleted."""

    one: str
    many: str
    collection: str
    row: type[R]
    page: Any
    data: Callable[[R], Mapping[str, Any]] = _nothing
    """What later steps need of a new one."""


NETWORK = Kind("network", "networks", "networks", NetworkRow, Networks)
PORT = Kind("port", "ports", "ports", PortRow, Ports)
ROUTER = Kind("router", "routers", "routers", RouterRow, Routers)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a new resource."""

    body: Mapping[str, object]
    tags: Sequence[str] = ()
    description: str = ""


class NetworkMaking:
    """Makes, finds and deletes the Neutron resources of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref

    async def make(self, op: Operation, kind: Kind[R], step: str, wish: Wish) -> Made[object]:
        """Make one as a step, which its removal undoes."""
        return await op.create_step(
            step,
            send=lambda marker: self._create(op.call, kind, dict(wish.body) | {"description": marker}),
            find=lambda marker: self.find(op.call, kind, marker),
            undo=lambda made_id: self.remove(op.call, kind, made_id),
            safety=BY_MARKER,
            collection=kind.collection,
        )

    async def make_part(self, op: Operation, kind: Kind[R], step: str, wish: Wish) -> Made[object]:
        """Make one and dress it, as a part of something larger: all of it is named by the step."""
        made = await self.make(op, kind, step, wish)
        await self.dress(op, kind, step, made.id, wish, prefix=f"{step} ")
        return made

    async def dress(
        self, op: Operation, kind: Kind[R], step: str, made_id: str, wish: Wish, *, prefix: str = ""
    ) -> None:
        """Put labels and marker into tags, then the description right; both may be done twice, and go with it."""
        marker = op.marker(step)
        await op.change(
            f"{prefix}labels", lambda: self._tag(op.call, kind, made_id, [*wish.tags, marker]), undo=_goes_with_it
        )
        await op.change(
            f"{prefix}description", lambda: self._describe(op.call, kind, made_id, wish), undo=_goes_with_it
        )

    async def find(self, call: Call, kind: Kind[R], marker: str) -> list[Made[object]]:
        """Return what carries the marker: in the description at first, as a tag once that is restored."""
        found: dict[str, R] = {}
        for field in ("description", "tags"):
            rows = await self.rows(call, kind, ((field, marker),))
            found |= {row.id: row for row in rows if row.description == marker or marker in row.tags}
        by_age = sorted(found.values(), key=lambda row: (str(row.created_at), row.id))
        return [Made(row.id, kind.data(row)) for row in by_age]

    async def rows(self, call: Call, kind: Kind[R], params: Sequence[tuple[str, str]]) -> Sequence[R]:
        """Return those of the cluster's own project that meet the parameters; unpaged, so for few."""
        scope = await self._session.scope(call)
        asked = (*params, ("project_id", scope.project_id))
        page = await self._session.get(call, "network", f"/{kind.many}", kind.page, params=asked)
        rows: Sequence[R] = page.rows
        return rows

    async def get(self, call: Call, kind: Kind[R], resource_id: str) -> R:
        """Return one row.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
        """
        path = f"/{kind.many}/{{id}}"
        answer = await self._session.get(call, "network", path, dict[str, Any], args={"id": resource_id})
        return converted(answer.get(kind.one), kind.row)

    async def remove(self, call: Call, kind: Kind[R], resource_id: str) -> None:
        """Delete; done as well when it is gone."""
        path = f"/{kind.many}/{{id}}"
        try:
            await self._session.send(call, "DELETE", "network", path, None, args={"id": resource_id}, redo_ok=True)
        except NotFound:
            return

    async def _create(self, call: Call, kind: Kind[R], body: Mapping[str, object]) -> Made[object]:
        answer = await self._session.send(
            call, "POST", "network", f"/{kind.many}", dict[str, Any], json={kind.one: body}
        )
        row = converted(answer.get(kind.one), kind.row)
        return Made(row.id, kind.data(row))

    async def _tag(self, call: Call, kind: Kind[R], made_id: str, tags: Sequence[str]) -> None:
        path, body = f"/{kind.many}/{{id}}/tags", {"tags": list(tags)}
        await self._session.send(call, "PUT", "network", path, None, args={"id": made_id}, json=body, redo_ok=True)

    async def _describe(self, call: Call, kind: Kind[R], made_id: str, wish: Wish) -> None:
        path, body = f"/{kind.many}/{{id}}", {kind.one: {"description": wish.description}}
        await self._session.send(call, "PUT", "network", path, None, args={"id": made_id}, json=body, redo_ok=True)


async def _goes_with_it() -> None:
    """What was only written on a resource goes with it."""


def check_text(text: str, field: str) -> None:
    """Refuse a description that Neutron does not keep: failing when it is restored, it would cost the whole create."""
    if len(text) > _MAX_TEXT:
        raise bad(field, f"{field} has {len(text)} characters, Neutron keeps {_MAX_TEXT}")


def bad(field: str, text: str) -> InvalidRequest:
    """Return the refusal of a field."""
    return InvalidRequest(text, violations=[Violation(field, text)])
