"""Nova's servers as Nova tells them, and the way from there to the contract's `Server`.

`servers` and the files that change servers use it. The mapping runs for each of thousands of rows, so it builds a
message in one construction, out of prefixes made once; a page of 1 000 takes a few milliseconds.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from cloudspan.v1 import server_pb2
from cloudspan_common.names import encode_id
from cloudspan_openstack.storage_rows import MARKER_KEY
from cloudspan_openstack.values import MARKER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.flavors import Flavor

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
# What Nova does to a server just now says more than the state it does it in.
TASK_STATES: Mapping[str, _S.State] = {
    "deleting": _S.STATE_DELETING,
    "soft-deleting": _S.STATE_DELETING,
    "powering-off": _S.STATE_STOPPING,
    "powering-on": _S.STATE_STARTING,
    "resuming": _S.STATE_STARTING,
}


class Ref(msgspec.Struct):
    """An image or a group, by id."""

    id: str = ""


class FlavorPart(msgspec.Struct):
    """The flavor inside a server: an id below microversion 2.47, a copy without id from there on."""

    id: str = ""
    original_name: str = ""
    vcpus: int = 0
    ram: int = 0


class Address(msgspec.Struct):
    """One address of a server."""

    addr: str = ""
    kind: str = msgspec.field(name="OS-EXT-IPS:type", default="fixed")
    mac: str = msgspec.field(name="OS-EXT-IPS-MAC:mac_addr", default="")


class Named(msgspec.Struct):
    """A security group, by name."""

    name: str = ""


class Attached(msgspec.Struct):
    """A volume of a server; `delete_on_termination` came with microversion 2.3."""

    id: str
    delete_on_termination: bool = False


class NativeFault(msgspec.Struct):
    """Why Nova gave up."""

    code: int = 0
    message: str = ""
    created: datetime | None = None


class ServerRow(msgspec.Struct):
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
    tags: list[str] = []
    security_groups: list[Named] = []
    zone: str | None = msgspec.field(name="OS-EXT-AZ:availability_zone", default=None)
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state", default=None)
    host: str | None = msgspec.field(name="OS-EXT-SRV-ATTR:host", default=None)
    volumes: list[Attached] = msgspec.field(name="os-extended-volumes:volumes_attached", default_factory=list)

    @property
    def state(self) -> _S.State:
        """Our word for what it is doing."""
        state = TASK_STATES.get(self.task) if self.task else None
        return STATES.get(self.status, _S.STATE_UNKNOWN) if state is None else state


class Link(msgspec.Struct):
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

    def message(self, row: ServerRow, flavor: Flavor | None) -> _S:
        """Return one row as a message; `flavor` is what its flavor part resolves to, if that is known."""
        image, part, zone = row.image, row.flavor, row.zone
        return _S(
            name=self._server + row.id,
            display_name=row.name or "",
            state=row.state,
            native_state=row.status,
            project=self._project + row.tenant_id if row.tenant_id else "",
            labels=row.metadata if MARKER_KEY not in row.metadata else _without_marker(row.metadata),
            create_time=Timestamp(seconds=int(row.created.timestamp())) if row.created else None,
            update_time=Timestamp(seconds=int(row.updated.timestamp())) if row.updated else None,
            task=row.task or "",
            fault=_fault(row.fault) if row.fault else None,
            locked=row.locked,
            flavor=self._flavor + encode_id(flavor.id) if flavor else "",
            vcpus=(part.vcpus if part else 0) or (flavor.vcpus if flavor else 0),
            memory_mib=(part.ram if part else 0) or (flavor.ram if flavor else 0),
            image=self._image + image.id if isinstance(image, Ref) else "",
            zone=self._zone + encode_id(zone) if zone else "",
            host=row.host or "",
            key_pair=self._key_pair + encode_id(row.key_name) if row.key_name else "",
            network_interfaces=_interfaces(row.addresses),
            volume_attachments=[self._attachment(volume) for volume in row.volumes] if row.volumes else None,
            # Nova repeats a group for each port that has it.
            security_groups=dict.fromkeys([group.name for group in row.security_groups]),
        )

    def _attachment(self, volume: Attached) -> _S.VolumeAttachment:
        return _S.VolumeAttachment(volume=self._volume + volume.id, delete_with_server=volume.delete_on_termination)


def _interfaces(addresses: Mapping[str, list[Address]]) -> list[_S.NetworkInterface]:
    """One interface for each network and MAC address: Nova lists addresses, fixed and floating, by network."""
    found = []
    for network, listed in addresses.items():
        by_mac: dict[str, tuple[list[str], list[str]]] = {}
        for address in listed:
            fixed, floating = by_mac.setdefault(address.mac, ([], []))
            (floating if address.kind == "floating" else fixed).append(address.addr)
        for mac, (fixed, floating) in by_mac.items():
            found.append(
                _S.NetworkInterface(
                    ip_addresses=fixed,
                    mac_address=mac,
                    floating_ip_addresses=floating,
                    network_display_name=network,
                )
            )
    return found


def _fault(fault: NativeFault) -> _S.Fault:
    when = Timestamp(seconds=int(fault.created.timestamp())) if fault.created else None
    return _S.Fault(code=fault.code, message=fault.message, create_time=when)


def _without_marker(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key != MARKER_KEY}


def markers_of(row: ServerRow) -> set[str]:
    """Return the create markers that a server carries: as a tag, below 2.52 as metadata."""
    tags = {tag for tag in row.tags if tag.startswith(MARKER_PREFIX)}
    return tags | {row.metadata[MARKER_KEY]} if MARKER_KEY in row.metadata else tags
