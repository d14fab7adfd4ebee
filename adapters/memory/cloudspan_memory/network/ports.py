"""Ports: where servers and routers are connected to networks. They are made with those alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import port_pb2
from cloudspan_common.errors import AlreadyExists
from cloudspan_kit import BY_KEY, Kind
from cloudspan_kit.drivers import PortDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers
from cloudspan_memory.network.subnets import free_address, subnet_with, subnets_of, taken_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_memory.cloud.store import Store

Port = port_pb2.Port

ROUTER = "router"
"""The `device_owner` of a router's ports."""
_MAC_PREFIX = "fa:16:3e"

PORTS = Kind(
    collection="ports",
    message=Port,
    row=Port,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Ports(MemoryDriver[Port], PortDriver):
    """PortService."""

    kind = PORTS


def new_port(store: Store, network: str, display_name: str, addresses: Sequence[str] = ()) -> New[Port]:
    """Return what makes a port with these addresses, or with a free one where none is asked for."""

    def build(port_id: str) -> Port:
        port = Port(display_name=display_name, network=network, state=Port.STATE_ACTIVE, admin_up=True)
        port.mac_address = ":".join((_MAC_PREFIX, *(port_id.replace("-", "")[i : i + 2] for i in (0, 2, 4))))
        for subnet, address in _addresses(store, network, addresses):
            port.fixed_ips.add(ip_address=address, subnet=subnet)
        return port

    return New(build)


def new_interface(store: Store, router: str, subnet_id: str) -> New[Port]:
    """Return what connects a router to a subnet: a port at the subnet's gateway address."""

    def build(_: str) -> Port:
        subnet = store.get("subnets", subnet_id)
        port = Port(network=subnet.network, device=router, device_id=router, device_owner=ROUTER, admin_up=True)
        port.state = Port.STATE_ACTIVE
        port.fixed_ips.add(ip_address=subnet.gateway_ip, subnet=subnet.name)
        return port

    return New(build)


def _addresses(store: Store, network: str, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return the addresses of a new port, as (subnet, address)."""
    if not wanted:
        return [free_address(store, network)] if subnets_of(store, network) else []
    taken = taken_addresses(store)
    found = []
    for address in wanted:
        if address in taken:
            raise AlreadyExists(f"the address {address} of {network} is taken; choose another, or none")
        found.append((subnet_with(store, network, address).name, address))
    return found
