"""Make and delete networks: an L3 network, on an L2 network that exists or is made for it, with subnets if wanted.

`network.Network` builds on it. An L2 network that is made for a network carries that in a user tag, and goes with it
when nothing else stands on it. Deleting either takes along what stands on it, in silence; so what does is looked for
first, and refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import PreconditionFailed, Unsupported
from cloudspan_kit import listed, native_id, read_options
from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.labels import Tag, tags_of
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import Change, resource_uuid
from cloudspan_zstack.network.floating_ips import VipRow
from cloudspan_zstack.network.network_kinds import L2, L3, bad
from cloudspan_zstack.network.network_options import CreateNetworkOptions, CreateSubnetOptions
from cloudspan_zstack.network.network_parts import Changes
from cloudspan_zstack.network.network_rows import ClusterRow, L2Row, NicRow, ProviderRow
from cloudspan_zstack.network.subnet_request import subnet_wish
from cloudspan_zstack.network.subnets import make_subnet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import network_pb2
    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.network.network_rows import L3Row
    from cloudspan_zstack.network.subnet_request import SubnetWish

NO_ROUTER = (
    "a router of ZStack's is a server of its own with an offering and an image of its own; make it there, a network of "
    "options.kind ROUTED here, and attach that to it there"
)
_L2_OF = "cloudspan::l2-of::"
"""User tag of an L2 network that was made for the network behind it."""
_POOL = "VxlanNetworkPool"
_ROUTED = "ROUTED"
_MOST_NAMED = 3
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


class NetworkChanges(Changes):
    """The mutations of networks of one cluster."""

    async def create_network(
        self, op: Operation, request: network_pb2.CreateNetworkRequest
    ) -> network_pb2.Network | None:
        wanted, tags = request.network, tags_of(request.network.labels, "network.labels")
        options = read_options(request.options, CreateNetworkOptions)
        _check(options)
        if wanted.HasField("admin_up") and not wanted.admin_up:
            text = "network.admin_up: a network is made switched on here; leave it out"
            raise Unsupported(text, reason="ADMIN_DOWN_AT_CREATE")
        if request.HasField("router"):
            raise Unsupported(f"router: {NO_ROUTER}", reason="NO_ROUTERS")
        subnets = _subnets(request)
        if options.services is not None or any(subnet.dhcp is not None for subnet in subnets):
            # Of what may be refused, so before anything is made; the rest is chosen when the network is there.
            await self._choose(op, options, subnets)
        l2 = options.l2_network or await self._make_l2(op, wanted.display_name, options)

        async def change(_call: Call, uuid: str) -> Change:
            return _l3_change(wanted, options, l2, uuid, tags)

        uuid = await self._creation.make(op, "network", L3, change)
        op.set_resource(self._ref.resource("networks", uuid))
        await self._serve(op, uuid, options)
        if wanted.mtu:
            await self._set_mtu(op, uuid, wanted.mtu)
        for number, subnet in enumerate(subnets):
            await make_subnet(op, subnet, uuid, f"-{number}")
        row = await op.wait_until("readable", lambda: self._creation.row(op.call, L3, uuid), percent=95)
        (message,) = await self._messages.networks(op.call, [row])
        return message

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        op.set_resource(request.name)
        uuid = native_id(self._ref, "networks", request.name, "name")
        await op.read_once("check", lambda: self._refuse_users(op.call, request.name, uuid))
        await self._creation.remove(op, "delete", L3, uuid)
        below = await op.read_once("l2", lambda: self._l2_made_for(op.call, uuid))
        if below["uuid"]:
            await self._creation.remove(op, "delete-l2", L2, below["uuid"])

    async def _discard_network(self, call: Call, uuid: str) -> None:
        """Remove a marked network, and the L2 network that was made for it."""
        await self._refuse_users(call, self._ref.resource("networks", uuid), uuid)
        await self._creation.discard(call, L3, uuid)
        below = await self._l2_made_for(call, uuid)
        if below["uuid"]:
            await self._creation.discard(call, L2, below["uuid"])

    # ------------------------------------------------------------------ the L2 network below

    async def _make_l2(self, op: Operation, name: str, options: CreateNetworkOptions) -> str:
        """Make the L2 network that the network will stand on; undone with it."""
        place = await op.read_once("place", lambda: self._place(op.call, options))
        tag = _L2_OF + resource_uuid(op.marker("network"))

        async def change(_call: Call, uuid: str) -> Change:
            return _l2_change(name, place, options, uuid, tag)

        l2 = await self._creation.make(op, "l2", L2, change)
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
            zones = await every(self._session, call, "/zones", Row, ["state=Enabled"])
            zone = _only(zones, "options.zone", "a new L2 network is in one zone")
        clusters = options.clusters
        if not clusters:
            conditions = [f"zoneUuid={zone}", "state=Enabled"]
            rows = await every(self._session, call, "/clusters", ClusterRow, conditions)
            clusters = [_only(rows, "options.clusters", "a new L2 network is attached to clusters of its zone")]
        return {"pool": "", "zone": zone, "clusters": clusters}

    async def _only_pool(self, call: Call) -> str:
        l2s = await every(self._session, call, "/l2-networks", L2Row, [])
        pools = [row for row in l2s if row.type == _POOL]
        if len(pools) == 1:
            return pools[0].uuid
        known = listed(f"{row.uuid} ({row.name}, {row.type})" for row in l2s) or "none that this account sees"
        text = (
            "a network stands on an L2 network: choose options.l2_network or options.vxlan_pool, or give "
            f"options.physical_interface for a new one; there are: {known}"
        )
        raise bad("options.l2_network", text, "L2_NETWORK_NEEDED")

    async def _attach(self, op: Operation, step: str, l2: str, cluster: str) -> None:
        args = {"l2": l2, "cluster": cluster}

        async def holds() -> bool:
            row = await self._creation.row(op.call, L2, l2)
            return row is not None and cluster in row.attached_cluster_uuids

        change = Change("POST", "/l2-networks/{l2}/clusters/{cluster}", args)
        await self._creation.apply(op, step, change, holds=holds)

    async def _l2_made_for(self, call: Call, network: str) -> dict[str, str]:
        """Return the L2 network that was made for a network that is gone, if nothing else stands on it by now."""
        tags = await every(self._session, call, "/user-tags", Tag, [f"tag={_L2_OF}{network}"])
        for tag in tags:
            others = await self._session.count(call, "/l3-networks", [f"l2NetworkUuid={tag.resource_uuid}"])
            if not others:
                return {"uuid": tag.resource_uuid}
        return {"uuid": ""}

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
        chosen = await self._choose(op, options)
        if not chosen:
            return
        needed = {kind for kinds in chosen.values() for kind in kinds}

        async def holds() -> bool:
            row: L3Row | None = await self._creation.row(op.call, L3, uuid)
            return row is not None and needed <= row.services

        params = {"networkServices": {provider: list(kinds) for provider, kinds in chosen.items()}}
        change = Change("POST", "/l3-networks/{uuid}/network-services", {"uuid": uuid}, params=params)
        await self._creation.apply(op, "services", change, holds=holds)

    async def _services(
        self, call: Call, asked: Mapping[str, Sequence[str]], strict: Mapping[str, Any] | None
    ) -> dict[str, list[str]]:
        """Return service types by provider uuid: what is asked for and there; all of it must be where `strict`."""
        if not asked:
            return {}
        rows = {
            row.type: row for row in await every(self._session, call, "/network-services/providers", ProviderRow, [])
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
            told = await self._session.read(op.call, path, dict[str, Any], args=args)
            return told.get("mtu") == mtu

        await self._creation.apply(op, "mtu", Change("POST", path, args, params={"mtu": mtu}), holds=holds)

    async def _refuse_users(self, call: Call, name: str, uuid: str) -> None:
        """Refuse while NICs or floating IPs stand on the network: they would go with it.

        Raises:
            PreconditionFailed: They are listed.
        """
        on_it = [f"l3NetworkUuid={uuid}"]
        nics = await every(self._session, call, "/vm-instances/nics", NicRow, on_it)
        if nics:
            # Whole names would not fit: a status message has 512 bytes.
            ports = listed((_port(nic) for nic in nics), _MOST_NAMED)
            text = f"{name} is in use by {len(nics)} ports, remove them first: {ports}"
            raise PreconditionFailed(text, reason="IN_USE", resource=name)
        vips = [vip for vip in await every(self._session, call, "/vips", VipRow, on_it) if not vip.system]
        if vips:
            addresses = listed(f"{vip.ip} ({vip.name})" for vip in vips)
            text = f"{name} has {len(vips)} virtual addresses, release them first: {addresses}"
            raise PreconditionFailed(text, reason="IN_USE", resource=name)


def _port(nic: NicRow) -> str:
    # A destroyed server keeps its NICs, without addresses, for as long as it can be recovered.
    owner = f"of servers/{nic.vm_instance_uuid}" if nic.vm_instance_uuid else "unused"
    return f"ports/{nic.uuid} ({owner})"


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
