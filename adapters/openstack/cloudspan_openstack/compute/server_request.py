"""What a CreateServer request asks for, checked and put into Nova's words. Used by `server_create` only.

Nothing here asks the cloud, so a wrong request is refused before anything is made.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cloudspan_common.errors import InvalidRequest, Unsupported, Violation
from cloudspan_kit.values import native_id
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.values import whole_gib
from cloudspan_openstack.compute.server_interfaces import Interface, group_of, interfaces_of
from cloudspan_openstack.volume.storage_rows import MARKER_KEY

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
    options: Mapping[str, Any]
    """Those that depend on the microversion."""
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
            Unsupported: An option needs a later microversion than the cloud speaks.
        """
        for name in self.options:
            _need(version, _SINCE[name], f"options.{name}")
        if not self.interfaces and self.network_mode != "auto":
            _need(version, _NETWORK_MODES, "options.network_mode")

    def document(self, version: Microversion, parts: Parts) -> dict[str, Any]:
        """Return the body of Nova's create at `version`, with the parts that it is put together of."""
        server = {**self.server, **self.options}
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


def plan_of(wanted: server_pb2.Server, options: CreateServerOptions, ref: ClusterRef) -> ServerPlan:
    """Return what a request asks for.

    Raises:
        InvalidRequest: It contradicts itself, lacks something, or names resources of another cluster.
    """
    boot = wanted.boot_volume
    volume_id = native_id(ref, "volumes", boot.volume, "server.boot_volume.volume")
    image_id = native_id(ref, "images", wanted.image, "server.image")
    _check_boot(wanted, image_id, volume_id)
    interfaces = interfaces_of(wanted, ref)
    new_volume = _new_volume(wanted, image_id, ref) if wanted.HasField("boot_volume") and not volume_id else None
    return ServerPlan(
        server=_body(wanted, options, image_id, ref),
        hints=options.scheduler_hints or {},
        interfaces=interfaces,
        network_mode=options.network_mode,
        options={name: value for name in _SINCE if (value := getattr(options, name))},
        volume_id=volume_id,
        new_volume=new_volume,
        delete_volume=boot.delete_with_server,
        data_volumes=[_data_volume(wanted, i, ref) for i in range(len(wanted.new_volumes))],
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
        "security_groups": [
            {"name": group_of(ref, group, "server.security_groups")} for group in wanted.security_groups
        ],
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


def _new_volume(wanted: server_pb2.Server, image_id: str, ref: ClusterRef) -> dict[str, Any]:
    boot = wanted.boot_volume
    body = {
        "name": wanted.display_name,
        "imageRef": image_id,
        "size": whole_gib(boot.size_bytes, "server.boot_volume.size_bytes"),
        "volume_type": native_id(ref, "volumeTypes", boot.volume_type, "server.boot_volume.volume_type"),
    }
    return {key: value for key, value in body.items() if value}


def _data_volume(wanted: server_pb2.Server, index: int, ref: ClusterRef) -> DataVolume:
    path, asked = f"server.new_volumes[{index}]", wanted.new_volumes[index]
    size = whole_gib(asked.size_bytes, f"{path}.size_bytes")
    if not size:
        raise _bad(f"{path}.size_bytes", "a new volume needs its size, in whole GiB")
    body: dict[str, Any] = {"name": asked.display_name or f"{wanted.display_name}-{index + 1}", "size": size}
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


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])
