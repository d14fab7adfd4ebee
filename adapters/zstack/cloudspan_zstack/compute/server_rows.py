"""ZStack's VM instances as it tells them, what it keeps of them elsewhere, and both as `Server` messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import NotFound
from cloudspan_kit import MIB
from cloudspan_zstack.cloud.beside import both, read_marks, rows_by
from cloudspan_zstack.cloud.labels import read_system_tags
from cloudspan_zstack.cloud.markers import servers_of
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import nothing_at
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.network.floating_ips import EipRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_S = server_pb2.Server
USER_VM = "UserVm"
_TYPE, _HOSTNAME = "VmInstanceVO", "hostname::"

STATES: Mapping[str, _S.State] = {
    "Created": _S.STATE_STOPPED,
    "Starting": _S.STATE_STARTING,
    "Running": _S.STATE_RUNNING,
    "Stopping": _S.STATE_STOPPING,
    "Stopped": _S.STATE_STOPPED,
    "Rebooting": _S.STATE_REBOOTING,
    "Destroying": _S.STATE_DELETING,
    "Destroyed": _S.STATE_SOFT_DELETED,
    "Expunging": _S.STATE_DELETING,
    "Migrating": _S.STATE_MIGRATING,
    "VolumeMigrating": _S.STATE_MIGRATING,
    "VolumeRecovering": _S.STATE_REBUILDING,
    "Pausing": _S.STATE_PAUSED,
    "Paused": _S.STATE_PAUSED,
    "Resuming": _S.STATE_STARTING,
    "Error": _S.STATE_ERROR,
    "Crashed": _S.STATE_ERROR,
    "Unknown": _S.STATE_UNKNOWN,
    "NoState": _S.STATE_UNKNOWN,
}
# While a server is in one of these something is under way that ends by itself.
PASSING = frozenset({
    "Starting", "Stopping", "Rebooting", "Destroying", "Migrating", "Pausing", "Resuming", "VolumeMigrating",
    "VolumeRecovering", "Expunging",
})  # fmt: skip
LEAVING = frozenset({"Destroying", "Destroyed", "Expunging"})


class Address(msgspec.Struct, rename="camel"):
    """One address of a NIC."""

    ip: str = ""
    ip_range_uuid: str = ""
    gateway: str = ""


class Nic(msgspec.Struct, rename="camel"):
    """One NIC. Its addresses are gone while its server is destroyed."""

    uuid: str
    l3_network_uuid: str = ""
    ip: str = ""
    mac: str = ""
    gateway: str = ""
    device_id: int | None = None
    driver_type: str = ""
    used_ips: list[Address] = []

    @property
    def addresses(self) -> list[Address]:
        """All of its addresses, the first one first."""
        told = {address.ip: address for address in self.used_ips if address.ip}
        if self.ip and self.ip not in told:
            return [Address(self.ip, gateway=self.gateway), *told.values()]
        return sorted(told.values(), key=lambda address: address.ip != self.ip)


class Disk(msgspec.Struct, rename="camel"):
    """One volume of a server."""

    uuid: str
    type: str = "Data"
    device_id: int | None = None


class ServerRow(Row):
    """One VM instance."""

    state: str = "Unknown"
    type: str = ""
    zone_uuid: str = ""
    hypervisor_type: str = ""
    default_l3_network_uuid: str = ""
    host_uuid: str = ""
    last_host_uuid: str = ""
    image_uuid: str = ""
    instance_offering_uuid: str = ""
    cpu_num: int = 0
    memory_size: int = 0
    vm_nics: list[Nic] = msgspec.field(default_factory=list)
    all_volumes: list[Disk] = msgspec.field(default_factory=list)

    @property
    def nics_in_order(self) -> list[Nic]:
        """Its NICs as the guest counts them; the platform tells them in another order from call to call."""
        return sorted(self.vm_nics, key=lambda nic: (nic.device_id is None, nic.device_id, nic.uuid))

    @property
    def disks_in_order(self) -> list[Disk]:
        """Its boot disk and then the others, in the order of their devices."""
        return sorted(self.all_volumes, key=lambda disk: (disk.type != "Root", disk.device_id or 0, disk.uuid))

    @property
    def ours(self) -> _S.State:
        """Our word for what it is doing; one that starts and never was on a host is being built."""
        if self.state == "Starting" and not self.last_host_uuid:
            return _S.STATE_BUILDING
        return STATES.get(self.state, _S.STATE_UNKNOWN)


class GroupRef(msgspec.Struct, rename="camel"):
    """A NIC in a security group; such a row has no uuid of its own."""

    vm_instance_uuid: str = ""
    security_group_uuid: str = ""


async def server_row(call: Call, uuid: str) -> ServerRow:
    """Return a server as ZStack tells it, a destroyed one too.

    Raises:
        NotFound: There is none of that uuid under the cluster's account; a router's VM is none.
    """
    row = await session_of(call).get_one(call, "/vm-instances/{uuid}", ServerRow, args={"uuid": uuid})
    if row.type not in ("", USER_VM):
        raise nothing_at(call, f"/vm-instances/{uuid}")
    return row


async def row_or_none(call: Call, uuid: str) -> ServerRow | None:
    """Return as `server_row`; None where there is none."""
    try:
        return await server_row(call, uuid)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Beside:
    """What belongs to servers and is told elsewhere."""

    marks: Marks
    groups: Mapping[str, Sequence[str]]
    """Security groups by server."""
    group_names: Mapping[str, str]
    """Display names by security group."""
    floating: Mapping[str, Sequence[str]]
    """Addresses by NIC."""
    along: Mapping[str, str]
    """Servers by the volume that goes with them."""
    hostnames: Mapping[str, str]
    """Host names that guests are told, by server."""


async def read_beside(call: Call, ref: ClusterRef, rows: Sequence[ServerRow]) -> Beside:
    """Return what belongs to servers, looked up for all of them at once."""
    session, uuids = session_of(call), [row.uuid for row in rows]
    nics = [nic.uuid for row in rows for nic in row.vm_nics]
    data = [disk.uuid for row in rows for disk in row.all_volumes if disk.type != "Root"]
    ((marks, tags), along), ((groups, names), eips) = await both(
        both(
            both(
                read_marks(session, call, ref, _TYPE, rows),
                read_system_tags(session, call, _TYPE, uuids, f"{_HOSTNAME}%"),
            ),
            servers_of(session, call, data),
        ),
        both(_groups(call, uuids), rows_by(session, call, "/eips", EipRow, "vmNicUuid", nics)),
    )
    floating: dict[str, list[str]] = {}
    for eip in eips:
        floating.setdefault(eip.vm_nic_uuid, []).append(eip.vip_ip)
    hostnames = {uuid: found[0].removeprefix(_HOSTNAME) for uuid, found in tags.items()}
    return Beside(marks, groups, names, floating, along, hostnames)


async def _groups(call: Call, uuids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return groups by server, and names by group. A server is in a group when one of its NICs is."""
    session, found = session_of(call), dict[str, set[str]]()
    path = "/security-groups/vm-instances/nics"
    for ref in await rows_by(session, call, path, GroupRef, "vmInstanceUuid", uuids):
        found.setdefault(ref.vm_instance_uuid, set()).add(ref.security_group_uuid)
    wanted = {uuid for groups in found.values() for uuid in groups}
    named = await rows_by(session, call, "/security-groups", Row, "uuid", wanted)
    return {server: sorted(groups) for server, groups in found.items()}, {row.uuid: row.name for row in named}


