"""Subnets: IP ranges of an L3 network, all of one CIDR and with one gateway, and its address pools.

DHCP and name servers are the network's, not the range's: a subnet can add name servers for all of the network and can't
choose about DHCP. The platform gives the tags of a new range to its network; so labels are sent after it, as tags of
the range's own. Deleting a range takes NICs and addresses along, in silence; so they are looked for first, and refused
by name.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import common_pb2, subnet_pb2
from cloudspan_common.errors import AlreadyExists, Forbidden, PreconditionFailed
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    Call,
    Capability,
    Kind,
    KindDriver,
    Operation,
    native_id,
    push,
    read_options,
)
from cloudspan_kit.drivers import SubnetDriver
from cloudspan_zstack.cloud.beside import both, by_uuid, read_marks, rows_by
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.jobs import Change, resource_uuid
from cloudspan_zstack.cloud.queries import batches
from cloudspan_zstack.cloud.source import UserTags, ZStackSource, add_label, session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.network.address_users import refuse_range_users
from cloudspan_zstack.network.networks import L3, IpRangeRow, L3Row
from cloudspan_zstack.network.subnet_request import CreateSubnetOptions, SubnetWish, subnet_change, subnet_wish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.cloud.session import Session

_S = subnet_pb2.Subnet
_TYPE = "IpRangeVO"
_IPV6_MODES = {
    "SLAAC": _S.IPV6_MODE_SLAAC, "Stateful-DHCP": _S.IPV6_MODE_DHCPV6_STATEFUL,
    "Stateless-DHCP": _S.IPV6_MODE_DHCPV6_STATELESS,
}  # fmt: skip
_IP_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}
_MOST_COUNTED = (1 << 63) - 1


class Capacity(msgspec.Struct, rename="camel"):
    """How many addresses of one range are taken; older releases tell of all ranges together only."""

    resource_uuid: str = ""
    used_ip_address_number: int | None = None
    available_capacity: int | None = None


class Capacities(msgspec.Struct, rename="camel"):
    """Answer to a question about several ranges."""

    capacity_data: list[Capacity] = []


SUBNETS = Kind(
    collection="subnets",
    message=subnet_pb2.Subnet,
    row=IpRangeRow,
    source=ZStackSource("/l3-networks/ip-ranges"),
    sort={
        "display_name": "name",
        "create_time": "createDate",
        "update_time": "lastOpDate",
        "cidr": "networkCidr",
        "network": "l3NetworkUuid",
    },
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "subnets"),
        "display_name": push.text("name"),
        "network": push.ref("l3NetworkUuid", "networks"),
        "gateway_ip": push.text("gateway"),
        "ip_version": push.words({"IPV4": ("ipVersion=4",), "IPV6": ("ipVersion=6",)}),
    },
    safety=BY_KEY,
    # The platform files the tags of a range as those of its network.
    marker=UserTags(_TYPE, "L3NetworkVO"),
)


class Subnets(KindDriver[IpRangeRow, subnet_pb2.Subnet], SubnetDriver):
    """SubnetService."""

    kind = SUBNETS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_subnets": Capability(
            fields={"ipv6_ra_mode": (ABSENT, "the platform does not tell it apart from ipv6_address_mode")}
        ),
        "create_subnet": Capability(options=CreateSubnetOptions),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._subnets, self._networks = f"{ref}/subnets/", f"{ref}/networks/"

    async def messages(self, call: Call, rows: Sequence[IpRangeRow]) -> Sequence[subnet_pb2.Subnet]:
        session = session_of(call)
        l3s, capacities = await both(
            rows_by(session, call, "/l3-networks", L3Row, "uuid", (row.l3_network_uuid for row in rows)),
            _capacities(session, call, rows),
        )
        marks, known = await read_marks(session, call, self._ref, _TYPE, [*rows, *l3s]), by_uuid(l3s)
        return [self._message(row, marks, known.get(row.l3_network_uuid), capacities.get(row.uuid)) for row in rows]

    def _message(self, row: IpRangeRow, marks: Marks, l3: L3Row | None, capacity: Capacity | None) -> subnet_pb2.Subnet:
        total = _size(row)
        return _S(
            name=self._subnets + row.uuid,
            display_name=row.name,
            project=marks.project(row.uuid) or (marks.project(l3.uuid) if l3 else None),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            network=self._networks + row.l3_network_uuid,
            cidr=cidr_of(row),
            ip_version=_IP_VERSIONS.get(row.ip_version, common_pb2.IP_VERSION_UNKNOWN),
            gateway_ip="" if row.is_pool else row.gateway,
            # DHCP, name servers and routes are the L3 network's, the same for all of its ranges.
            dhcp_enabled="DHCP" in l3.services if l3 else None,
            host_routes=_host_routes(l3),
            ipv6_address_mode=_IPV6_MODES.get(row.address_mode, _S.IPV6_MODE_UNKNOWN) if row.address_mode else None,
            total_address_count=total,
            used_address_count=capacity.used_ip_address_number if capacity else None,
            available_address_count=capacity.available_capacity if capacity and total is not None else None,
            allocation_pools=[_S.AllocationPool(start=row.start_ip, end=row.end_ip)],
            # The platform tells them in another order from call to call.
            dns_nameservers=sorted(l3.dns) if l3 else (),
        )

    # ------------------------------------------------------------------ changes

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet:
        check_texts(request)
        name = request.subnet.network
        network = native_id(self._ref, "networks", name, "subnet.network")
        wish = subnet_wish(request.subnet, "subnet", read_options(request.options, CreateSubnetOptions))
        own = resource_uuid(op.marker("subnet"))
        await op.read_once("check", lambda: self._check_network(op.call, name, network, wish, own))
        uuid = await make_subnet(op, wish, network)
        row = await op.wait_until("readable", lambda: SUBNETS.source.row(op.call, SUBNETS, uuid), percent=90)
        return await self.to_message(op.call, row)

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await op.delete(SUBNETS, op.call.id, check=self.refuse_users)

    async def _check_network(self, call: Call, name: str, network: str, wish: SubnetWish, own: str) -> None:
        """Say in our words what the platform would refuse in its own; `own` may be there already.

        Raises:
            AlreadyExists: The range overlaps another one.
            PreconditionFailed: The network has another CIDR, or serves DHCP that is not wanted.
        """
        l3 = await session_of(call).get_one(call, L3.one, L3Row, args={"uuid": network})
        for span in l3.ip_ranges:
            if span.uuid == own or span.ip_version != wish.cidr.version:
                continue
            other = self._ref.resource("subnets", span.uuid)
            if ip_network(cidr_of(span)).overlaps(wish.cidr) and wish.meets(span.start_ip, span.end_ip):
                raise wish.overlaps(f"{other} has {span.start_ip} to {span.end_ip}")
            if wish.is_pool or span.is_pool:
                continue
            if cidr_of(span) != str(wish.cidr) or span.gateway != str(wish.gateway or ""):
                text = (
                    f"{name} is {cidr_of(span)} with the gateway {span.gateway or 'none'} by {other}, and a "
                    f"network has one CIDR and gateway on this platform; {wish.cidr} needs a network of its own"
                )
                raise PreconditionFailed(text, reason="ONE_CIDR_A_NETWORK", resource=name)
        served = "DHCP" in l3.services
        if wish.dhcp is not None and wish.dhcp != served:
            has = "DHCP to all of its subnets" if served else "no DHCP to any of its subnets"
            text = f"{name} serves {has}; another network's options.services may say otherwise"
            raise PreconditionFailed(text, reason="DHCP_OF_THE_NETWORK", resource=name)

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Refuse while NICs or virtual addresses are of the range: they would go with it."""
        await refuse_range_users(call, self._ref.resource("subnets", native_id), native_id)


