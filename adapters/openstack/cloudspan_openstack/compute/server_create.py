"""What a CreateServer request asks for, checked and put into Nova's words. `servers` creates by it.

Nothing here asks the cloud, so a wrong request is refused before anything is made. Two choices:

* A volume is made as a step of its own, with a marker of its own: a volume that Nova makes can't be found again, and
  stays behind when its server is removed.
* A port is left to Nova unless a `new_port` is asked for. A port that Nova makes belongs to its server and goes with
  it, however the server ends; a port of ours outlives a server that is deleted by other tools, and a create sent twice
  with one port breaks the winner: the loser goes to ERROR and takes the port's binding along. So the ports are looked
  at once more at the end.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from cloudspan_common.errors import InvalidRequest, Unsupported, Violation
from cloudspan_kit import native_id
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.cloud.values import is_marker, whole_gib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.names import ClusterRef

_MAX_USER_DATA = 48 * 1024  # Nova takes 65 535 characters of base64
_MAX_TEXT = 255
_MAX_TAGS = 49
_TAG = re.compile(r"[^,/]{1,60}")


class CreateServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only OpenStack knows of a new server."""

    within_project: ClassVar[frozenset[str]] = frozenset({"disk_config", "network_mode"})
    disk_config: Literal["AUTO", "MANUAL"] | None = None
    """Whether Nova grows the image's partition to the flavor's disk."""
    scheduler_hints: dict[str, str | list[str]] | None = None
    """Hints for Nova's scheduler: group, same_host, different_host and what the cloud's filters know."""
    host: str | None = None
    """The compute host to build on; administrators only, Nova 2.74."""
    network_mode: Literal["auto", "none"] = "auto"
    """Without network_interfaces: `auto` takes the project's only network, or makes one where the cloud offers that;
    `none` boots without network; Nova 2.37."""


# Where the request says it, and the microversion that brought it, by Nova's word.
SINCE = {
    "description": ("server.description", Microversion(2, 19)),
    "tags": ("server.tags", Microversion(2, 52)),
    "host": ("options.host", Microversion(2, 74)),
    "hostname": ("server.hostname", Microversion(2, 90)),
}
_NETWORK_MODES = Microversion(2, 37)


@dataclass(frozen=True, slots=True)
class NewPort:
    """A port to make before the server."""

    name: str
    groups: Sequence[str]
    """Security groups by id; without any the port gets the project's default one."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: a network, or an existing port."""

    network_id: str = ""
    port_id: str = ""
    addresses: Sequence[str] = ()
    new_port: NewPort | None = None
    floating_network_id: str = ""

    @property
    def made_by_nova(self) -> bool:
        """Whether Nova makes its port."""
        return not self.port_id and self.new_port is None

    def document(self, port_id: str) -> dict[str, str]:
        """Return Nova's words for it; `port_id` is the port that it has by now, if any."""
        if port_id:
            return {"port": port_id}
        return {"uuid": self.network_id} | ({"fixed_ip": self.addresses[0]} if self.addresses else {})

    def port_body(self) -> dict[str, Any]:
        """Return Neutron's words for its new port."""
        name = self.new_port.name if self.new_port else ""
        body: dict[str, Any] = {"network_id": self.network_id, "name": name}
        if self.new_port and self.new_port.groups:
            body["security_groups"] = list(self.new_port.groups)
        return body | ({"fixed_ips": [{"ip_address": one} for one in self.addresses]} if self.addresses else {})


