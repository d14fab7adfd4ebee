"""CreateServer: ports, floating IPs and volumes of its own, then the server; undone in reverse when one fails.

`Servers.create_server` calls `new_server`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import floating_ip_pb2, server_pb2, volume_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit import ABSENT, read_options
from cloudspan_memory.cloud.source import New
from cloudspan_memory.cloud.store import copied
from cloudspan_memory.compute.server_parts import plug_in, plug_volume
from cloudspan_memory.network.floating_ips import FLOATING_IPS, new_floating_ip
from cloudspan_memory.network.networks import check_external
from cloudspan_memory.network.ports import PORTS, new_port
from cloudspan_memory.network.subnets import subnet_with
from cloudspan_memory.volume.volumes import VOLUMES, check_size, new_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit import Level, Operation
    from cloudspan_memory.cloud.store import Store

State = server_pb2.Server.State
Interface = server_pb2.CreateServerRequest.NetworkInterface

NOT_SERVED: Mapping[str, tuple[Level, str]] = {
    "boot_volume": (ABSENT, "a server in memory boots from nothing; use `new_volumes`"),
    "network_interfaces.new_port.security_groups": (ABSENT, "nothing is filtered in memory"),
}


class ServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only this platform knows of a server."""

    within_project: ClassVar[frozenset[str]] = frozenset({"fail"})
    fail: bool = False
    """End in ERROR: for trying out what a failed create looks like."""


async def new_server(op: Operation, store: Store, request: server_pb2.CreateServerRequest) -> New[server_pb2.Server]:
    """Make what a server is created with, and return what makes the server itself."""
    options = read_options(request.options, ServerOptions) or ServerOptions()
    # Looked at once: later our own steps have changed what was found, and a flavor deleted meanwhile stops nothing.
    seen = await op.read_once("size", functools.partial(_checked, store, request))
    ports = [await _make_interface(op, store, request, n) for n in range(len(request.network_interfaces))]
    volumes = [await _make_volume(op, request, n) for n in range(len(request.new_volumes))]

    def build(server_id: str) -> server_pb2.Server:
        built = _bare(request.server, seen)
        built.name = store.name("servers", server_id)
        for port, interface in zip(ports, request.network_interfaces, strict=True):
            plug_in(store, built, interface, port)
        for volume, wanted in zip(volumes, request.new_volumes, strict=True):
            plug_volume(store, built, volume, delete_with_server=wanted.delete_with_server)
        return built

    outcome = State.STATE_ERROR if options.fail else State.STATE_RUNNING
    return New(build, functools.partial(set_state, state=outcome))


def set_state(server: server_pb2.Server, state: State) -> None:
    """Let a server reach a state."""
    server.state = state
    if state == State.STATE_ERROR:
        server.fault.code, server.fault.message = "500", "failed as the option `fail` asked"


async def _checked(store: Store, request: server_pb2.CreateServerRequest) -> dict[str, int]:
    """Find what the request names; raise what is wrong with it."""
    flavor = store.get("flavors", parse_resource(request.server.flavor, "flavors", "server.flavor")[1])
    if request.server.image:
        store.get("images", parse_resource(request.server.image, "images", "server.image")[1])
    for number, interface in enumerate(request.network_interfaces):
        _check_interface(store, interface, f"network_interfaces[{number}]")
    for number, volume in enumerate(request.new_volumes):
        check_size(volume.size_bytes, f"new_volumes[{number}].size_bytes")
    return {"vcpus": flavor.vcpus, "memory_mib": flavor.memory_mib, "disk_bytes": flavor.disk_bytes}


def _check_interface(store: Store, interface: Interface, field: str) -> None:
    if bool(interface.network) == bool(interface.port) or (interface.port and interface.HasField("new_port")):
        text = f"{field} needs either a network or an existing port"
        raise InvalidRequest(text, violations=[Violation(field, text)])
    if interface.port:
        port = store.get("ports", parse_resource(interface.port, "ports", f"{field}.port")[1])
        if port.device_id:
            raise PreconditionFailed(f"{port.name} is in use by {port.server or port.device_id}; choose a free one")
    else:
        store.get("networks", parse_resource(interface.network, "networks", f"{field}.network")[1])
        for address in interface.ip_addresses:
            subnet_with(store, interface.network, address, f"{field}.ip_addresses")
    if interface.floating_network:
        check_external(store, interface.floating_network, f"{field}.floating_network")


async def _make_interface(op: Operation, store: Store, request: server_pb2.CreateServerRequest, number: int) -> str:
    """Make what an interface asks for; return its port's id, or nothing for one that the platform makes by itself."""
    interface = request.network_interfaces[number]
    port_id = parse_resource(interface.port, "ports")[1] if interface.port else ""
    if not port_id and (interface.HasField("new_port") or interface.floating_network):
        name = interface.new_port.display_name or request.server.display_name
        body = new_port(store, interface.network, name, interface.ip_addresses)
        port_id = (await op.create(PORTS, body, step=f"port-{number}", part=True)).id
    if interface.floating_network:
        wanted = floating_ip_pb2.FloatingIp(external_network=interface.floating_network)
        leading = new_floating_ip(store, wanted, port_id)
        await op.create(FLOATING_IPS, leading, step=f"floating-ip-{number}", part=True)
    return port_id


async def _make_volume(op: Operation, request: server_pb2.CreateServerRequest, number: int) -> str:
    wanted = request.new_volumes[number]
    volume = volume_pb2.Volume(
        display_name=wanted.display_name or f"{request.server.display_name}-{number}",
        size_bytes=wanted.size_bytes,
        volume_type=wanted.volume_type,
    )
    made = await op.create(VOLUMES, new_volume(volume), step=f"volume-{number}", part=True)
    await op.ready(VOLUMES, made, step=f"volume-{number} available")
    return made.id


def _bare(server: server_pb2.Server, seen: Mapping[str, Any]) -> server_pb2.Server:
    """Return what is kept of a request, with what the flavor was then: it may change or go."""
    bare = copied(server)
    bare.state, bare.vcpus, bare.memory_mib = State.STATE_BUILDING, int(seen["vcpus"]), int(seen["memory_mib"])
    bare.flavor_snapshot.vcpus, bare.flavor_snapshot.memory_mib = bare.vcpus, bare.memory_mib
    bare.flavor_snapshot.disk_bytes = int(seen.get("disk_bytes", 0))
    bare.hostname = bare.hostname or server.display_name
    return bare
