"""Subnets: ranges of addresses of a network, and who has which of them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan.v1 import common_pb2, subnet_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed, QuotaExceeded, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit import BY_KEY, Kind
from cloudspan_kit.drivers import SubnetDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers
from cloudspan_memory.cloud.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Operation

Subnet = subnet_pb2.Subnet
Range = ipaddress.IPv4Network | ipaddress.IPv6Network

_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}
_NOT_HOSTS = 2  # the network's own address and the broadcast

SUBNETS = Kind(
    collection="subnets",
    message=Subnet,
    row=Subnet,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Subnets(MemoryDriver[Subnet], SubnetDriver):
    """SubnetService."""

    kind = SUBNETS

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        store.before_delete("subnets", self._refuse_used)

    def message(self, row: Subnet) -> Subnet:
        """Return it with the addresses that ports and floating IPs have taken."""
        shown, net = copied(row), ipaddress.ip_network(row.cidr)
        fixed = [ip.ip_address for port in self._store.all("ports") for ip in port.fixed_ips if ip.subnet == row.name]
        floating = [ip.ip_address for ip in self._store.all("floatingIps") if ip.external_network == row.network]
        used = {address for address in (*fixed, *floating) if ipaddress.ip_address(address) in net}
        shown.total_address_count = max(net.num_addresses - _NOT_HOSTS, 0)
        shown.used_address_count = len(used | {row.gateway_ip} - {""})
        shown.available_address_count = max(shown.total_address_count - shown.used_address_count, 0)
        return shown

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> Subnet:
        made = await op.create(SUBNETS, new_subnet(self._store, request.subnet, request.subnet.network))
        return self.message(self._store.get("subnets", made.id))

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await op.delete(SUBNETS, op.call.id)

    def _refuse_used(self, subnet: Subnet) -> None:
        ports = self._store.all("ports")
        refuse_used(subnet.name, [p.name for p in ports if any(ip.subnet == subnet.name for ip in p.fixed_ips)])


def refuse_used(name: str, users: Sequence[str]) -> None:
    """Raise PreconditionFailed that names the users, if there are any."""
    if users:
        raise PreconditionFailed(f"{name} is in use by {', '.join(users)}; delete those first")


# ---------------------------------------------------------------------- a new one


def new_subnet(store: Store, wanted: Subnet, network: str) -> New[Subnet]:
    """Return what makes a subnet in the network of that name.

    Raises:
        InvalidRequest: Its range is not one.
    """
    cidr = subnet_range(wanted.cidr, "subnet.cidr")

    def build(_: str) -> Subnet:
        store.get("networks", parse_resource(network, "networks", "subnet.network")[1])
        for other in subnets_of(store, network):
            if ipaddress.ip_network(other.cidr).overlaps(cidr):
                text = f"{cidr} overlaps {other.cidr} of {other.name}; choose a free range"
                raise AlreadyExists(text, reason="SUBNET_OVERLAPS", resource=other.name)
        subnet = copied(wanted)
        subnet.network, subnet.ip_version = network, _VERSIONS[cidr.version]
        if not subnet.HasField("gateway_ip"):
            subnet.gateway_ip = str(cidr[1])
        if not subnet.HasField("dhcp_enabled"):
            subnet.dhcp_enabled = True
        return subnet

    return New(build)


def subnet_range(text: str, field: str) -> Range:
    """Return the range of addresses that a field holds.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        text = f"{field} is {text!r}: {error}; expected a range such as 10.0.0.0/24"
        raise InvalidRequest(text, violations=[Violation(field, text)]) from error


# ---------------------------------------------------------------------- its addresses


def subnets_of(store: Store, network: str) -> list[Subnet]:
    """Return the subnets of the network of that name."""
    return [subnet for subnet in store.all("subnets") if subnet.network == network]


def subnet_with(store: Store, network: str, address: str, field: str = "network_interfaces.ip_addresses") -> Subnet:
    """Return the subnet of a network that an address is in.

    Raises:
        InvalidRequest: It is in none.
    """
    try:
        wanted = ipaddress.ip_address(address)
        return next(s for s in subnets_of(store, network) if wanted in ipaddress.ip_network(s.cidr))
    except (ValueError, StopIteration) as error:
        text = f"{address!r} is not an address in a subnet of {network}; leave it out, or choose one that is"
        raise InvalidRequest(text, violations=[Violation(field, text)]) from error


def taken_addresses(store: Store) -> set[str]:
    """Return the addresses that ports and floating IPs have."""
    fixed = {ip.ip_address for port in store.all("ports") for ip in port.fixed_ips}
    return fixed | {floating.ip_address for floating in store.all("floatingIps")}


def free_address(store: Store, network: str) -> tuple[str, str]:
    """Return (subnet, address): the first free one of a network.

    Raises:
        QuotaExceeded: There is none left, or no subnet to have one.
    """
    taken = taken_addresses(store)
    for subnet in subnets_of(store, network):
        for address in ipaddress.ip_network(subnet.cidr).hosts():
            if str(address) != subnet.gateway_ip and str(address) not in taken:
                return subnet.name, str(address)
    raise QuotaExceeded(f"{network} has no free address; make another subnet in it, or choose another network")
