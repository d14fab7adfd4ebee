"""Routers as a part of CreateNetwork: an existing one or one that is made, and its interfaces in the new subnets.

`network_create` makes a plan of the request and connects by it; `marks` takes a marked router away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import InvalidRequest, NotFound
from cloudspan_kit import native_id
from cloudspan_openstack.cloud.values import is_marker
from cloudspan_openstack.network.network_making import PORT, ROUTER, Wish, bad
from cloudspan_openstack.network.subnets import SUBNETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import network_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.network.network_making import NetworkMaking
    from cloudspan_openstack.network.network_rows import PortRow

_INTERFACE = "network:router_interface"


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """What a request asks of a router."""

    router_id: str
    """The existing one; empty when one is made."""
    wish: Wish
    """The one to make."""


class Routers:
    """The routers of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, making: NetworkMaking) -> None:
        self._session, self._ref, self._making = session, ref, making

    async def connect(self, op: Operation, plan: RouterPlan, subnet_ids: Sequence[str]) -> None:
        """Make the router if one is to be made, and give it an interface in each subnet."""
        router_id = plan.router_id
        if not router_id:
            router_id = (await self._making.make_part(op, ROUTER, "router", plan.wish)).id
        for i, subnet_id in enumerate(subnet_ids):
            await self._interface(op, f"interface-{i}", router_id, subnet_id)

    async def _interface(self, op: Operation, step: str, router_id: str, subnet_id: str) -> None:
        await op.change(
            step,
            lambda: self._add(op.call, router_id, subnet_id),
            undo=lambda: self.disconnect(op.call, router_id, subnet_id),
        )

    async def _add(self, call: Call, router_id: str, subnet_id: str) -> None:
        if await self.interfaces(call, router_id, subnet_id):
            return
        try:
            await self._change(call, "add", router_id, subnet_id)
        except InvalidRequest as error:
            if "already has a port on subnet" not in error.message:
                raise  # else an earlier try came through after all

    async def disconnect(self, call: Call, router_id: str, subnet_id: str) -> None:
        """Take a router's interface out of a subnet; done as well when there is none."""
        try:
            await self._change(call, "remove", router_id, subnet_id)
        except NotFound:
            return

    async def interfaces(self, call: Call, router_id: str, subnet_id: str = "") -> Sequence[PortRow]:
        """Return the ports by which a router is in a subnet, or in all of them."""
        within = (("fixed_ips", f"subnet_id={subnet_id}"),) if subnet_id else ()
        asked = (("device_id", router_id), ("device_owner", _INTERFACE), *within)
        return await self._making.rows(call, PORT, asked)

    async def remove(self, call: Call, router_id: str) -> None:
        """Delete a marked router, its interfaces in subnets of the same operation first; done as well when it is gone.

        Raises:
            PreconditionFailed: It has others, so it is in somebody's use.
        """
        try:
            row = await self._making.get(call, ROUTER, router_id)
        except NotFound:
            return
        operations = {mark.removesuffix("router") for mark in (*row.tags, row.description or "") if is_marker(mark)}
        for port in await self.interfaces(call, router_id):
            for subnet_id in [ip.subnet_id for ip in port.fixed_ips if ip.subnet_id]:
                subnet = await SUBNETS.source.row(call, SUBNETS, subnet_id)
                marks = (*subnet.tags, subnet.description or "")
                if any(mark.startswith(operation) for mark in marks for operation in operations):
                    await self.disconnect(call, router_id, subnet_id)
        await self._making.remove(call, ROUTER, router_id)

    async def _change(self, call: Call, verb: str, router_id: str, subnet_id: str) -> None:
        path = f"/routers/{{id}}/{verb}_router_interface"
        body = {"subnet_id": subnet_id}
        await self._session.send(call, "PUT", "network", path, None, args={"id": router_id}, json=body, redo_ok=True)


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
    body: dict[str, Any] = {"name": wanted.display_name or request.network.display_name}
    if external := native_id(ref, "networks", wanted.external_network, "router.external_network"):
        body["external_gateway_info"] = {"network_id": external}
    return RouterPlan(native_id(ref, "routers", wanted.router, "router.router"), Wish(body))
