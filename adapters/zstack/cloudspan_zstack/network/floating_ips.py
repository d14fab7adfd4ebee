"""Floating IPs: EIPs, each with the VIP below it that holds the address.

A VIP has no place in resource names: where a lost operation left one alone, it is told as a floating IP of that uuid.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import floating_ip_pb2
from cloudspan_common.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Violation,
)
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    EMULATED,
    Call,
    Capability,
    Kind,
    KindDriver,
    Made,
    Operation,
    listed,
    native_id,
    push,
)
from cloudspan_kit.drivers import FloatingIpDriver
from cloudspan_zstack.cloud import creation
from cloudspan_zstack.cloud.beside import both, by_uuid, every, read_marks, rows_by
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import tags_of
from cloudspan_zstack.cloud.markers import find_marked
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import AnyKind, M, R, UserTags, ZStackSource, session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.network.address_users import AddressRow
from cloudspan_zstack.network.networks import L3, L3Row
from cloudspan_zstack.network.ports import APPLIANCE, NicRow, UsedIp, VmKindRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Marked
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

FloatingIp = floating_ip_pb2.FloatingIp

_TYPE = "EipVO"
_STATES = {"Enabled": FloatingIp.STATE_ACTIVE, "Disabled": FloatingIp.STATE_DOWN}
_UNTOLD = (ABSENT, "the platform does not tell it")
_NO_DNS = (ABSENT, "floating IPs of this platform have no name in DNS")


class EipRow(Row, kw_only=True):
    vm_nic_uuid: str = ""
    vip_uuid: str = ""
    state: str = ""
    vip_ip: str = ""
    guest_ip: str = ""


class VipUse(msgspec.Struct, rename="camel"):
    """What a VIP serves; `uuid` is that of the EIP, load balancer or the like."""

    uuid: str = ""
    service_type: str = ""


class VipRow(Row, kw_only=True):
    l3_network_uuid: str = ""
    ip: str = ""
    system: bool = False
    services_refs: list[VipUse] = msgspec.field(default_factory=list)


VIP = creation.Kind("/vips", VipRow, "floatingIps")


class Eips(ZStackSource):
    """EIPs, and the VIPs that were to have one."""

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        is_eip = await Creation(session_of(call)).row(call, EIP, native_id) is not None
        await Creation(session_of(call)).discard(call, EIP if is_eip else VIP, native_id)


class _MarkedAddresses:
    async def find(self, call: Call, kind: Kind[Any, Any, Any], prefix: str) -> Sequence[Marked]:
        """Return the EIPs first: a VIP goes when none is on it any more."""
        eips = await UserTags(_TYPE).find(call, kind, prefix)
        return [*eips, *await find_marked(session_of(call), call, VIP, ("VipVO",), prefix)]


_EIPS = Eips("/eips", early=True)
FLOATING_IPS = Kind(
    collection="floatingIps",
    message=FloatingIp,
    row=EipRow,
    source=_EIPS,
    sort={"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate", "ip_address": "vipIp"},
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "floatingIps"),
        "display_name": push.text("name"),
        "native_state": push.text("state"),
        "ip_address": push.text("vipIp"),
        "fixed_ip_address": push.text("guestIp"),
        "port": push.ref("vmNicUuid", "ports"),
        # Down is what is bound to nothing as well.
        "state": push.words({"ACTIVE": ("state=Enabled", "vmNicUuid not null")}),
    },
    safety=BY_KEY,
    marker=_MarkedAddresses(),
)
EIP = _EIPS.native(FLOATING_IPS)
"""The kind as servers make and delete it."""


class FloatingIps(KindDriver[EipRow, FloatingIp], FloatingIpDriver):
    """FloatingIpService."""

    kind = FLOATING_IPS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_floating_ips": Capability(
            fields={"router": _UNTOLD, "dns_name": _UNTOLD, "dns_domain": _UNTOLD, "fault": _UNTOLD}
        ),
        "create_floating_ip": Capability(
            EMULATED,
            "a VIP is made for the address, then an EIP on it",
            fields={"floating_ip.dns_name": _NO_DNS, "floating_ip.dns_domain": _NO_DNS},
        ),
        "update_floating_ip": Capability(
            fields={"floating_ip.labels": (EMULATED, "labels are tags, which are changed one by one")}
        ),
        "delete_floating_ip": Capability(EMULATED, "the EIP is deleted, then its VIP unless something else is on it"),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._addresses, self._networks = f"{ref}/floatingIps/", f"{ref}/networks/"
        self._ports, self._servers = f"{ref}/ports/", f"{ref}/servers/"

    async def messages(self, call: Call, rows: Sequence[EipRow]) -> Sequence[FloatingIp]:
        session = session_of(call)
        (marks, vips), servers = await both(
            both(
                read_marks(session, call, self._ref, _TYPE, rows),
                rows_by(session, call, "/vips", VipRow, "uuid", (row.vip_uuid for row in rows)),
            ),
            _servers(call, [row.vm_nic_uuid for row in rows]),
        )
        known = by_uuid(vips)
        return [self._message(row, marks, known.get(row.vip_uuid), servers.get(row.vm_nic_uuid)) for row in rows]

    def _message(self, row: EipRow, marks: Marks, vip: VipRow | None, server: str | None) -> FloatingIp:
        # An address that leads nowhere is down, as elsewhere.
        state = _STATES.get(row.state, FloatingIp.STATE_UNKNOWN) if row.vm_nic_uuid else FloatingIp.STATE_DOWN
        return FloatingIp(
            name=self._addresses + row.uuid,
            display_name=row.name,
            state=state,
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            ip_address=row.vip_ip,
            external_network=self._networks + vip.l3_network_uuid if vip else None,
            port=self._ports + row.vm_nic_uuid if row.vm_nic_uuid else None,
            fixed_ip_address=row.guest_ip,
            server=self._servers + server if server else None,
        )

    # ------------------------------------------------------------------ creating, changing, deleting

    async def create_floating_ip(self, op: Operation, request: floating_ip_pb2.CreateFloatingIpRequest) -> FloatingIp:
        check_texts(request)
        wanted, tags = request.floating_ip, tags_of(request.floating_ip.labels, "floating_ip.labels")
        network = native_id(self._ref, "networks", wanted.external_network, "floating_ip.external_network")
        _check_address(wanted.ip_address)
        name, description = wanted.display_name or "floating-ip", wanted.description or None
        await op.read_once("check", lambda: self._check(op.call, network, wanted.ip_address))
        vip = await self._make_vip(op, name, network, wanted.ip_address)

        def change(uuid: str) -> Change:
            params = {"name": name, "description": description, "vipUuid": vip, "resourceUuid": uuid}
            return Change("POST", "/eips", params=params, user_tags=tags)

        made = await op.create(FLOATING_IPS, change, step="eip")
        return await self._now(op, made.id)

    async def update_floating_ip(self, op: Operation, request: floating_ip_pb2.UpdateFloatingIpRequest) -> FloatingIp:
        check_texts(request)
        changed, wanted = changed_fields(request, "floating_ip"), request.floating_ip
        asked = {"display_name": ("name", wanted.display_name), "description": ("description", wanted.description)}
        fields = dict(native for field, native in asked.items() if field in changed)
        tags = tags_of(wanted.labels, "floating_ip.labels") if "labels" in changed else None
        op.set_resource(self._addresses + op.call.id)
        await _EIPS.update(op, FLOATING_IPS, "updateEip", fields)
        await _EIPS.relabel(op, _TYPE, tags)
        return await self._now(op, op.call.id)

    async def delete_floating_ip(self, op: Operation, request: floating_ip_pb2.DeleteFloatingIpRequest) -> None:
        made = Creation(session_of(op.call))

        async def below() -> dict[str, str]:
            row = await made.row(op.call, EIP, op.call.id)
            return {"uuid": row.vip_uuid if row else ""}

        async def unused() -> dict[str, str]:
            vip = await made.row(op.call, VIP, below_it["uuid"])
            used = vip is None or vip.system or any(use.uuid != op.call.id for use in vip.services_refs)
            return {"uuid": "" if used else below_it["uuid"]}

        op.set_resource(request.name)
        below_it = await op.read_once("vip", below)
        await op.delete(FLOATING_IPS, op.call.id)
        if below_it["uuid"] and (rest := await op.read_once("unused", unused))["uuid"]:
            await made.remove(op, "delete-vip", VIP, rest["uuid"])

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Refuse to remove a VIP that serves something: that would go along in silence.

        Raises:
            PreconditionFailed: What it serves is listed.
        """
        vip = await Creation(session_of(call)).row(call, VIP, native_id)
        if vip is not None and vip.services_refs:
            users = listed(f"{ref.service_type} {ref.uuid}" for ref in vip.services_refs)
            text = f"the virtual address {vip.ip} ({native_id}) is in use, and what uses it would go along: {users}"
            raise PreconditionFailed(text, reason="IN_USE", resource=self._addresses + native_id)

    async def _make_vip(self, op: Operation, name: str, network: str, address: str) -> str:
        async def change(_call: Call, uuid: str) -> Change:
            params = {"name": name, "l3NetworkUuid": network, "requiredIp": address or None, "resourceUuid": uuid}
            return Change("POST", "/vips", params=params)

        try:
            return await Creation(session_of(op.call)).make(op, "vip", VIP, change)
        except (PreconditionFailed, QuotaExceeded):
            await self._refuse_taken(op.call, network, address)
            raise

    async def _check(self, call: Call, network: str, address: str) -> None:
        try:
            await session_of(call).get_one(call, L3.one, L3Row, args={"uuid": network})
        except NotFound as error:
            field = "floating_ip.external_network"
            raise bad(field, f"{field}: {error.message}", "REFERENCE_NOT_FOUND") from error
        await self._refuse_taken(call, network, address)

    async def _refuse_taken(self, call: Call, network: str, address: str) -> None:
        if not address:
            return
        of_it = [f"l3NetworkUuid={network}", f"ip={address}"]
        if await every(session_of(call), call, "/l3-networks/ip-address", AddressRow, of_it):
            text = f"{address} of {self._networks}{network} is in use; leave ip_address out to get a free one"
            raise AlreadyExists(text, reason="ADDRESS_IN_USE", resource=self._networks + network)

    # ------------------------------------------------------------------ where it leads

    async def associate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.AssociateFloatingIpRequest
    ) -> FloatingIp:
        async def look() -> dict[str, str]:
            row = await _EIPS.row(op.call, FLOATING_IPS, op.call.id)
            nic, used = await self._target(op.call, request, row)
            if row.vm_nic_uuid not in ("", nic.uuid) and not request.reassign:
                text = f"{request.name} leads to {self._ports}{row.vm_nic_uuid}; set reassign to take it from there"
                raise PreconditionFailed(text, reason="FLOATING_IP_IN_USE", resource=request.name)
            leaves = row.vm_nic_uuid and (row.vm_nic_uuid, row.guest_ip) != (nic.uuid, used.ip)
            return {"nic": nic.uuid, "used": used.uuid, "ip": used.ip, "from": row.vm_nic_uuid if leaves else ""}

        async def led_there() -> bool:
            row = await _EIPS.row(op.call, FLOATING_IPS, op.call.id)
            return (row.vm_nic_uuid, row.guest_ip) == (target["nic"], target["ip"])

        async def led_nowhere(_done: Mapping[str, Any]) -> None:
            if _done and await led_there():
                await session_of(op.call).act(op.call, _detachment(op.call.id), job=f"{op.marker('associate')} undo")

        async def not_there_yet() -> bool:
            row = await _EIPS.row(op.call, FLOATING_IPS, op.call.id)
            return row.vm_nic_uuid != target["from"] or await led_there()

        async def led_back(_done: Mapping[str, Any]) -> None:
            row = await _EIPS.row(op.call, FLOATING_IPS, op.call.id)
            if _done and not row.vm_nic_uuid:
                back = _attachment(op.call.id, target["from"])
                await session_of(op.call).act(op.call, back, job=f"{op.marker('detach')} undo")

        op.set_resource(request.name)
        target = await op.read_once("target", look)
        made = Creation(session_of(op.call))
        if target["from"]:
            await made.apply(op, "detach", _detachment(op.call.id), holds=not_there_yet, undo=led_back)
        change = _attachment(op.call.id, target["nic"], target["used"])
        await made.apply(op, "associate", change, holds=led_there, undo=led_nowhere)
        return await self._now(op, op.call.id)

    async def disassociate_floating_ip(
        self, op: Operation, request: floating_ip_pb2.DisassociateFloatingIpRequest
    ) -> FloatingIp:
        async def led_nowhere() -> bool:
            return not (await _EIPS.row(op.call, FLOATING_IPS, op.call.id)).vm_nic_uuid

        op.set_resource(request.name)
        made = Creation(session_of(op.call))
        await made.apply(op, "disassociate", _detachment(op.call.id), holds=led_nowhere)
        return await self._now(op, op.call.id)

    async def _now(self, op: Operation, eip: str) -> FloatingIp:
        return await self.to_message(op.call, await op.ready(FLOATING_IPS, Made(eip), step="readable", percent=90))

    async def _target(
        self, call: Call, request: floating_ip_pb2.AssociateFloatingIpRequest, row: EipRow
    ) -> tuple[NicRow, UsedIp]:
        """Return the NIC and its address that a floating IP shall lead to."""
        asked = request.fixed_ip_address
        nics = await self._nics(call, request)
        there = [(nic, used) for nic in nics for used in nic.used_ips or [UsedIp(ip=nic.ip)] if used.ip]
        found = [one for one in there if (one[1].ip == asked if asked else ":" not in one[1].ip)]
        if len(found) > 1 and request.server:
            unreached = await _unreached(call, {nic.l3_network_uuid for nic, _ in found}, row.vip_uuid)
            found = [one for one in found if one[0].l3_network_uuid not in unreached]
            found = [one for one in found if one[0].uuid == row.vm_nic_uuid] or found
        if len(found) != 1:
            field = "fixed_ip_address" if asked or request.port else "server"
            shown = ", ".join(f"{used.ip} of {self._ports}{nic.uuid}" for nic, used in there) or "none"
            text = f"{field} does not say which one address it shall lead to; there are: {shown}"
            raise InvalidRequest(text, reason="AMBIGUOUS_TARGET", violations=[Violation(field, text)])
        return found[0]

    async def _nics(self, call: Call, request: floating_ip_pb2.AssociateFloatingIpRequest) -> Sequence[NicRow]:
        session = session_of(call)
        if request.port:
            args = {"uuid": native_id(self._ref, "ports", request.port, "port")}
            return [await session.get_one(call, "/vm-instances/nics/{uuid}", NicRow, args=args)]
        if not request.server:
            text = "port and server are both empty; say where the floating IP shall lead"
            raise bad("port", text, "REQUIRED_FIELD_MISSING")
        server = native_id(self._ref, "servers", request.server, "server")
        return await every(session, call, "/vm-instances/nics", NicRow, [f"vmInstanceUuid={server}"])


