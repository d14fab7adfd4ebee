"""What belongs to servers and is a resource of its own: data volumes, and floating IPs for their interfaces.

Volumes and addresses of a new server are made before it, since they are refused soonest, and joined to it once it is
there. What shall go with the server carries a tag that names it: the platform itself takes only the boot disk along, so
DeleteServer finds the rest by that tag and removes it after the server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, NotFound, PreconditionFailed, Unsupported
from cloudspan_kit import listed
from cloudspan_zstack.cloud.beside import rows_by, together
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.error_rules import LostJob
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change, Job
from cloudspan_zstack.cloud.markers import going_with, with_server
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.compute.server_rows import row_or_none, server_row
from cloudspan_zstack.network.floating_ips import EIP, FLOATING_IPS, VIP, EipRow, VipRow
from cloudspan_zstack.network.networks import L3Row
from cloudspan_zstack.volume.snapshots import SnapshotRow
from cloudspan_zstack.volume.volume_request import volume_change
from cloudspan_zstack.volume.volumes import VOLUME, VOLUMES, VolumeRow, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.server_create import Interface, NewVolume, Reference, ServerPlan
    from cloudspan_zstack.compute.server_rows import ServerRow


async def check_parts(call: Call, plan: ServerPlan) -> None:
    """Refuse, before anything is made, what the platform would refuse when half of it is there.

    Raises:
        InvalidRequest: Something that the request names is not there, or a disk offering has another size.
        PreconditionFailed: A network serves no floating IPs.
    """
    await together([_check_reference(call, one) for one in plan.references])
    for volume in plan.volumes:
        if volume.wish.names_its_size_twice:
            await check_size(session_of(call), call, volume.wish)
    for interface in plan.interfaces:
        if interface.floating:
            await _check_floating(call, interface)


async def _check_reference(call: Call, named: Reference) -> None:
    try:
        await session_of(call).get_one(call, named.template, Row, args={"uuid": named.uuid})
    except NotFound as error:
        raise bad(named.field, f"{named.field}: {error.message}", "REFERENCE_NOT_FOUND") from error


async def _check_floating(call: Call, interface: Interface) -> None:
    path = f"network_interfaces[{interface.number}]"
    await _network(call, interface.floating, f"{path}.floating_network")
    inside = await _network(call, interface.network, f"{path}.network")
    if "Eip" not in inside.services:
        name = call.cluster.resource("networks", inside.uuid)
        text = f"{path}.floating_network: {name} ({inside.name}) has no service Eip, so no floating IP leads into it"
        raise PreconditionFailed(text, reason="NO_FLOATING_IPS", resource=name)


async def _network(call: Call, uuid: str, field: str) -> L3Row:
    try:
        return await session_of(call).get_one(call, "/l3-networks/{uuid}", L3Row, args={"uuid": uuid})
    except NotFound as error:
        raise bad(field, f"{field}: {error.message}", "REFERENCE_NOT_FOUND") from error


# ---------------------------------------------------------------------- made with a server


async def make_volumes(op: Operation, plan: ServerPlan, server: str) -> list[str]:
    """Make the data volumes; return their uuids, in order."""
    return [await _make_volume(op, f"volume-{i}", new, server) for i, new in enumerate(plan.volumes)]


async def _make_volume(op: Operation, step: str, new: NewVolume, server: str) -> str:
    def change(uuid: str) -> Change:
        made = volume_change(new.wish, "", uuid)
        return _tagged(made, server) if new.goes_along else made

    return (await op.create(VOLUMES, change, step=step, part=True)).id


async def make_addresses(op: Operation, plan: ServerPlan, server: str) -> dict[int, str]:
    """Take the addresses of the floating IPs; return their VIPs by the interface's number."""
    name = str(plan.params["name"])
    wanted = [interface for interface in plan.interfaces if interface.floating]
    return {interface.number: await _make_vip(op, interface, name, server) for interface in wanted}


async def _make_vip(op: Operation, interface: Interface, name: str, server: str) -> str:
    async def change(_call: Call, uuid: str) -> Change:
        params = {"name": name, "l3NetworkUuid": interface.floating, "resourceUuid": uuid}
        return _tagged(Change("POST", "/vips", params=params), server)

    return await Creation(session_of(op.call)).make(op, f"vip-{interface.number}", VIP, change)


