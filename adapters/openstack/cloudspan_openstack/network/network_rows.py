"""Neutron's rows as msgspec structs.

`network`, `network_making` and others decode answers into these; `network_mapping` turns them into messages.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from cloudspan_openstack.cloud.marker_pages import Link


class Row(msgspec.Struct, kw_only=True):
    """What nearly every kind has."""

    id: str
    name: str | None = None
    description: str | None = None
    project_id: str | None = None
    tags: list[str] = []
    created_at: datetime | None = None
    updated_at: datetime | None = None
    revision_number: int | None = None

    @property
    def etag(self) -> str | None:
        """Neutron's revision number, which grows with each change."""
        return None if self.revision_number is None else str(self.revision_number)


class NetworkRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    shared: bool | None = None
    external: bool = msgspec.field(name="router:external", default=False)
    mtu: int | None = None
    port_security_enabled: bool | None = None
    subnets: list[str] = []
    network_type: str | None = msgspec.field(name="provider:network_type", default=None)
    segmentation_id: int | None = msgspec.field(name="provider:segmentation_id", default=None)
    physical_network: str | None = msgspec.field(name="provider:physical_network", default=None)
    availability_zones: list[str] = []
    dns_domain: str | None = None


class Route(msgspec.Struct):
    destination: str
    nexthop: str


class FixedIp(msgspec.Struct):
    ip_address: str | None = None
    subnet_id: str | None = None


class AddressPair(msgspec.Struct):
    ip_address: str | None = None
    mac_address: str | None = None


class PortRow(Row, kw_only=True):
    network_id: str
    status: str | None = None
    admin_state_up: bool = True
    device_id: str | None = None
    device_owner: str | None = None
    mac_address: str | None = None
    fixed_ips: list[FixedIp] = []
    security_groups: list[str] = []
    port_security_enabled: bool | None = None
    allowed_address_pairs: list[AddressPair] = []
    vnic_type: str | None = msgspec.field(name="binding:vnic_type", default=None)
    host: str | None = msgspec.field(name="binding:host_id", default=None)
    dns_name: str | None = None


class Gateway(msgspec.Struct):
    network_id: str | None = None
    enable_snat: bool | None = None
    external_fixed_ips: list[FixedIp] = []


class RouterRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    external_gateway_info: Gateway | None = None
    routes: list[Route] = []
    ha: bool | None = None
    distributed: bool | None = None
    availability_zones: list[str] = []


class _Page(msgspec.Struct):
    @property
    def has_next(self) -> bool:
        links: list[Link] = self.links  # type: ignore[attr-defined] # every collection below has them
        return any(link.rel == "next" for link in links)


class Networks(_Page):
    rows: list[NetworkRow] = msgspec.field(name="networks")
    links: list[Link] = msgspec.field(name="networks_links", default_factory=list)


class Ports(_Page):
    rows: list[PortRow] = msgspec.field(name="ports")
    links: list[Link] = msgspec.field(name="ports_links", default_factory=list)


class Routers(_Page):
    rows: list[RouterRow] = msgspec.field(name="routers")
    links: list[Link] = msgspec.field(name="routers_links", default_factory=list)
