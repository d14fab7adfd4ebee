"""Networks: Neutron's. One is made with its subnets and a router; all of it or nothing.

What is made is undone in reverse: interfaces, router, subnets, network.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import network_pb2
from cloudspan_common.errors import GaveUp
from cloudspan_common.names import encode_id
from cloudspan_kit import BY_MARKER, EMULATED, Capability, Kind, KindDriver, Operation, push, read_options
from cloudspan_kit.drivers import NetworkDriver
from cloudspan_openstack.cloud.neutron import Neutron, NeutronBody, Row, in_tags, state_of
from cloudspan_openstack.cloud.values import bad, check_text, description_of, labels_of, tags_of, timestamp
from cloudspan_openstack.network.ports import PUSHED_STATES, name_ports
from cloudspan_openstack.network.routers import connect, router_plan
from cloudspan_openstack.network.subnets import SUBNETS, subnet_body, subnet_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

Network = network_pb2.Network

_TYPES = {
    "flat": Network.NETWORK_TYPE_FLAT,
    "vlan": Network.NETWORK_TYPE_VLAN,
    "vxlan": Network.NETWORK_TYPE_VXLAN,
    "gre": Network.NETWORK_TYPE_GRE,
    "geneve": Network.NETWORK_TYPE_GENEVE,
    "local": Network.NETWORK_TYPE_LOCAL,
}
_ENDED = frozenset({"ACTIVE", "DOWN", "ERROR"})


class NetworkRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    shared: bool | None = None
    external: bool = msgspec.field(name="router:external", default=False)
    mtu: int | None = None
    port_security_enabled: bool | None = None
    subnets: list[str] = msgspec.field(default_factory=list)
    network_type: str | None = msgspec.field(name="provider:network_type", default=None)
    segmentation_id: int | None = msgspec.field(name="provider:segmentation_id", default=None)
    physical_network: str | None = msgspec.field(name="provider:physical_network", default=None)
    availability_zones: list[str] = msgspec.field(default_factory=list)
    dns_domain: str | None = None


NETWORKS = Kind(
    collection="networks",
    message=Network,
    row=NetworkRow,
    source=Neutron("/networks", "network", shared=True, external=True),
    # Neutron sorts by few attributes: created_at and description are refused with 400.
    sort={"display_name": "name", "native_state": "status", "mtu": "mtu"},
    changes_since="changed_since",
    push={
        "name": push.ref("id", "networks"),
        "display_name": push.text("name"),
        "state": push.word("status", PUSHED_STATES),
        "native_state": push.text("status"),
        "external": push.word("router:external", {"true": "True", "false": "False"}),
    },
    usable=lambda row: row.status in _ENDED,
    safety=BY_MARKER,
    marker=in_tags(),
)


class CreateNetworkOptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of CreateNetwork; the first five are for administrators under stock policies."""

    within_project: ClassVar[frozenset[str]] = frozenset({"port_security_enabled", "availability_zone_hints"})
    shared: bool | None = None
    external: bool | None = None
    provider_network_type: str | None = None
    provider_physical_network: str | None = None
    provider_segmentation_id: int | None = None
    port_security_enabled: bool | None = None
    availability_zone_hints: list[str] | None = None

    def body(self) -> dict[str, object]:
        """Return what is set, in Neutron's words."""
        words = {
            "shared": self.shared,
            "router:external": self.external,
            "provider:network_type": self.provider_network_type,
            "provider:physical_network": self.provider_physical_network,
            "provider:segmentation_id": self.provider_segmentation_id,
            "port_security_enabled": self.port_security_enabled,
            "availability_zone_hints": self.availability_zone_hints,
        }
        return {word: value for word, value in words.items() if value is not None}


class Networks(KindDriver[NetworkRow, Network], NetworkDriver):
    """NetworkService."""

    kind = NETWORKS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_network": Capability(
            options=CreateNetworkOptions,
            fields={
                "subnets": (EMULATED, "made one by one behind the network"),
                "router": (EMULATED, "made, or taken as it is, and given an interface in each subnet"),
            },
        ),
    }

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._networks, self._subnets = f"{ref}/networks/", f"{ref}/subnets/"
        self._projects, self._zones = f"{ref}/projects/", f"{ref}/zones/"

    def message(self, row: NetworkRow) -> Network:
        subnets, zones = self._subnets, self._zones
        return Network(
            name=self._networks + row.id,
            display_name=row.name,
            state=state_of(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            shared=row.shared,
            external=row.external,
            mtu=row.mtu,
            admin_up=row.admin_state_up,
            port_security_enabled=row.port_security_enabled,
            subnets=[subnets + subnet for subnet in row.subnets],
            network_type=_TYPES.get(row.network_type, Network.NETWORK_TYPE_UNKNOWN) if row.network_type else None,
            native_network_type=row.network_type,
            segmentation_id=row.segmentation_id,
            physical_network=row.physical_network,
            kind=Network.KIND_FLAT,
            zones=[zones + encode_id(zone) for zone in row.availability_zones],
            dns_domain=row.dns_domain,
            etag=row.etag,
        )

    async def create_network(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> Network:
        body = _body(request)
        subnets = [subnet_body(subnet, f"subnets[{i}]", {}) for i, subnet in enumerate(request.subnets)]
        _check_ranges(request.subnets)
        router = router_plan(request, self._ref)

        made = await op.create(NETWORKS, body)
        subnet_ids = []
        for i, subnet in enumerate(subnets):
            whole = replace(subnet, fields={**subnet.fields, "network_id": made.id})
            subnet_ids.append((await op.create(SUBNETS, whole, step=f"subnet-{i}", part=True)).id)
        if router is not None:
            await connect(op, router, subnet_ids)
        row = await op.ready(NETWORKS, made, step="active", percent=90)
        if row.status == "ERROR":
            raise GaveUp(f"Neutron made network {made.id} and put it into ERROR; ask the cloud's operator")
        return await self.to_message(op.call, row)

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        await op.delete(NETWORKS, op.call.id, refused=name_ports("networks", "network_id", "{id}"))


def _body(request: network_pb2.CreateNetworkRequest) -> NeutronBody:
    wanted = request.network
    options = read_options(request.options, CreateNetworkOptions)
    tags = tags_of(wanted.labels, "network.labels")
    check_text(wanted.description, "network.description")
    fields: dict[str, object] = {"name": wanted.display_name, **options.body()}
    if wanted.mtu:
        fields["mtu"] = wanted.mtu
    if wanted.dns_domain:
        fields["dns_domain"] = wanted.dns_domain
    return NeutronBody(fields, tags, wanted.description)


def _check_ranges(subnets: Sequence[network_pb2.NewSubnet]) -> None:
    ranges = [(f"subnets[{i}]", subnet_range(subnet, f"subnets[{i}]")) for i, subnet in enumerate(subnets)]
    for (first, one), (second, other) in combinations(ranges, 2):
        if one.version == other.version and one.overlaps(other):
            raise bad(f"{second}.cidr", f"{second}.cidr {other} overlaps {first}.cidr {one}; choose another range")
