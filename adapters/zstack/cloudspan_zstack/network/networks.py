"""Networks: L3 networks, each on an L2 network, which is told as a part of it; `network_create` makes them.

An L2 network that was made for a network carries that in a user tag, and goes with it when nothing else stands on it.
Deleting either takes along what stands on it, in silence; so what does is looked for first, and refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import network_pb2
from cloudspan_kit import ABSENT, BY_KEY, Call, Capability, Kind, KindDriver, Operation, push
from cloudspan_kit.drivers import NetworkDriver
from cloudspan_zstack.cloud import creation
from cloudspan_zstack.cloud.beside import both, by_uuid, every, read_marks, rows_by
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.labels import Tag
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import AnyKind, M, R, UserTags, ZStackSource, session_of
from cloudspan_zstack.network.address_users import refuse_network_users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_N = network_pb2.Network
_TYPE = "L3NetworkVO"
L2_OF = "cloudspan::l2-of::"
"""User tag of an L2 network that was made for the network behind it."""
_STATES = {"Enabled": _N.STATE_ACTIVE, "Disabled": _N.STATE_DOWN}
_NETWORK_TYPES = {
    "L2NoVlanNetwork": _N.NETWORK_TYPE_FLAT, "L2VlanNetwork": _N.NETWORK_TYPE_VLAN,
    "VxlanNetwork": _N.NETWORK_TYPE_VXLAN, "L2VxlanNetwork": _N.NETWORK_TYPE_VXLAN,
    "VxlanNetworkPool": _N.NETWORK_TYPE_VXLAN, "L2VxlanNetworkPool": _N.NETWORK_TYPE_VXLAN,
    "L2GeneveNetwork": _N.NETWORK_TYPE_GENEVE,
}  # fmt: skip
_KINDS = {"L3BasicNetwork": _N.KIND_FLAT, "L3VpcNetwork": _N.KIND_ROUTED}
_UNTOLD = (ABSENT, "the platform does not tell it")


class IpRangeRow(Row, kw_only=True):
    """A subnet."""

    l3_network_uuid: str = ""
    start_ip: str = ""
    end_ip: str = ""
    netmask: str = ""
    gateway: str = ""
    network_cidr: str = ""
    ip_version: int = 4
    prefix_len: int = 0
    address_mode: str = ""
    ip_range_type: str = ""

    @property
    def is_pool(self) -> bool:
        """Whether it is an address pool, which gives addresses to VIPs only and has a CIDR and gateway of its own.

        Queries don't tell the type; a pool has its first address for its gateway, which no other range may have.
        """
        return self.ip_range_type == "AddressPool" or (self.gateway != "" and self.gateway == self.start_ip)


class ServiceRef(msgspec.Struct, rename="camel"):
    """A network service of an L3 network."""

    network_service_provider_uuid: str = ""
    network_service_type: str = ""


class HostRoute(msgspec.Struct, rename="camel"):
    """A route that guests of an L3 network are handed."""

    prefix: str = ""
    nexthop: str = ""


class L3Row(Row, kw_only=True):
    type: str = ""
    dns_domain: str = ""
    zone_uuid: str = ""
    l2_network_uuid: str = ""
    state: str = ""
    category: str = ""
    dns: list[str] = msgspec.field(default_factory=list)
    ip_ranges: list[IpRangeRow] = msgspec.field(default_factory=list)
    network_services: list[ServiceRef] = msgspec.field(default_factory=list)
    host_route: list[HostRoute] = msgspec.field(default_factory=list)

    @property
    def services(self) -> set[str]:
        return {ref.network_service_type for ref in self.network_services}


class L2Row(Row, kw_only=True):
    type: str = ""
    zone_uuid: str = ""
    virtual_network_id: int = 0
    physical_interface: str = ""
    attached_cluster_uuids: list[str] = msgspec.field(default_factory=list)


L2 = creation.Kind("/l2-networks", L2Row, "l2Networks")


class L3Networks(ZStackSource):
    """L3 networks, each removed with the L2 network that was made for it."""

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        await super().discard(call, kind, native_id)
        below = await l2_made_for(call, native_id)
        if below["uuid"]:
            await Creation(session_of(call)).discard(call, L2, below["uuid"])


_NETWORKS = L3Networks("/l3-networks")
NETWORKS = Kind(
    collection="networks",
    message=network_pb2.Network,
    row=L3Row,
    source=_NETWORKS,
    sort={"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate", "native_state": "state"},
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "networks"),
        "display_name": push.text("name"),
        "native_state": push.text("state"),
        "state": push.words({"ACTIVE": ("state=Enabled",), "DOWN": ("state=Disabled",)}),
        "external": push.words({"true": ("category=Public",), "false": ("category!=Public",)}),
        "admin_up": push.words({"true": ("state=Enabled",), "false": ("state=Disabled",)}),
        "kind": push.words({"FLAT": ("type=L3BasicNetwork",), "ROUTED": ("type=L3VpcNetwork",)}),
        "dns_domain": push.text("dnsDomain"),
    },
    safety=BY_KEY,
    marker=UserTags(_TYPE),
)
L3 = _NETWORKS.native(NETWORKS)
"""The kind as subnets, servers and floating IPs look at it."""


class Networks(KindDriver[L3Row, network_pb2.Network], NetworkDriver):
    """NetworkService, all but the create."""

    kind = NETWORKS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_networks": Capability(
            fields={
                "mtu": (ABSENT, "the platform tells it for one network at a time only"),
                "shared": _UNTOLD,
                "port_security_enabled": (ABSENT, "the platform has no such switch on networks"),
                "fault": _UNTOLD,
            }
        )
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._networks, self._subnets, self._zones = f"{ref}/networks/", f"{ref}/subnets/", f"{ref}/zones/"

    async def messages(self, call: Call, rows: Sequence[L3Row]) -> Sequence[network_pb2.Network]:
        session = session_of(call)
        marks, l2s = await both(
            read_marks(session, call, self._ref, _TYPE, rows),
            rows_by(session, call, "/l2-networks", L2Row, "uuid", (row.l2_network_uuid for row in rows)),
        )
        known = by_uuid(l2s)
        return [self._message(row, marks, known.get(row.l2_network_uuid)) for row in rows]

    def _message(self, row: L3Row, marks: Marks, l2: L2Row | None) -> network_pb2.Network:
        return _N(
            name=self._networks + row.uuid,
            display_name=row.name,
            state=_STATES.get(row.state, _N.STATE_UNKNOWN),
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            external=row.category == "Public",
            admin_up=row.state == "Enabled" if row.state else None,
            subnets=sorted(self._subnets + span.uuid for span in row.ip_ranges),
            network_type=_NETWORK_TYPES.get(l2.type, _N.NETWORK_TYPE_UNKNOWN) if l2 else None,
            native_network_type=l2.type if l2 else None,
            # Of an untagged network the platform says 0.
            segmentation_id=l2.virtual_network_id or None if l2 else None,
            physical_network=l2.physical_interface if l2 else None,
            kind=_KINDS.get(row.type, _N.KIND_UNKNOWN),
            zones=[self._zones + row.zone_uuid] if row.zone_uuid else [],
            dns_domain=row.dns_domain,
        )

    # ------------------------------------------------------------------ deleting

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        await op.delete(NETWORKS, op.call.id, check=self.refuse_users)
        below = await op.read_once("l2", lambda: l2_made_for(op.call, op.call.id))
        if below["uuid"]:
            await Creation(session_of(op.call)).remove(op, "delete-l2", L2, below["uuid"])

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Refuse while NICs or virtual addresses stand on the network: they would go with it."""
        await refuse_network_users(call, self._networks + native_id, native_id)


async def l2_made_for(call: Call, network: str) -> dict[str, str]:
    """Return the L2 network that was made for a network that is gone, if nothing else stands on it by now."""
    tags = await every(session_of(call), call, "/user-tags", Tag, [f"tag={L2_OF}{network}"])
    for tag in tags:
        others = await session_of(call).count(call, "/l3-networks", [f"l2NetworkUuid={tag.resource_uuid}"])
        if not others:
            return {"uuid": tag.resource_uuid}
    return {"uuid": ""}
