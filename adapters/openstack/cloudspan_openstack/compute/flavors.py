"""Flavors: the area's reads, and the book that knows the sizes of flavors.

Below microversion 2.47 Nova tells a server's flavor by its id; `FlavorBook` knows its size, with one list of flavors
for thousands of servers. From there on a server has a copy of its flavor, without the id, and needs no book.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan.v1 import flavor_pb2
from cloudspan_common.names import encode_id
from cloudspan_kit import GIB, MIB, Capability, Page, converted
from cloudspan_openstack.compute.flavor_rows import Flavor, FlavorPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.compute.flavor_rows import FlavorPart

_F = flavor_pb2.Flavor
_PAGE = 1000
_MAX_PAGES = 50
# A new flavor may be met at any time; a name that stays unknown must not cost a list for every page of servers.
_ASK_AGAIN_S = 30.0


class FlavorBook:
    """The flavors that this cluster's user sees, by id."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._by_id: dict[str, Flavor] = {}
        self._asked_at: float | None = None

    def find(self, part: FlavorPart | None) -> Flavor | None:
        """Return the flavor that a server names, if the book knows it: not a deleted or foreign private one."""
        return self._by_id.get(part.id) if part is not None and part.id else None

    async def learn(self, call: Call, parts: list[FlavorPart | None]) -> None:
        """Read the flavors anew if one of `parts` is not in the book."""
        unknown = any(part is not None and part.id and part.id not in self._by_id for part in parts)
        now = self._clock.monotonic()
        if unknown and (self._asked_at is None or now - self._asked_at >= _ASK_AGAIN_S):
            self._asked_at = now
            self._by_id = {flavor.id: flavor for flavor in await self._all(call)}

    async def _all(self, call: Call) -> list[Flavor]:
        found: list[Flavor] = []
        for _ in range(_MAX_PAGES):
            page = await self._session.get(
                call,
                "compute",
                "/flavors/detail",
                FlavorPage,
                params=await _params(self._session, call, _PAGE, found[-1].id if found else ""),
            )
            found += page.flavors
            if not page.flavors or not (page.flavors_links or len(page.flavors) >= _PAGE):
                break
        return found


class Flavors:
    """Reads of flavors."""

    capabilities: ClassVar[Mapping[str, Capability]] = {"list_flavors": Capability()}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._prefix = f"{ref}/flavors/"

    async def get_flavor(self, call: Call, _request: flavor_pb2.GetFlavorRequest) -> flavor_pb2.Flavor:
        body = await self._session.get(call, "compute", "/flavors/{id}", dict[str, Any], args={"id": call.id})
        return self._message(call, body["flavor"])

    async def list_flavors(self, call: Call, query: Query) -> Page[flavor_pb2.Flavor]:
        limit = min(max(query.limit, 1), _PAGE)
        body = await self._session.get(
            call,
            "compute",
            "/flavors/detail",
            dict[str, Any],
            params=await _params(self._session, call, limit, query.cursor),
        )
        documents = body["flavors"]
        items = [self._message(call, document) for document in documents]
        more = bool(items) and (bool(body.get("flavors_links")) or len(items) >= limit)
        return Page(items, more, lambda index: str(documents[index]["id"]))

    def _message(self, call: Call, document: dict[str, Any]) -> flavor_pb2.Flavor:
        row = converted(document, Flavor)
        message = flavor_pb2.Flavor(
            name=self._prefix + encode_id(row.id),
            display_name=row.name,
            vcpus=row.vcpus,
            memory_mib=row.ram,
            disk_bytes=row.disk * GIB,
            ephemeral_bytes=row.ephemeral * GIB,
            swap_bytes=int(row.swap or 0) * MIB,
            visibility=_F.VISIBILITY_PUBLIC if row.public else _F.VISIBILITY_PRIVATE,
            disabled=row.disabled,
            extra_specs=row.extra_specs,
            description=row.description,
        )
        if call.full:
            message.native.update(document)
        return message


async def _params(session: Session, call: Call, limit: int, marker: str) -> dict[str, str]:
    params = {"limit": str(limit), "sort_key": "flavorid", "sort_dir": "asc"}
    if marker:
        params["marker"] = marker
    if (await session.scope(call)).is_admin:
        params["is_public"] = "None"  # without it an administrator sees public flavors only
    return params
