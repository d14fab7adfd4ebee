"""CreateServer: ports, floating IPs and volumes of its own, then the server; undone in reverse when one fails.

`Compute.create_server` calls `make_server`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed
from cloudspan_common.names import parse_resource
from cloudspan_kit.driver import ABSENT
from cloudspan_kit.serve.options import read_options
from cloudspan_memory.addresses import check_addresses, check_external, make_floating_ip, make_port
from cloudspan_memory.making import make
from cloudspan_memory.server_parts import plug_in, plug_volume
from cloudspan_memory.storage import check_size, make_volume, until_available
from cloudspan_memory.store import copied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit.driver import Level, Operation
    from cloudspan_memory.store import Store

State = server_pb2.Server.State
Interface = server_pb2.Server.NetworkInterface

NOT_SERVED: Mapping[str, tuple[Level, str]] = {
    "server.boot_volume": (ABSENT, "a server in memory boots from nothing; use `new_volumes`"),
    "server.network_interfaces.new_port.security_groups": (ABSENT, "nothing is filtered in memory"),
}


class ServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only this platform knows of a server."""

    fail: bool = False
    """End in ERROR: for trying out what a failed create looks like."""


async def make_server(op: Operation, store: Store, request: server_pb2.CreateServerRequest) -> str:
    """Make a server with all that it asks for, and return its id; the last step is the server itself."""
    server = request.server
    options = read_options(request.options, ServerOptions) or ServerOptions()
    # Looked at once: later our own steps have changed what was found, and a flavor that goes is no reason to stop.
    seen = await op.read_once("size", functools.partial(_checked, store, server))
    ports = [await _make_interface(op, store, server, n) for n in range(len(server.network_interfaces))]
    volumes = [await _make_volume(op, store, server, n) for n in range(len(server.new_volumes))]

    def build(server_id: str) -> server_pb2.Server:
        built = _bare(server, seen)
        built.name = store.name("servers", server_id)
        for port, interface in zip(ports, server.network_interfaces, strict=True):
            plug_in(store, built, interface, port)
        for volume, wanted in zip(volumes, server.new_volumes, strict=True):
            plug_volume(built, store.get("volumes", volume), delete_with_server=wanted.delete_with_server)
        return built

    outcome = State.STATE_ERROR if options.fail else State.STATE_RUNNING
    becomes = functools.partial(set_state, state=outcome)
    return await make(op, store, "server", "servers", build, becomes=becomes)


def set_state(server: server_pb2.Server, state: State) -> None:
    """Let a server reach a state."""
    server.state = state
    if state == State.STATE_ERROR:
        server.fault.code, server.fault.message = 500, "failed as the option `fail` asked"


async def _checked(store: Store, server: server_pb2.Server) -> dict[str, int]:
    """Find what the server names; raise what is wrong with it."""
    flavor = store.get("flavors", parse_resource(server.flavor, "flavors", "server.flavor")[1])
    for interface in server.network_interfaces:
        _check_interface(store, interface)
    for number, volume in enumerate(server.new_volumes):
        check_size(volume.size_bytes, f"server.new_volumes[{number}].size_bytes")
    return {"vcpus": flavor.vcpus, "memory_mib": flavor.memory_mib}


def _check_interface(store: Store, interface: Interface) -> None:
    if bool(interface.network) == bool(interface.port) or (interface.port and interface.HasField("new_port")):
        raise InvalidRequest("each of server.network_interfaces needs either a network or an existing port")
    if interface.port:
        port = store.get("ports", parse_resource(interface.port, "ports", "server.network_interfaces.port")[1])
        if port.device_id:
            raise PreconditionFailed(f"{port.name} is in use by {port.server or port.device_id}; choose a free one")
    else:
        store.get("networks", parse_resource(interface.network, "networks", "server.network_interfaces.network")[1])
        check_addresses(store, interface.network, [*interface.ip_addresses, *interface.new_port.ip_addresses])
    if interface.floating_network:
        check_external(store, interface.floating_network, "server.network_interfaces.floating_network")


async def _make_interface(op: Operation, store: Store, server: server_pb2.Server, number: int) -> str:
    """Make what an interface asks for; return its port's id, or nothing for one that the platform makes by itself."""
    interface = server.network_interfaces[number]
    wanted = interface.new_port
    port_id = parse_resource(interface.port, "ports")[1] if interface.port else ""
    if not port_id and (interface.HasField("new_port") or interface.floating_network):
        name, addresses = wanted.display_name or server.display_name, [*interface.ip_addresses, *wanted.ip_addresses]
        port_id = await make_port(op, store, f"port-{number}", interface.network, name, addresses)
    if interface.floating_network:
        await make_floating_ip(op, store, f"floating-ip-{number}", interface.floating_network, port_id)
    return port_id


async def _make_volume(op: Operation, store: Store, server: server_pb2.Server, number: int) -> str:
    wanted = server.new_volumes[number]
    volume = volume_pb2.Volume(
        display_name=wanted.display_name or f"{server.display_name}-{number}",
        size_bytes=wanted.size_bytes,
        volume_type=wanted.volume_type,
    )
    volume_id = await make_volume(op, store, f"volume-{number}", volume)
    await until_available(op, store, f"volume-{number} available", volume_id)
    return volume_id


def _bare(server: server_pb2.Server, seen: Mapping[str, Any]) -> server_pb2.Server:
    """Return what is kept of a request: without what was for the create only, secrets above all."""
    bare = copied(server)
    fields: Sequence[str] = ("user_data", "admin_password", "new_volumes", "network_interfaces")
    for field in fields:
        bare.ClearField(field)
    bare.state, bare.vcpus, bare.memory_mib = State.STATE_BUILDING, int(seen["vcpus"]), int(seen["memory_mib"])
    return bare
