"""Nova's servers as Nova tells them, and the way from there to the contract's `Server`.

`servers` and the files that change servers use it. The mapping runs for each of thousands of rows, so it builds a
message in one construction, out of prefixes made once; parts of a message are given as dicts, which costs half of what
messages of their own would. The rows hold no cycles, so the garbage collector need not walk them (`gc=False`).
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common import names
from cloudspan_openstack.cloud.values import MARKER_PREFIX
from cloudspan_openstack.compute.flavor_rows import FlavorPart
from cloudspan_openstack.volume.storage_rows import MARKER_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.compute.flavor_rows import Flavor

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

# What Nova does to a server just now says more than the state it does it in.
TASK_STATES: Mapping[str, _S.State] = {
    "deleting": _S.STATE_DELETING,
    "soft-deleting": _S.STATE_DELETING,
    "powering-off": _S.STATE_STOPPING,
    "powering-on": _S.STATE_STARTING,
    "resuming": _S.STATE_STARTING,
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

    def message(self, row: ServerRow, flavor: Flavor | None) -> _S:
        """Return one row as a message; `flavor` is what its flavor part resolves to, if that is known."""
        image, part, zone = row.image, row.flavor, row.zone
        return _S(
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
            security_groups=_names(row.security_groups),
        )

    def _attachment(self, volume: Attached) -> Any:
        return {"volume": self._volume + volume.id, "delete_with_server": volume.delete_on_termination}


def _time(when: datetime | None) -> Any:
    return {"seconds": int(when.timestamp())} if when else None


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
            kind = "floating_ip_addresses" if address.kind == "floating" else "ip_addresses"
            interface.setdefault(kind, []).append(address.addr)
    return found


def _fault(fault: NativeFault) -> Any:
    return {"code": fault.code, "message": fault.message, "create_time": _time(fault.created)}


def markers_of(row: ServerRow) -> set[str]:
    """Return the create markers that a server carries: as a tag, below 2.52 as metadata."""
    tags = {tag for tag in row.tags if tag.startswith(MARKER_PREFIX)}
    return tags | {row.metadata[MARKER_KEY]} if MARKER_KEY in row.metadata else tags
