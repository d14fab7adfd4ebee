"""Make and delete subnets: IP ranges of an L3 network, all of one CIDR and with one gateway.

`network.Network` builds on it. DHCP and name servers are the network's, not the range's: a subnet can add name servers
for all of the network and can't choose about DHCP. Deleting a range takes NICs and addresses along, in silence; so they
are looked for first, and refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.adapterkit.values import listed, native_id
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed
from cloudspan_zstack.beside import every
from cloudspan_zstack.labels import tags_of
from cloudspan_zstack.network_kinds import IP_RANGE, L3, Changes, bad
from cloudspan_zstack.network_mapping import cidr_of
from cloudspan_zstack.network_options import CreateSubnetOptions
from cloudspan_zstack.network_rows import AddressRow, L3Row
from cloudspan_zstack.session import Change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import subnet_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_common.names import ClusterRef

Address = IPv4Address | IPv6Address
Cidr = IPv4Network | IPv6Network

_IPV4 = 4
_LEAST_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A range as the platform has it: first and last address, network and gateway."""

    network: str
    cidr: Cidr
    start: Address
    end: Address
    gateway: Address | None
    whole: bool
    """Whether it is all of the CIDR but the gateway, which the platform can work out itself."""


class SubnetChanges(Changes):
    """The mutations of subnets of one cluster."""

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet | None:
        subnet, options = request.subnet, read_options(request.options, CreateSubnetOptions)
        wanted, tags = _wanted(subnet, self._ref), tags_of(subnet.labels, "subnet.labels")
        name_servers = [_address(text, "subnet.dns_nameservers") for text in subnet.dns_nameservers]

        async def change(call: Call, uuid: str) -> Change:
            await self._check_network(call, subnet, wanted, uuid)
            return _change(subnet, wanted, options, uuid, tags)

        try:
            uuid = await self._creation.make(op, "subnet", IP_RANGE, change)
        except InvalidRequest as error:
            if "overlap" not in error.message.lower():
                raise
            raise _overlaps(wanted, error.message) from error
        op.touches(self._ref.resource("subnets", uuid))
        for number, server in enumerate(name_servers):
            await self._add_dns(op, f"dns-{number}", wanted.network, str(server))
        row = await op.until("readable", lambda: self._creation.row(op.call, IP_RANGE, uuid), percent=90)
        (message,) = await self._messages.subnets(op.call, [row])
        return message

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        op.touches(request.name)
        uuid = native_id(self._ref, "subnets", request.name, "name")
        await op.look("check", lambda: self._refuse_addresses(op.call, request.name, uuid))
        await self._creation.remove(op, "delete", IP_RANGE, uuid)

    async def _check_network(self, call: Call, subnet: subnet_pb2.Subnet, wanted: _Wanted, uuid: str) -> None:
        """Say in our words what the platform would refuse in its own.

        Raises:
            AlreadyExists: The range overlaps another one.
            PreconditionFailed: The network has another CIDR, or serves DHCP that is not wanted.
        """
        l3 = await self._session.get_one(call, L3.one, L3Row, args={"uuid": wanted.network})
        for span in l3.ip_ranges:
            if span.uuid == uuid or span.ip_version != wanted.cidr.version:
                continue
            name = self._ref.resource("subnets", span.uuid)
            if ip_network(cidr_of(span)).overlaps(wanted.cidr) and _meet(span.start_ip, span.end_ip, wanted):
                raise _overlaps(wanted, f"{name} has {span.start_ip} to {span.end_ip}")
            if cidr_of(span) != str(wanted.cidr) or span.gateway != str(wanted.gateway or ""):
                text = (
                    f"{subnet.network} is {cidr_of(span)} with the gateway {span.gateway or 'none'} by {name}, and a "
                    f"network has one CIDR and gateway on this platform; {wanted.cidr} needs a network of its own"
                )
                raise PreconditionFailed(text, reason="ONE_CIDR_A_NETWORK", resource=subnet.network)
        if subnet.dhcp_disabled and "DHCP" in l3.services:
            text = f"{subnet.network} serves DHCP to all of its subnets; make a network without it by options.services"
            raise PreconditionFailed(text, reason="DHCP_OF_THE_NETWORK", resource=subnet.network)

    async def _add_dns(self, op: Operation, step: str, network: str, server: str) -> None:
        args = {"uuid": network}

        async def holds() -> bool:
            row = await self._creation.row(op.call, L3, network)
            return row is not None and server in row.dns

        async def undo(done: Mapping[str, Any]) -> None:
            if done and await holds():
                change = Change("DELETE", "/l3-networks/{uuid}/dns/{dns}", {**args, "dns": server})
                await self._session.act(op.call, change, job=f"{op.marker(step)} undo")

        change = Change("POST", "/l3-networks/{uuid}/dns", args, params={"dns": server})
        await self._creation.apply(op, step, change, holds=holds, undo=undo)

    async def _refuse_addresses(self, call: Call, name: str, uuid: str) -> None:
        """Refuse while NICs or virtual addresses are of the range: they would go with it.

        Raises:
            PreconditionFailed: They are listed.
        """
        taken = await every(self._session, call, "/l3-networks/ip-address", AddressRow, [f"ipRangeUuid={uuid}"])
        # The platform's own DHCP server has an address as well, which nobody misses.
        users = [
            f"{self._ref.resource('ports', row.vm_nic_uuid)} ({row.ip})" if row.vm_nic_uuid else f"{row.ip} (a VIP)"
            for row in taken
            if row.vm_nic_uuid or row.used_for.lower().startswith("vip")
        ]
        if users:
            text = f"{name} has {len(users)} addresses in use, release them first: {listed(users)}"
            raise PreconditionFailed(text, reason="IN_USE", resource=name)


