"""What only ZStack knows when networks and subnets are made: the `options` of CreateNetwork and CreateSubnet.

Ids in options are the platform's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Vlan = Annotated[int, msgspec.Meta(ge=1, le=4094)]


class CreateNetworkOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateNetwork: which L2 network to build on, an existing one or a new one, and what serves it."""

    l2_network: str = ""
    """An existing L2 network."""
    vxlan_pool: str = ""
    """A VXLAN pool to make an L2 network in; the only pool there is where nothing else is said."""
    physical_interface: str = ""
    """The hosts' interface, for a new L2 network; for the administrator."""
    vlan: Vlan | None = None
    """Its VLAN; none for an untagged one."""
    zone: str = ""
    """Its zone; the only one where there is one."""
    clusters: list[str] = []
    """The clusters to attach it to; the zone's only one where there is one."""
    category: Literal["Private", "Public"] = "Private"
    """Public networks are where floating IPs come from."""
    kind: Literal["FLAT", "ROUTED"] = "FLAT"
    """ROUTED is a VPC network: useless until a VPC router is attached to it."""
    services: dict[str, list[str]] | None = None
    """Service types by type of provider, as {"Flat": ["DHCP"]}; those usual for the kind where nothing is said."""


class CreateSubnetOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateSubnet."""

    range_type: Literal["Normal", "AddressPool"] = "Normal"
    """An AddressPool gives addresses to VIPs only."""
    ipv6_address_mode: Literal["SLAAC", "Stateful-DHCP", "Stateless-DHCP"] = "Stateful-DHCP"
