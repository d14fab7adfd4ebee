"""What stands beside a server: what is made with it and goes with it, and the volumes that it is given and loses.

Volumes, ports and floating IPs that are made with a server are each a step with a marker of its own; undone, they go
in reverse, behind their server. Ports and floating IPs get the tag `WITH_SERVER`: by it they are found when the server
is deleted, before the delete, while their places still say whose they are. Once the server is gone they are removed; a
floating IP that leads elsewhere by then, or a port that another device took, stays. A server that is only soft-deleted
takes them along as well: nothing would remove them when Nova reclaims it. Nova deletes volumes that go with it.

A floating IP is made once the server runs, and bound in its create: so it is never there unbound, binding it can't
take another one's port, and a create sent twice meets a 409, since an address has one floating IP in each external
network. An attachment needs no marker: Nova refuses a second one of the same volume and server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, InvalidRequest, NotFound, PreconditionFailed
from cloudspan_kit import BY_KEY, listed, watch_of
from cloudspan_openstack.cloud.neutron import NeutronBody
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import WITH_SERVER
from cloudspan_openstack.compute.server_create import Parts
from cloudspan_openstack.network.floating_ips import ADDRESSES, FLOATING_IPS
from cloudspan_openstack.network.ports import PORT_SOURCE, PORTS
from cloudspan_openstack.volume.volumes import VOLUMES, volume_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Made, Operation
    from cloudspan_openstack.compute.server_create import Interface, ServerPlan
    from cloudspan_openstack.network.ports import PortRow
    from cloudspan_openstack.volume.volumes import VolumeRow

# Of 8 equal creates for one address sent at once Neutron carried out one and refused 7, three times of three.
_BOUND = replace(FLOATING_IPS, safety=BY_KEY)
# Nova and Cinder go on with the caller's token after the answer; it must outlive their work.
_TOKEN_LIFE_S = 600.0
_ATTACHING = frozenset({"reserved", "attaching"})
_ATTACHMENTS = "/servers/{id}/os-volume_attachments"


async def make_parts(op: Operation, plan: ServerPlan) -> Parts:
    """Make what has to be there before the server: volumes, then ports."""
    boot, data = await _make_volumes(op, plan)
    ports = [await _port(op, plan.interfaces[i], i) for i in range(len(plan.interfaces))]
    return Parts(boot, data, ports)


async def make_floating_ips(op: Operation, plan: ServerPlan, parts: Parts, server_id: str) -> Sequence[Made[object]]:
    """Make the floating IPs that lead to a server's interfaces."""
    wanted = [i for i, interface in enumerate(plan.interfaces) if interface.floating_network_id]
    return [await _floating_ip(op, plan, parts, server_id, i) for i in wanted]


async def check_ports(call: Call, parts: Parts, server_id: str) -> None:
    """See that the ports that were given to it belong to the server: removing a duplicate can have unbound them.

    Raises:
        GaveUp: One does not.
    """
    for port_id in filter(None, parts.port_ids):
        port = await PORT_SOURCE.row(call, PORTS, port_id)
        if port.device_id != server_id:
            text = f"port {port_id} does not belong to server {server_id} but to {port.device_id or 'nothing'}"
            raise GaveUp(f"{text}; detach and attach it again", reason="PORT_LOST")


# ---------------------------------------------------------------------- volumes


async def _make_volumes(op: Operation, plan: ServerPlan) -> tuple[str, list[str]]:
    """Ask for all of them first, and wait for them then."""
    wanted = {f"volume-{i}": volume.body for i, volume in enumerate(plan.data_volumes)}
    if plan.new_volume is not None:
        wanted = {"boot-volume": plan.new_volume, **wanted}
    made = {s: await op.create(VOLUMES, volume_body(body), step=s, part=True) for s, body in wanted.items()}
    for step, volume in made.items():
        await op.ready(VOLUMES, volume, step=f"{step} ready", percent=20)
    boot = made.pop("boot-volume").id if plan.new_volume is not None else plan.volume_id
    return boot, [volume.id for volume in made.values()]


