"""Routers: Neutron's, with their interfaces in subnets; and how CreateNetwork makes one, or takes an existing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from google.protobuf.message import Message

from cloudspan.v1 import port_pb2, router_pb2
from cloudspan_common.errors import InvalidRequest, NotFound
from cloudspan_common.names import encode_id
from cloudspan_kit import BY_MARKER, Kind, KindDriver, native_id, push
from cloudspan_kit.drivers import RouterDriver
from cloudspan_openstack.cloud.neutron import Neutron, NeutronBody, Row, in_tags, state_of
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import bad, description_of, is_marker, labels_of, timestamp
from cloudspan_openstack.network.ports import PORT_SOURCE, PORTS, FixedIp, ports_of
from cloudspan_openstack.network.subnets import SUBNETS, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan.v1 import network_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.source import AnyKind
    from cloudspan_openstack.network.ports import DevicePort, PortAddress, PortRow

R = TypeVar("R")
M = TypeVar("M", bound=Message)

Router = router_pb2.Router

_INTERFACE = "network:router_interface"
ROUTER_INTERFACES = frozenset({
    _INTERFACE, "network:router_interface_distributed", "network:ha_router_replicated_interface",
})  # fmt: skip
"""Owners of ports by which routers are in subnets; a router's gateway is not among them."""


class Gateway(msgspec.Struct):
    network_id: str | None = None
    enable_snat: bool | None = None
    external_fixed_ips: list[FixedIp] = msgspec.field(default_factory=list)


class RouterRow(Row, kw_only=True):
    status: str | None = None
    admin_state_up: bool = True
    external_gateway_info: Gateway | None = None
    routes: list[Route] = msgspec.field(default_factory=list)
    ha: bool | None = None
    distributed: bool | None = None
    availability_zones: list[str] = msgspec.field(default_factory=list)


class _Routers(Neutron):
    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        """Delete what a lost operation left, its interfaces in subnets of the same operation first.

        Raises:
            PreconditionFailed: It has others, so it is in somebody's use.
        """
        try:
            row: Any = await self.row(call, kind, native_id)
        except NotFound:
            return
        operations = {mark.removesuffix("router") for mark in (*row.tags, row.description or "") if is_marker(mark)}
        for port in await _interfaces(call, native_id):
            for subnet_id in [ip.subnet_id for ip in port.fixed_ips if ip.subnet_id]:
                subnet = await SUBNETS.source.row(call, SUBNETS, subnet_id)
                marks = (*subnet.tags, subnet.description or "")
                if any(mark.startswith(operation) for mark in marks for operation in operations):
                    await _disconnect(call, native_id, subnet_id)
        await self.remove(call, native_id)


ROUTER_SOURCE = _Routers("/routers", "router")

ROUTERS = Kind(
    collection="routers",
    message=Router,
    row=RouterRow,
    source=ROUTER_SOURCE,
    # Neutron sorts by few attributes: created_at and description are refused with 400.
    sort={"display_name": "name", "native_state": "status"},
    # Routers answer 400 to a filter by status, unlike all the others.
    changes_since="changed_since",
    push={"name": push.ref("id", "routers"), "display_name": push.text("name")},
    # They are made as parts of networks only.
    safety=BY_MARKER,
    marker=in_tags(),
)


