"""Nova's servers as Nova tells them, and the way from there to the contract's `Server`.

`servers` and the files that change servers use it. The mapping runs for each of thousands of rows, so it builds a
message in one construction, out of prefixes made once; parts of a message are given as dicts, which costs half of what
messages of their own would. The rows hold no cycles, so the garbage collector need not walk them (`gc=False`).
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common import names
from cloudspan_kit.values import GIB, MIB
from cloudspan_openstack.cloud.values import is_marker
from cloudspan_openstack.compute.flavor_rows import FlavorPart
from cloudspan_openstack.volume.storage_rows import MARKER_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.compute.flavor_rows import Flavor
    from cloudspan_openstack.network.device_ports import DevicePort

_S = server_pb2.Server


STATES: Mapping[str, _S.State] = {
    "BUILD": _S.STATE_BUILDING,
    "ACTIVE": _S.STATE_RUNNING,
    "PASSWORD": _S.STATE_RUNNING,
    "SHUTOFF": _S.STATE_STOPPED,
    "REBOOT": _S.STATE_REBOOTING,
    "HARD_REBOOT": _S.STATE_REBOOTING,
    "PAUSED": _S.STATE_PAUSED,
    "SUSPENDED": _S.STATE_SUSPENDED,
    "SHELVED": _S.STATE_SHELVED,
    "SHELVED_OFFLOADED": _S.STATE_SHELVED,
    "RESCUE": _S.STATE_RESCUED,
    "RESIZE": _S.STATE_RESIZING,
    "REVERT_RESIZE": _S.STATE_RESIZING,
    "VERIFY_RESIZE": _S.STATE_AWAITING_CONFIRM,
    "MIGRATING": _S.STATE_MIGRATING,
    "REBUILD": _S.STATE_REBUILDING,
    "DELETED": _S.STATE_DELETING,
    "SOFT_DELETED": _S.STATE_SOFT_DELETED,
    "ERROR": _S.STATE_ERROR,
    "UNKNOWN": _S.STATE_UNKNOWN,
}
# Zones, flavors and keys repeat from row to row; encoding each again would cost a fifth of the mapping.
encode_id = functools.lru_cache(maxsize=4096)(names.encode_id)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_MAX_SNAPSHOTS = 4096

# What Nova does to a server just now says more than the state it does it in.
TASK_STATES: Mapping[str, _S.State] = {
    "deleting": _S.STATE_DELETING,
    "soft-deleting": _S.STATE_DELETING,
    "powering-off": _S.STATE_STOPPING,
    "powering-on": _S.STATE_STARTING,
    "resuming": _S.STATE_STARTING,
}


# nova.objects.fields.InstancePowerState; the numbers between them were never used by any hypervisor still there.
POWER_STATES: Mapping[int, _S.PowerState] = {
    0: _S.POWER_STATE_UNKNOWN,
    1: _S.POWER_STATE_RUNNING,
    3: _S.POWER_STATE_PAUSED,
    4: _S.POWER_STATE_SHUTDOWN,
    6: _S.POWER_STATE_CRASHED,
    7: _S.POWER_STATE_SUSPENDED,
}


class Ref(msgspec.Struct, gc=False):
    """An image or a group, by id."""

    id: str = ""


class Address(msgspec.Struct, gc=False):
    """One address of a server."""

    addr: str = ""
    kind: str = msgspec.field(name="OS-EXT-IPS:type", default="fixed")
    mac: str = msgspec.field(name="OS-EXT-IPS-MAC:mac_addr", default="")


class Named(msgspec.Struct, gc=False):
    """A security group, by name."""

    name: str = ""


class Attached(msgspec.Struct, gc=False):
    """A volume of a server; `delete_on_termination` came with microversion 2.3."""

    id: str
    delete_on_termination: bool = False


class NativeFault(msgspec.Struct, gc=False):
    """Why Nova gave up."""

    code: int = 0
    message: str = ""
    details: str = ""
    created: datetime | None = None


class ServerRow(msgspec.Struct, gc=False):
    """One server. A server in a cell that is down has little more than id and status UNKNOWN (from 2.69 on)."""

    id: str
    status: str = "UNKNOWN"
    name: str | None = ""
    tenant_id: str = ""
    metadata: dict[str, str] = {}
    image: Ref | str | None = None
    flavor: FlavorPart | None = None
    created: datetime | None = None
    updated: datetime | None = None
    addresses: dict[str, list[Address]] = {}
    key_name: str | None = None
    fault: NativeFault | None = None
    locked: bool = False
    locked_reason: str | None = None
    user_id: str | None = None
    description: str | None = None
    config_drive: str | bool | None = None
    progress: int | None = None
    host_id: str = msgspec.field(name="hostId", default="")
    tags: list[str] = []
    security_groups: list[Named] = []
    zone: str | None = msgspec.field(name="OS-EXT-AZ:availability_zone", default=None)
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state", default=None)
    host: str | None = msgspec.field(name="OS-EXT-SRV-ATTR:host", default=None)
    hostname: str | None = msgspec.field(name="OS-EXT-SRV-ATTR:hostname", default=None)
    hypervisor: str | None = msgspec.field(name="OS-EXT-SRV-ATTR:hypervisor_hostname", default=None)
    power_state: int | None = msgspec.field(name="OS-EXT-STS:power_state", default=None)
    launched_at: datetime | None = msgspec.field(name="OS-SRV-USG:launched_at", default=None)
    volumes: list[Attached] = msgspec.field(name="os-extended-volumes:volumes_attached", default_factory=list)
    server_groups: list[str] = []
    """Told of a single server only, from 2.71 on."""

    @property
    def state(self) -> _S.State:
        """Our word for what it is doing."""
        state = TASK_STATES.get(self.task) if self.task else None
        return STATES.get(self.status, _S.STATE_UNKNOWN) if state is None else state


class Link(msgspec.Struct, gc=False):
    """A link beside a list."""

    rel: str = ""


class ServerPage(msgspec.Struct):
    """Answer of `/servers/detail`."""

    servers: list[ServerRow]
    servers_links: list[Link] = []

    @property
    def has_next(self) -> bool:
        """Whether Nova says that there is more."""
        return any(link.rel == "next" for link in self.servers_links)


class ServerAnswer(msgspec.Struct):
    """Answer of `/servers/{id}`."""

    server: ServerRow


class ServerMapping:
    """Makes `Server` messages of one cluster's rows."""

    def __init__(self, ref: ClusterRef) -> None:
        base = f"{ref}/"
        self._server = base + "servers/"
        self._project = base + "projects/"
        self._image = base + "images/"
        self._zone = base + "zones/"
        self._key_pair = base + "keyPairs/"
        self._flavor = base + "flavors/"
        self._volume = base + "volumes/"
        self._host = base + "hosts/"
        self._server_group = base + "serverGroups/"
        self._network = base + "networks/"
        self._subnet = base + "subnets/"
        self._port = base + "ports/"
        self._group = base + "securityGroups/"
        self._snapshots: dict[str, tuple[FlavorPart, _S.FlavorSnapshot]] = {}

    def message(
        self, row: ServerRow, flavor: Flavor | None, ports: Sequence[DevicePort] = (), flavor_id: str = ""
    ) -> _S:
        """Return one row as a message.

        `flavor` is the one that the row names, where that is known; `flavor_id` the one that it is known to have
        otherwise. `ports` are the server's in Neutron, as far as they were asked for.
        """
        image, part, zone, task = row.image, row.flavor, row.zone, row.task
        flavor_id = (part.id if part else "") or flavor_id
        return _S(
            name=self._server + row.id,
            display_name=row.name or "",
            state=row.state,
            native_state=row.status,
            project=self._project + row.tenant_id if row.tenant_id else "",
            labels=_labels(row.metadata) if row.metadata else None,
            create_time=_time(row.created),
            update_time=_time(row.updated),
            task=task or "",
            fault=_fault(row.fault) if row.fault else None,
            locked=row.locked,
            locked_reason=row.locked_reason,
            flavor=self._flavor + encode_id(flavor_id) if flavor_id else "",
            flavor_snapshot=self._snapshot(part) if part and part.original_name else None,
            vcpus=(part.vcpus if part else 0) or (flavor.vcpus if flavor else None),
            memory_mib=(part.ram if part else 0) or (flavor.ram if flavor else None),
            image=self._image + image.id if isinstance(image, Ref) else "",
            zone=self._zone + encode_id(zone) if zone else "",
            host=self._host + encode_id(row.host) if row.host else "",
            host_id=row.host_id,
            hypervisor_hostname=row.hypervisor,
            key_pair=self._key_pair + encode_id(row.key_name) if row.key_name else "",
            network_interfaces=self._interfaces(row, ports) if ports else _interfaces(row.addresses),
            volume_attachments=self._attachments(row) if row.volumes else None,
            security_groups=self._groups(ports) if ports else None,
            # Nova repeats a group for each port that has it.
            security_group_display_names=_names(row.security_groups),
            description=row.description,
            hostname=row.hostname,
            tags=[tag for tag in row.tags if not is_marker(tag)] if row.tags else None,
            power_state=_power_state(row.power_state),
            launch_time=_time(row.launched_at),
            user=row.user_id,
            config_drive=None if row.config_drive is None else row.config_drive in ("True", True),
            # Without a task Nova tells 0 or 100, of nothing in particular.
            progress_percent=row.progress if task else None,
            server_groups=[self._server_group + group for group in row.server_groups] if row.server_groups else None,
            etag=_etag(row),
        )

    def _snapshot(self, part: FlavorPart) -> _S.FlavorSnapshot:
        """Flavors repeat from row to row: a copy of the message costs a third of making it anew."""
        known = self._snapshots.get(part.original_name)
        if known is not None and known[0] == part:
            return known[1]
        snapshot = _S.FlavorSnapshot(
            display_name=part.original_name,
            vcpus=part.vcpus,
            memory_mib=part.ram,
            disk_bytes=part.disk * GIB,
            ephemeral_bytes=part.ephemeral * GIB,
            swap_bytes=part.swap * MIB,
            extra_specs=part.extra_specs,
        )
        if len(self._snapshots) >= _MAX_SNAPSHOTS:
            self._snapshots.clear()
        self._snapshots[part.original_name] = part, snapshot
        return snapshot

    def _attachments(self, row: ServerRow) -> list[Any]:
        """A server with an image boots from its local disk; one without, from a volume, but Nova doesn't say which."""
        boot = False if isinstance(row.image, Ref) else True if len(row.volumes) == 1 else None
        return [
            {"volume": self._volume + v.id, "delete_with_server": v.delete_on_termination, "boot": boot}
            for v in row.volumes
        ]

    def _interfaces(self, row: ServerRow, ports: Sequence[DevicePort]) -> list[Any]:
        """One interface for each port; what only Nova tells of it comes from the server's addresses.

        An address whose port Neutron doesn't show is kept as Nova tells it.
        """
        by_mac = {interface["mac_address"]: interface for interface in _interfaces(row.addresses)}
        found = []
        for port in ports:
            by_nova = by_mac.pop(port.mac_address, {})
            interface = {
                "network": self._network + port.network_id,
                "port": self._port + port.id,
                "mac_address": port.mac_address,
                "fixed_ips": [
                    {"ip_address": ip.ip_address, "subnet": self._subnet + ip.subnet_id if ip.subnet_id else ""}
                    for ip in port.fixed_ips
                ],
            }
            found.append({**by_nova, **interface})
        return [*found, *by_mac.values()]

    def _groups(self, ports: Sequence[DevicePort]) -> list[str]:
        return [self._group + group for group in dict.fromkeys(group for port in ports for group in port.groups)]


