"""Networks are made: an L3 network, on an L2 network that exists or is made for it, with subnets if wanted.

Ids in options are the platform's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from cloudspan_common.errors import Unsupported
from cloudspan_kit import ABSENT, BY_KEY, Call, Capability, Operation, listed, read_options
from cloudspan_kit.drivers import NetworkDriver
from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change, resource_uuid
from cloudspan_zstack.cloud.labels import tags_of
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.network.networks import L2, L2_OF, L3, NETWORKS, L2Row
from cloudspan_zstack.network.subnet_request import CreateSubnetOptions, subnet_wish
from cloudspan_zstack.network.subnets import make_subnet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import network_pb2
    from cloudspan_zstack.network.networks import Networks
    from cloudspan_zstack.network.subnet_request import SubnetWish

_NO_ROUTER = (
    "a router of ZStack's is a server of its own with an offering and an image of its own; make it there, a network of "
    "options.kind ROUTED here, and attach that to it there"
)
_POOL = "VxlanNetworkPool"
_ROUTED = "ROUTED"
# What each kind of network is usually given; of these what the installation has.
_PRIVATE = {
    "FLAT": {"Flat": ["DHCP", "Userdata", "Eip"], "SecurityGroup": ["SecurityGroup"]},
    _ROUTED: {
        "vrouter": [
            "SNAT", "DNS", "PortForwarding", "LoadBalancer", "Eip", "IPsec", "VRouterRoute", "VipQos", "CentralizedDNS",
        ],
        "Flat": ["DHCP", "Userdata"],
        "SecurityGroup": ["SecurityGroup"],
    },
}  # fmt: skip


class ProviderRow(Row, kw_only=True):
    """What can serve networks; its uuid differs from installation to installation."""

    type: str = ""
    network_service_types: list[str] = msgspec.field(default_factory=list)


class ClusterRow(Row, kw_only=True):
    state: str = ""
    zone_uuid: str = ""


Vlan = Annotated[int, msgspec.Meta(ge=1, le=4094)]


class CreateNetworkOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateNetwork: which L2 network to build on, an existing one or a new one, and what serves it."""

    l2_network: str = ""
    """An existing L2 network."""
    vxlan_pool: str = ""
    """A VXLAN pool to make an L2 network in; the only pool there is where nothing else is said."""
    physical_interface: str = ""
    """The hosts' interface, for a new L2 network; for the administrator."""
    vlan: Vlan | None = None
    """Its VLAN; none for an untagged one."""
    zone: str = ""
    """Its zone; the only one where there is one."""
    clusters: list[str] = []
    """The clusters to attach it to; the zone's only one where there is one."""
    category: Literal["Private", "Public"] = "Private"
    """Public networks are where floating IPs come from."""
    kind: Literal["FLAT", "ROUTED"] = "FLAT"
    """ROUTED is a VPC network: useless until a VPC router is attached to it."""
    services: dict[str, list[str]] | None = None
    """Service types by type of provider, as {"Flat": ["DHCP"]}; those usual for the kind where nothing is said."""