class Routers(KindDriver[RouterRow, Router], RouterDriver):
    """RouterService."""

    kind = ROUTERS

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._routers, self._projects, self._ports = f"{ref}/routers/", f"{ref}/projects/", f"{ref}/ports/"
        self._networks, self._subnets, self._zones = f"{ref}/networks/", f"{ref}/subnets/", f"{ref}/zones/"

    async def messages(self, call: Call, rows: Sequence[RouterRow]) -> Sequence[Router]:
        routers = [self.message(row) for row in rows]
        if call.wants("interfaces"):  # a call of its own
            ports = await ports_of(call, [row.id for row in rows])
            for row, router in zip(rows, routers, strict=True):
                router.interfaces.extend(self._joins(ports.get(row.id, ())))
        return routers

    def message(self, row: RouterRow) -> Router:
        gateway = row.external_gateway_info
        return Router(
            name=self._routers + row.id,
            display_name=row.name,
            state=state_of(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            external_network=self._networks + gateway.network_id if gateway and gateway.network_id else None,
            external_fixed_ips=self._fixed_ips(gateway.external_fixed_ips if gateway else []),
            snat_enabled=gateway.enable_snat if gateway else None,
            admin_up=row.admin_state_up,
            routes=[Router.Route(destination_cidr=r.destination, next_hop=r.nexthop) for r in row.routes],
            ha=row.ha,
            distributed=row.distributed,
            zones=[self._zones + encode_id(zone) for zone in row.availability_zones],
            etag=row.etag,
        )

    def _joins(self, ports: Iterable[DevicePort]) -> Iterable[Router.Interface]:
        return (
            Router.Interface(
                port=self._ports + port.id,
                network=self._networks + port.network_id,
                fixed_ips=self._fixed_ips(port.fixed_ips),
                mac_address=port.mac_address,
            )
            for port in ports
            if port.device_owner in ROUTER_INTERFACES
        )

    def _fixed_ips(self, addresses: Iterable[FixedIp | PortAddress]) -> list[port_pb2.Port.FixedIp]:
        return [
            port_pb2.Port.FixedIp(
                ip_address=ip.ip_address, subnet=self._subnets + ip.subnet_id if ip.subnet_id else None
            )
            for ip in addresses
        ]


# ---------------------------------------------------------------------- as a part of CreateNetwork


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """What a request asks of a router."""

    router_id: str
    """The existing one; empty when one is made."""
    body: NeutronBody
    """The one to make."""


def router_plan(request: network_pb2.CreateNetworkRequest, ref: ClusterRef) -> RouterPlan | None:
    """Return what a request asks of a router, if it does.

    Raises:
        InvalidRequest: It contradicts itself, or there is nothing that the router could be connected to.
    """
    if not request.HasField("router"):
        return None
    wanted = request.router
    if wanted.router and (wanted.display_name or wanted.external_network):
        text = "router.router names an existing router, which has its name and external network; leave both out"
        raise bad("router", text)
    if not request.subnets:
        raise bad("router", "a router is connected to subnets, and the request has none; add subnets, or leave it out")
    for i, subnet in enumerate(request.subnets):
        if subnet.HasField("gateway_ip") and not subnet.gateway_ip:
            text = f"subnets[{i}].gateway_ip is empty, and a router needs the subnet's gateway address; leave it unset"
            raise bad(f"subnets[{i}].gateway_ip", text)
    fields: dict[str, object] = {"name": wanted.display_name or request.network.display_name}
    if external := native_id(ref, "networks", wanted.external_network, "router.external_network"):
        fields["external_gateway_info"] = {"network_id": external}
    return RouterPlan(native_id(ref, "routers", wanted.router, "router.router"), NeutronBody(fields))


async def connect(op: Operation, plan: RouterPlan, subnet_ids: Sequence[str]) -> None:
    """Make the router if one is to be made, and give it an interface in each subnet."""
    router_id = plan.router_id
    if not router_id:
        router_id = (await op.create(ROUTERS, plan.body, step="router", part=True)).id
    for i, subnet_id in enumerate(subnet_ids):
        await _interface(op, f"interface-{i}", router_id, subnet_id)


async def _interface(op: Operation, step: str, router_id: str, subnet_id: str) -> None:
    await op.change(
        step,
        lambda: _add(op.call, router_id, subnet_id),
        undo=lambda: _disconnect(op.call, router_id, subnet_id),
    )


async def _add(call: Call, router_id: str, subnet_id: str) -> None:
    if await _interfaces(call, router_id, subnet_id):
        return
    try:
        await _change(call, "add", router_id, subnet_id)
    except InvalidRequest as error:
        if "already has a port on subnet" not in error.message:
            raise  # else an earlier try came through after all


async def _disconnect(call: Call, router_id: str, subnet_id: str) -> None:
    """Take a router's interface out of a subnet; done as well when there is none."""
    try:
        await _change(call, "remove", router_id, subnet_id)
    except NotFound:
        return


async def _change(call: Call, verb: str, router_id: str, subnet_id: str) -> None:
    path, body = f"/routers/{{id}}/{verb}_router_interface", {"subnet_id": subnet_id}
    await session_of(call).send(call, "PUT", "network", path, None, args={"id": router_id}, json=body, redo_ok=True)


async def _interfaces(call: Call, router_id: str, subnet_id: str = "") -> Sequence[PortRow]:
    """Return the ports by which a router is in a subnet, or in all of them."""
    within = (("fixed_ips", f"subnet_id={subnet_id}"),) if subnet_id else ()
    return await PORT_SOURCE.find_own(call, PORTS, (("device_id", router_id), ("device_owner", _INTERFACE), *within))
