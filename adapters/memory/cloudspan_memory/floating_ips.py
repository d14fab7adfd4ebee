"""Floating IPs: taken from an external network, led to a port or to a server's port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import floating_ip_pb2, port_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import BY_KEY, Call, Capability, Operation, Page, Query
from cloudspan_memory.addresses import check_addresses, check_external, is_taken, make_floating_ip
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.making import delete, marked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

FloatingIp = floating_ip_pb2.FloatingIp


class FloatingIps:
    """The floating IPs of one cluster."""

    capabilities: Mapping[str, Capability] = {"create_floating_ip": Capability(create_safety=BY_KEY)}

    def __init__(self, store: Store) -> None:
        self._store = store
        self.marked = {"floatingIps": marked(store, "floatingIps")}

    async def get_floating_ip(self, call: Call, _: floating_ip_pb2.GetFloatingIpRequest) -> FloatingIp:
        return self._shown(self._store.get("floatingIps", call.id))

    async def list_floating_ips(self, _: Call, query: Query) -> Page[FloatingIp]:
        page = self._store.page("floatingIps", query)
        return Page([self._shown(row) for row in page.items], page.more, page.position)

    async def create_floating_ip(self, op: Operation, request: floating_ip_pb2.CreateFloatingIpRequest) -> FloatingIp:
        wanted = request.floating_ip

        async def look() -> None:
            check_external(self._store, wanted.external_network, "floating_ip.external_network")
            if not wanted.ip_address:
                return
            check_addresses(self._store, wanted.external_network, [wanted.ip_address], "floating_ip.ip_address")
            if is_taken(self._store, wanted.ip_address):
                text = f"{wanted.ip_address} of {wanted.external_network} is in use; choose another, or none"
                raise AlreadyExists(text, reason="ADDRESS_IN_USE")

        await op.read_once("request", look)
        made = await make_floating_ip(op, self._store, "floating-ip", wanted)
        op.set_resource(self._store.name("floatingIps", made))
        return self._shown(self._store.get("floatingIps", made))

    async def update_floating_ip(self, op: Operation, request: floating_ip_pb2.UpdateFloatingIpRequest) -> FloatingIp:
        changed, asked = changed_fields(request, "floating_ip"), request.floating_ip

        async def change() -> None:
            floating = self._store.get("floatingIps", op.call.id)
            for field in changed & {"display_name", "description"}:
                setattr(floating, field, getattr(asked, field))
            if "labels" in changed:
                floating.labels.clear()
                floating.labels.update(asked.labels)

        return await self._changed(op, "update", change)

    async def delete_floating_ip(self, op: Operation, request: floating_ip_pb2.DeleteFloatingIpRequest) -> None:
        op.set_resource(request.name)
        await op.change("delete", lambda: delete(self._store, "floatingIps", op.call.id))

    async def associate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.AssociateFloatingIpRequest
    ) -> FloatingIp:
        async def look() -> dict[str, str]:
            port, address = self._target(request)
            floating = self._store.get("floatingIps", op.call.id)
            if floating.port not in ("", port.name) and not request.reassign:
                text = f"{floating.name} leads to {floating.port}; set reassign to take it from there"
                raise PreconditionFailed(text, reason="FLOATING_IP_IN_USE", resource=floating.name)
            return {"port": port.name, "address": address}

        async def change() -> None:
            floating = self._store.get("floatingIps", op.call.id)
            floating.port, floating.fixed_ip_address = found["port"], found["address"]

        found = await op.read_once("target", look)
        return await self._changed(op, "associate", change)

    async def disassociate_floating_ip(
        self, op: Operation, _: floating_ip_pb2.DisassociateFloatingIpRequest
    ) -> FloatingIp:
        async def change() -> None:
            floating = self._store.get("floatingIps", op.call.id)
            floating.port = floating.fixed_ip_address = ""

        return await self._changed(op, "disassociate", change)

    async def _changed(self, op: Operation, step: str, change: Callable[[], Awaitable[None]]) -> FloatingIp:
        op.set_resource(self._store.name("floatingIps", op.call.id))
        self._store.get("floatingIps", op.call.id)  # before the first step, so that a check alone misses it too
        await op.change(step, change)
        return self._shown(self._store.get("floatingIps", op.call.id))

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

    def _shown(self, floating: FloatingIp) -> FloatingIp:
        """With the server that it leads to now."""
        shown = copied(floating)
        port = self._store.find("ports", parse_resource(floating.port, "ports")[1]) if floating.port else None
        shown.server = port.server if port is not None else ""
        return shown
