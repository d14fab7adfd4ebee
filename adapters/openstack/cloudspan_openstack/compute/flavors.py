"""Flavors, and the book that knows their sizes.

Below microversion 2.47 a server has its flavor's id; `FlavorBook` knows its size, with one list of flavors for
thousands of servers. From there on a server has a copy of its flavor, without the id, and needs no book. No flavor is
looked for by the copy's name: another may have it since the server's own was deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from cloudspan.v1 import flavor_pb2
from cloudspan_common.errors import NotFound
from cloudspan_common.names import encode_id
from cloudspan_kit import GIB, MAX_INT, MIB, MIN_INT, Kind, KindDriver
from cloudspan_kit.drivers import FlavorDriver
from cloudspan_openstack.cloud.nova import NovaFlavors
from cloudspan_openstack.cloud.source import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call

_F = flavor_pb2.Flavor
# A new flavor may be met at any time; a name that stays unknown must not cost a list for every page of servers.
_ASK_AGAIN_S = 30.0


# What the book keeps must fit a server's fields; a larger one is left away when it is read.
_Int64 = Annotated[int, msgspec.Meta(ge=MIN_INT, le=MAX_INT)]


class FlavorPart(msgspec.Struct, gc=False):
    """The flavor inside a server: an id below microversion 2.47, a copy without id from there on."""

    id: str = ""
    original_name: str = ""
    vcpus: int = 0
    ram: int = 0
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    extra_specs: dict[str, str] = {}


class FlavorRow(msgspec.Struct):
    """One flavor. `swap` is an empty string below 2.75; `description` came with 2.55, `extra_specs` with 2.61."""

    id: str
    name: str = ""
    description: str | None = None
    vcpus: _Int64 = 0
    ram: _Int64 = 0
    disk: int = 0
    swap: int | Literal[""] = 0
    ephemeral: int = msgspec.field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    disabled: bool = msgspec.field(name="OS-FLV-DISABLED:disabled", default=False)
    public: bool = msgspec.field(name="os-flavor-access:is_public", default=True)
    extra_specs: dict[str, str] = {}


def is_copy(part: FlavorPart | None, row: FlavorRow) -> bool:
    """Whether what a server has is a copy of that flavor, as far as copies tell."""
    if part is None or part.original_name != row.name:
        return False
    sizes = (part.vcpus, part.ram, part.disk, part.ephemeral, part.swap)
    return sizes == (row.vcpus, row.ram, row.disk, row.ephemeral, row.swap or 0)


FLAVORS = Kind(
    collection="flavors",
    message=flavor_pb2.Flavor,
    row=FlavorRow,
    source=NovaFlavors("/flavors", "flavor"),
)


class Flavors(KindDriver[FlavorRow, flavor_pb2.Flavor], FlavorDriver):
    """FlavorService."""

    kind = FLAVORS

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/flavors/"

    def message(self, row: FlavorRow) -> flavor_pb2.Flavor:
        return _F(
            name=self._prefix + encode_id(row.id),
            display_name=row.name,
            vcpus=row.vcpus,
            memory_mib=row.ram,
            disk_bytes=row.disk * GIB,
            ephemeral_bytes=row.ephemeral * GIB,
            swap_bytes=(row.swap or 0) * MIB,
            visibility=_F.VISIBILITY_PUBLIC if row.public else _F.VISIBILITY_PRIVATE,
            disabled=row.disabled,
            extra_specs=row.extra_specs,
            description=row.description,
        )


class FlavorBook:
    """The flavors that this cluster's user sees, by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, FlavorRow] = {}
        self._asked_at: float | None = None

    def find(self, part: FlavorPart | None) -> FlavorRow | None:
        """Return the flavor that a server names, if the book knows it: not a deleted or foreign private one."""
        return self._by_id.get(part.id) if part is not None and part.id else None

    async def get(self, call: Call, flavor_id: str) -> FlavorRow | None:
        """Return the flavor of that id; read once, since Nova changes no sizes. None where there is none."""
        if flavor_id not in self._by_id:
            try:
                self._by_id[flavor_id] = await FLAVORS.source.row(call, FLAVORS, flavor_id)
            except NotFound:
                return None
        return self._by_id[flavor_id]

    async def learn(self, call: Call, parts: Sequence[FlavorPart | None]) -> None:
        """Read the flavors anew if one of `parts` is not in the book."""
        if all(part is None or not part.id or part.id in self._by_id for part in parts):
            return
        now = session_of(call).clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= _ASK_AGAIN_S:
            self._asked_at = now
            pages = [rows async for rows in FLAVORS.source.sweep(call, FLAVORS)]
            self._by_id = {row.id: row for rows in pages for row in rows}