@dataclass(frozen=True, slots=True)
class DataVolume:
    """A volume to make and attach."""

    body: Mapping[str, Any]
    """In Cinder's words."""
    goes_with_server: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What was made, or was there, for a server."""

    boot_volume_id: str = ""
    data_volume_ids: Sequence[str] = ()
    port_ids: Sequence[str] = ()
    """One for each interface; empty where Nova makes the port."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A checked request."""

    server: Mapping[str, Any]
    """Nova's body as far as it depends on nothing else."""
    hints: Mapping[str, Any]
    interfaces: Sequence[Interface]
    network_mode: str
    newer: Mapping[str, Any]
    """What depends on the microversion, in Nova's words."""
    volume_id: str = ""
    """The existing volume to boot from."""
    new_volume: Mapping[str, Any] | None = None
    """The volume to make and boot from, in Cinder's words."""
    delete_volume: bool = False
    data_volumes: Sequence[DataVolume] = ()

    @property
    def exclusive(self) -> bool:
        """Whether it names what only one server can have: a second send meets the first one's."""
        volumes = self.volume_id or self.new_volume or self.data_volumes
        return bool(volumes or any(not one.made_by_nova or one.addresses for one in self.interfaces))

    def check(self, version: Microversion) -> None:
        """See that the cloud is new enough.

        Raises:
            Unsupported: A field or option needs a later microversion than the cloud speaks.
        """
        for word in self.newer:
            field, since = SINCE[word]
            _need(version, since, field)
        if not self.interfaces and self.network_mode != "auto":
            _need(version, _NETWORK_MODES, "options.network_mode")

    def document(self, version: Microversion, parts: Parts) -> dict[str, Any]:
        """Return the body of Nova's create at `version`, with the parts that it is put together of."""
        server = {**self.server, **self.newer}
        if self.interfaces:
            pairs = zip(self.interfaces, parts.port_ids, strict=True)
            server["networks"] = [interface.document(port_id) for interface, port_id in pairs]
        elif version >= _NETWORK_MODES:
            server["networks"] = self.network_mode
        if parts.boot_volume_id:
            server["imageRef"] = ""
        if devices := self._devices(parts):
            server["block_device_mapping_v2"] = devices
        hints = {"os:scheduler_hints": dict(self.hints)} if self.hints else {}
        return {"server": server, **hints}

    def _devices(self, parts: Parts) -> list[dict[str, Any]]:
        pairs = zip(self.data_volumes, parts.data_volume_ids, strict=True)
        data = [_device(-1, volume_id, "volume", volume.goes_with_server) for volume, volume_id in pairs]
        if parts.boot_volume_id:
            return [_device(0, parts.boot_volume_id, "volume", self.delete_volume), *data]
        if not data:
            return []
        # Beside other devices Nova wants the image as one too: else 400, "Boot sequence ... is not valid".
        return [_device(0, self.server["imageRef"], "image", True) | {"destination_type": "local"}, *data]


def plan_of(request: server_pb2.CreateServerRequest, options: CreateServerOptions, ref: ClusterRef) -> ServerPlan:
    """Return what a request asks for.

    Raises:
        InvalidRequest: It contradicts itself, lacks something, or names resources of another cluster.
    """
    wanted, boot = request.server, request.boot_volume
    volume_id = native_id(ref, "volumes", boot.volume, "boot_volume.volume")
    image_id = native_id(ref, "images", wanted.image, "server.image")
    _check_boot(request, image_id, volume_id)
    interfaces = _interfaces(request, ref)
    new_volume = _new_volume(request, image_id, ref) if request.HasField("boot_volume") and not volume_id else None
    newer = {
        "description": _description(wanted.description),
        "tags": _tags(wanted.tags),
        "host": options.host,
        "hostname": wanted.hostname,
    }
    return ServerPlan(
        server=_body(request, options, image_id, ref),
        hints=options.scheduler_hints or {},
        interfaces=interfaces,
        network_mode=options.network_mode,
        newer={word: value for word, value in newer.items() if value},
        volume_id=volume_id,
        new_volume=new_volume,
        delete_volume=boot.delete_with_server,
        data_volumes=[_data_volume(request, i, ref) for i in range(len(request.new_volumes))],
    )