# ---------------------------------------------------------------------- ports


async def _port(op: Operation, interface: Interface, index: int) -> str:
    """Make the interface's port if one is asked for; return the id of the port to give to Nova, if any."""
    if interface.new_port is None:
        return interface.port_id
    body = NeutronBody(interface.port_body(), [WITH_SERVER])
    return (await op.create(PORTS, body, step=f"port-{index}", part=True)).id


# ---------------------------------------------------------------------- floating IPs


async def _floating_ip(op: Operation, plan: ServerPlan, parts: Parts, server_id: str, index: int) -> Made[object]:
    step, interface = f"floating-ip-{index}", plan.interfaces[index]
    place = await op.read_once(
        f"{step} port", lambda: _place(op.call, interface, parts, server_id, parts.port_ids[index])
    )
    body: dict[str, Any] = {
        "floating_network_id": interface.floating_network_id,
        "port_id": place["port"],
        "fixed_ip_address": place["address"],
    }
    return await op.create(_BOUND, NeutronBody(body, [WITH_SERVER]), step=step, part=True)


async def _place(call: Call, interface: Interface, parts: Parts, server_id: str, port_id: str) -> Mapping[str, str]:
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


# ---------------------------------------------------------------------- going with the server


async def parts_of(call: Call, server_id: str) -> Mapping[str, Any]:
    """Return what goes with a server: its ports of ours, and the floating IPs of ours with where they lead."""
    if not session_of(call).has("network"):
        return {}
    ports = await PORT_SOURCE.find_own(call, PORTS, (("device_id", server_id),))
    return {
        "ports": [row.id for row in ports if WITH_SERVER in row.tags],
        "floating_ips": await _bound_to(call, {row.id for row in ports}),
    }


async def _bound_to(call: Call, port_ids: set[str]) -> dict[str, str]:
    if not port_ids:
        return {}
    asked = (("tags", WITH_SERVER), *(("port_id", port_id) for port_id in sorted(port_ids)))
    rows = await ADDRESSES.find_own(call, FLOATING_IPS, asked)
    return {row.id: row.port_id for row in rows if WITH_SERVER in row.tags and row.port_id in port_ids}


async def remove_parts(op: Operation, with_it: Mapping[str, Any], server_id: str) -> None:
    """Remove, a step each, what was looked up before."""
    for i, (address_id, port_id) in enumerate(sorted(with_it.get("floating_ips", {}).items())):
        await _release(op, f"floating-ip-{i}", address_id, port_id)
    for i, port_id in enumerate(with_it.get("ports", ())):
        await _remove_port(op, f"port-{i}", port_id, server_id)


async def _release(op: Operation, step: str, address_id: str, port_id: str) -> None:
    async def release() -> None:
        row = await ADDRESSES.row(op.call, FLOATING_IPS, address_id)
        if row.port_id in (None, "", port_id):
            await ADDRESSES.remove(op.call, address_id)

    await op.change(step, lambda: _unless_gone(release()))


async def _remove_port(op: Operation, step: str, port_id: str, server_id: str) -> None:
    async def delete() -> None:
        row = await PORT_SOURCE.row(op.call, PORTS, port_id)
        if row.device_id in (None, "", server_id):
            await PORT_SOURCE.remove(op.call, port_id)

    await op.change(step, lambda: _unless_gone(delete()))


async def _unless_gone(work: Any) -> None:
    try:
        await work
    except NotFound:
        return


# ---------------------------------------------------------------------- attaching and detaching volumes


@dataclass(frozen=True, slots=True)
class _Pair:
    """How a volume and a server stand to each other."""

    volume: VolumeRow
    by_cinder: bool
    by_nova: bool


async def attach(op: Operation, request: server_pb2.AttachVolumeRequest, volume_id: str) -> None:
    """Attach a volume; done when Nova and Cinder agree."""
    watch = watch_of(VOLUMES, volume_id)
    await op.change("attach", lambda: _attach(op.call, volume_id, request.device))
    pair = await op.wait_until("attached", lambda: _attached(op.call, volume_id), percent=50, watch=watch)
    if not pair.by_cinder or not pair.by_nova:
        text = f"{request.volume} did not attach to {request.name}: Cinder ended in status {pair.volume.status}"
        raise GaveUp(text, reason="ATTACH_FAILED", resource=request.volume)