def _time(when: datetime | None) -> Any:
    if when is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)  # `launched_at` is UTC and doesn't say so
    return {"seconds": int(when.timestamp())}


def _power_state(number: int | None) -> _S.PowerState | None:
    return None if number is None else POWER_STATES.get(number, _S.POWER_STATE_UNKNOWN)


def _etag(row: ServerRow) -> str:
    """Return a digest of what lists and Get both tell, whatever was asked of Neutron beside."""
    groups, fault, progress = row.server_groups, row.fault, row.progress
    row.server_groups, row.fault, row.progress = [], None, None
    digest = blake2b(_encode(row), digest_size=12).hexdigest()
    row.server_groups, row.fault, row.progress = groups, fault, progress
    return digest


def _names(groups: list[Named]) -> list[str]:
    names_of = [group.name for group in groups]
    return names_of if len(names_of) < 2 else list(dict.fromkeys(names_of))


def _labels(metadata: dict[str, str]) -> dict[str, str]:
    if MARKER_KEY not in metadata:
        return metadata
    return {key: value for key, value in metadata.items() if key != MARKER_KEY}


def _interfaces(addresses: Mapping[str, list[Address]]) -> list[Any]:
    """One interface for each network and MAC address: Nova lists addresses, fixed and floating, by network."""
    found = []
    for network, addresses_there in addresses.items():
        by_mac: dict[str, dict[str, Any]] = {}
        for address in addresses_there:
            interface = by_mac.get(address.mac)
            if interface is None:
                interface = by_mac[address.mac] = {"mac_address": address.mac, "network_display_name": network}
                found.append(interface)
            if address.kind == "floating":
                interface.setdefault("floating_ip_addresses", []).append(address.addr)
            else:
                interface.setdefault("fixed_ips", []).append({"ip_address": address.addr})
    return found


def _fault(fault: NativeFault) -> Any:
    return {
        "code": str(fault.code) if fault.code else "",
        "message": fault.message,
        "details": fault.details,
        "create_time": _time(fault.created),
    }


def markers_of(row: ServerRow) -> set[str]:
    """Return the create markers that a server carries: as a tag, below 2.52 as metadata."""
    tags = {tag for tag in row.tags if is_marker(tag)}
    return tags | {row.metadata[MARKER_KEY]} if MARKER_KEY in row.metadata else tags
