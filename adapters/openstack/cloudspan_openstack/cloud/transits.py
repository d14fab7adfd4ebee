"""Which servers are still on their way to a final state: what operations that wait are looked after by.

An area of its own, without functions; the kit reads `transits`. What a listing does not show, or shows as UNKNOWN since
its cell is down, is left out: whoever waits for it looks for himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan_kit import in_transit
from cloudspan_openstack.cloud.whole_listings import Entry, pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from cloudspan_kit import Call, Capability
    from cloudspan_openstack.cloud.session import Session

# A server that is DELETED is shown for a moment before it is gone.
_SERVER_STATUSES = frozenset({
    "BUILD", "REBOOT", "HARD_REBOOT", "RESIZE", "REVERT_RESIZE", "MIGRATING", "REBUILD", "PASSWORD", "DELETED",
})  # fmt: skip


class _Server(Entry):
    status: str = ""
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state", default=None)

    @property
    def moves(self) -> bool:
        return bool(self.task) or self.status in _SERVER_STATUSES


class _ServerAnswer(msgspec.Struct):
    server: _Server


class Transits:
    """The transits of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, session: Session) -> None:
        self._session = session
        self.transits = {"servers": self._servers}

    async def _servers(self, call: Call, ids: Sequence[str]) -> set[str]:
        async def look(server_id: str) -> bool:
            path = "/servers/{id}"
            answer = await self._session.get(call, "compute", path, _ServerAnswer, args={"id": server_id})
            return answer.server.moves

        return await in_transit(
            ids, look, lambda: self._list(call, "compute", "/servers/detail", dict[str, list[_Server]])
        )

    async def _list(
        self, call: Call, service: str, path: str, answer: type[dict[str, list[_Server]]]
    ) -> AsyncIterator[tuple[str, bool]]:
        """Nova lists what is new first, which is what most wait for."""
        async for page in pages(self._session, call, service, path, answer):
            for row in page:
                yield row.id, row.moves