async def join(op: Operation, plan: ServerPlan, server: str, volumes: Sequence[str], vips: Mapping[int, str]) -> None:
    """Attach the volumes to the server, and lead the addresses to its interfaces."""
    for i, volume in enumerate(volumes):
        await _join_volume(op, f"attach-{i}", volume, server)
    if not vips:
        return
    nics = await op.read_once("nics", lambda: _nics(op.call, server))
    for interface in plan.interfaces:
        if interface.number in vips:
            nic = _nic_of(op.call, interface, nics, server)
            await _lead(op, plan, interface.number, vips[interface.number], nic, server)


async def _join_volume(op: Operation, step: str, volume: str, server: str) -> None:
    session = session_of(op.call)
    creation = Creation(session)

    async def holds() -> bool:
        row = await creation.row(op.call, VOLUME, volume)
        return row is not None and row.vm_instance_uuid == server

    async def undo(_done: Mapping[str, Any]) -> None:
        if not await holds():
            return
        try:
            await session.act(op.call, _detaching(volume, server), job=f"{op.marker(step)} undo")
        except (PreconditionFailed, GaveUp):
            return  # what the server does not let go of now goes off it when it is removed, which comes next

    await creation.apply(op, step, _attaching(volume, server), holds=holds, undo=undo)


async def _nics(call: Call, server: str) -> dict[str, str]:
    """Return the server's NICs by their network: it has one a network."""
    return {nic.l3_network_uuid: nic.uuid for nic in (await server_row(call, server)).vm_nics}


def _nic_of(call: Call, interface: Interface, nics: Mapping[str, str], server: str) -> str:
    found = nics.get(interface.network)
    if found is None:
        name, network = call.cluster.resource("servers", server), call.cluster.resource("networks", interface.network)
        text = f"{name} was made without a NIC on {network}, so no floating IP can lead to it"
        raise GaveUp(text, reason="NIC_MISSING", resource=name)
    return str(found)


async def _lead(op: Operation, plan: ServerPlan, number: int, vip: str, nic: str, server: str) -> None:
    def change(uuid: str) -> Change:
        params = {"name": plan.params["name"], "vipUuid": vip, "vmNicUuid": nic, "resourceUuid": uuid}
        return _tagged(Change("POST", "/eips", params=params), server)

    await op.create(FLOATING_IPS, change, step=f"eip-{number}", part=True)


def _tagged(change: Change, server: str) -> Change:
    return replace(change, user_tags=[*change.user_tags, with_server(server)])


# ---------------------------------------------------------------------- deleted with a server


async def along_of(call: Call, uuid: str) -> dict[str, Any]:
    """Return what goes with a server, as uuids by kind, as it is before the server is deleted.

    A volume that was detached, or an address that leads elsewhere by now, stays.

    Raises:
        PreconditionFailed: A volume has snapshots, which would go with it in silence.
    """
    going = await going_with(session_of(call), call, uuid)
    if not going:
        return {}
    row = await row_or_none(call, uuid)
    volumes = await _volumes_along(call, uuid, sorted(going.get("VolumeVO", ())))
    eips = await _eips_along(call, row, sorted(going.get("EipVO", ())))
    vips = await rows_by(session_of(call), call, "/vips", VipRow, "uuid", going.get("VipVO", ()))
    unused = [vip.uuid for vip in vips if all(ref.uuid in eips for ref in vip.services_refs)]
    return {"volumes": volumes, "eips": eips, "vips": unused}


async def _volumes_along(call: Call, server: str, uuids: Sequence[str]) -> list[str]:
    session, ref = session_of(call), call.cluster
    rows = await rows_by(session, call, "/volumes", VolumeRow, "uuid", uuids)
    found = [row.uuid for row in rows if row.vm_instance_uuid == server and not VOLUMES.gone(row)]
    snapshots = await rows_by(session, call, "/volume-snapshots", SnapshotRow, "volumeUuid", found)
    if snapshots:
        name = ref.resource("servers", server)
        volumes = listed(sorted({ref.resource("volumes", snapshot.volume_uuid) for snapshot in snapshots}))
        text = f"{volumes} would go with {name}, and {len(snapshots)} snapshots with that; delete them first: " + (
            listed(ref.resource("snapshots", snapshot.uuid) for snapshot in snapshots)
        )
        raise PreconditionFailed(text, reason="HAS_SNAPSHOTS", resource=name)
    return found


async def _eips_along(call: Call, row: ServerRow | None, uuids: Sequence[str]) -> list[str]:
    nics = {"", *(nic.uuid for nic in row.vm_nics)} if row else {""}
    rows = await rows_by(session_of(call), call, "/eips", EipRow, "uuid", uuids)
    return [eip.uuid for eip in rows if eip.vm_nic_uuid in nics]