def _check_address(text: str) -> None:
    try:
        if text:
            ip_address(text)
    except ValueError as error:
        raise bad("floating_ip.ip_address", f"floating_ip.ip_address: {error}") from error


def _attachment(eip: str, nic: str, used: str = "") -> Change:
    template = "/eips/{eip}/vm-instances/nics/{nic}"
    return Change("POST", template, {"eip": eip, "nic": nic}, params={"usedIpUuid": used or None})


def _detachment(eip: str) -> Change:
    return Change("DELETE", "/eips/{eip}/vm-instances/nics", {"eip": eip})


async def _unreached(call: Call, networks: set[str], vip_uuid: str) -> set[str]:
    """Return those of the networks that no floating IP on this VIP can lead into, as far as they can be seen."""
    vip = await Creation(session_of(call)).row(call, VIP, vip_uuid)
    rows = await rows_by(session_of(call), call, "/l3-networks", L3Row, "uuid", networks)
    return {row.uuid for row in rows if "Eip" not in row.services or (vip and row.uuid == vip.l3_network_uuid)}


async def _servers(call: Call, nics: Sequence[str]) -> dict[str, str]:
    """Return the server of each of these NICs; those of appliances have none."""
    session = session_of(call)
    found = await rows_by(session, call, "/vm-instances/nics", NicRow, "uuid", nics)
    owners = (nic.vm_instance_uuid for nic in found)
    vms = by_uuid(await rows_by(session, call, "/vm-instances", VmKindRow, "uuid", owners))
    return {
        nic.uuid: nic.vm_instance_uuid
        for nic in found
        if nic.vm_instance_uuid in vms and vms[nic.vm_instance_uuid].type != APPLIANCE
    }