async def _capacities(session: Session, call: Call, rows: Sequence[IpRangeRow]) -> dict[str, Capacity]:
    """Return by range how many addresses are taken; empty where this account may not ask for that."""
    found: dict[str, Capacity] = {}
    try:
        for part in batches(sorted(row.uuid for row in rows)):
            params = [("ipRangeUuids", uuid) for uuid in part]
            told = await session.read(call, "/ip-capacity", Capacities, params=params)
            found |= {one.resource_uuid: one for one in told.capacity_data}
    except Forbidden:
        return {}
    return found


def _size(row: IpRangeRow) -> int | None:
    """Return how many addresses a range has; None where that is more than can be told."""
    if not row.start_ip or not row.end_ip:
        return None
    size = int(ip_address(row.end_ip)) - int(ip_address(row.start_ip)) + 1
    return size if size <= _MOST_COUNTED else None


def _host_routes(l3: L3Row | None) -> list[subnet_pb2.Subnet.HostRoute]:
    routes = sorted(l3.host_route, key=lambda route: route.prefix) if l3 else []
    return [_S.HostRoute(destination_cidr=route.prefix, next_hop=route.nexthop) for route in routes]


async def make_subnet(op: Operation, wish: SubnetWish, network: str, number: str = "") -> str:
    """Make a subnet, its labels and its name servers; of several that one operation makes one has a number.

    Raises:
        AlreadyExists: Its addresses are another one's.
    """
    try:
        made = await op.create(
            SUBNETS, lambda uuid: subnet_change(wish, network, uuid), step=f"subnet{number}", part=bool(number)
        )
    except AlreadyExists as error:
        if error.reason != "RANGE_OVERLAPS":
            raise
        raise wish.overlaps(error.message) from error
    for i, tag in enumerate(wish.tags):
        await add_label(op, f"label{number}-{i}", _TYPE, made.id, tag)
    for i, server in enumerate(wish.name_servers):
        await _add_dns(op, f"dns{number}-{i}", network, server)
    for i, (destination, next_hop) in enumerate(wish.routes):
        await _add_route(op, f"route{number}-{i}", network, destination, next_hop)
    return made.id


