"""Nova's servers: rows as Nova sends them, and how they become messages. `servers` uses it.

This runs for each of thousands of rows: rows hold no cycles, so the garbage collector need not walk them (`gc=False`);
a message is built in one construction, of prefixes made once, and its parts are given as dicts, which costs half of
what messages of their own would.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common import names
from cloudspan_kit import GIB, MIB
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.values import is_marker, since_epoch, timestamp
from cloudspan_openstack.compute.flavors import FlavorPart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_openstack.compute.flavors import FlavorRow
    from cloudspan_openstack.network.ports import DevicePort

_S = server_pb2.Server

# Zones, flavors and keys repeat from row to row; encoding each again would cost a fifth of the mapping.
encode_id = functools.lru_cache(maxsize=4096)(names.encode_id)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_MAX_SNAPSHOTS = 4096
# What `ServerMapping._add` adds.
_MORE = (
    "flavor_snapshot", "power_state", "launch_time", "user", "config_drive", "host_id", "hypervisor_hostname",
    "description", "hostname", "tags", "locked_reason", "progress_percent", "server_groups", "etag",
)  # fmt: skip

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
    """In the answer for a single server only, from 2.71 on."""

    @property
    def state(self) -> _S.State:
        """Our word for what it is doing."""
        state = TASK_STATES.get(self.task) if self.task else None
        return STATES.get(self.status, _S.STATE_UNKNOWN) if state is None else state


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a server somebody looks at, beside what everybody does."""

    interfaces: bool = True
    more: bool = True

    @classmethod
    def of(cls, call: Call) -> Shown:
        """Return what a call asks for."""
        return cls(call.wants("network_interfaces"), call.wants(*_MORE))


EVERYTHING = Shown()


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
        self,
        row: ServerRow,
        flavor: FlavorRow | None,
        ports: Sequence[DevicePort] = (),
        flavor_id: str = "",
        shown: Shown = EVERYTHING,
    ) -> _S:
        """Return one row as a message.

        `flavor` is the one that the row names, where that is known; `flavor_id` the one that it is known to have
        otherwise. `ports` are the server's in Neutron, as far as they were asked for.
        """
        image, part, zone = row.image, row.flavor, row.zone
        flavor_id = (part.id if part else "") or flavor_id
        message = _S(
            name=self._server + row.id,
            display_name=row.name or "",
            state=row.state,
            native_state=row.status,
            project=self._project + row.tenant_id if row.tenant_id else "",
            labels=_labels(row.metadata) if row.metadata else None,
            create_time=_time(row.created),
            update_time=_time(row.updated),
            task=row.task or "",
            fault=_fault(row.fault) if row.fault else None,
            locked=row.locked,
            flavor=self._flavor + encode_id(flavor_id) if flavor_id else "",
            vcpus=(part.vcpus if part else 0) or (flavor.vcpus if flavor else None),
            memory_mib=(part.ram if part else 0) or (flavor.ram if flavor else None),
            image=self._image + image.id if isinstance(image, Ref) else "",
            zone=self._zone + encode_id(zone) if zone else "",
            host=self._host + encode_id(row.host) if row.host else "",
            key_pair=self._key_pair + encode_id(row.key_name) if row.key_name else "",
            network_interfaces=self._interfaces(row, ports) if shown.interfaces else None,
            volume_attachments=self._attachments(row) if row.volumes else None,
            security_groups=self._groups(ports) if ports else None,
            # Nova repeats a group for each port that has it.
            security_group_display_names=_names(row.security_groups),
        )
        if shown.more:
            self._add(row, message)
        return message

    def _add(self, row: ServerRow, message: _S) -> None:
        """Add what few callers look at; most of it is empty, and setting what isn't costs less than passing it all."""
        part, power, config_drive = row.flavor, row.power_state, row.config_drive
        texts = (
            ("user", row.user_id), ("host_id", row.host_id), ("hypervisor_hostname", row.hypervisor),
            ("description", row.description), ("hostname", row.hostname), ("locked_reason", row.locked_reason),
        )  # fmt: skip
        for name, text in texts:
            if text:
                setattr(message, name, text)
        if part is not None and (part.original_name or part.vcpus):
            message.flavor_snapshot.MergeFrom(self._snapshot(part))
        if power is not None:
            message.power_state = POWER_STATES.get(power, _S.POWER_STATE_UNKNOWN)
        if (launched := timestamp(row.launched_at)) is not None:
            message.launch_time.seconds = launched.seconds
        if config_drive is not None:
            message.config_drive = config_drive in ("True", True)
        if row.task and row.progress is not None:
            # Without a task Nova tells 0 or 100, of nothing in particular.
            message.progress_percent = row.progress
        if row.tags:
            message.tags.extend(tag for tag in row.tags if not is_marker(tag))
        message.server_groups.extend(self._server_group + group for group in row.server_groups)
        message.etag = _etag(row)

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
        if not ports:
            return _interfaces(row.addresses)
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
    since = since_epoch(when)
    return None if since is None else {"seconds": since.days * 86_400 + since.seconds}


def _etag(row: ServerRow) -> str:
    """Return a digest of what lists and Get both tell and what changes, whatever was asked of Neutron beside.

    Nova's `updated` moves with most of it, but not with tags, metadata, volumes and addresses, and knows no fractions.
    """
    seen = (
        row.updated, row.status, row.task, row.power_state, row.host, row.name, row.locked, row.description,
        row.metadata, row.tags, row.volumes, row.addresses, [group.name for group in row.security_groups],
        row.flavor, row.hostname,
    )  # fmt: skip
    return blake2b(_encode(seen), digest_size=12).hexdigest()


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
