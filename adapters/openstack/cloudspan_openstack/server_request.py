"""What a CreateServer request asks for, checked and put into Nova's words. Used by `server_create` only.

Nothing here asks the cloud, so a wrong request is refused before anything is made.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cloudspan_common.adapterkit.values import native_id
from cloudspan_common.errors import InvalidRequest, Unsupported, Violation
from cloudspan_openstack.catalogue import Microversion
from cloudspan_openstack.storage_rows import MARKER_KEY
from cloudspan_openstack.values import whole_gib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.names import ClusterRef

_MAX_USER_DATA = 48 * 1024  # Nova takes 65 535 characters of base64
_MAX_TEXT = 255


class CreateServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only OpenStack knows of a new server."""

    config_drive: bool | None = None
    """Whether the guest gets its metadata on a drive."""
    disk_config: Literal["AUTO", "MANUAL"] | None = None
    """Whether Nova grows the image's partition to the flavor's disk."""
    description: str | None = None
    """Text for people, at most 255 characters."""
    hostname: str | None = None
    """Host name told to the guest, where it is not to follow the display name; Nova 2.90."""
    scheduler_hints: dict[str, str | list[str]] | None = None
    """Hints for Nova's scheduler: group, same_host, different_host and what the cloud's filters know."""
    host: str | None = None
    """The compute host to build on; administrators only, Nova 2.74."""
    tags: list[str] = []
    """Nova's own tags; Nova 2.52."""
    network_mode: Literal["auto", "none"] = "auto"
    """Without network_interfaces: `auto` takes the project's only network, or makes one where the cloud offers that;
    `none` boots without network; Nova 2.37."""


# Options by the microversion that brought them.
_SINCE = {
    "description": Microversion(2, 19),
    "tags": Microversion(2, 52),
    "host": Microversion(2, 74),
    "hostname": Microversion(2, 90),
}
_NETWORK_MODES = Microversion(2, 37)


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A checked request."""

    server: Mapping[str, Any]
    """Nova's body as far as it depends on nothing else."""
    hints: Mapping[str, Any]
    networks: Sequence[Mapping[str, str]]
    network_mode: str
    options: Mapping[str, Any]
    """Those that depend on the microversion."""
    volume_id: str = ""
    """The existing volume to boot from."""
    new_volume: Mapping[str, Any] | None = None
    """The volume to make and boot from, in Cinder's words."""
    delete_volume: bool = False
    port_ids: Sequence[str] = field(default=())

    @property
    def exclusive(self) -> bool:
        """Whether it names what only one server can have: a second send meets the first one's."""
        return bool(self.port_ids or self.volume_id or self.new_volume or any("fixed_ip" in n for n in self.networks))

    def document(self, version: Microversion, volume_id: str) -> dict[str, Any]:
        """Return the body of Nova's create at `version`; boots from `volume_id` if there is one.

        Raises:
            Unsupported: An option needs a later microversion than the cloud speaks.
        """
        server = {**self.server}
        for name, value in self.options.items():
            _need(version, _SINCE[name], f"options.{name}")
            server[name] = value
        if self.networks:
            server["networks"] = list(self.networks)
        elif version >= _NETWORK_MODES:
            server["networks"] = self.network_mode
        elif self.network_mode != "auto":
            _need(version, _NETWORK_MODES, "options.network_mode")
        if volume_id:
            server["imageRef"] = ""
            server["block_device_mapping_v2"] = [
                {
                    "boot_index": 0,
                    "uuid": volume_id,
                    "source_type": "volume",
                    "destination_type": "volume",
                    "delete_on_termination": self.delete_volume,
                }
            ]
        hints = {"os:scheduler_hints": dict(self.hints)} if self.hints else {}
        return {"server": server, **hints}


def plan_of(wanted: server_pb2.Server, options: CreateServerOptions, ref: ClusterRef) -> ServerPlan:
    """Return what a request asks for.

    Raises:
        InvalidRequest: It contradicts itself, lacks something, or names resources of another cluster.
    """
    boot = wanted.boot_volume
    volume_id = native_id(ref, "volumes", boot.volume, "server.boot_volume.volume")
    image_id = native_id(ref, "images", wanted.image, "server.image")
    _check_boot(wanted, image_id, volume_id)
    networks = [_network(ref, interface, i) for i, interface in enumerate(wanted.network_interfaces)]
    new_volume = _new_volume(wanted, image_id, ref) if wanted.HasField("boot_volume") and not volume_id else None
    return ServerPlan(
        server=_body(wanted, options, image_id, ref),
        hints=options.scheduler_hints or {},
        networks=networks,
        network_mode=options.network_mode,
        options={name: value for name in _SINCE if (value := getattr(options, name))},
        volume_id=volume_id,
        new_volume=new_volume,
        delete_volume=boot.delete_with_server,
        port_ids=[network["port"] for network in networks if "port" in network],
    )


