"""Floating IPs: taken from an external network, leading to a port or to a server's port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import floating_ip_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import BY_KEY, Kind
from cloudspan_kit.drivers import FloatingIpDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers, set_fields
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.network.networks import check_external
from cloudspan_memory.network.subnets import free_address, subnet_with, taken_addresses

if TYPE_CHECKING:
    from cloudspan.v1 import port_pb2
    from cloudspan_kit import Operation

FloatingIp = floating_ip_pb2.FloatingIp

FLOATING_IPS = Kind(
    collection="floatingIps",
    message=FloatingIp,
    row=FloatingIp,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class FloatingIps(MemoryDriver[FloatingIp], FloatingIpDriver):
    """FloatingIpService."""

    kind = FLOATING_IPS

    def message(self, row: FloatingIp) -> FloatingIp:
        """Return it with what it leads to now: nothing, once its port is deleted."""
        shown = copied(row)
        port = self._store.find("ports", parse_resource(row.port, "ports")[1]) if row.port else None
        if port is None:
            shown.port = shown.fixed_ip_address = ""
        shown.server = port.server if port is not None else ""
        shown.state = FloatingIp.STATE_ACTIVE if port is not None else FloatingIp.STATE_DOWN
        return shown

    async def create_floating_ip(self, op: Operation, request: floating_ip_pb2.CreateFloatingIpRequest) -> FloatingIp:
        wanted = request.floating_ip

        async def look() -> None:
            check_external(self._store, wanted.external_network, "floating_ip.external_network")
            if not wanted.ip_address:
                return
            subnet_with(self._store, wanted.external_network, wanted.ip_address, "floating_ip.ip_address")
            if wanted.ip_address in taken_addresses(self._store):
                text = f"{wanted.ip_address} of {wanted.external_network} is in use; choose another, or none"
                raise AlreadyExists(text, reason="ADDRESS_IN_USE")

        await op.read_once("request", look)
        made = await op.create(FLOATING_IPS, new_floating_ip(self._store, wanted))
        return self.message(self._store.get("floatingIps", made.id))

    async def update_floating_ip(self, op: Operation, request: floating_ip_pb2.UpdateFloatingIpRequest) -> FloatingIp:
        changed, wanted = changed_fields(request, "floating_ip"), request.floating_ip
        fields = changed & {"display_name", "description", "labels"}
        return await self._change(op, "update", lambda floating: set_fields(floating, wanted, fields))

    async def delete_floating_ip(self, op: Operation, request: floating_ip_pb2.DeleteFloatingIpRequest) -> None:
        await op.delete(FLOATING_IPS, op.call.id)

    # ------------------------------------------------------------------ where it leads

    async def associate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.AssociateFloatingIpRequest
    ) -> FloatingIp:
        async def look() -> dict[str, str]:
            port, address = self._target(request)
            floating = self.message(self._store.get("floatingIps", op.call.id))
            if floating.port not in ("", port.name) and not request.reassign:
                text = f"{floating.name} leads to {floating.port}; set reassign to take it from there"
                raise PreconditionFailed(text, reason="FLOATING_IP_IN_USE", resource=floating.name)
            return {"port": port.name, "address": address}

        def change(floating: FloatingIp) -> None:
            floating.port, floating.fixed_ip_address = target["port"], target["address"]

        target = await op.read_once("target", look)
        return await self._change(op, "associate", change)

    async def disassociate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.DisassociateFloatingIpRequest
    ) -> FloatingIp:
        def change(floating: FloatingIp) -> None:
            floating.port = floating.fixed_ip_address = ""

        return await self._change(op, "disassociate", change)

    def _target(self, request: floating_ip_pb2.AssociateFloatingIpRequest) -> tuple[port_pb2.Port, str]:
        """Return the port and its address that a floating IP shall lead to."""
        ports = [port for port in self._candidates(request) if port.fixed_ips]
        asked = request.fixed_ip_address
        found = [(p, ip.ip_address) for p in ports for ip in p.fixed_ips if asked in ("", ip.ip_address)]
        field = "fixed_ip_address" if asked or request.port else "server"
        if len(found) != 1:
            there = ", ".join(f"{ip.ip_address} of {p.name}" for p in ports for ip in p.fixed_ips) or "none"
            text = f"{field} does not say which one address it shall lead to; there are: {there}"
            raise InvalidRequest(text, reason="AMBIGUOUS_TARGET", violations=[Violation(field, text)])
        return found[0]

    def _candidates(self, request: floating_ip_pb2.AssociateFloatingIpRequest) -> list[port_pb2.Port]:
        if request.WhichOneof("target") is None:
            text = "port and server are both empty; say where the floating IP shall lead"
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("port", text)])
        if request.port:
            return [self._store.get("ports", parse_resource(request.port, "ports", "port")[1])]
        server = self._store.get("servers", parse_resource(request.server, "servers", "server")[1])
        return [port for port in self._store.all("ports") if port.server == server.name]


def new_floating_ip(store: Store, wanted: FloatingIp, port_id: str = "") -> New[FloatingIp]:
    """Return what takes a floating IP from an external network, and lets it lead to a port if there is one."""

    def build(_: str) -> FloatingIp:
        floating = copied(wanted)
        floating.ip_address = wanted.ip_address or free_address(store, wanted.external_network)[1]
        if port_id:
            fixed = store.get("ports", port_id).fixed_ips
            floating.port = store.name("ports", port_id)
            floating.fixed_ip_address = fixed[0].ip_address if fixed else ""
        return floating

    return New(build)
