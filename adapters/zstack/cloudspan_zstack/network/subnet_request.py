"""What is asked of a new subnet, alone or with its network: read from the request, and as the platform's call."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from cloudspan.v1 import common_pb2, network_pb2, subnet_pb2
from cloudspan_common.errors import AlreadyExists
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Cidr = IPv4Network | IPv6Network

AnySubnet = subnet_pb2.Subnet | network_pb2.NewSubnet
"""A new subnet by itself, or one that comes with its network: the same fields."""

_NORMAL = "Normal"
IPV4 = 4
_LEAST_ADDRESSES = 4


class CreateSubnetOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateSubnet."""

    within_project: ClassVar[frozenset[str]] = frozenset({"range_type", "ipv6_address_mode"})
    range_type: Literal["Normal", "AddressPool"] = "Normal"
    """An AddressPool gives addresses to VIPs only."""
    ipv6_address_mode: Literal["SLAAC", "Stateful-DHCP", "Stateless-DHCP"] = "Stateful-DHCP"


@dataclass(frozen=True, slots=True)
class SubnetWish:
    """A range as the platform has it: first and last address, network and gateway."""

    path: str
    """Where it stands in the request: `subnet`."""
    name: str
    description: str
    cidr: Cidr
    start: Address
    end: Address
    gateway: Address | None
    whole: bool
    """Whether it is all of the CIDR but the gateway, which the platform can work out itself."""
    dhcp: bool | None
    """None where nothing is said: as the network has it."""
    routes: Sequence[tuple[str, str]]
    """(destination, next hop)."""
    name_servers: Sequence[str]
    tags: Sequence[str]
    options: CreateSubnetOptions

    @property
    def is_pool(self) -> bool:
        """Whether it is for VIPs only: such a range needs no gateway, nor the network's CIDR."""
        return self.options.range_type != _NORMAL

    def meets(self, start: str, end: str) -> bool:
        """Whether it has an address in common with the run from `start` to `end`."""
        return int(ip_address(start)) <= int(self.end) and int(self.start) <= int(ip_address(end))

    def overlaps(self, told: str) -> AlreadyExists:
        """Return the error for a run of addresses that is taken, in part."""
        text = f"{self.start} to {self.end} of {self.cidr} overlaps another subnet of the network: {told}"
        return AlreadyExists(text, reason="RANGE_OVERLAPS")


def subnet_wish(subnet: AnySubnet, path: str, options: CreateSubnetOptions) -> SubnetWish:
    """Return what is asked for; `path` is where the subnet stands in the request.

    Raises:
        InvalidRequest: It contradicts itself, or is nothing that the platform can have.
    """
    cidr = _cidr(subnet, path)
    pools = subnet.allocation_pools
    if len(pools) > 1:
        text = f"a subnet is one run of addresses on this platform, not {len(pools)}: make one subnet for each"
        raise bad(f"{path}.allocation_pools", text)
    first, last = cidr[1], cidr[-2] if cidr.version == IPV4 else cidr[-1]
    gateway = _gateway(subnet, path, cidr, first, options)
    if pools:
        start, end = (_address(text, f"{path}.allocation_pools") for text in (pools[0].start, pools[0].end))
    else:
        start, end = _beside(gateway, first, last)
    if start not in cidr or end not in cidr or int(start) > int(end):
        raise bad(f"{path}.allocation_pools", f"{start} to {end} is not a run of addresses in {cidr}")
    if gateway is not None and int(start) <= int(gateway) <= int(end) and options.range_type == _NORMAL:
        text = f"the gateway {gateway} lies within {start} to {end}; give {path}.allocation_pools beside it"
        raise bad(f"{path}.allocation_pools", text)
    return SubnetWish(
        path=path,
        name=subnet.display_name or "subnet",
        description=subnet.description,
        cidr=cidr,
        start=start,
        end=end,
        gateway=gateway,
        whole=not pools and (gateway is not None or options.range_type != _NORMAL),
        dhcp=subnet.dhcp_enabled if subnet.HasField("dhcp_enabled") else None,
        routes=[_route(route, f"{path}.host_routes[{i}]") for i, route in enumerate(subnet.host_routes)],
        name_servers=[str(_address(text, f"{path}.dns_nameservers")) for text in subnet.dns_nameservers],
        tags=tags_of(subnet.labels, f"{path}.labels"),
        options=options,
    )


