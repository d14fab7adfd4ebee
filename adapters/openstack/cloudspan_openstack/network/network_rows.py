"""Neutron's rows as msgspec structs, and their way straight into messages.

`network` and `network_making` decode answers into these; `NetworkMapper` turns a row into a message with one
keyword construction, names made of prefixes that are built once for the cluster (ids of Neutron are UUIDs: safe in
a name as they are).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_openstack.cloud.marker_pages import Link
from cloudspan_openstack.cloud.values import description_of, labels_of, timestamp

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef

Rule = security_group_pb2.SecurityGroup.Rule

# network, port, router and floating IP have the same states with the same numbers, in enums of their own.
_STATES = {"ACTIVE": 2, "DOWN": 3, "BUILD": 1, "ERROR": 5, "PENDING_CREATE": 1, "PENDING_DELETE": 4, "N/A": 6}
_UNKNOWN, _DOWN = 6, 3
_DIRECTIONS = {"ingress": Rule.DIRECTION_INGRESS, "egress": Rule.DIRECTION_EGRESS}


class Row(msgspec.Struct, kw_only=True):
    """What nearly every kind has."""

    id: str
    name: str | None = None
    description: str | None = None
    project_id: str | None = None
    tags: list[str] = []
    created_at: datetime | None = None
    updated_at: datetime | None = None


class NetworkRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    shared: bool = False
    external: bool = msgspec.field(name="router:external", default=False)
    mtu: int | None = None
    port_security_enabled: bool | None = None
    subnets: list[str] = []
    network_type: str | None = msgspec.field(name="provider:network_type", default=None)
    segmentation_id: int | None = msgspec.field(name="provider:segmentation_id", default=None)


class Pool(msgspec.Struct):
    start: str
    end: str


class SubnetRow(Row, kw_only=True):
    network_id: str
    cidr: str
    ip_version: int
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: list[Pool] = []
    dns_nameservers: list[str] = []


class FixedIp(msgspec.Struct):
    ip_address: str | None = None
    subnet_id: str | None = None


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


class RuleRow(msgspec.Struct, kw_only=True):
    id: str
    direction: str | None = None
    ethertype: str | None = None
    protocol: str | int | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    description: str | None = None


class SecurityGroupRow(Row, kw_only=True):
    stateful: bool = True
    shared: bool = False
    rules: list[RuleRow] = msgspec.field(name="security_group_rules", default_factory=list)


class FloatingIpRow(Row, kw_only=True):
    status: str | None = None
    floating_ip_address: str | None = None
    floating_network_id: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None


class Gateway(msgspec.Struct):
    network_id: str | None = None
    enable_snat: bool = True
    external_fixed_ips: list[FixedIp] = []


class Route(msgspec.Struct):
    destination: str
    nexthop: str


class RouterRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    external_gateway_info: Gateway | None = None
    routes: list[Route] = []


class _Page(msgspec.Struct):
    @property
    def has_next(self) -> bool:
        links: list[Link] = self.links  # type: ignore[attr-defined] # every collection below has them
        return any(link.rel == "next" for link in links)


class Networks(_Page):
    rows: list[NetworkRow] = msgspec.field(name="networks")
    links: list[Link] = msgspec.field(name="networks_links", default_factory=list)


class Subnets(_Page):
    rows: list[SubnetRow] = msgspec.field(name="subnets")
    links: list[Link] = msgspec.field(name="subnets_links", default_factory=list)


class Ports(_Page):
    rows: list[PortRow] = msgspec.field(name="ports")
    links: list[Link] = msgspec.field(name="ports_links", default_factory=list)


class SecurityGroups(_Page):
    rows: list[SecurityGroupRow] = msgspec.field(name="security_groups")
    links: list[Link] = msgspec.field(name="security_groups_links", default_factory=list)


class FloatingIps(_Page):
    rows: list[FloatingIpRow] = msgspec.field(name="floatingips")
    links: list[Link] = msgspec.field(name="floatingips_links", default_factory=list)


class Routers(_Page):
    rows: list[RouterRow] = msgspec.field(name="routers")
    links: list[Link] = msgspec.field(name="routers_links", default_factory=list)


def _state(status: str | None, admin_state_up: bool = True) -> Any:
    """Our state: a network that its owner switched off stays ACTIVE for Neutron, for us it is DOWN."""
    if not admin_state_up and status in ("ACTIVE", "DOWN"):
        return _DOWN
    return _STATES.get(status, _UNKNOWN) if status else 0


class NetworkMapper:
    """Rows of one cluster's Neutron as messages."""

    def __init__(self, ref: ClusterRef) -> None:
        self._projects = f"{ref}/projects/"
        self._networks = f"{ref}/networks/"
        self._subnets = f"{ref}/subnets/"
        self._ports = f"{ref}/ports/"
        self._servers = f"{ref}/servers/"
        self._groups = f"{ref}/securityGroups/"
        self._addresses = f"{ref}/floatingIps/"
        self._routers = f"{ref}/routers/"

    def network(self, row: NetworkRow) -> network_pb2.Network:
        subnets = self._subnets
        return network_pb2.Network(
            name=self._networks + row.id,
            display_name=row.name,
            state=_state(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            shared=row.shared,
            external=row.external,
            mtu=row.mtu,
            admin_down=not row.admin_state_up,
            port_security_disabled=row.port_security_enabled is False,
            subnets=[subnets + subnet for subnet in row.subnets],
            network_type=row.network_type,
            segmentation_id=row.segmentation_id,
        )

    def subnet(self, row: SubnetRow) -> subnet_pb2.Subnet:
        return subnet_pb2.Subnet(
            name=self._subnets + row.id,
            display_name=row.name,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            network=self._networks + row.network_id,
            cidr=row.cidr,
            ip_version=row.ip_version,
            gateway_ip=row.gateway_ip,
            no_gateway=not row.gateway_ip,
            dhcp_disabled=not row.enable_dhcp,
            allocation_pools=[subnet_pb2.Subnet.AllocationPool(start=p.start, end=p.end) for p in row.allocation_pools],
            dns_nameservers=row.dns_nameservers,
        )

    def port(self, row: PortRow) -> port_pb2.Port:
        groups, subnets, owner = self._groups, self._subnets, row.device_owner or ""
        return port_pb2.Port(
            name=self._ports + row.id,
            display_name=row.name,
            state=_state(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            network=self._networks + row.network_id,
            # device_id is free text: only Nova's owner says that it is a server.
            server=self._servers + row.device_id if row.device_id and owner.startswith("compute:") else None,
            device_id=row.device_id,
            device_owner=owner,
            mac_address=row.mac_address,
            fixed_ips=[
                port_pb2.Port.FixedIp(ip_address=ip.ip_address, subnet=subnets + ip.subnet_id if ip.subnet_id else None)
                for ip in row.fixed_ips
            ],
            security_groups=[groups + group for group in row.security_groups],
            admin_down=not row.admin_state_up,
            port_security_disabled=row.port_security_enabled is False,
        )

    def security_group(self, row: SecurityGroupRow) -> security_group_pb2.SecurityGroup:
        return security_group_pb2.SecurityGroup(
            name=self._groups + row.id,
            display_name=row.name,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            stateful=row.stateful,
            rules=[self._rule(rule) for rule in row.rules],
        )

    def _rule(self, row: RuleRow) -> Rule:
        group = row.remote_group_id
        return Rule(
            id=row.id,
            direction=_DIRECTIONS.get(row.direction or "", Rule.DIRECTION_UNSPECIFIED),
            ip_version=6 if row.ethertype == "IPv6" else 4,
            protocol=None if row.protocol is None else str(row.protocol),
            port_range_min=row.port_range_min,
            port_range_max=row.port_range_max,
            has_port_range=row.port_range_min is not None or row.port_range_max is not None,
            remote_cidr=row.remote_ip_prefix,
            remote_security_group=self._groups + group if group else None,
            description=row.description,
        )

    def floating_ip(self, row: FloatingIpRow) -> floating_ip_pb2.FloatingIp:
        return floating_ip_pb2.FloatingIp(
            name=self._addresses + row.id,
            # Neutron's floating IPs have no name; people call them by their address.
            display_name=row.floating_ip_address,
            state=_state(row.status),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            ip_address=row.floating_ip_address,
            external_network=self._networks + row.floating_network_id if row.floating_network_id else None,
            port=self._ports + row.port_id if row.port_id else None,
            fixed_ip_address=row.fixed_ip_address,
            router=self._routers + row.router_id if row.router_id else None,
        )

    def router(self, row: RouterRow) -> router_pb2.Router:
        gateway = row.external_gateway_info
        addresses = gateway.external_fixed_ips if gateway else []
        return router_pb2.Router(
            name=self._routers + row.id,
            display_name=row.name,
            state=_state(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            external_network=self._networks + gateway.network_id if gateway and gateway.network_id else None,
            external_ip_addresses=[ip.ip_address for ip in addresses if ip.ip_address],
            snat_disabled=gateway is not None and not gateway.enable_snat,
            admin_down=not row.admin_state_up,
            routes=[router_pb2.Router.Route(destination_cidr=r.destination, next_hop=r.nexthop) for r in row.routes],
        )
