"""Ports: NICs, those of servers and those of the platform's own appliances."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import port_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, each, push
from cloudspan_kit.drivers import PortDriver
from cloudspan_zstack.cloud.beside import both, by_uuid, read_marks, rows_by
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_P = port_pb2.Port
_STATES = {"enable": _P.STATE_ACTIVE, "disable": _P.STATE_DOWN}
# How a NIC is bound to hardware, in Neutron's words.
_VNIC_TYPES = {"VNIC": "normal", "VF": "direct", "vDPA": "vdpa"}
_SERVER, APPLIANCE = "UserVm", "ApplianceVm"
ROUTERS = "/vm-instances/appliances/virtual-routers"
"""Of all routers: VPC routers are virtual routers as well."""
_UNTOLD = (ABSENT, "the platform does not tell it")


class UsedIp(msgspec.Struct, rename="camel"):
    """One address of a NIC."""

    uuid: str = ""
    ip: str = ""
    ip_range_uuid: str = ""


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


PORTS = Kind(
    collection="ports",
    message=port_pb2.Port,
    row=NicRow,
    source=ZStackSource("/vm-instances/nics"),
    sort={"display_name": "internalName", "mac_address": "mac", "network": "l3NetworkUuid"},
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "ports"),
        "network": push.ref("l3NetworkUuid", "networks"),
        "display_name": push.text("internalName"),
        "native_state": push.text("state"),
        "state": push.words({"ACTIVE": ("state=enable",), "DOWN": ("state=disable",)}),
        "server": push.ref("vmInstanceUuid", "servers"),
        "device_id": push.text("vmInstanceUuid"),
        "mac_address": push.text("mac"),
    },
)


class Ports(KindDriver[NicRow, port_pb2.Port], PortDriver):
    """PortService."""

    kind = PORTS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_ports": Capability(
            fields={
                "port_security_enabled": _UNTOLD,
                "allowed_address_pairs": _UNTOLD,
                "dns_name": (ABSENT, "NICs have no name in DNS"),
                "fault": _UNTOLD,
            }
        )
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._ports, self._networks, self._subnets = f"{ref}/ports/", f"{ref}/networks/", f"{ref}/subnets/"
        self._servers, self._routers, self._hosts = f"{ref}/servers/", f"{ref}/routers/", f"{ref}/hosts/"
        self._groups = f"{ref}/securityGroups/"

    async def messages(self, call: Call, rows: Sequence[NicRow]) -> Sequence[port_pb2.Port]:
        session = session_of(call)
        vms, refs = await both(
            rows_by(session, call, "/vm-instances", VmKindRow, "uuid", (row.vm_instance_uuid for row in rows)),
            rows_by(
                session, call, "/security-groups/vm-instances/nics", NicGroupRef, "vmNicUuid", (r.uuid for r in rows)
            ),
        )
        appliances = [vm.uuid for vm in vms if vm.type == APPLIANCE]
        marks, routers = await both(
            read_marks(session, call, self._ref, "VmNicVO", [*rows, *vms]),
            rows_by(session, call, ROUTERS, VmKindRow, "uuid", appliances),
        )
        known, of_routers, groups = by_uuid(vms), by_uuid(routers), _by_nic(refs)

        def convert(row: NicRow) -> port_pb2.Port:
            vm, is_of_a_router = known.get(row.vm_instance_uuid), row.vm_instance_uuid in of_routers
            return self._message(row, marks, vm, groups.get(row.uuid, ()), of_a_router=is_of_a_router)

        return await each(call, rows, convert)

    def _message(
        self, row: NicRow, marks: Marks, vm: VmKindRow | None, groups: Sequence[str], *, of_a_router: bool
    ) -> port_pb2.Port:
        # Routers and other appliances of the platform have NICs as well and are not servers.
        server = self._servers + row.vm_instance_uuid if vm and vm.type == _SERVER else None
        return _P(
            name=self._ports + row.uuid,
            display_name=row.internal_name,
            state=_STATES.get(row.state, _P.STATE_UNKNOWN),
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
            fixed_ips=fixed_ips(row, self._subnets),
            security_groups=[self._groups + group for group in sorted(groups)],
            admin_up=row.state == "enable" if row.state else None,
            vnic_type=_VNIC_TYPES.get(row.type, row.type),
            host=self._hosts + vm.host_uuid if vm and vm.host_uuid else None,
        )


def fixed_ips(row: NicRow, subnets: str) -> list[port_pb2.Port.FixedIp]:
    """Return the addresses of a NIC, its first one first; `subnets` is what names of subnets begin with."""
    found = [
        _P.FixedIp(ip_address=used.ip, subnet=subnets + used.ip_range_uuid if used.ip_range_uuid else None)
        for used in sorted(row.used_ips, key=lambda used: (used.ip != row.ip, used.ip))
        if used.ip
    ]
    return found or ([_P.FixedIp(ip_address=row.ip)] if row.ip else [])


def _by_nic(refs: Sequence[NicGroupRef]) -> Mapping[str, list[str]]:
    """Return the security groups of each NIC."""
    found: dict[str, list[str]] = {}
    for ref in refs:
        found.setdefault(ref.vm_nic_uuid, []).append(ref.security_group_uuid)
    return found
