"""Whether all of a Nova's cells answer: the part of a listing's completeness that its pages can't tell.

With a cell down, `limit`, `marker`, filters and sorting make Nova leave the cell's servers out without a word: 200,
no next link. Only the bare list, from microversion 2.69 on, shows them, as rows with status UNKNOWN. So `nova` asks
that list beside the first and beside the last page of a traversal. What this proves: no cell was down at either
end. A cell that was down in between only is not seen; nothing in Nova's API could tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloudspan_common.errors import CloudspanError
from cloudspan_openstack.cloud.catalogue import Microversion

if TYPE_CHECKING:
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

_SHOWS_DOWN_CELLS = Microversion(2, 69)
# A look costs as much as a page of names; it serves all listings of the next seconds.
_FRESH_S = 15.0


class Brief(msgspec.Struct):
    """One server of the bare list; with a status only when its cell is down."""

    id: str | None = None
    status: str | None = None


class BriefPage(msgspec.Struct):
    """Answer of `/servers`."""

    servers: list[Brief]


class Cells:
    """What was last seen of one Nova's cells."""

    def __init__(self, session: Session) -> None:
        self._session, self._clock = session, session.clock
        self._looked_at: float | None = None
        self._doubt = ""

    async def doubt(self, call: Call) -> str:
        """Return why servers may be missing from a list; empty when nothing says so."""
        version = await self._session.microversion(call, "compute")
        if version < _SHOWS_DOWN_CELLS:
            return (
                f"Nova speaks {version} here; before {_SHOWS_DOWN_CELLS} it leaves out servers of cells that are down"
            )
        return await self.hidden(call)

    async def hidden(self, call: Call) -> str:
        """Return what was seen missing; empty when nothing was, and where Nova can't tell."""
        if await self._session.microversion(call, "compute") < _SHOWS_DOWN_CELLS:
            return ""
        if self._looked_at is None or self._clock.monotonic() - self._looked_at >= _FRESH_S:
            try:
                page = await self._session.get(call, "compute", "/servers", BriefPage)
            except CloudspanError as error:
                return f"whether a Nova cell is down could not be seen: {error.message}"
            hidden = [row.id or "" for row in page.servers if row.status == "UNKNOWN"]
            self._doubt = _shown(hidden) if hidden else ""
            self._looked_at = self._clock.monotonic()
        return self._doubt


def _shown(hidden: list[str]) -> str:
    return f"a Nova cell is down; at least {len(hidden)} servers are missing, among them {', '.join(hidden[:3])}"
