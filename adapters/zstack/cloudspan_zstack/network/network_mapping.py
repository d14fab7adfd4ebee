"""ZStack's network rows as messages. `network_messages` calls it with what stands beside the rows.

Ids are hex uuids: safe in a name as they are.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import network_pb2, port_pb2, router_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.network.network_rows import (
        IpRangeRow,
        L2Row,
        L3Row,
        NicRow,
        RouterRow,
        VmKindRow,
    )

# network, port, router and floating IP have the same states with the same numbers, in enums of their own.
_CREATING, _ACTIVE, _DOWN, _DELETING, _ERROR, _UNKNOWN = 1, 2, 3, 4, 5, 6
_N = network_pb2.Network
_SERVER = "UserVm"
_NETWORK_TYPES = {
    "L2NoVlanNetwork": _N.NETWORK_TYPE_FLAT, "L2VlanNetwork": _N.NETWORK_TYPE_VLAN,
    "VxlanNetwork": _N.NETWORK_TYPE_VXLAN, "L2VxlanNetwork": _N.NETWORK_TYPE_VXLAN,
    "VxlanNetworkPool": _N.NETWORK_TYPE_VXLAN, "L2VxlanNetworkPool": _N.NETWORK_TYPE_VXLAN,
    "L2GeneveNetwork": _N.NETWORK_TYPE_GENEVE,
}  # fmt: skip
_NETWORK_KINDS = {"L3BasicNetwork": _N.KIND_FLAT, "L3VpcNetwork": _N.KIND_ROUTED}
# How a NIC is bound to hardware, in Neutron's words.
_VNIC_TYPES = {"VNIC": "normal", "VF": "direct", "vDPA": "vdpa"}
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
        self._zones, self._hosts = f"{ref}/zones/", f"{ref}/hosts/"

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
            admin_up=row.state == "Enabled" if row.state else None,
            subnets=sorted(self._subnets + span.uuid for span in row.ip_ranges),
            network_type=_NETWORK_TYPES.get(l2.type, _N.NETWORK_TYPE_UNKNOWN) if l2 else None,
            native_network_type=l2.type if l2 else None,
            # Of an untagged network the platform says 0.
            segmentation_id=l2.virtual_network_id or None if l2 else None,
            physical_network=l2.physical_interface if l2 else None,
            kind=_NETWORK_KINDS.get(row.type, _N.KIND_UNKNOWN),
            zones=[self._zones + row.zone_uuid] if row.zone_uuid else [],
            dns_domain=row.dns_domain,
        )

    def port(
        self, row: NicRow, marks: Marks, vm: VmKindRow | None, groups: Sequence[str], *, of_a_router: bool
    ) -> port_pb2.Port:
        # Routers and other appliances of the platform have NICs as well and are not servers.
        server = self._servers + row.vm_instance_uuid if vm and vm.type == _SERVER else None
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
            server=server,
            device=self._routers + row.vm_instance_uuid if of_a_router else server,
            device_id=row.vm_instance_uuid,
            device_owner=vm.type if vm else None,
            mac_address=row.mac,
            fixed_ips=self._fixed_ips(row),
            security_groups=[self._groups + group for group in sorted(groups)],
            admin_up=row.state == "enable" if row.state else None,
            vnic_type=_VNIC_TYPES.get(row.type, row.type),
            host=self._hosts + vm.host_uuid if vm and vm.host_uuid else None,
        )

    def _fixed_ips(self, row: NicRow) -> list[port_pb2.Port.FixedIp]:
        found = [
            port_pb2.Port.FixedIp(
                ip_address=used.ip, subnet=self._subnets + used.ip_range_uuid if used.ip_range_uuid else None
            )
            for used in sorted(row.used_ips, key=lambda used: (used.ip != row.ip, used.ip))
            if used.ip
        ]
        return found or ([port_pb2.Port.FixedIp(ip_address=row.ip)] if row.ip else [])

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
            external_fixed_ips=[
                ip for nic in row.vm_nics if nic.l3_network_uuid == outside for ip in self._fixed_ips(nic)
            ],
            admin_up=row.state not in ("Stopping", "Stopped") if row.state else None,
            interfaces=[
                self._interface(nic)
                for nic in sorted(row.vm_nics, key=lambda nic: nic.uuid)
                # The platform itself reaches its router by the management network.
                if nic.l3_network_uuid not in (outside, row.management_network_uuid)
            ],
            ha=row.ha_status != "NoHa" if row.ha_status else None,
            zones=[self._zones + row.zone_uuid] if row.zone_uuid else [],
        )

    def _interface(self, nic: NicRow) -> router_pb2.Router.Interface:
        return router_pb2.Router.Interface(
            port=self._ports + nic.uuid,
            network=self._networks + nic.l3_network_uuid,
            fixed_ips=self._fixed_ips(nic),
            mac_address=nic.mac,
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
    return {"Enabled": _ACTIVE, "Disabled": _DOWN}.get(state, _UNKNOWN)


def _nic_state(row: NicRow) -> Any:
    return {"enable": _ACTIVE, "disable": _DOWN}.get(row.state, _UNKNOWN)


def _router_state(row: RouterRow) -> Any:
    """A router whose agent does not answer routes nothing that could be relied on."""
    state = _ROUTER_STATES.get(row.state, _UNKNOWN)
    if state == _ACTIVE and row.status == "Disconnected":
        return _DOWN
    return _CREATING if state == _ACTIVE and row.status == "Connecting" else state
