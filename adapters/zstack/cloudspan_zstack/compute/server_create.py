"""What a CreateServer request asks for, checked and put into ZStack's words, and what became of it.

`plan_of` asks the cloud nothing, so a wrong request is refused before anything is made.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from cloudspan_common.errors import GaveUp, InvalidRequest, Unsupported, Violation
from cloudspan_kit import MIB, native_id
from cloudspan_zstack.cloud.error_rules import JobNotBegun, LostJob
from cloudspan_zstack.cloud.jobs import Change, Job
from cloudspan_zstack.cloud.labels import tags_of
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.compute.server_rows import LEAVING, PASSING, row_or_none
from cloudspan_zstack.volume.volume_request import VolumeWish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Made
    from cloudspan_zstack.compute.server_rows import ServerRow

GONE = "gone"
_FROM_IMAGE = "/vm-instances"
_FROM_VOLUME = "/vm-instances/from/volume"
_MOST_VOLUMES = 24
_MOST_USER_DATA = 48 * 1024
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")
NO_NEW_PORT = "ZStack makes the NICs of a new server with it and of no other; name the network, with ip_addresses"


class CreateServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only ZStack knows of a new server."""

    within_project: ClassVar[frozenset[str]] = frozenset({"cpu_num", "memory_mib", "stopped"})
    cpu_num: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    """Virtual CPUs, where no flavor is named."""
    memory_mib: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Memory in MiB, where no flavor is named."""
    stopped: bool = False
    """Whether to leave the server stopped once everything is allocated."""
    cluster_uuid: str | None = None
    """ZStack's cluster to place it in."""
    host_uuid: str | None = None
    """The host to place it on."""
    system_tags: list[str] = []
    """Further system tags of ZStack, as `bootMode::UEFI`."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A checked request."""

    template: str
    params: Mapping[str, Any]
    system_tags: Sequence[str]
    user_tags: Sequence[str]
    stays_stopped: bool
    volumes: Sequence[NewVolume] = ()
    interfaces: Sequence[Interface] = ()
    references: Sequence[Reference] = ()

    def change(self, uuid: str) -> Change:
        """Return what creates the server of that uuid."""
        params = {**self.params, "resourceUuid": uuid}
        return Change("POST", self.template, params=params, system_tags=self.system_tags, user_tags=self.user_tags)


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that the request names and that has to be there."""

    field: str
    template: str
    uuid: str


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A data volume that is made with the server."""

    wish: VolumeWish
    goes_along: bool
    """Whether it goes with the server too."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One NIC of the server, and the network of the floating IP that shall lead to it."""

    number: int
    network: str
    floating: str = ""


def plan_of(request: server_pb2.CreateServerRequest, options: CreateServerOptions, ref: ClusterRef) -> ServerPlan:
    """Return what a request asks for.

    Raises:
        InvalidRequest: It contradicts itself, lacks something, or names resources of another cluster.
        Unsupported: It asks for what ZStack has not.
    """
    wanted = request.server
    if not wanted.display_name:
        raise _bad("server.display_name", "ZStack wants a name for a server")
    interfaces = _interfaces(request, ref)
    networks = [interface.network for interface in interfaces]
    params = {
        "name": wanted.display_name,
        "description": wanted.description or None,
        **_size(wanted, options, ref),
        **_boot(request, ref),
        "l3NetworkUuids": networks or None,
        "defaultL3NetworkUuid": networks[0] if len(networks) > 1 else None,
        "zoneUuid": native_id(ref, "zones", wanted.zone, "server.zone") or None,
        "clusterUuid": options.cluster_uuid,
        "hostUuid": options.host_uuid,
        "strategy": "CreateStopped" if options.stopped else "InstantStart",
    }
    if not any(params[key] for key in ("l3NetworkUuids", "zoneUuid", "clusterUuid", "hostUuid")):
        raise _bad("network_interfaces", "name a network, or a zone where the server is to have none")
    key_pair = native_id(ref, "keyPairs", wanted.key_pair, "server.key_pair")
    template = _FROM_VOLUME if "volumeUuid" in params else _FROM_IMAGE
    if key_pair and template == _FROM_VOLUME:
        raise _bad("server.key_pair", "a server that boots from an existing volume is given no keys; leave it out")
    if key_pair:
        params["sshKeyPairUuids"] = [key_pair]
    tags = [*_guest_tags(request), *_network_tags(request, networks, ref), *options.system_tags]
    labels, volumes = tags_of(wanted.labels, "server.labels"), _volumes(request, ref)
    references = _references(request, params, key_pair, interfaces, ref)
    return ServerPlan(template, params, tags, labels, options.stopped, volumes, interfaces, references)


