"""Ports, floating IPs and the addresses that they take, for whoever makes them: servers and networks."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, subnet_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, QuotaExceeded, Violation
from cloudspan_common.names import parse_resource
from cloudspan_memory.making import make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Operation
    from cloudspan_memory.cloud.store import Store

_MAC_PREFIX = "fa:16:3e"


def check_external(store: Store, name: str, field: str) -> network_pb2.Network:
    """Return the external network of that name.

    Raises:
        NotFound: There is none of that name.
        InvalidRequest: It is not an external one.
    """
    network: network_pb2.Network = store.get("networks", parse_resource(name, "networks", field)[1])
    if not network.external:
        text = f"{field} is {name}, which is not an external network; list those with the filter `external = true`"
        raise InvalidRequest(text, violations=[Violation(field, text)])
    return network


async def make_port(
    op: Operation, store: Store, step: str, network: str, display_name: str, addresses: Sequence[str] = ()
) -> str:
    """Make a port with these addresses, or with a free one where none is asked for; return its id."""

    def build(port_id: str) -> port_pb2.Port:
        port = port_pb2.Port(
            display_name=display_name, network=network, state=port_pb2.Port.STATE_ACTIVE, admin_up=True
        )
        port.mac_address = ":".join((_MAC_PREFIX, *(port_id.replace("-", "")[i : i + 2] for i in (0, 2, 4))))
        _give_addresses(store, port, addresses)
        return port

    return await make(op, store, step, "ports", build)


async def make_interface(op: Operation, store: Store, step: str, router: str, subnet_id: str) -> str:
    """Connect a router to a subnet by a port at the subnet's gateway address; return the port's id."""

    def build(_: str) -> port_pb2.Port:
        subnet = store.get("subnets", subnet_id)
        port = port_pb2.Port(
            network=subnet.network, device=router, device_id=router, device_owner="router", admin_up=True
        )
        port.state = port_pb2.Port.STATE_ACTIVE
        port.fixed_ips.add(ip_address=subnet.gateway_ip, subnet=subnet.name)
        return port

    return await make(op, store, step, "ports", build)


async def make_floating_ip(
    op: Operation, store: Store, step: str, wanted: floating_ip_pb2.FloatingIp, port_id: str = ""
) -> str:
    """Take a floating IP from an external network, lead it to a port if there is one; return its id."""

    def build(_: str) -> floating_ip_pb2.FloatingIp:
        floating = floating_ip_pb2.FloatingIp()
        floating.CopyFrom(wanted)
        floating.state = floating_ip_pb2.FloatingIp.STATE_ACTIVE
        floating.ip_address = wanted.ip_address or free_address(store, wanted.external_network)[1]
        if port_id:
            fixed = store.get("ports", port_id).fixed_ips
            floating.port = store.name("ports", port_id)
            floating.fixed_ip_address = fixed[0].ip_address if fixed else ""
        return floating

    return await make(op, store, step, "floatingIps", build)


def is_taken(store: Store, address: str) -> bool:
    """Whether a port or a floating IP has an address."""
    return address in _taken(store)


def check_addresses(store: Store, network: str, addresses: Sequence[str], field: str) -> None:
    """Raise InvalidRequest for an address that is in no subnet of a network."""
    for address in addresses:
        _subnet_of(store, network, address, field)


def free_address(store: Store, network: str) -> tuple[str, str]:
    """Return (subnet, address): the first free one of a network.

    Raises:
        QuotaExceeded: There is none left, or no subnet to have one.
    """
    taken = _taken(store)
    for subnet in _subnets(store, network):
        for address in ipaddress.ip_network(subnet.cidr).hosts():
            if str(address) != subnet.gateway_ip and str(address) not in taken:
                return subnet.name, str(address)
    raise QuotaExceeded(f"{network} has no free address; make another subnet in it, or choose another network")


def _give_addresses(store: Store, port: port_pb2.Port, addresses: Sequence[str]) -> None:
    for address in addresses:
        if address in _taken(store):
            raise AlreadyExists(f"the address {address} of {port.network} is taken; choose another, or none")
        port.fixed_ips.add(ip_address=address, subnet=_subnet_of(store, port.network, address))
    if not addresses and _subnets(store, port.network):
        subnet, address = free_address(store, port.network)
        port.fixed_ips.add(ip_address=address, subnet=subnet)


def _taken(store: Store) -> set[str]:
    fixed = {ip.ip_address for port in store.all("ports") for ip in port.fixed_ips}
    return fixed | {floating.ip_address for floating in store.all("floatingIps")}


def _subnets(store: Store, network: str) -> list[subnet_pb2.Subnet]:
    return [subnet for subnet in store.all("subnets") if subnet.network == network]


def _subnet_of(store: Store, network: str, address: str, field: str = "network_interfaces.ip_addresses") -> str:
    try:
        wanted = ipaddress.ip_address(address)
        return next(s.name for s in _subnets(store, network) if wanted in ipaddress.ip_network(s.cidr))
    except (ValueError, StopIteration) as error:
        text = f"{address!r} is not an address in a subnet of {network}; leave it out, or choose one that is"
        raise InvalidRequest(text, violations=[Violation(field, text)]) from error
