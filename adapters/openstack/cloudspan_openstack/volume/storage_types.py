"""Cinder's volume types: all of them, and their ids by name. `storage` and `volumes` call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_kit import converted
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.volume.storage_rows import VolumeTypes

if TYPE_CHECKING:
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

_TELLS_TYPE_ID = (3, 63)


async def all_types(session: Session, call: Call) -> list[dict[str, Any]]:
    """Return the documents of all volume types, each once.

    Cinder answers the first page again, with 200, when the marker was deleted meanwhile: so the end is a page without
    a next link or one that brings nothing new.
    """
    found: dict[str, dict[str, Any]] = {}
    marker = ""
    while True:
        params = (("sort", "id:asc"), *((("marker", marker),) if marker else ()))
        body = await session.get(call, "volume", "/types", dict[str, Any], params=params)
        page = converted(body, VolumeTypes)
        new = {row.id: document for row, document in zip(page.rows, body["volume_types"], strict=True)}
        if not page.has_next or new.keys() <= found.keys():
            return list((found | new).values())
        found |= new
        marker = page.rows[-1].id


class TypeNames:
    """The types' ids by name, where volumes tell the name only: below 3.63."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, name: str | None) -> str | None:
        return self._ids.get(name or "")

    async def learn(self, call: Call) -> None:
        """Learn them, once."""
        session = session_of(call)
        if self._ids or await session.microversion(call, "volume") >= _TELLS_TYPE_ID:
            return
        self._ids = {str(t.get("name")): str(t.get("id")) for t in await all_types(session, call)}