def _check_boot(request: server_pb2.CreateServerRequest, image_id: str, volume_id: str) -> None:
    boot = request.boot_volume
    if volume_id and (boot.size_bytes or boot.volume_type):
        raise _bad("boot_volume", "an existing volume has its size and type; leave both out")
    if volume_id and image_id:
        raise _bad("server.image", "boot_volume.volume and server.image exclude each other; keep one")
    if not volume_id and not image_id:
        raise _bad("server.image", "name an image, or an existing volume in boot_volume.volume")
    if request.HasField("boot_volume") and not volume_id and not boot.size_bytes:
        raise _bad("boot_volume.size_bytes", "a new boot volume needs its size, in whole GiB")


def _body(
    request: server_pb2.CreateServerRequest, options: CreateServerOptions, image_id: str, ref: ClusterRef
) -> dict[str, Any]:
    wanted = request.server
    if not wanted.display_name:
        raise _bad("server.display_name", "Nova wants a name for a server")
    flavor_id = native_id(ref, "flavors", wanted.flavor, "server.flavor")
    if not flavor_id:
        raise _bad("server.flavor", "name a flavor")
    groups = _group_ids(ref, wanted.security_groups, "server.security_groups")
    body = {
        "name": wanted.display_name,
        "flavorRef": flavor_id,
        "imageRef": image_id,
        "key_name": native_id(ref, "keyPairs", wanted.key_pair, "server.key_pair"),
        "availability_zone": native_id(ref, "zones", wanted.zone, "server.zone"),
        "adminPass": request.admin_password,
        "user_data": _user_data(request.user_data),
        "config_drive": wanted.config_drive if wanted.HasField("config_drive") else None,
        "OS-DCF:diskConfig": options.disk_config,
        # Nova takes an id in place of a name.
        "security_groups": [{"name": group} for group in groups],
    }
    kept = {key: value for key, value in body.items() if value not in ("", None, [])}
    return kept | {"metadata": _metadata(wanted.labels)}


