"""ZStack's network rows as messages. `network_messages` calls it with what stands beside the rows.

Ids are hex uuids: safe in a name as they are.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_zstack.network.network_rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.network.network_rows import (
        EipRow,
        IpRangeRow,
        L2Row,
        L3Row,
        NicRow,
        RouterRow,
        SecurityGroupRow,
        VipRow,
        VmKindRow,
    )

# network, port, router and floating IP have the same states with the same numbers, in enums of their own.
_CREATING, _ACTIVE, _DOWN, _DELETING, _ERROR, _UNKNOWN = 1, 2, 3, 4, 5, 6
_SERVER = "UserVm"
_ROUTER_STATES = {
    "Created": _CREATING, "Starting": _CREATING, "Running": _ACTIVE, "Rebooting": _ACTIVE, "Migrating": _ACTIVE,
    "Stopping": _DOWN, "Stopped": _DOWN, "Paused": _DOWN, "Destroying": _DELETING, "Destroyed": _DELETING,
    "Expunging": _DELETING, "Error": _ERROR, "Crashed": _ERROR,
}  # fmt: skip


class NetworkMapper:
    """Rows of one cluster's networks as messages."""

    def __init__(self, ref: ClusterRef, dates: ServerZone) -> None:
        self._time = dates.timestamp
        self._networks, self._subnets = f"{ref}/networks/", f"{ref}/subnets/"
        self._ports, self._servers = f"{ref}/ports/", f"{ref}/servers/"
        self._groups, self._routers = f"{ref}/securityGroups/", f"{ref}/routers/"
        self._addresses = f"{ref}/floatingIps/"

    def network(self, row: L3Row, marks: Marks, l2: L2Row | None) -> network_pb2.Network:
        return network_pb2.Network(
            name=self._networks + row.uuid,
            display_name=row.name,
            state=_enabled(row.state),
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            external=row.category == "Public",
            admin_down=row.state == "Disabled",
            subnets=[self._subnets + span.uuid for span in row.ip_ranges],
            network_type=l2.type if l2 else None,
            segmentation_id=l2.virtual_network_id if l2 else None,
        )

    def subnet(self, row: IpRangeRow, marks: Marks, l3: L3Row | None) -> subnet_pb2.Subnet:
        return subnet_pb2.Subnet(
            name=self._subnets + row.uuid,
            display_name=row.name,
            project=marks.project(row.uuid) or (marks.project(l3.uuid) if l3 else None),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            network=self._networks + row.l3_network_uuid,
            cidr=cidr_of(row),
            ip_version=row.ip_version,
            gateway_ip=row.gateway,
            no_gateway=not row.gateway,
            # DHCP and name servers are the L3 network's, the same for all of its ranges.
            dhcp_disabled=l3 is not None and "DHCP" not in l3.services,
            allocation_pools=[subnet_pb2.Subnet.AllocationPool(start=row.start_ip, end=row.end_ip)],
            dns_nameservers=l3.dns if l3 else (),
        )

    def port(self, row: NicRow, marks: Marks, vm: VmKindRow | None, groups: Sequence[str]) -> port_pb2.Port:
        return port_pb2.Port(
            name=self._ports + row.uuid,
            display_name=row.internal_name,
            state=_nic_state(row),
            native_state=row.state,
            project=marks.project(row.uuid) or (marks.project(vm.uuid) if vm else None),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            network=self._networks + row.l3_network_uuid,
            # Routers and other appliances of the platform have NICs as well and are no servers.
            server=self._servers + row.vm_instance_uuid if vm and vm.type == _SERVER else None,
            device_id=row.vm_instance_uuid,
            device_owner=vm.type if vm else None,
            mac_address=row.mac,
            fixed_ips=self._fixed_ips(row),
            security_groups=[self._groups + group for group in groups],
            admin_down=row.state == "disable",
        )

    def _fixed_ips(self, row: NicRow) -> list[port_pb2.Port.FixedIp]:
        found = [
            port_pb2.Port.FixedIp(
                ip_address=used.ip, subnet=self._subnets + used.ip_range_uuid if used.ip_range_uuid else None
            )
            for used in row.used_ips
            if used.ip
        ]
        return found or ([port_pb2.Port.FixedIp(ip_address=row.ip)] if row.ip else [])

    def security_group(self, row: SecurityGroupRow, marks: Marks) -> security_group_pb2.SecurityGroup:
        return security_group_pb2.SecurityGroup(
            name=self._groups + row.uuid,
            display_name=row.name,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            stateful=True,
            rules=rules_of(row, self._groups),
        )

    def floating_ip(self, row: EipRow, marks: Marks, vip: VipRow | None) -> floating_ip_pb2.FloatingIp:
        return floating_ip_pb2.FloatingIp(
            name=self._addresses + row.uuid,
            display_name=row.name,
            state=_eip_state(row),
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            ip_address=row.vip_ip,
            external_network=self._networks + vip.l3_network_uuid if vip else None,
            port=self._ports + row.vm_nic_uuid if row.vm_nic_uuid else None,
            fixed_ip_address=row.guest_ip,
        )

    def router(self, row: RouterRow, marks: Marks) -> router_pb2.Router:
        outside = row.public_network_uuid or row.default_route_l3_network_uuid
        return router_pb2.Router(
            name=self._routers + row.uuid,
            display_name=row.name,
            state=_router_state(row),
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            external_network=self._networks + outside if outside else None,
            external_ip_addresses=[nic.ip for nic in row.vm_nics if nic.ip and nic.l3_network_uuid == outside],
            admin_down=row.state == "Stopped",
        )


def cidr_of(row: IpRangeRow) -> str:
    """Return the range's network; older releases leave it to be worked out."""
    if row.network_cidr:
        return row.network_cidr
    width = row.netmask if row.ip_version != 6 else row.prefix_len
    return str(ip_network(f"{row.start_ip}/{width}", strict=False)) if row.start_ip and width else ""


def by_nic(groups: Sequence[Any]) -> Mapping[str, list[str]]:
    """Return the security groups of each NIC."""
    found: dict[str, list[str]] = {}
    for ref in groups:
        found.setdefault(ref.vm_nic_uuid, []).append(ref.security_group_uuid)
    return found


def _enabled(state: str) -> Any:
    return {"Enabled": _ACTIVE, "Disabled": _DOWN, "": 0}.get(state, _UNKNOWN)


def _nic_state(row: NicRow) -> Any:
    return {"enable": _ACTIVE, "disable": _DOWN, "": 0}.get(row.state, _UNKNOWN)


def _router_state(row: RouterRow) -> Any:
    """A router whose agent does not answer routes nothing that could be relied on."""
    state = _ROUTER_STATES.get(row.state, _UNKNOWN) if row.state else 0
    if state == _ACTIVE and row.status == "Disconnected":
        return _DOWN
    return _CREATING if state == _ACTIVE and row.status == "Connecting" else state


def _eip_state(row: EipRow) -> Any:
    """An address that leads nowhere is down, as elsewhere."""
    return _enabled(row.state) if row.vm_nic_uuid else _DOWN
