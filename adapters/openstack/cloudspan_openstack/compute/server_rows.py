"""Nova's servers as Nova tells them.

`servers` and the files that change servers decode answers into these; `server_mapping` turns them into messages. The
rows hold no cycles, so the garbage collector need not walk them (`gc=False`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.values import is_marker
from cloudspan_openstack.compute.flavor_rows import FlavorPart

if TYPE_CHECKING:
    from collections.abc import Mapping


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


def markers_of(row: ServerRow) -> set[str]:
    """Return the create markers that a server carries: as a tag, below 2.52 as metadata."""
    tags = {tag for tag in row.tags if is_marker(tag)}
    return tags | {row.metadata[MARKER_KEY]} if MARKER_KEY in row.metadata else tags
