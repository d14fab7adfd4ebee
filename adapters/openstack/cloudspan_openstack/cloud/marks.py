"""What carries the marks of our creates, by kind, and how each is removed: for whoever looks for orphans.

An area of its own, without functions; the kit reads `marked`. No service filters by the beginning of a tag or of a
metadata value, so everything of the cluster's own project is listed, with the fields that are needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan_kit import Marked
from cloudspan_kit.driver import MarkedKind
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.whole_listings import Entry, pages
from cloudspan_openstack.network.network_making import NETWORK, PORT, ROUTER, NetworkMaking
from cloudspan_openstack.network.routers import Routers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Capability
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.network.network_making import Kind

_FIELDS = tuple(("fields", name) for name in ("id", "name", "description", "tags", "created_at"))


class _Row(Entry):
    """What a row of any of the services tells that matters here."""

    name: str | None = ""
    description: str | None = ""
    tags: list[str] = msgspec.field(default_factory=list)
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    created: datetime | None = None
    created_at: datetime | None = None

    @property
    def marks(self) -> set[str]:
        """Where a mark may stand: in the tags, in the metadata, in the description of a resource not yet dressed."""
        return {*self.tags, self.metadata.get(MARKER_KEY, ""), self.description or ""}

    @property
    def created_s(self) -> float | None:
        when = self.created or self.created_at
        if when is None:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()  # Cinder's times have no zone


class Marks:
    """The marked kinds of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._making = session, NetworkMaking(session, ref)
        routers = Routers(session, ref, self._making)
        self.marked: dict[str, MarkedKind] = {
            **{kind.collection: self._kind(kind) for kind in (NETWORK, PORT)},
            "routers": MarkedKind(self._kind(ROUTER).find, routers.remove),
        }

    def _kind(self, kind: Kind[Any]) -> MarkedKind:
        async def find(call: Call, prefix: str) -> Sequence[Marked]:
            scope = await self._session.scope(call)
            params = (*_FIELDS, ("project_id", scope.project_id), ("sort_key", "id"), ("sort_dir", "asc"))
            return await self._find(call, prefix, "network", f"/{kind.many}", params)

        return MarkedKind(find, lambda call, resource_id: self._making.remove(call, kind, resource_id))

    async def _find(
        self, call: Call, prefix: str, service: str, path: str, params: Sequence[tuple[str, str]] = ()
    ) -> Sequence[Marked]:
        found: dict[tuple[str, str], Marked] = {}
        async for page in pages(self._session, call, service, path, dict[str, list[_Row]], params):
            for row in page:
                for marker in row.marks:
                    if marker.startswith(prefix):
                        found[row.id, marker] = Marked(row.id, marker, row.name or "", row.created_s)
        return list(found.values())