class NetworkCreation(NetworkDriver):
    """NetworkService's create; `networks` is the driver of the rest."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_network": Capability(
            create_safety=BY_KEY,
            options=CreateNetworkOptions,
            fields={
                "router": (ABSENT, _NO_ROUTER),
                "network.port_security_enabled": (ABSENT, "the platform has no such switch on networks"),
            },
        )
    }

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def __repr__(self) -> str:
        return f"<NetworkCreation beside {self._networks!r}>"

    async def create_network(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> network_pb2.Network:
        check_texts(request)
        wanted, tags = request.network, tags_of(request.network.labels, "network.labels")
        options = read_options(request.options, CreateNetworkOptions)
        _check(options)
        if wanted.HasField("admin_up") and not wanted.admin_up:
            text = "network.admin_up: a network is made switched on here; leave it out"
            raise Unsupported(text, reason="ADMIN_DOWN_AT_CREATE")
        if request.HasField("router"):
            raise Unsupported(f"router: {_NO_ROUTER}", reason="NO_ROUTERS")
        subnets = _subnets(request)
        if options.services is not None or any(subnet.dhcp is not None for subnet in subnets):
            # Of what may be refused, so before anything is made; the rest is chosen when the network is there.
            await self._choose(op, options, subnets)
        l2 = options.l2_network or await self._make_l2(op, wanted.display_name, options)
        made = await op.create(NETWORKS, lambda uuid: _l3_change(wanted, options, l2, uuid, tags))
        await self._serve(op, made.id, options)
        if wanted.mtu:
            await self._set_mtu(op, made.id, wanted.mtu)
        for number, subnet in enumerate(subnets):
            await make_subnet(op, subnet, made.id, f"-{number}")
        row = await op.ready(NETWORKS, made, step="readable", percent=95)
        return await self._networks.to_message(op.call, row)

    # ------------------------------------------------------------------ the L2 network below

    async def _make_l2(self, op: Operation, name: str, options: CreateNetworkOptions) -> str:
        """Make the L2 network that the network will stand on; undone with it."""
        place = await op.read_once("place", lambda: self._place(op.call, options))
        creation, tag = Creation(session_of(op.call)), L2_OF + resource_uuid(op.marker("network"))

        async def change(_call: Call, uuid: str) -> Change:
            return _l2_change(name, place, options, uuid, tag)

        l2 = await creation.make(op, "l2", L2, change)
        for number, cluster in enumerate(place["clusters"]):
            await self._attach(op, f"attach-{number}", l2, cluster)
        return l2

    async def _place(self, call: Call, options: CreateNetworkOptions) -> dict[str, Any]:
        """Return where a new L2 network goes: in a VXLAN pool, or on an interface of a zone's clusters."""
        if not options.physical_interface:
            pool = options.vxlan_pool or await self._only_pool(call)
            return {"pool": pool, "zone": "", "clusters": []}
        zone = options.zone
        if not zone:
            zones = await every(session_of(call), call, "/zones", Row, ["state=Enabled"])
            zone = _only(zones, "options.zone", "a new L2 network is in one zone")
        clusters = options.clusters
        if not clusters:
            conditions = [f"zoneUuid={zone}", "state=Enabled"]
            rows = await every(session_of(call), call, "/clusters", ClusterRow, conditions)
            clusters = [_only(rows, "options.clusters", "a new L2 network is attached to clusters of its zone")]
        return {"pool": "", "zone": zone, "clusters": clusters}

    async def _only_pool(self, call: Call) -> str:
        l2s = await every(session_of(call), call, "/l2-networks", L2Row, [])
        pools = [row for row in l2s if row.type == _POOL]
        if len(pools) == 1:
            return pools[0].uuid
        known = listed(f"{row.uuid} ({row.name}, {row.type})" for row in l2s)
        text = (
            "a network stands on an L2 network: choose options.l2_network or options.vxlan_pool, or give "
            f"options.physical_interface for a new one; there are: {known or 'none'}"
        )
        if not known and not (await session_of(call).login(call)).is_admin:
            text = (
                "a network stands on an L2 network, and ZStack shows those to administrators only: ask the cloud's "
                "operator for the uuid of one, and give that as options.l2_network"
            )
        raise bad("options.l2_network", text, "L2_NETWORK_NEEDED")

    async def _attach(self, op: Operation, step: str, l2: str, cluster: str) -> None:
        creation, args = Creation(session_of(op.call)), {"l2": l2, "cluster": cluster}

        async def holds() -> bool:
            row = await creation.row(op.call, L2, l2)
            return row is not None and cluster in row.attached_cluster_uuids

        change = Change("POST", "/l2-networks/{l2}/clusters/{cluster}", args)
        await creation.apply(op, step, change, holds=holds)

    # ------------------------------------------------------------------ the L3 network

    async def _choose(
        self, op: Operation, options: CreateNetworkOptions, subnets: Sequence[SubnetWish] = ()
    ) -> Mapping[str, Any]:
        """Return the services that a network shall have, by provider."""
        wanted = options.services
        usual = _PRIVATE[options.kind] if options.category == "Private" else {}

        async def choose() -> dict[str, list[str]]:
            chosen = await self._services(op.call, usual if wanted is None else wanted, wanted)
            _refuse_dhcp(chosen, subnets)
            return chosen

        return await op.read_once("choose", choose)

    async def _serve(self, op: Operation, uuid: str, options: CreateNetworkOptions) -> None:
        """Give a new network its services, all in one call."""
        chosen, creation = await self._choose(op, options), Creation(session_of(op.call))
        if not chosen:
            return
        needed = {kind for kinds in chosen.values() for kind in kinds}

        async def holds() -> bool:
            row = await creation.row(op.call, L3, uuid)
            return row is not None and needed <= row.services

        params = {"networkServices": {provider: list(kinds) for provider, kinds in chosen.items()}}
        change = Change("POST", "/l3-networks/{uuid}/network-services", {"uuid": uuid}, params=params)
        await creation.apply(op, "services", change, holds=holds)

    async def _services(
        self, call: Call, asked: Mapping[str, Sequence[str]], strict: Mapping[str, Any] | None
    ) -> dict[str, list[str]]:
        """Return service types by provider uuid: what is asked for and there; all of it must be where `strict`."""
        if not asked:
            return {}
        rows = {
            row.type: row for row in await every(session_of(call), call, "/network-services/providers", ProviderRow, [])
        }
        found: dict[str, list[str]] = {}
        for kind, services in asked.items():
            known = rows[kind].network_service_types if kind in rows else []
            missing = [service for service in services if service not in known]
            if strict is not None and missing:
                has = listed(f"{row.type}: {', '.join(row.network_service_types)}" for row in rows.values())
                text = f"no provider {kind!r} here serves {', '.join(missing)}; there are: {has}"
                raise bad("options.services", text)
            usable = [service for service in services if service in known]
            if usable:
                found[rows[kind].uuid] = usable
        return found

    async def _set_mtu(self, op: Operation, uuid: str, mtu: int) -> None:
        path, args = "/l3-networks/{uuid}/mtu", {"uuid": uuid}

        async def holds() -> bool:
            told = await session_of(op.call).read(op.call, path, dict[str, Any], args=args)
            return told.get("mtu") == mtu

        await Creation(session_of(op.call)).apply(
            op, "mtu", Change("POST", path, args, params={"mtu": mtu}), holds=holds
        )