def _wanted(subnet: subnet_pb2.Subnet, ref: ClusterRef) -> _Wanted:
    cidr = _cidr(subnet)
    pools = subnet.allocation_pools
    if len(pools) > 1:
        text = f"a subnet is one run of addresses on this platform, not {len(pools)}: make one subnet for each"
        raise bad("subnet.allocation_pools", text)
    first, last = cidr[1], cidr[-2] if cidr.version == _IPV4 else cidr[-1]
    gateway = None if subnet.no_gateway else _gateway(subnet, cidr, first)
    if pools:
        start, end = (_address(text, "subnet.allocation_pools") for text in (pools[0].start, pools[0].end))
    else:
        start, end = _beside(gateway, first, last)
    if start not in cidr or end not in cidr or int(start) > int(end):
        raise bad("subnet.allocation_pools", f"{start} to {end} is no run of addresses in {cidr}")
    if gateway is not None and int(start) <= int(gateway) <= int(end):
        text = f"the gateway {gateway} lies within {start} to {end}; give subnet.allocation_pools beside it"
        raise bad("subnet.allocation_pools", text)
    network = native_id(ref, "networks", subnet.network, "subnet.network")
    return _Wanted(network, cidr, start, end, gateway, whole=not pools and gateway is not None)


def _cidr(subnet: subnet_pb2.Subnet) -> Cidr:
    try:
        cidr = ip_network(subnet.cidr, strict=False)
    except ValueError as error:
        text = f"subnet.cidr is {subnet.cidr!r}, which is no range of addresses ({error}); write it like 10.0.0.0/24"
        raise bad("subnet.cidr", text) from error
    if subnet.ip_version not in (0, cidr.version):
        raise bad("subnet.ip_version", f"subnet.ip_version is {subnet.ip_version}, {cidr} is of IPv{cidr.version}")
    if cidr.num_addresses < _LEAST_ADDRESSES:
        raise bad("subnet.cidr", f"{cidr} has {cidr.num_addresses} addresses, the platform needs {_LEAST_ADDRESSES}")
    return cidr


def _gateway(subnet: subnet_pb2.Subnet, cidr: Cidr, first: Address) -> Address:
    gateway = _address(subnet.gateway_ip, "subnet.gateway_ip") if subnet.gateway_ip else first
    if gateway not in cidr:
        raise bad("subnet.gateway_ip", f"subnet.gateway_ip {gateway} is not in {cidr}")
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


def _change(
    subnet: subnet_pb2.Subnet, wanted: _Wanted, options: CreateSubnetOptions, uuid: str, tags: Sequence[str]
) -> Change:
    family = "ip-ranges" if wanted.cidr.version == _IPV4 else "ipv6-ranges"
    params: dict[str, Any] = {
        "name": subnet.display_name or "subnet",
        "description": subnet.description or None,
        "ipRangeType": options.range_type,
        "resourceUuid": uuid,
    }
    template = f"/l3-networks/{{network}}/{family}"
    gateway = None if wanted.gateway is None else str(wanted.gateway)
    if family == "ipv6-ranges":
        params["addressMode"] = options.ipv6_address_mode
    if wanted.whole and (family == "ip-ranges" or wanted.gateway == wanted.cidr[1]):
        template += "/by-cidr"
        params["networkCidr"] = str(wanted.cidr)
    else:
        params |= {"startIp": str(wanted.start), "endIp": str(wanted.end)}
        params |= (
            {"netmask": str(wanted.cidr.netmask)} if family == "ip-ranges" else {"prefixLen": wanted.cidr.prefixlen}
        )
    if family == "ip-ranges" or "startIp" in params:
        params["gateway"] = gateway
    return Change("POST", template, {"network": wanted.network}, params=params, user_tags=tags)


def _meet(start: str, end: str, wanted: _Wanted) -> bool:
    return int(ip_address(start)) <= int(wanted.end) and int(wanted.start) <= int(ip_address(end))


def _overlaps(wanted: _Wanted, told: str) -> AlreadyExists:
    text = f"{wanted.start} to {wanted.end} of {wanted.cidr} overlaps another subnet of the network: {told}"
    return AlreadyExists(text, reason="RANGE_OVERLAPS")