def _references(
    request: server_pb2.CreateServerRequest, params: Mapping[str, Any], key_pair: str, interfaces: Sequence[Interface],
    ref: ClusterRef,
) -> list[Reference]:  # fmt: skip
    """Return what the server is to be made of, as far as it is not made with it."""
    groups = [native_id(ref, "securityGroups", group, "") for group in request.server.security_groups]
    named = [
        ("server.flavor", "/instance-offerings", params.get("instanceOfferingUuid")),
        ("server.image", "/images", params.get("imageUuid")),
        ("server.key_pair", "/ssh-key-pair", key_pair),
        ("server.zone", "/zones", params["zoneUuid"]),
        ("boot_volume.volume", "/volumes", params.get("volumeUuid")),
        ("boot_volume.volume_type", "/disk-offerings", params.get("rootDiskOfferingUuid")),
        *((f"network_interfaces[{nic.number}].network", "/l3-networks", nic.network) for nic in interfaces),
        *((f"server.security_groups[{i}]", "/security-groups", group) for i, group in enumerate(groups)),
    ]
    return [Reference(field, f"{path}/{{uuid}}", uuid) for field, path, uuid in named if uuid]


def _size(wanted: server_pb2.Server, options: CreateServerOptions, ref: ClusterRef) -> dict[str, Any]:
    flavor = native_id(ref, "flavors", wanted.flavor, "server.flavor")
    given = [options.cpu_num, options.memory_mib]
    if flavor and any(given):
        raise _bad("server.flavor", "a flavor decides CPUs and memory; leave either it or the two options out")
    if flavor:
        return {"instanceOfferingUuid": flavor}
    if not all(given):
        raise _bad("server.flavor", "name a flavor, or options.cpu_num and options.memory_mib")
    return {"cpuNum": options.cpu_num, "memorySize": (options.memory_mib or 0) * MIB}


def _boot(request: server_pb2.CreateServerRequest, ref: ClusterRef) -> dict[str, Any]:
    boot = request.boot_volume
    image = native_id(ref, "images", request.server.image, "server.image")
    volume = native_id(ref, "volumes", boot.volume, "boot_volume.volume")
    if not volume and not image:
        raise _bad("server.image", "name an image, or an existing volume in boot_volume.volume")
    if volume:
        return _boot_from_volume(boot, image, volume)
    offering = native_id(ref, "volumeTypes", boot.volume_type, "boot_volume.volume_type")
    if offering and boot.size_bytes:
        raise _bad("boot_volume.size_bytes", "a disk offering has its size; leave one of the two out")
    if request.HasField("boot_volume") and not offering and boot.size_bytes <= 0:
        raise _bad("boot_volume.size_bytes", "a new boot volume needs its size")
    return {"imageUuid": image, "rootDiskSize": boot.size_bytes or None, "rootDiskOfferingUuid": offering or None}


def _boot_from_volume(boot: server_pb2.CreateServerRequest.BootVolume, image: str, volume: str) -> dict[str, Any]:
    if image:
        raise _bad("server.image", "boot_volume.volume and image exclude each other; keep one")
    if boot.size_bytes or boot.volume_type:
        raise _bad("boot_volume", "an existing volume has its size and type; leave both out")
    if not boot.delete_with_server:
        text = "on ZStack a boot volume always goes with its server; set it to agree to that"
        raise _bad("boot_volume.delete_with_server", text)
    return {"volumeUuid": volume}


def _interfaces(request: server_pb2.CreateServerRequest, ref: ClusterRef) -> list[Interface]:
    found: list[Interface] = []
    for i, interface in enumerate(request.network_interfaces):
        path = f"network_interfaces[{i}]"
        if interface.port:
            text = f"{path}.port: ZStack makes the NICs of a new server itself; name a network"
            raise Unsupported(text, reason="PORT_AT_CREATE")
        if interface.HasField("new_port"):
            text = f"{path}.new_port: {NO_NEW_PORT}"
            raise Unsupported(text, reason="PORT_AT_CREATE")
        network = native_id(ref, "networks", interface.network, f"{path}.network")
        if not network:
            raise _bad(f"{path}.network", "name a network")
        if any(network == other.network for other in found):
            raise _bad(f"{path}.network", "ZStack gives a new server one NIC a network; name each once")
        floating = native_id(ref, "networks", interface.floating_network, f"{path}.floating_network")
        found.append(Interface(i, network, floating))
    networks = {nic.network for nic in found}
    for nic in found:
        if nic.floating in networks:
            path = f"network_interfaces[{nic.number}].floating_network"
            raise _bad(path, "ZStack gives no floating IP of a network that the server has a NIC on; leave one out")
    return found


