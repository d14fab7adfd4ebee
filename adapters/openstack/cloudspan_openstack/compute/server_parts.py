"""What is made beside a server, and for it: volumes, ports, floating IPs. Each is a step with a marker of its own.

`server_create` makes them; undone, they go in reverse, behind their server. Ports and floating IPs get the tag
`WITH_SERVER`: by it `server_leaving` knows later what goes with the server. Nova deletes volumes that go with it.

A floating IP is made once the server runs, and bound in its create: so it is never there unbound, binding it can't
take another one's port, and a create sent twice meets a 409, since an address has one floating IP in each external
network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, PreconditionFailed
from cloudspan_kit import BY_KEY
from cloudspan_openstack.cloud.neutron import NeutronBody
from cloudspan_openstack.cloud.values import WITH_SERVER
from cloudspan_openstack.compute.server_request import Parts
from cloudspan_openstack.network.floating_ips import FLOATING_IPS
from cloudspan_openstack.network.ports import PORT_SOURCE, PORTS
from cloudspan_openstack.volume.volumes import VOLUMES, volume_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Made, Operation
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.compute.server_interfaces import Interface
    from cloudspan_openstack.compute.server_request import ServerPlan
    from cloudspan_openstack.network.ports import PortRow

# Of 8 equal creates for one address sent at once Neutron carried out one and refused 7, three times of three.
_BOUND = replace(FLOATING_IPS, safety=BY_KEY)


class ServerParts:
    """Makes the parts of new servers of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref

    async def make(self, op: Operation, plan: ServerPlan) -> Parts:
        """Make what has to be there before the server: volumes, then ports."""
        boot, data = await self._make_volumes(op, plan)
        ports = [await self._port(op, plan.interfaces[i], i) for i in range(len(plan.interfaces))]
        return Parts(boot, data, ports)

    async def floating_ips(
        self, op: Operation, plan: ServerPlan, parts: Parts, server_id: str
    ) -> Sequence[Made[object]]:
        """Make the floating IPs that lead to a server's interfaces."""
        wanted = [i for i, interface in enumerate(plan.interfaces) if interface.floating_network_id]
        return [await self._floating_ip(op, plan, parts, server_id, i) for i in wanted]

    async def check_ports(self, call: Call, parts: Parts, server_id: str) -> None:
        """See that the ports that were given to it belong to the server: removing a duplicate can have unbound them.

        Raises:
            GaveUp: One does not.
        """
        for port_id in filter(None, parts.port_ids):
            port = await PORT_SOURCE.row(call, PORTS, port_id)
            if port.device_id != server_id:
                text = f"port {port_id} does not belong to server {server_id} but to {port.device_id or 'nothing'}"
                raise GaveUp(f"{text}; detach and attach it again", reason="PORT_LOST")

    # ------------------------------------------------------------------ volumes

    async def _make_volumes(self, op: Operation, plan: ServerPlan) -> tuple[str, list[str]]:
        """Ask for all of them first, and wait for them then."""
        wanted = {f"volume-{i}": volume.body for i, volume in enumerate(plan.data_volumes)}
        if plan.new_volume is not None:
            wanted = {"boot-volume": plan.new_volume, **wanted}
        made = {s: await op.create(VOLUMES, volume_body(body), step=s, part=True) for s, body in wanted.items()}
        for step, volume in made.items():
            await op.ready(VOLUMES, volume, step=f"{step} ready", percent=20)
        boot = made.pop("boot-volume").id if plan.new_volume is not None else plan.volume_id
        return boot, [volume.id for volume in made.values()]

    # ------------------------------------------------------------------ ports

    async def _port(self, op: Operation, interface: Interface, index: int) -> str:
        """Make the interface's port if one is asked for; return the id of the port to give to Nova, if any."""
        if interface.new_port is None:
            return interface.port_id
        body = NeutronBody(interface.port_body(), [WITH_SERVER])
        return (await op.create(PORTS, body, step=f"port-{index}", part=True)).id

    # ------------------------------------------------------------------ floating IPs

    async def _floating_ip(
        self, op: Operation, plan: ServerPlan, parts: Parts, server_id: str, index: int
    ) -> Made[object]:
        step, interface = f"floating-ip-{index}", plan.interfaces[index]
        place = await op.read_once(
            f"{step} port", lambda: self._place(op.call, interface, parts, server_id, parts.port_ids[index])
        )
        body: dict[str, Any] = {
            "floating_network_id": interface.floating_network_id,
            "port_id": place["port"],
            "fixed_ip_address": place["address"],
        }
        return await op.create(_BOUND, NeutronBody(body, [WITH_SERVER]), step=step, part=True)

    async def _place(
        self, call: Call, interface: Interface, parts: Parts, server_id: str, port_id: str
    ) -> Mapping[str, str]:
        """Look up the port that a floating IP is for, and its address that it leads to."""
        if port_id:
            return _leading_to(await PORT_SOURCE.row(call, PORTS, port_id))
        asked = (("device_id", server_id), ("network_id", interface.network_id))
        rows = [row for row in await PORT_SOURCE.find_own(call, PORTS, asked) if row.id not in parts.port_ids]
        if len(rows) != 1:
            text = f"server {server_id} has {len(rows)} ports of Nova's in network {interface.network_id}, expected one"
            raise PreconditionFailed(f"{text}; its interfaces were changed meanwhile", reason="PORT_LOST")
        return _leading_to(rows[0])


def _leading_to(port: PortRow) -> Mapping[str, str]:
    # A port with several addresses gets no floating IP unless it is said for which.
    address = next((ip.ip_address for ip in port.fixed_ips if ip.ip_address and ":" not in ip.ip_address), None)
    if address is None:
        text = f"port {port.id} has no IPv4 address that a floating IP could lead to; its network needs an IPv4 subnet"
        raise PreconditionFailed(text, reason="NO_IPV4_ADDRESS")
    return {"port": port.id, "address": address}


def show_floating_ips(server: server_pb2.Server, made: Sequence[Made[object]]) -> None:
    """Add new floating IPs to a server: Nova shows them seconds later."""
    for one in made:
        for interface in server.network_interfaces:
            known = one.data["address"] in interface.floating_ip_addresses
            if one.data["fixed"] in {ip.ip_address for ip in interface.fixed_ips} and not known:
                interface.floating_ip_addresses.append(one.data["address"])