def _description(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise _bad("server.description", f"it has {len(text)} characters; Nova keeps {_MAX_TEXT}")
    return text


def _tags(tags: Sequence[str]) -> list[str]:
    """Refuse what Nova does not keep: 50 tags of 1 to 60 characters, of which one is a create's marker."""
    if len(tags) > _MAX_TAGS:
        raise _bad("server.tags", f"there are {len(tags)} tags; Nova keeps {_MAX_TAGS} of a caller")
    for i, tag in enumerate(tags):
        if not _TAG.fullmatch(tag) or is_marker(tag):
            text = f"{tag[:60]!r} can't be a tag: 1 to 60 characters, no comma, no slash, not beginning with 'cs-'"
            raise _bad(f"server.tags[{i}]", text)
    return list(tags)


def _metadata(labels: Mapping[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if key == MARKER_KEY or not key or len(key) > _MAX_TEXT or len(value) > _MAX_TEXT:
            text = f"the label {key[:60]!r} can't be kept: 1 to {_MAX_TEXT} characters each, {MARKER_KEY!r} is taken"
            raise _bad("server.labels", text)
    return dict(labels)


def _user_data(data: bytes) -> str:
    if len(data) > _MAX_USER_DATA:
        raise _bad("user_data", f"it has {len(data)} bytes; Nova takes {_MAX_USER_DATA}")
    return base64.b64encode(data).decode()


def _new_volume(request: server_pb2.CreateServerRequest, image_id: str, ref: ClusterRef) -> dict[str, Any]:
    boot = request.boot_volume
    body = {
        "name": request.server.display_name,
        "imageRef": image_id,
        "size": whole_gib(boot.size_bytes, "boot_volume.size_bytes"),
        "volume_type": native_id(ref, "volumeTypes", boot.volume_type, "boot_volume.volume_type"),
    }
    return {key: value for key, value in body.items() if value}


def _data_volume(request: server_pb2.CreateServerRequest, index: int, ref: ClusterRef) -> DataVolume:
    path, asked = f"new_volumes[{index}]", request.new_volumes[index]
    size = whole_gib(asked.size_bytes, f"{path}.size_bytes")
    if not size:
        raise _bad(f"{path}.size_bytes", "a new volume needs its size, in whole GiB")
    body: dict[str, Any] = {"name": asked.display_name or f"{request.server.display_name}-{index + 1}", "size": size}
    if kind := native_id(ref, "volumeTypes", asked.volume_type, f"{path}.volume_type"):
        body["volume_type"] = kind
    return DataVolume(body, asked.delete_with_server)


def _device(boot_index: int, source_id: str, source: str, goes_with_server: bool) -> dict[str, Any]:
    return {
        "boot_index": boot_index,
        "uuid": source_id,
        "source_type": source,
        "destination_type": "volume",
        "delete_on_termination": goes_with_server,
    }


def _need(version: Microversion, since: Microversion, what: str) -> None:
    if version < since:
        text = f"{what} needs Nova {since}; this cluster speaks {version}"
        raise Unsupported(text, reason="MICROVERSION_TOO_LOW")


# ---------------------------------------------------------------------- interfaces


def _interfaces(request: server_pb2.CreateServerRequest, ref: ClusterRef) -> list[Interface]:
    """Return the interfaces that a request asks for.

    Raises:
        InvalidRequest: One contradicts itself, or it could not be told later which port a floating IP belongs to.
    """
    found = [_interface(request, i, ref) for i in range(len(request.network_interfaces))]
    by_nova = [interface.network_id for interface in found if interface.made_by_nova]
    for i, interface in enumerate(found):
        if interface.floating_network_id and interface.made_by_nova and by_nova.count(interface.network_id) > 1:
            text = "two ports that Nova makes in one network can't be told apart; ask for a new_port in this interface"
            raise _bad(f"{_path(i)}.floating_network", text)
    return found


def _interface(request: server_pb2.CreateServerRequest, index: int, ref: ClusterRef) -> Interface:
    path, asked = _path(index), request.network_interfaces[index]
    network = native_id(ref, "networks", asked.network, f"{path}.network")
    port = native_id(ref, "ports", asked.port, f"{path}.port")
    floating = native_id(ref, "networks", asked.floating_network, f"{path}.floating_network")
    if bool(network) == bool(port):
        raise _bad(path, "give either a network or a port")
    _check_addresses(path, asked.ip_addresses)
    addresses = list(dict.fromkeys(asked.ip_addresses))
    if asked.HasField("new_port"):
        if port:
            raise _bad(f"{path}.new_port", "an existing port is given; leave one of both out")
        return Interface(network, "", addresses, _new_port(request, index, ref), floating)
    if port and addresses:
        raise _bad(f"{path}.ip_addresses", "a port has its addresses; leave them out")
    if len(addresses) > 1:
        raise _bad(f"{path}.ip_addresses", "Nova takes one address an interface; ask for a new_port for more")
    return Interface(network, port, addresses, None, floating)


def _new_port(request: server_pb2.CreateServerRequest, index: int, ref: ClusterRef) -> NewPort:
    asked, server = request.network_interfaces[index].new_port, request.server
    field = f"{_path(index)}.new_port.security_groups" if asked.security_groups else "server.security_groups"
    return NewPort(
        asked.display_name or server.display_name,
        _group_ids(ref, asked.security_groups or server.security_groups, field),
    )


def _group_ids(ref: ClusterRef, names: Sequence[str], field: str) -> list[str]:
    """Return the ids of security groups.

    Raises:
        InvalidRequest: One is not the resource name of a security group of the cluster.
    """
    return [native_id(ref, "securityGroups", name, f"{field}[{i}]") for i, name in enumerate(names)]


def _check_addresses(path: str, addresses: Sequence[str]) -> None:
    for i, address in enumerate(addresses):
        try:
            ip_address(address)
        except ValueError as error:
            raise _bad(f"{path}.ip_addresses[{i}]", f"{address!r} is not an IP address") from error


def _path(index: int) -> str:
    return f"network_interfaces[{index}]"


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])
