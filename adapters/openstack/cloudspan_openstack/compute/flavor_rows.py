"""Nova's flavors as they come: whole ones, and the part of one inside a server."""

from __future__ import annotations

import msgspec


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


class Flavor(msgspec.Struct):
    """One flavor. `swap` is an empty string below 2.75; `description` came with 2.55, `extra_specs` with 2.61."""

    id: str
    name: str = ""
    description: str | None = None
    vcpus: int = 0
    ram: int = 0
    disk: int = 0
    swap: int | str = 0
    ephemeral: int = msgspec.field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    disabled: bool = msgspec.field(name="OS-FLV-DISABLED:disabled", default=False)
    public: bool = msgspec.field(name="os-flavor-access:is_public", default=True)
    extra_specs: dict[str, str] = {}


class FlavorPage(msgspec.Struct):
    """Answer of `/flavors/detail`."""

    flavors: list[Flavor]
    flavors_links: list[dict[str, str]] = []
