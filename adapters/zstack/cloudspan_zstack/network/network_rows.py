"""ZStack's networks, ranges, NICs, addresses and groups as structs: what `network` and its parts decode answers into.

One unified network is an L3 network with the L2 network below it; a subnet is an IP range of an L3 network.
"""

from __future__ import annotations

import msgspec

from cloudspan_zstack.cloud.rows import Row


class IpRangeRow(Row, kw_only=True):
    l3_network_uuid: str = ""
    start_ip: str = ""
    end_ip: str = ""
    netmask: str = ""
    gateway: str = ""
    network_cidr: str = ""
    ip_version: int = 4
    prefix_len: int = 0
    address_mode: str = ""


class ServiceRef(msgspec.Struct, rename="camel"):
    """A network service of an L3 network."""

    network_service_provider_uuid: str = ""
    network_service_type: str = ""


class HostRoute(msgspec.Struct, rename="camel"):
    """A route that guests of an L3 network are handed."""

    prefix: str = ""
    nexthop: str = ""


class L3Row(Row, kw_only=True):
    type: str = ""
    dns_domain: str = ""
    zone_uuid: str = ""
    l2_network_uuid: str = ""
    state: str = ""
    category: str = ""
    dns: list[str] = msgspec.field(default_factory=list)
    ip_ranges: list[IpRangeRow] = msgspec.field(default_factory=list)
    network_services: list[ServiceRef] = msgspec.field(default_factory=list)
    host_route: list[HostRoute] = msgspec.field(default_factory=list)

    @property
    def services(self) -> set[str]:
        return {ref.network_service_type for ref in self.network_services}


class L2Row(Row, kw_only=True):
    type: str = ""
    zone_uuid: str = ""
    virtual_network_id: int = 0
    physical_interface: str = ""
    attached_cluster_uuids: list[str] = msgspec.field(default_factory=list)


class UsedIp(msgspec.Struct, rename="camel"):
    """One address of a NIC."""

    uuid: str = ""
    ip: str = ""
    ip_range_uuid: str = ""


class AddressRow(Row, kw_only=True):
    """An address of a range that is taken, by a NIC or by something of the platform's own."""

    ip: str = ""
    used_for: str = ""
    vm_nic_uuid: str = ""


class NicRow(Row, kw_only=True):
    vm_instance_uuid: str = ""
    l3_network_uuid: str = ""
    ip: str = ""
    mac: str = ""
    internal_name: str = ""
    state: str = ""
    type: str = ""
    used_ips: list[UsedIp] = msgspec.field(default_factory=list)


class VmKindRow(Row, kw_only=True):
    """As much of a VM as tells whether it is a server or the platform's own appliance."""

    type: str = ""
    state: str = ""
    host_uuid: str = ""


class NicGroupRef(msgspec.Struct, rename="camel"):
    """A NIC in a security group; such a row has no uuid of its own."""

    vm_nic_uuid: str = ""
    security_group_uuid: str = ""


class RouterRow(Row, kw_only=True):
    state: str = ""
    status: str = ""
    public_network_uuid: str = ""
    default_route_l3_network_uuid: str = ""
    management_network_uuid: str = ""
    zone_uuid: str = ""
    ha_status: str = ""
    vm_nics: list[NicRow] = msgspec.field(default_factory=list)


class Capacity(msgspec.Struct, rename="camel"):
    """How many addresses of one range are taken; older releases tell of all ranges together only."""

    resource_uuid: str = ""
    used_ip_address_number: int | None = None
    available_capacity: int | None = None


class Capacities(msgspec.Struct, rename="camel"):
    """Answer to a question about several ranges."""

    capacity_data: list[Capacity] = []


class ProviderRow(Row, kw_only=True):
    """What can serve networks; its uuid differs from installation to installation."""

    type: str = ""
    network_service_types: list[str] = msgspec.field(default_factory=list)


class ClusterRow(Row, kw_only=True):
    state: str = ""
    zone_uuid: str = ""
