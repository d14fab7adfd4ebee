"""Addresses of subnets: which are free, and which one a port gets."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.wire import Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.store import Store

_RANDOM_TRIES = 20


def take(store: Store, subnet: Json, wanted: str | None = None) -> Json:
    """Reserve an address of the subnet, any one or the wanted one; return it as a fixed_ips entry.

    Raises:
        Refused: 409 if the address is taken or none is left.
    """
    used: set[str] = subnet["_used"]
    address = wanted or _free(store, subnet, used)
    if address is None:
        raise Refused(
            409, f"No more IP addresses available on network {subnet['network_id']}.", "IpAddressGenerationFailure"
        )
    if address in used:
        text = f"IP address {address} already allocated in subnet {subnet['id']}."
        raise Refused(409, text, "IpAddressAlreadyAllocated")
    used.add(address)
    return {"subnet_id": subnet["id"], "ip_address": address}


def take_from(store: Store, network_id: str, subnets: list[Json]) -> Json:
    """Reserve any address of the first subnet that has one left."""
    for subnet in subnets:
        if (address := _free(store, subnet, subnet["_used"])) is not None:
            return take(store, subnet, address)
    raise Refused(409, f"No more IP addresses available on network {network_id}.", "IpAddressGenerationFailure")


def give_back(store: Store, fixed_ips: list[Json]) -> None:
    for fixed in fixed_ips:
        subnet = store.subnets.get(fixed["subnet_id"])
        if subnet is not None:
            subnet["_used"].discard(fixed["ip_address"])


def holds(subnet: Json, address: str) -> bool:
    """Whether the address lies in the subnet's range."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet["cidr"])


def _free(store: Store, subnet: Json, used: set[str]) -> str | None:
    # Neutron picks at random within a pool, so that releasing and taking does not return the same address.
    for pool in subnet["allocation_pools"]:
        first, last = int(ipaddress.ip_address(pool["start"])), int(ipaddress.ip_address(pool["end"]))
        for _ in range(_RANDOM_TRIES):
            address = str(ipaddress.ip_address(store.random.randint(first, last)))
            if address not in used:
                return address
        for number in range(first, last + 1):
            if (address := str(ipaddress.ip_address(number))) not in used:
                return address
    return None