def _volumes(request: server_pb2.CreateServerRequest, ref: ClusterRef) -> list[NewVolume]:
    if len(request.new_volumes) > _MOST_VOLUMES:
        raise _bad("new_volumes", f"a server has at most {_MOST_VOLUMES} data volumes")
    found = []
    for i, volume in enumerate(request.new_volumes):
        path = f"new_volumes[{i}]"
        if volume.size_bytes <= 0:
            raise _bad(f"{path}.size_bytes", "a new volume needs its size")
        offering = native_id(ref, "volumeTypes", volume.volume_type, f"{path}.volume_type")
        name = volume.display_name or f"{request.server.display_name}-{i + 1}"
        wish = VolumeWish(path=path, name=name, size=volume.size_bytes, offering=offering, tags=[])
        found.append(NewVolume(wish, volume.delete_with_server))
    return found


def _guest_tags(request: server_pb2.CreateServerRequest) -> list[str]:
    tags = []
    if request.server.hostname:
        tags.append(f"hostname::{_hostname(request.server.hostname)}")
    if len(request.user_data) > _MOST_USER_DATA:
        raise _bad("user_data", f"{len(request.user_data)} bytes are more than the {_MOST_USER_DATA} that fit")
    if request.user_data:
        tags.append(f"userdata::{base64.b64encode(request.user_data).decode()}")
    if request.admin_password:
        tags.append(f"rootPassword::{request.admin_password}")
    return tags


def _hostname(text: str) -> str:
    """Return a host name as it is; the platform hands on anything, and DHCP servers choke on it."""
    if not _HOSTNAME.fullmatch(text):
        raise _bad("server.hostname", f"{text[:60]!r} is not a host name: letters, digits, hyphens and dots")
    return text


def _network_tags(request: server_pb2.CreateServerRequest, networks: Sequence[str], ref: ClusterRef) -> list[str]:
    tags = []
    for i, (network, interface) in enumerate(zip(networks, request.network_interfaces, strict=True)):
        for address in interface.ip_addresses:
            told = _address(address, f"network_interfaces[{i}].ip_addresses")
            tags.append(f"staticIp::{network}::{told}")
    groups = [
        native_id(ref, "securityGroups", group, f"server.security_groups[{i}]")
        for i, group in enumerate(request.server.security_groups)
    ]
    if groups and not networks:
        raise _bad("server.security_groups", "security groups are those of NICs; name a network")
    return tags + [f"l3::{network}::SecurityGroupUuids::{','.join(groups)}" for network in networks if groups]


def _address(text: str, path: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise _bad(path, f"{text!r} is not an IP address") from error
    # Two colons are what stands between the parts of a tag.
    return str(address).replace("::", "--")


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])


async def built(call: Call, made: Made[ServerRow], plan: ServerPlan) -> str | None:
    """Return the state that a new server's build ended in, GONE for none at all; None while it goes on.

    Raises:
        GaveUp: It was not built; the job says why, since the row of such a server disappears again.
    """
    try:
        done = await session_of(call).follow(call, Job.of(made.data))
    except (LostJob, JobNotBegun) as error:
        row = await row_or_none(call, made.id)
        if row is None:
            text = f"the server was not built, and why is lost with its job: {error.message}"
            raise GaveUp(text, reason=error.reason, metadata=error.metadata) from error
        return None if _passes(row) else row.state
    row = await row_or_none(call, made.id)
    # A job that never ends although the server is there is that of a management node which was restarted.
    ready = row is not None and row.state == ("Stopped" if plan.stays_stopped else "Running")
    if not ready and (not done or (row is not None and _passes(row))):
        return None
    return row.state if row is not None else GONE


def _passes(row: ServerRow) -> bool:
    return row.state in PASSING - LEAVING