async def _add_dns(op: Operation, step: str, network: str, server: str) -> None:
    args = {"uuid": network}

    async def holds() -> bool:
        row = await Creation(session_of(op.call)).row(op.call, L3, network)
        return row is not None and server in row.dns

    async def undo(done: Mapping[str, Any]) -> None:
        if done and await holds():
            change = Change("DELETE", "/l3-networks/{uuid}/dns/{dns}", {**args, "dns": server})
            await session_of(op.call).act(op.call, change, job=f"{op.marker(step)} undo")

    change = Change("POST", "/l3-networks/{uuid}/dns", args, params={"dns": server})
    await Creation(session_of(op.call)).apply(op, step, change, holds=holds, undo=undo)


async def _add_route(op: Operation, step: str, network: str, destination: str, next_hop: str) -> None:
    args = {"uuid": network}

    async def holds() -> bool:
        row = await Creation(session_of(op.call)).row(op.call, L3, network)
        return row is not None and (destination, next_hop) in [(one.prefix, one.nexthop) for one in row.host_route]

    async def undo(done: Mapping[str, Any]) -> None:
        if done and await holds():
            change = Change("DELETE", "/l3-networks/{uuid}/hostroute", args, params={"prefix": destination})
            await session_of(op.call).act(op.call, change, job=f"{op.marker(step)} undo")

    params = {"prefix": destination, "nexthop": next_hop}
    change = Change("POST", "/l3-networks/{uuid}/hostroute", args, params=params)
    await Creation(session_of(op.call)).apply(op, step, change, holds=holds, undo=undo)


def cidr_of(row: IpRangeRow) -> str:
    """Return the range's network; older releases leave it to be worked out."""
    if row.network_cidr:
        return row.network_cidr
    width = row.netmask if row.ip_version != 6 else row.prefix_len
    return str(ip_network(f"{row.start_ip}/{width}", strict=False)) if row.start_ip and width else ""