async def remove_along(op: Operation, along: Mapping[str, Any], *, purge: bool) -> None:
    """Remove what `along_of` found; volumes softly, unless it is told to purge."""
    creation = Creation(session_of(op.call))
    for i, uuid in enumerate(along.get("eips", ())):
        await creation.remove(op, f"eip-{i}-delete", EIP, uuid)
    for i, uuid in enumerate(along.get("vips", ())):
        await creation.remove(op, f"vip-{i}-delete", VIP, uuid)
    for i, uuid in enumerate(along.get("volumes", ())):
        await creation.remove(op, f"vol-{i}-delete", VOLUME, uuid)
        if purge:
            await creation.expunge(op, f"vol-{i}-expunge", VOLUME, uuid)


# ---------------------------------------------------------------------- AttachVolume, DetachVolume


async def attach(op: Operation, request: server_pb2.AttachVolumeRequest, volume: str) -> None:
    """Attach a volume; done when the server's volumes say so.

    A volume and a server make a natural key: ZStack refuses the second attach, so both may be asked twice.
    """
    if request.device:
        raise Unsupported("device: ZStack chooses the device itself; leave it out", reason="DEVICE_NOT_CHOSEN")
    await op.read_once("check", lambda: _check_volume(op.call, volume))
    kept = await op.change("attach", lambda: _attach(op, volume))
    await op.wait_until("attached", lambda: _reached(op.call, volume, kept, attached=True), percent=50)


async def detach(op: Operation, volume: str) -> None:
    """Detach a volume; done as well when it is not attached."""
    kept = await op.change("detach", lambda: _detach(op, volume))
    await op.wait_until("detached", lambda: _reached(op.call, volume, kept, attached=False), percent=50)


async def _check_volume(call: Call, volume: str) -> None:
    """Refuse before anything is sent a volume or a server that is not there, and a volume that is elsewhere."""
    _refuse_user(call, await _disk(call, volume))
    await server_row(call, call.id)


async def _attach(op: Operation, volume: str) -> dict[str, Any]:
    disk = await _disk(op.call, volume)
    if await _is_attached(op.call, disk):
        return {}
    _refuse_user(op.call, disk)
    job = await session_of(op.call).send(op.call, _attaching(volume, op.call.id), job=op.marker("attach"))
    return job.kept()


async def _detach(op: Operation, volume: str) -> dict[str, Any]:
    try:
        disk = await _disk(op.call, volume)
    except NotFound:
        return {}
    if not await _is_attached(op.call, disk):
        return {}
    job = await session_of(op.call).send(op.call, _detaching(volume, op.call.id), job=op.marker("detach"))
    return job.kept()


def _attaching(volume: str, server: str) -> Change:
    return Change("POST", "/volumes/{volume}/vm-instances/{server}", {"volume": volume, "server": server})


def _detaching(volume: str, server: str) -> Change:
    return Change("DELETE", "/volumes/{volume}/vm-instances", {"volume": volume}, params={"vmUuid": server})


def _refuse_user(call: Call, disk: VolumeRow) -> None:
    if disk.vm_instance_uuid not in ("", call.id) and not disk.is_shareable:
        users = call.cluster.resource("servers", disk.vm_instance_uuid)
        text = f"volume {disk.uuid} is attached to {users}; detach it there first"
        raise PreconditionFailed(text, reason="VOLUME_IN_USE")


async def _reached(call: Call, volume: str, kept: Mapping[str, Any], *, attached: bool) -> str | None:
    """Return something once the attachment is as wanted; a job that is lost is judged by that alone."""
    try:
        is_attached = await _is_attached(call, await _disk(call, volume))
    except NotFound:
        if attached:
            raise
        is_attached = False
    if is_attached == attached:
        return "done"
    lost = ""
    try:
        if not await session_of(call).follow(call, Job.of(kept)):
            return None
    except LostJob as error:
        lost = error.message
    if await _is_attached(call, await _disk(call, volume)) == attached:
        return "done"
    now = "attached" if is_attached else "not attached"
    text = f"volume {volume} is {now} although its job has ended; {lost or 'the guest may hold on to it'}"
    raise GaveUp(text, reason="ATTACH_FAILED" if attached else "DETACH_FAILED")


async def _is_attached(call: Call, disk: VolumeRow) -> bool:
    """A shareable volume names none of its servers; each server names its volumes."""
    if disk.vm_instance_uuid == call.id:
        return True
    if disk.vm_instance_uuid and not disk.is_shareable:
        return False
    return any(known.uuid == disk.uuid for known in (await server_row(call, call.id)).all_volumes)


async def _disk(call: Call, volume: str) -> VolumeRow:
    return await VOLUMES.source.row(call, VOLUMES, volume)