async def detach(op: Operation, request: server_pb2.DetachVolumeRequest, volume_id: str) -> None:
    """Detach a volume; done when Nova and Cinder agree."""
    watch = watch_of(VOLUMES, volume_id)
    await op.change("detach", lambda: _detach(op.call, volume_id))
    pair = await op.wait_until("detached", lambda: _detached(op.call, volume_id), percent=50, watch=watch)
    if pair is not None and isinstance(pair, _Pair) and (pair.by_cinder or pair.by_nova):
        text = (
            f"{request.volume} did not detach from {request.name}: it is {pair.volume.status} again; "
            "the guest may hold on to it: unmount it there"
        )
        raise GaveUp(text, reason="DETACH_FAILED", resource=request.volume)


async def _attach(call: Call, volume_id: str, device: str) -> None:
    pair = await _look(call, volume_id)
    if pair.by_nova or pair.by_cinder:
        return
    attachment = {"volumeId": volume_id} | ({"device": device} if device else {})
    try:
        await session_of(call).send(
            call, "POST", "compute", _ATTACHMENTS, None,
            args={"id": call.id}, json={"volumeAttachment": attachment}, min_life_s=_TOKEN_LIFE_S,
        )  # fmt: skip
    except (PreconditionFailed, InvalidRequest) as error:
        again = await _look(call, volume_id)
        if again.by_nova or again.by_cinder:
            return  # the first try came through after all
        users = [a.server_id for a in again.volume.attachments if a.server_id]
        if not users:
            raise
        names = listed(call.cluster.resource("servers", server) for server in users)
        text = f"volume {volume_id} is attached to {names}; detach it there first"
        raise PreconditionFailed(text, reason="VOLUME_IN_USE", metadata=error.metadata) from error


async def _attached(call: Call, volume_id: str) -> _Pair | None:
    pair = await _look(call, volume_id)
    busy = pair.volume.status in _ATTACHING
    half = pair.by_nova != pair.by_cinder and not (pair.volume.status or "").startswith("error")
    return None if busy or half else pair


async def _detach(call: Call, volume_id: str) -> None:
    pair = await _look(call, volume_id)
    if not (pair.by_nova or pair.by_cinder) or pair.volume.status == "detaching":
        return
    try:
        await session_of(call).send(
            call, "DELETE", "compute", _ATTACHMENTS + "/{volume}", None,
            args={"id": call.id, "volume": volume_id}, redo_ok=True, min_life_s=_TOKEN_LIFE_S,
        )  # fmt: skip
    except NotFound:
        return
    except (PreconditionFailed, InvalidRequest):
        again = await _look(call, volume_id)
        if again.volume.status == "detaching" or not again.by_nova:
            return  # an earlier try is under way
        raise


async def _detached(call: Call, volume_id: str) -> _Pair | str | None:
    try:
        pair = await _look(call, volume_id)
    except NotFound:
        return "gone"  # server or volume went meanwhile, and the attachment with it
    attached = pair.by_nova or pair.by_cinder
    return None if attached and (pair.volume.status == "detaching" or pair.by_nova != pair.by_cinder) else pair


async def _look(call: Call, volume_id: str) -> _Pair:
    volume = await VOLUMES.source.row(call, VOLUMES, volume_id)
    by_cinder = any(attachment.server_id == call.id for attachment in volume.attachments)
    path = _ATTACHMENTS + "/{volume}"
    try:
        args = {"id": call.id, "volume": volume_id}
        await session_of(call).get(call, "compute", path, dict[str, Any], args=args)
    except NotFound as error:
        if "not attached" not in error.message:
            raise  # the server itself is unknown
        return _Pair(volume, by_cinder, by_nova=False)
    return _Pair(volume, by_cinder, by_nova=True)