def subnet_change(wish: SubnetWish, network: str, uuid: str) -> Change:
    """Return the create call: by the whole CIDR, or by its first and last address."""
    family = "ip-ranges" if wish.cidr.version == IPV4 else "ipv6-ranges"
    params: dict[str, Any] = {
        "name": wish.name,
        "description": wish.description or None,
        "ipRangeType": wish.options.range_type,
        "resourceUuid": uuid,
    }
    template = f"/l3-networks/{{network}}/{family}"
    gateway = None if wish.gateway is None else str(wish.gateway)
    if family == "ipv6-ranges":
        params["addressMode"] = wish.options.ipv6_address_mode
    if wish.whole and (family == "ip-ranges" or wish.is_pool or wish.gateway == wish.cidr[1]):
        template += "/by-cidr"
        params["networkCidr"] = str(wish.cidr)
    else:
        params |= {"startIp": str(wish.start), "endIp": str(wish.end)}
        params |= {"netmask": str(wish.cidr.netmask)} if family == "ip-ranges" else {"prefixLen": wish.cidr.prefixlen}
    if family == "ip-ranges" or "startIp" in params:
        params["gateway"] = gateway
    return Change("POST", template, {"network": network}, params=params)


def _cidr(subnet: AnySubnet, path: str) -> Cidr:
    try:
        cidr = ip_network(subnet.cidr, strict=False)
    except ValueError as error:
        text = f"{path}.cidr is {subnet.cidr!r}, which is not a range of addresses ({error}); write it like 10.0.0.0/24"
        raise bad(f"{path}.cidr", text) from error
    if subnet.ip_version not in (0, cidr.version):
        told = f"{path}.ip_version is {common_pb2.IpVersion.Name(subnet.ip_version)}, {cidr} is of IPv{cidr.version}"
        raise bad(f"{path}.ip_version", told)
    if cidr.num_addresses < _LEAST_ADDRESSES:
        raise bad(f"{path}.cidr", f"{cidr} has {cidr.num_addresses} addresses, the platform needs {_LEAST_ADDRESSES}")
    return cidr


def _gateway(subnet: AnySubnet, path: str, cidr: Cidr, first: Address, options: CreateSubnetOptions) -> Address | None:
    """Return the gateway: the first address where nothing is said; None of an address pool unless it is given one."""
    if not subnet.gateway_ip and options.range_type != _NORMAL:
        return None
    if subnet.HasField("gateway_ip") and not subnet.gateway_ip:
        text = f"{path}.gateway_ip: a range that servers get addresses from needs a gateway on this platform"
        raise bad(f"{path}.gateway_ip", text, "GATEWAY_NEEDED")
    gateway = _address(subnet.gateway_ip, f"{path}.gateway_ip") if subnet.gateway_ip else first
    if gateway not in cidr:
        raise bad(f"{path}.gateway_ip", f"{path}.gateway_ip {gateway} is not in {cidr}")
    return gateway


def _beside(gateway: Address | None, first: Address, last: Address) -> tuple[Address, Address]:
    """Return all of a CIDR but its gateway, if that is at an edge: elsewhere it would become two ranges."""
    if gateway == first:
        return first + 1, last
    return (first, last - 1) if gateway == last else (first, last)


def _address(text: str, field: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise bad(field, f"{field}: {error}") from error


def _route(route: subnet_pb2.Subnet.HostRoute, path: str) -> tuple[str, str]:
    try:
        destination = ip_network(route.destination_cidr, strict=False)
    except ValueError as error:
        raise bad(f"{path}.destination_cidr", f"{path}.destination_cidr: {error}") from error
    return str(destination), str(_address(route.next_hop, f"{path}.next_hop"))