class ServerMapping:
    """Makes `Server` messages of one cluster's rows."""

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        self._time = zone.timestamp
        self._base = f"{ref}/"

    def message(self, row: ServerRow, beside: Beside) -> _S:
        """Return one row as a message."""
        groups = beside.groups.get(row.uuid, ())
        return _S(
            name=f"{self._base}servers/{row.uuid}",
            display_name=row.name,
            state=row.ours,
            native_state=row.state,
            project=beside.marks.project(row.uuid) or "",
            labels=beside.marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            task=row.state.lower() if row.state in PASSING else "",
            flavor=self._name("flavors", row.instance_offering_uuid),
            vcpus=row.cpu_num,
            memory_mib=row.memory_size // MIB,
            image=self._name("images", row.image_uuid),
            zone=self._name("zones", row.zone_uuid),
            host=self._name("hosts", row.host_uuid),
            host_id=row.host_uuid,
            hypervisor_type=row.hypervisor_type,
            description=row.description,
            hostname=beside.hostnames.get(row.uuid, ""),
            network_interfaces=[self._interface(row, nic, beside) for nic in row.nics_in_order],
            volume_attachments=[self._attachment(row, disk, beside) for disk in row.disks_in_order],
            security_groups=[self._name("securityGroups", uuid) for uuid in groups],
            security_group_display_names=sorted(
                {beside.group_names[uuid] for uuid in groups if uuid in beside.group_names}
            ),
        )

    def _interface(self, row: ServerRow, nic: Nic, beside: Beside) -> _S.NetworkInterface:
        default = row.default_l3_network_uuid
        return _S.NetworkInterface(
            network=self._name("networks", nic.l3_network_uuid),
            port=self._name("ports", nic.uuid),
            fixed_ips=[
                _S.FixedIp(ip_address=one.ip, subnet=self._name("subnets", one.ip_range_uuid), gateway_ip=one.gateway)
                for one in nic.addresses
            ],
            mac_address=nic.mac,
            floating_ip_addresses=sorted(beside.floating.get(nic.uuid, ())),
            index=nic.device_id,
            driver=nic.driver_type,
            is_default=nic.l3_network_uuid == default if default else None,
        )

    def _attachment(self, row: ServerRow, disk: Disk, beside: Beside) -> _S.VolumeAttachment:
        # The platform detaches data volumes; those made to go with this server DeleteServer deletes.
        goes = disk.type == "Root" or beside.along.get(disk.uuid) == row.uuid
        return _S.VolumeAttachment(
            volume=self._name("volumes", disk.uuid), delete_with_server=goes, boot=disk.type == "Root"
        )

    def _name(self, collection: str, uuid: str) -> str:
        return f"{self._base}{collection}/{uuid}" if uuid else ""
