"""What only Neutron knows when networks are made: the `options` of CreateNetwork."""

from __future__ import annotations

import msgspec


class CreateNetworkOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of CreateNetwork; the first five are for administrators under stock policies."""

    shared: bool | None = None
    external: bool | None = None
    provider_network_type: str | None = None
    provider_physical_network: str | None = None
    provider_segmentation_id: int | None = None
    port_security_enabled: bool | None = None
    availability_zone_hints: list[str] | None = None

    def body(self) -> dict[str, object]:
        """Return what is set, in Neutron's words."""
        words = {
            "shared": self.shared,
            "router:external": self.external,
            "provider:network_type": self.provider_network_type,
            "provider:physical_network": self.provider_physical_network,
            "provider:segmentation_id": self.provider_segmentation_id,
            "port_security_enabled": self.port_security_enabled,
            "availability_zone_hints": self.availability_zone_hints,
        }
        return {word: value for word, value in words.items() if value is not None}
