"""Subnets: Neutron's ranges of addresses, each of one network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import common_pb2, network_pb2, subnet_pb2
from cloudspan_kit import BY_KEY, Capability, Kind, KindDriver, Operation, native_id, push, read_options
from cloudspan_kit.drivers import SubnetDriver
from cloudspan_openstack.cloud.neutron import Neutron, NeutronBody, Row, in_tags
from cloudspan_openstack.cloud.values import bad, check_text, description_of, labels_of, tags_of, timestamp
from cloudspan_openstack.network.ports import name_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

NewSubnet = subnet_pb2.Subnet | network_pb2.NewSubnet
"""A subnet that is asked for: by itself, or together with its network."""
Range = IPv4Network | IPv6Network

_S = subnet_pb2.Subnet
_IPV6_MODES = {
    "slaac": _S.IPV6_MODE_SLAAC,
    "dhcpv6-stateful": _S.IPV6_MODE_DHCPV6_STATEFUL,
    "dhcpv6-stateless": _S.IPV6_MODE_DHCPV6_STATELESS,
}
_IP_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}
_MAX_INT64 = (1 << 63) - 1


class PoolRow(msgspec.Struct):
    start: str
    end: str


class Route(msgspec.Struct):
    destination: str
    nexthop: str


class SubnetRow(Row, kw_only=True):
    network_id: str
    cidr: str
    ip_version: int
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: list[PoolRow] = msgspec.field(default_factory=list)
    dns_nameservers: list[str] = msgspec.field(default_factory=list)
    host_routes: list[Route] = msgspec.field(default_factory=list)
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None


SUBNETS = Kind(
    collection="subnets",
    message=subnet_pb2.Subnet,
    row=SubnetRow,
    source=Neutron("/subnets", "subnet", shared=True),
    # Neutron sorts by few attributes: created_at and description are refused with 400.
    sort={"display_name": "name", "cidr": "cidr", "network": "network_id"},
    changes_since="changed_since",
    push={
        "name": push.ref("id", "subnets"),
        "display_name": push.text("name"),
        "network": push.ref("network_id", "networks"),
        "cidr": push.text("cidr"),
    },
    # Of 8 equal creates of a subnet sent at once Neutron carried out one and refused 7 for the overlap.
    safety=BY_KEY,
    marker=in_tags(),
)


class CreateSubnetOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of CreateSubnet."""

    within_project: ClassVar[frozenset[str]] = frozenset({"ipv6_ra_mode", "ipv6_address_mode", "service_types"})
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    service_types: list[str] | None = None


class Subnets(KindDriver[SubnetRow, subnet_pb2.Subnet], SubnetDriver):
    """SubnetService."""

    kind = SUBNETS
    capabilities: ClassVar[Mapping[str, Capability]] = {"create_subnet": Capability(options=CreateSubnetOptions)}

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._subnets, self._networks, self._projects = f"{ref}/subnets/", f"{ref}/networks/", f"{ref}/projects/"

    def message(self, row: SubnetRow) -> subnet_pb2.Subnet:
        return _S(
            name=self._subnets + row.id,
            display_name=row.name,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            network=self._networks + row.network_id,
            cidr=row.cidr,
            ip_version=_IP_VERSIONS.get(row.ip_version, common_pb2.IP_VERSION_UNKNOWN),
            gateway_ip=row.gateway_ip or "",
            dhcp_enabled=row.enable_dhcp,
            host_routes=[_S.HostRoute(destination_cidr=r.destination, next_hop=r.nexthop) for r in row.host_routes],
            ipv6_address_mode=_ipv6_mode(row.ipv6_address_mode),
            ipv6_ra_mode=_ipv6_mode(row.ipv6_ra_mode),
            total_address_count=_total(row.allocation_pools),
            allocation_pools=[subnet_pb2.Subnet.AllocationPool(start=p.start, end=p.end) for p in row.allocation_pools],
            dns_nameservers=row.dns_nameservers,
            etag=row.etag,
        )

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet:
        wanted = request.subnet
        more: dict[str, object] = msgspec.to_builtins(read_options(request.options, CreateSubnetOptions))
        network = native_id(self._ref, "networks", wanted.network, "subnet.network")
        made = await op.create(SUBNETS, subnet_body(wanted, "subnet", {"network_id": network, **more}))
        return await self.to_message(op.call, await op.ready(SUBNETS, made, step="readable", percent=90))

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await op.delete(SUBNETS, op.call.id, refused=name_ports("subnets", "fixed_ips", "subnet_id={id}"))


