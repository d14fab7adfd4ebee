"""What a server has in other collections: its ports, floating IPs and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.names import parse_resource

if TYPE_CHECKING:
    from cloudspan.v1 import server_pb2
    from cloudspan_memory.cloud.store import Store

    Wanted = server_pb2.CreateServerRequest.NetworkInterface


def plug_in(store: Store, server: server_pb2.Server, wanted: Wanted, port_id: str) -> None:
    """Give a server an interface, at a port if there is one."""
    index = len(server.network_interfaces)
    if not port_id:
        interface = server.network_interfaces.add(network=wanted.network, index=index)
        for address in wanted.ip_addresses:
            interface.fixed_ips.add(ip_address=address)
        return
    port = store.get("ports", port_id)
    port.server, port.device, port.device_id, port.device_owner = server.name, server.name, server.name, "server"
    store.touch(port)
    server.network_interfaces.add(network=port.network, port=port.name, index=index)


def plug_volume(
    store: Store, server: server_pb2.Server, volume_id: str, device: str = "", *, delete_with_server: bool = False
) -> None:
    """Attach a volume to a server."""
    volume = store.get("volumes", volume_id)
    number = len(server.volume_attachments) + 1
    device = device or f"/dev/vd{chr(ord('b') + len(server.volume_attachments))}"
    server.volume_attachments.add(volume=volume.name, device=device, delete_with_server=delete_with_server, boot=False)
    volume.attachments.add(server=server.name, device=device, id=f"{volume.name.rpartition('/')[2]}-{number}")
    volume.state = volume.STATE_IN_USE
    store.touch(volume)


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
        store.touch(volume)


def unplug_all(store: Store, server: server_pb2.Server) -> None:
    """Let go of what a server that goes had: its volumes are detached, its ports are free."""
    for attachment in list(server.volume_attachments):
        unplug_volume(store, server, attachment.volume)
    for port in store.all("ports"):
        if port.server == server.name:
            for field in ("server", "device", "device_id", "device_owner"):
                port.ClearField(field)
            store.touch(port)


def parts_of(store: Store, server_id: str) -> list[tuple[str, str]]:
    """Return what was created with a server and is deleted with it: by the marks, and for volumes by the request."""
    server = store.find("servers", server_id)
    if server is None:
        return []
    parts = store.made_with("servers", server_id, ("floatingIps", "ports"))
    volumes = [a.volume for a in server.volume_attachments if a.delete_with_server]
    return parts + [("volumes", parse_resource(volume, "volumes")[1]) for volume in volumes]


def show_addresses(store: Store, interface: server_pb2.Server.NetworkInterface) -> None:
    """Fill in what an interface's network, its port and the floating IPs that lead to it tell."""
    network = store.find("networks", parse_resource(interface.network, "networks")[1])
    interface.network_display_name = network.display_name if network is not None else ""
    interface.is_default = interface.index == 0
    if not interface.port:
        return
    port = store.find("ports", parse_resource(interface.port, "ports")[1])
    if port is not None:
        for ip in port.fixed_ips:
            subnet = store.find("subnets", parse_resource(ip.subnet, "subnets")[1]) if ip.subnet else None
            gateway = subnet.gateway_ip if subnet is not None else ""
            interface.fixed_ips.add(ip_address=ip.ip_address, subnet=ip.subnet, gateway_ip=gateway)
        interface.mac_address = port.mac_address
    interface.floating_ip_addresses.extend(
        ip.ip_address for ip in store.all("floatingIps") if ip.port == interface.port
    )
