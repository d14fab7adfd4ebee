"""What carries the marks of our creates, by kind, and how each is removed: for whoever looks for orphans.

An area of its own, without functions; the kit reads `marked`. No service filters by the beginning of a tag or of a
metadata value, so everything of the cluster's own project is listed, with the fields that are needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan_common.errors import Unreachable
from cloudspan_kit import Marked
from cloudspan_kit.driver import MarkedKind
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.whole_listings import Entry, pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit import Call, Capability
    from cloudspan_openstack.compute.compute import Compute
    from cloudspan_openstack.compute.server_create import ServerCreation


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

    def __init__(self, compute: Compute, servers: ServerCreation) -> None:
        self._compute, self._session = compute, compute.session
        self.marked: dict[str, MarkedKind] = {"servers": MarkedKind(self._servers, servers.undo)}

    async def _servers(self, call: Call, prefix: str) -> Sequence[Marked]:
        if doubt := await self._compute.cells.hidden(call):
            raise Unreachable(doubt, reason="CELL_DOWN")
        return await self._find(call, prefix, "compute", "/servers/detail")

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
