"""Floating IPs: Neutron's addresses of external networks, and where they lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import floating_ip_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import ABSENT, BY_MARKER, Call, Capability, Kind, KindDriver, Made, Operation, native_id, push
from cloudspan_kit.drivers import FloatingIpDriver
from cloudspan_openstack.cloud.neutron import Neutron, NeutronBody, Row, in_tags
from cloudspan_openstack.cloud.values import bad, check_text, description_of, labels_of, tags_of, timestamp
from cloudspan_openstack.network.ports import PORT_SOURCE, PORTS, PortRow
from cloudspan_openstack.network.routers import ROUTER_INTERFACES, ROUTER_SOURCE, ROUTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

FloatingIp = floating_ip_pb2.FloatingIp

_STATES = {"ACTIVE": FloatingIp.STATE_ACTIVE, "DOWN": FloatingIp.STATE_DOWN, "ERROR": FloatingIp.STATE_ERROR}
_NO_NAME = (ABSENT, "floating IPs of this platform have no name; use the description or a label")


class PortDetails(msgspec.Struct):
    device_id: str | None = None
    device_owner: str | None = None


class FloatingIpRow(Row, kw_only=True):
    status: str | None = None
    floating_ip_address: str | None = None
    floating_network_id: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    port_details: PortDetails | None = None
    dns_name: str | None = None
    dns_domain: str | None = None


ADDRESSES = Neutron("/floatingips", "floatingip")

FLOATING_IPS = Kind(
    collection="floatingIps",
    message=FloatingIp,
    row=FloatingIpRow,
    source=ADDRESSES,
    sort={"ip_address": "floating_ip_address", "native_state": "status"},
    changes_since="changed_since",
    push={
        "name": push.ref("id", "floatingIps"),
        "ip_address": push.text("floating_ip_address"),
        "native_state": push.text("status"),
        "port": push.ref("port_id", "ports"),
        "router": push.ref("router_id", "routers"),
        "external_network": push.ref("floating_network_id", "networks"),
    },
    safety=BY_MARKER,
    marker=in_tags(),
    data=lambda row: {"address": row.floating_ip_address or "", "fixed": row.fixed_ip_address or ""},
)


class FloatingIps(KindDriver[FloatingIpRow, FloatingIp], FloatingIpDriver):
    """FloatingIpService."""

    kind = FLOATING_IPS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_floating_ip": Capability(fields={"floating_ip.display_name": _NO_NAME}),
        "update_floating_ip": Capability(fields={"floating_ip.display_name": _NO_NAME}),
    }

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._addresses, self._projects = f"{ref}/floatingIps/", f"{ref}/projects/"
        self._networks, self._ports = f"{ref}/networks/", f"{ref}/ports/"
        self._routers, self._servers = f"{ref}/routers/", f"{ref}/servers/"

    def message(self, row: FloatingIpRow) -> FloatingIp:
        port = row.port_details
        server = port.device_id if port and (port.device_owner or "").startswith("compute:") else None
        return FloatingIp(
            name=self._addresses + row.id,
            state=_STATES.get(row.status or "", FloatingIp.STATE_UNKNOWN),
            native_state=row.status,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            ip_address=row.floating_ip_address,
            external_network=self._networks + row.floating_network_id if row.floating_network_id else None,
            port=self._ports + row.port_id if row.port_id else None,
            fixed_ip_address=row.fixed_ip_address,
            router=self._routers + row.router_id if row.router_id else None,
            server=self._servers + server if server else None,
            dns_name=row.dns_name,
            dns_domain=row.dns_domain,
            etag=row.etag,
        )

    async def create_floating_ip(self, op: Operation, request: floating_ip_pb2.CreateFloatingIpRequest) -> FloatingIp:
        wanted = request.floating_ip
        tags = tags_of(wanted.labels, "floating_ip.labels")
        check_text(wanted.description, "floating_ip.description")
        network = native_id(self._ref, "networks", wanted.external_network, "floating_ip.external_network")
        fields: dict[str, object] = {
            "floating_network_id": network,
            "floating_ip_address": wanted.ip_address,
            "dns_name": wanted.dns_name,
            "dns_domain": wanted.dns_domain,
        }
        fields = {key: value for key, value in fields.items() if value}
        made = await op.create(FLOATING_IPS, NeutronBody(fields, tags, wanted.description))
        return await self._now(op, made.id)

    async def update_floating_ip(self, op: Operation, request: floating_ip_pb2.UpdateFloatingIpRequest) -> FloatingIp:
        changed, wanted = changed_fields(request, "floating_ip"), request.floating_ip
        if "display_name" in request.update_mask.paths:
            raise bad("update_mask", f"update_mask names display_name: {_NO_NAME[1]}")
        check_text(wanted.description, "floating_ip.description")
        fields = {"description": wanted.description} if "description" in changed else {}
        tags = tags_of(wanted.labels, "floating_ip.labels") if "labels" in changed else None
        op.set_resource(self._addresses + op.call.id)
        await ADDRESSES.update(op, FLOATING_IPS, op.call.id, fields, tags)
        return await self._now(op, op.call.id)

    async def delete_floating_ip(self, op: Operation, request: floating_ip_pb2.DeleteFloatingIpRequest) -> None:
        await op.delete(FLOATING_IPS, op.call.id)

    # ------------------------------------------------------------------ where it leads

    async def associate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.AssociateFloatingIpRequest
    ) -> FloatingIp:
        async def look() -> dict[str, str]:
            row = await ADDRESSES.row(op.call, FLOATING_IPS, op.call.id)
            port_id, address = await self._target(op.call, request, row.floating_network_id or "")
            self._refuse_bound(row, port_id, request)
            return {"port": port_id, "address": address}

        async def associate() -> None:
            # Neutron would take it from where it leads to without a word, also from where it was led meanwhile.
            row = await ADDRESSES.row(op.call, FLOATING_IPS, op.call.id)
            self._refuse_bound(row, target["port"], request)
            fields = {"port_id": target["port"], "fixed_ip_address": target["address"]}
            await ADDRESSES.put(op.call, op.call.id, fields)

        op.set_resource(request.name)
        target = await op.read_once("target", look)
        await op.change("associate", associate)
        return await self._now(op, op.call.id)

    async def disassociate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.DisassociateFloatingIpRequest
    ) -> FloatingIp:
        op.set_resource(request.name)
        await op.change("disassociate", lambda: ADDRESSES.put(op.call, op.call.id, {"port_id": None}))
        return await self._now(op, op.call.id)

    async def _now(self, op: Operation, floating_id: str) -> FloatingIp:
        row = await op.ready(FLOATING_IPS, Made(floating_id), step="readable", percent=90)
        return await self.to_message(op.call, row)

    def _refuse_bound(
        self, row: FloatingIpRow, port_id: str, request: floating_ip_pb2.AssociateFloatingIpRequest
    ) -> None:
        if row.port_id and row.port_id != port_id and not request.reassign:
            text = f"{request.name} leads to {self._ports}{row.port_id}; set reassign to take it from there"
            raise PreconditionFailed(text, reason="FLOATING_IP_IN_USE", resource=request.name)

    async def _target(
        self, call: Call, request: floating_ip_pb2.AssociateFloatingIpRequest, network_id: str
    ) -> tuple[str, str]:
        """Return the port and its address that a floating IP of an external network shall lead to."""
        asked = request.fixed_ip_address
        there = [
            (port, ip.ip_address, ip.subnet_id or "")
            for port in await self._ports_of(call, request)
            for ip in port.fixed_ips
            if ip.ip_address and ":" not in ip.ip_address
        ]
        found = [one for one in there if asked in ("", one[1])]
        if len(found) > 1 and request.server:
            reached = await _reached(call, sorted({port.network_id for port, _, _ in found}), network_id)
            found = [one for one in found if one[2] in reached]
        if len(found) != 1:
            field = "fixed_ip_address" if asked or request.port else "server"
            known = ", ".join(f"{address} of {self._ports}{port.id}" for port, address, _ in there) or "none"
            text = f"{field} does not say which one address it shall lead to; there are: {known}"
            raise InvalidRequest(text, reason="AMBIGUOUS_TARGET", violations=[Violation(field, text)])
        port, address, _ = found[0]
        return port.id, address

    async def _ports_of(self, call: Call, request: floating_ip_pb2.AssociateFloatingIpRequest) -> Sequence[PortRow]:
        if request.port:
            return [await PORT_SOURCE.row(call, PORTS, native_id(self._ref, "ports", request.port, "port"))]
        if not request.server:
            text = "port and server are both empty; say where the floating IP shall lead"
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("port", text)])
        server = native_id(self._ref, "servers", request.server, "server")
        return await PORT_SOURCE.find_own(call, PORTS, (("device_id", server),))


async def _reached(call: Call, networks: Sequence[str], external: str) -> set[str]:
    """Return the subnets of networks that a router joins to an external one."""
    params = [("network_id", network) for network in networks]
    params += [("device_owner", owner) for owner in sorted(ROUTER_INTERFACES)]
    joins = await PORT_SOURCE.find(call, PORTS, params)
    params = [("id", router_id) for router_id in sorted({port.device_id for port in joins if port.device_id})]
    routers = await ROUTER_SOURCE.find(call, ROUTERS, params) if params else []
    gateways = {row.id: row.external_gateway_info for row in routers}
    leading = {router_id for router_id, gateway in gateways.items() if gateway and gateway.network_id == external}
    return {ip.subnet_id for port in joins if port.device_id in leading for ip in port.fixed_ips if ip.subnet_id}