def _check_boot(wanted: server_pb2.Server, image_id: str, volume_id: str) -> None:
    boot = wanted.boot_volume
    if volume_id and (boot.size_bytes or boot.volume_type):
        raise _bad("server.boot_volume", "an existing volume has its size and type; leave both out")
    if volume_id and image_id:
        raise _bad("server.image", "boot_volume.volume and image exclude each other; keep one")
    if not volume_id and not image_id:
        raise _bad("server.image", "name an image, or an existing volume in boot_volume.volume")
    if wanted.HasField("boot_volume") and not volume_id and not boot.size_bytes:
        raise _bad("server.boot_volume.size_bytes", "a new boot volume needs its size, in whole GiB")


def _body(wanted: server_pb2.Server, options: CreateServerOptions, image_id: str, ref: ClusterRef) -> dict[str, Any]:
    if not wanted.display_name:
        raise _bad("server.display_name", "Nova wants a name for a server")
    flavor_id = native_id(ref, "flavors", wanted.flavor, "server.flavor")
    if not flavor_id:
        raise _bad("server.flavor", "name a flavor")
    body = {
        "name": wanted.display_name,
        "flavorRef": flavor_id,
        "imageRef": image_id,
        "key_name": native_id(ref, "keyPairs", wanted.key_pair, "server.key_pair"),
        "availability_zone": native_id(ref, "zones", wanted.zone, "server.zone"),
        "adminPass": wanted.admin_password,
        "user_data": _user_data(wanted.user_data),
        "config_drive": options.config_drive,
        "OS-DCF:diskConfig": options.disk_config,
        "security_groups": [{"name": _group(ref, group)} for group in wanted.security_groups],
    }
    kept = {key: value for key, value in body.items() if value not in ("", None, [])}
    return kept | {"metadata": _metadata(wanted.labels)}


def _metadata(labels: Mapping[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if key == MARKER_KEY or not key or len(key) > _MAX_TEXT or len(value) > _MAX_TEXT:
            text = f"the label {key[:60]!r} can't be kept: 1 to {_MAX_TEXT} characters each, {MARKER_KEY!r} is taken"
            raise _bad("server.labels", text)
    return dict(labels)


def _user_data(text: str) -> str:
    data = text.encode()
    if len(data) > _MAX_USER_DATA:
        raise _bad("server.user_data", f"it has {len(data)} bytes; Nova takes {_MAX_USER_DATA}")
    return base64.b64encode(data).decode()


def _group(ref: ClusterRef, group: str) -> str:
    """Nova takes a security group's id as well as its name."""
    if group.startswith("platforms/"):
        return native_id(ref, "securityGroups", group, "server.security_groups")
    return group


def _network(ref: ClusterRef, interface: server_pb2.Server.NetworkInterface, index: int) -> dict[str, str]:
    field_path = f"server.network_interfaces[{index}]"
    network = native_id(ref, "networks", interface.network, f"{field_path}.network")
    port = native_id(ref, "ports", interface.port, f"{field_path}.port")
    if bool(network) == bool(port):
        raise _bad(field_path, "give either a network or a port")
    if port:
        if interface.ip_addresses:
            raise _bad(f"{field_path}.ip_addresses", "a port has its addresses; leave them out")
        return {"port": port}
    if len(interface.ip_addresses) > 1:
        raise _bad(f"{field_path}.ip_addresses", "Nova takes one address an interface; make a port for more")
    return {"uuid": network} | ({"fixed_ip": interface.ip_addresses[0]} if interface.ip_addresses else {})


def _new_volume(wanted: server_pb2.Server, image_id: str, ref: ClusterRef) -> dict[str, Any]:
    boot = wanted.boot_volume
    body = {
        "name": wanted.display_name,
        "imageRef": image_id,
        "size": whole_gib(boot.size_bytes, "server.boot_volume.size_bytes"),
        "volume_type": native_id(ref, "volumeTypes", boot.volume_type, "server.boot_volume.volume_type"),
    }
    return {key: value for key, value in body.items() if value}


def _need(version: Microversion, since: Microversion, what: str) -> None:
    if version < since:
        text = f"{what} needs Nova {since}; this cluster speaks {version}"
        raise Unsupported(text, reason="MICROVERSION_TOO_LOW")


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])
