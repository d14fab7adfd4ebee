"""CreateNetwork: a network, its subnets, and the router that they are connected to; all of it or nothing.

`network.Network` builds on it. What is made is undone in reverse: interfaces, router, subnets, network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from cloudspan_common.errors import GaveUp
from cloudspan_kit import read_options
from cloudspan_openstack.cloud.values import tags_of
from cloudspan_openstack.network.network_changes import NetworkChanges
from cloudspan_openstack.network.network_making import NETWORK, Wish, bad, check_text
from cloudspan_openstack.network.network_options import CreateNetworkOptions
from cloudspan_openstack.network.routers import RouterPlan, Routers, router_plan
from cloudspan_openstack.network.subnets import SUBNETS, subnet_body, subnet_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import network_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.neutron import NeutronBody
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.network.network_mapping import NetworkMapper
    from cloudspan_openstack.network.network_rows import NetworkRow

_ENDED = ("ACTIVE", "DOWN", "ERROR")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A checked request."""

    network: Wish
    subnets: Sequence[NeutronBody]
    router: RouterPlan | None


class NetworkCreation(NetworkChanges):
    """CreateNetwork of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: NetworkMapper) -> None:
        super().__init__(session, ref, mapper)
        self._routers = Routers(session, ref, self._making)

    async def create_network(
        self, op: Operation, request: network_pb2.CreateNetworkRequest
    ) -> network_pb2.Network | None:
        plan = _plan_of(request, self._ref)
        made = await self._making.make(op, NETWORK, "network", plan.network)
        op.set_resource(self._ref.resource("networks", made.id))
        await self._making.dress(op, NETWORK, "network", made.id, plan.network)
        subnet_ids = [await self._subnet(op, i, made.id, body) for i, body in enumerate(plan.subnets)]
        if plan.router is not None:
            await self._routers.connect(op, plan.router, subnet_ids)
        row = await op.wait_until("active", lambda: self._ended(op.call, made.id), percent=90)
        if row.status == "ERROR":
            raise GaveUp(f"Neutron made network {made.id} and put it into ERROR; ask the cloud's operator")
        return self._mapper.network(row)

    async def _subnet(self, op: Operation, index: int, network_id: str, body: NeutronBody) -> str:
        whole = replace(body, fields={**body.fields, "network_id": network_id})
        return (await op.create(SUBNETS, whole, step=f"subnet-{index}", part=True)).id

    async def _ended(self, call: Call, network_id: str) -> NetworkRow | None:
        row = await self._making.get(call, NETWORK, network_id)
        return row if row.status in _ENDED else None


def _plan_of(request: network_pb2.CreateNetworkRequest, ref: ClusterRef) -> _Plan:
    wanted = request.network
    options = read_options(request.options, CreateNetworkOptions)
    tags = tags_of(wanted.labels, "network.labels")
    check_text(wanted.description, "network.description")
    body: dict[str, object] = {"name": wanted.display_name, **options.body()}
    if wanted.mtu:
        body["mtu"] = wanted.mtu
    if wanted.dns_domain:
        body["dns_domain"] = wanted.dns_domain
    subnets = [subnet_body(subnet, f"subnets[{i}]", {}) for i, subnet in enumerate(request.subnets)]
    _check_ranges(request.subnets)
    return _Plan(Wish(body, tags, wanted.description), subnets, router_plan(request, ref))


def _check_ranges(subnets: Sequence[network_pb2.NewSubnet]) -> None:
    ranges = [(f"subnets[{i}]", subnet_range(subnet, f"subnets[{i}]")) for i, subnet in enumerate(subnets)]
    for (first, one), (second, other) in combinations(ranges, 2):
        if one.version == other.version and one.overlaps(other):
            raise bad(f"{second}.cidr", f"{second}.cidr {other} overlaps {first}.cidr {one}; choose another range")