def subnet_body(wanted: NewSubnet, field: str, more: dict[str, object]) -> NeutronBody:
    """Return what a request asks of a subnet; `field` is its path in the request, `more` what goes along.

    Raises:
        InvalidRequest: It contradicts itself, or Neutron could not keep it.
    """
    tags = tags_of(wanted.labels, f"{field}.labels")
    check_text(wanted.description, f"{field}.description")
    return NeutronBody(_fields(wanted, field) | more, tags, wanted.description)


def subnet_range(wanted: NewSubnet, field: str) -> Range:
    """Return the range that a request asks for.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return ip_network(wanted.cidr, strict=False)
    except ValueError as error:
        text = f"{field}.cidr is {wanted.cidr!r}, which is not a range ({error}); write it like 10.0.0.0/24"
        raise bad(f"{field}.cidr", text) from error


def _fields(wanted: NewSubnet, field: str) -> dict[str, object]:
    cidr = subnet_range(wanted, field)
    if wanted.ip_version not in (0, cidr.version):
        version = common_pb2.IpVersion.Name(wanted.ip_version)
        raise bad(f"{field}.ip_version", f"{field}.ip_version is {version}, but {cidr} is of IPv{cidr.version}")
    _check_addresses(wanted, field, cidr)
    fields: dict[str, object] = {
        "name": wanted.display_name,
        "cidr": str(cidr),
        "ip_version": cidr.version,
        "enable_dhcp": wanted.dhcp_enabled or not wanted.HasField("dhcp_enabled"),
    }
    if wanted.HasField("gateway_ip"):
        fields["gateway_ip"] = wanted.gateway_ip or None
    if wanted.allocation_pools:
        fields["allocation_pools"] = [{"start": pool.start, "end": pool.end} for pool in wanted.allocation_pools]
    if wanted.dns_nameservers:
        fields["dns_nameservers"] = list(wanted.dns_nameservers)
    if wanted.host_routes:
        fields["host_routes"] = [{"destination": r.destination_cidr, "nexthop": r.next_hop} for r in wanted.host_routes]
    return fields


def _check_addresses(wanted: NewSubnet, field: str, cidr: Range) -> None:
    """Refuse what is not an address: Neutron's own refusal would come once the network is there."""
    addresses = [
        *([(f"{field}.gateway_ip", wanted.gateway_ip)] if wanted.gateway_ip else []),
        *((f"{field}.dns_nameservers[{i}]", server) for i, server in enumerate(wanted.dns_nameservers)),
        *((f"{field}.host_routes[{i}].next_hop", route.next_hop) for i, route in enumerate(wanted.host_routes)),
    ]
    for path, address in addresses:
        _address(path, address)
    for i, route in enumerate(wanted.host_routes):
        path = f"{field}.host_routes[{i}].destination_cidr"
        try:
            ip_network(route.destination_cidr, strict=False)
        except ValueError as error:
            raise bad(path, f"{path} is {route.destination_cidr!r}, which is not a range ({error})") from error
    for i, pool in enumerate(wanted.allocation_pools):
        path = f"{field}.allocation_pools[{i}]"
        first, last = _address(f"{path}.start", pool.start), _address(f"{path}.end", pool.end)
        if first not in cidr or last not in cidr or int(first) > int(last):
            raise bad(path, f"{path} is {first} to {last}, which is not a range within {cidr}")


def _address(path: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise bad(path, f"{path} is {text!r}, which is not an IP address") from error


def _ipv6_mode(word: str | None) -> _S.Ipv6Mode | None:
    return _IPV6_MODES.get(word, _S.IPV6_MODE_UNKNOWN) if word else None


def _total(pools: Sequence[PoolRow]) -> int | None:
    """Return how many addresses the pools hold, as Neutron counts them too; none where that is not an int64."""
    try:
        total = sum(int(ip_address(pool.end)) - int(ip_address(pool.start)) + 1 for pool in pools)
    except ValueError:
        return None
    return total if pools and total <= _MAX_INT64 else None
