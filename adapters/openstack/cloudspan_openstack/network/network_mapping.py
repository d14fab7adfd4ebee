"""From Neutron's rows to messages, with one keyword construction each.

Names are made of prefixes that are built once for the cluster; ids of Neutron are UUIDs, safe in a name as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan.v1 import (
    network_pb2,
    port_pb2,
    router_pb2,
)
from cloudspan_common.names import encode_id
from cloudspan_openstack.cloud.values import description_of, labels_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.network.device_ports import DevicePort, PortAddress
    from cloudspan_openstack.network.network_rows import (
        FixedIp,
        NetworkRow,
        PortRow,
        RouterRow,
    )

_N = network_pb2.Network

# network, port and router have the same states with the same numbers, in enums of their own.
_STATES = {"ACTIVE": 2, "DOWN": 3, "BUILD": 1, "ERROR": 5, "PENDING_CREATE": 1, "PENDING_DELETE": 4, "N/A": 6}
_UNKNOWN, _DOWN = 6, 3
_NETWORK_TYPES = {
    "flat": _N.NETWORK_TYPE_FLAT,
    "vlan": _N.NETWORK_TYPE_VLAN,
    "vxlan": _N.NETWORK_TYPE_VXLAN,
    "gre": _N.NETWORK_TYPE_GRE,
    "geneve": _N.NETWORK_TYPE_GENEVE,
    "local": _N.NETWORK_TYPE_LOCAL,
}
# What stands in `device_id` for ports whose owner begins so; for the others it is free text.
_DEVICES = {
    "compute:": "servers",
    "network:router": "routers",
    "network:ha_router": "routers",
    "network:floatingip": "floatingIps",
}
ROUTER_INTERFACES = frozenset(
    {
        "network:router_interface",
        "network:router_interface_distributed",
        "network:ha_router_replicated_interface",
    }
)


def _state(status: str | None, admin_state_up: bool = True) -> Any:
    """Our state: a network that its owner switched off stays ACTIVE for Neutron, for us it is DOWN."""
    if not admin_state_up and status in ("ACTIVE", "DOWN"):
        return _DOWN
    return _STATES.get(status, _UNKNOWN) if status else _UNKNOWN


class NetworkMapper:
    """Rows of one cluster's Neutron as messages."""

    def __init__(self, ref: ClusterRef) -> None:
        self._base = f"{ref}/"
        self._projects = f"{ref}/projects/"
        self._networks = f"{ref}/networks/"
        self._subnets = f"{ref}/subnets/"
        self._ports = f"{ref}/ports/"
        self._groups = f"{ref}/securityGroups/"
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
            admin_up=row.admin_state_up,
            port_security_enabled=row.port_security_enabled,
            subnets=[subnets + subnet for subnet in row.subnets],
            network_type=_NETWORK_TYPES.get(row.network_type, _N.NETWORK_TYPE_UNKNOWN) if row.network_type else None,
            native_network_type=row.network_type,
            segmentation_id=row.segmentation_id,
            physical_network=row.physical_network,
            kind=_N.KIND_FLAT,
            zones=self._zones(row.availability_zones),
            dns_domain=row.dns_domain,
            etag=row.etag,
        )

    def port(self, row: PortRow) -> port_pb2.Port:
        groups, owner = self._groups, row.device_owner or ""
        device = self._device(row.device_id, owner)
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
            server=device if owner.startswith("compute:") else None,
            device=device,
            device_id=row.device_id,
            device_owner=owner,
            mac_address=row.mac_address,
            fixed_ips=self._fixed_ips(row.fixed_ips),
            security_groups=[groups + group for group in row.security_groups],
            admin_up=row.admin_state_up,
            port_security_enabled=row.port_security_enabled,
            allowed_address_pairs=[
                port_pb2.Port.AddressPair(ip_address=pair.ip_address, mac_address=pair.mac_address)
                for pair in row.allowed_address_pairs
            ],
            vnic_type=row.vnic_type,
            host=f"{self._base}hosts/{encode_id(row.host)}" if row.host else None,
            dns_name=row.dns_name,
            etag=row.etag,
        )

    def _device(self, device_id: str | None, owner: str | None) -> str | None:
        """Return the name of what has a port, where the owner says what `device_id` is."""
        if device_id and owner:
            for prefix, collection in _DEVICES.items():
                if owner.startswith(prefix):
                    return f"{self._base}{collection}/{device_id}"
        return None

    def _fixed_ips(self, addresses: Iterable[FixedIp | PortAddress]) -> list[port_pb2.Port.FixedIp]:
        return [
            port_pb2.Port.FixedIp(
                ip_address=ip.ip_address, subnet=self._subnets + ip.subnet_id if ip.subnet_id else None
            )
            for ip in addresses
        ]

    def _zones(self, zones: Iterable[str]) -> list[str]:
        return [f"{self._base}zones/{encode_id(zone)}" for zone in zones]

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
            external_fixed_ips=self._fixed_ips(addresses),
            snat_enabled=gateway.enable_snat if gateway else None,
            admin_up=row.admin_state_up,
            routes=[router_pb2.Router.Route(destination_cidr=r.destination, next_hop=r.nexthop) for r in row.routes],
            ha=row.ha,
            distributed=row.distributed,
            zones=self._zones(row.availability_zones),
            etag=row.etag,
        )

    def router_interfaces(self, ports: Sequence[DevicePort]) -> list[router_pb2.Router.Interface]:
        """Return how a router joins subnets, by its ports; its gateway is not among them."""
        return [
            router_pb2.Router.Interface(
                port=self._ports + port.id,
                network=self._networks + port.network_id,
                fixed_ips=self._fixed_ips(port.fixed_ips),
                mac_address=port.mac_address,
            )
            for port in ports
            if port.device_owner in ROUTER_INTERFACES
        ]