def _check(options: CreateNetworkOptions) -> None:
    new = [
        word
        for word, given in (
            ("vxlan_pool", options.vxlan_pool),
            ("physical_interface", options.physical_interface),
            ("vlan", options.vlan),
            ("clusters", options.clusters),
            ("zone", options.zone),
        )
        if given
    ]
    if options.l2_network and new:
        text = f"options.l2_network is an existing L2 network, options.{new[0]} is for a new one; leave one out"
        raise bad(f"options.{new[0]}", text)
    if new and bool(options.vxlan_pool) == bool(options.physical_interface):
        text = "a new L2 network is made in options.vxlan_pool or on options.physical_interface: give one of the two"
        raise bad("options.physical_interface", text)


def _subnets(request: network_pb2.CreateNetworkRequest) -> list[SubnetWish]:
    """Return the subnets that come with a network: runs of one CIDR with one gateway, and none in another.

    Raises:
        InvalidRequest: They are not.
    """
    found: list[SubnetWish] = []
    for i, subnet in enumerate(request.subnets):
        path = f"subnets[{i}]"
        wish = subnet_wish(subnet, path, CreateSubnetOptions())
        for other in found:
            if other.cidr.version != wish.cidr.version:
                continue
            if (other.cidr, other.gateway) != (wish.cidr, wish.gateway):
                text = (
                    f"{path} is {wish.cidr} with the gateway {wish.gateway or 'none'}, {other.path} is {other.cidr} "
                    f"with {other.gateway or 'none'}: a network has one CIDR and gateway here, make another one"
                )
                raise bad(f"{path}.cidr", text, "ONE_CIDR_A_NETWORK")
            if wish.meets(str(other.start), str(other.end)):
                raise bad(f"{path}.allocation_pools", f"{path} overlaps {other.path}; give both allocation_pools")
        found.append(wish)
    return found


def _refuse_dhcp(services: Mapping[str, Sequence[str]], subnets: Sequence[SubnetWish]) -> None:
    for subnet in subnets:
        served = any("DHCP" in kinds for kinds in services.values())
        if subnet.dhcp is not None and subnet.dhcp != served:
            has = "DHCP to all of its subnets" if served else "no DHCP to any of its subnets"
            text = f"the network serves {has}, and {subnet.path} asks for the opposite; options.services decide that"
            raise bad(f"{subnet.path}.dhcp_enabled", text, "DHCP_OF_THE_NETWORK")


def _l2_change(name: str, place: Mapping[str, Any], options: CreateNetworkOptions, uuid: str, tag: str) -> Change:
    params: dict[str, Any] = {"name": f"l2-{name or 'network'}"[:255], "resourceUuid": uuid}
    if place["pool"]:
        return Change("POST", "/l2-networks/vxlan", params={**params, "poolUuid": place["pool"]}, user_tags=[tag])
    params |= {"zoneUuid": place["zone"], "physicalInterface": options.physical_interface, "vlan": options.vlan}
    return Change("POST", f"/l2-networks/{'vlan' if options.vlan else 'no-vlan'}", params=params, user_tags=[tag])


def _l3_change(
    wanted: network_pb2.Network, options: CreateNetworkOptions, l2: str, uuid: str, tags: Sequence[str]
) -> Change:
    params = {
        "name": wanted.display_name or "network",
        "description": wanted.description or None,
        "l2NetworkUuid": l2,
        "type": "L3VpcNetwork" if options.kind == _ROUTED else "L3BasicNetwork",
        "category": options.category,
        "system": False,
        "dnsDomain": wanted.dns_domain or None,
        "resourceUuid": uuid,
    }
    return Change("POST", "/l3-networks", params=params, user_tags=tags)


def _only(rows: Sequence[Row], field: str, why: str) -> str:
    if len(rows) == 1:
        return rows[0].uuid
    known = listed(f"{row.uuid} ({row.name})" for row in rows) or "none"
    raise bad(field, f"{why}; choose {field} among: {known}")
