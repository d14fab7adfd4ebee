"""What a server has in other collections: its ports, floating IPs and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.names import parse_resource

if TYPE_CHECKING:
    from cloudspan.v1 import server_pb2, volume_pb2
    from cloudspan_memory.store import Store

    Interface = server_pb2.Server.NetworkInterface


def plug_in(store: Store, server: server_pb2.Server, wanted: Interface, port_id: str) -> None:
    """Give a server an interface, at a port if there is one."""
    if not port_id:
        server.network_interfaces.add(network=wanted.network, ip_addresses=wanted.ip_addresses)
        return
    port = store.get("ports", port_id)
    port.server, port.device_id, port.device_owner = server.name, server.name, "server"
    server.network_interfaces.add(network=port.network, port=port.name)


def plug_volume(
    server: server_pb2.Server, volume: volume_pb2.Volume, device: str = "", *, delete_with_server: bool = False
) -> None:
    """Attach a volume to a server."""
    device = device or f"/dev/vd{chr(ord('b') + len(server.volume_attachments))}"
    server.volume_attachments.add(volume=volume.name, device=device, delete_with_server=delete_with_server)
    volume.attachments.add(server=server.name, device=device)
    volume.state = volume.STATE_IN_USE


def unplug_volume(store: Store, server: server_pb2.Server, volume_name: str) -> None:
    """Detach a volume from a server; nothing happens when it is not attached."""
    kept = [attachment for attachment in server.volume_attachments if attachment.volume != volume_name]
    if len(kept) == len(server.volume_attachments):
        return
    del server.volume_attachments[:]
    server.volume_attachments.extend(kept)
    volume = store.find("volumes", parse_resource(volume_name, "volumes", "volume")[1])
    if volume is not None:
        del volume.attachments[:]
        volume.state = volume.STATE_AVAILABLE


def unplug_all(store: Store, server: server_pb2.Server) -> None:
    """Let go of what a server that goes had: its volumes are detached, its ports are free."""
    for attachment in list(server.volume_attachments):
        unplug_volume(store, server, attachment.volume)
    for port in store.all("ports"):
        if port.server == server.name:
            for field in ("server", "device_id", "device_owner"):
                port.ClearField(field)


def parts_of(store: Store, server_id: str) -> list[tuple[str, str]]:
    """Return what was made with a server and goes with it: the marks tell, and of volumes what was asked for."""
    server = store.find("servers", server_id)
    if server is None:
        return []
    parts = store.made_with("servers", server_id, ("floatingIps", "ports"))
    volumes = [a.volume for a in server.volume_attachments if a.delete_with_server]
    return parts + [("volumes", parse_resource(volume, "volumes")[1]) for volume in volumes]


def show_addresses(store: Store, interface: Interface) -> None:
    """Fill in what an interface's port and the floating IPs that lead to it tell."""
    if not interface.port:
        return
    port = store.find("ports", parse_resource(interface.port, "ports")[1])
    if port is not None:
        interface.ip_addresses.extend(ip.ip_address for ip in port.fixed_ips)
        interface.mac_address = port.mac_address
    interface.floating_ip_addresses.extend(
        ip.ip_address for ip in store.all("floatingIps") if ip.port == interface.port
    )
