"""AttachVolume and DetachVolume: done when the server's volumes say so.

A volume and a server make a natural key: ZStack refuses the second attach, so both may be asked twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_common.errors import GaveUp, NotFound, PreconditionFailed, Unsupported
from cloudspan_kit import ABSENT, Capability, native_id
from cloudspan_zstack.cloud.error_rules import LostJob
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import Change, Job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.servers import ServerReader


class DiskRow(Row):
    """One volume, as far as its attachment is concerned."""

    vm_instance_uuid: str = ""
    is_shareable: bool = False
    status: str = ""


class ServerVolumes:
    """AttachVolume, DetachVolume."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "attach_volume": Capability(fields={"device": (ABSENT, "ZStack chooses the device itself")})
    }

    def __init__(self, reader: ServerReader) -> None:
        self._reader = reader
        self._session = reader.session

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        if request.device:
            raise Unsupported("device: ZStack chooses the device itself; leave it out", reason="DEVICE_NOT_CHOSEN")
        volume = native_id(self._reader.ref, "volumes", request.volume, "volume")
        await op.read_once("check", lambda: self._check(op.call, volume))
        kept = await op.change("attach", lambda: self._attach(op, volume))
        await op.wait_until("attached", lambda: self._reached(op.call, volume, kept, attached=True), percent=50)
        return await self._reader.server(op.call, op.call.id)

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        volume = native_id(self._reader.ref, "volumes", request.volume, "volume")
        kept = await op.change("detach", lambda: self._detach(op, volume))
        await op.wait_until("detached", lambda: self._reached(op.call, volume, kept, attached=False), percent=50)
        return await self._reader.server(op.call, op.call.id)

    async def _attach(self, op: Operation, volume: str) -> dict[str, Any]:
        disk = await self._disk(op.call, volume)
        if await self._is_attached(op.call, disk):
            return {}
        self._refuse_user(op.call, disk)
        args = {"volume": volume, "server": op.call.id}
        change = Change("POST", "/volumes/{volume}/vm-instances/{server}", args)
        return (await self._session.send(op.call, change, job=op.marker("attach"))).kept()

    async def _check(self, call: Call, volume: str) -> None:
        """Refuse before anything is sent a volume or a server that is not there, and a volume that is elsewhere."""
        self._refuse_user(call, await self._disk(call, volume))
        await self._reader.row(call, call.id)

    def _refuse_user(self, call: Call, disk: DiskRow) -> None:
        if disk.vm_instance_uuid not in ("", call.id) and not disk.is_shareable:
            users = self._reader.ref.resource("servers", disk.vm_instance_uuid)
            text = f"volume {disk.uuid} is attached to {users}; detach it there first"
            raise PreconditionFailed(text, reason="VOLUME_IN_USE")

    async def _detach(self, op: Operation, volume: str) -> dict[str, Any]:
        try:
            disk = await self._disk(op.call, volume)
        except NotFound:
            return {}
        if not await self._is_attached(op.call, disk):
            return {}
        change = Change("DELETE", "/volumes/{volume}/vm-instances", {"volume": volume}, params={"vmUuid": op.call.id})
        return (await self._session.send(op.call, change, job=op.marker("detach"))).kept()

    async def _reached(self, call: Call, volume: str, kept: Mapping[str, Any], *, attached: bool) -> str | None:
        """Return something once the attachment is as wanted; a job that is lost is judged by that alone."""
        try:
            is_attached = await self._is_attached(call, await self._disk(call, volume))
        except NotFound:
            if attached:
                raise
            is_attached = False
        if is_attached == attached:
            return "done"
        lost = ""
        try:
            if not await self._session.follow(call, Job.of(kept)):
                return None
        except LostJob as error:
            lost = error.message
        if await self._is_attached(call, await self._disk(call, volume)) == attached:
            return "done"
        now = "attached" if is_attached else "not attached"
        text = f"volume {volume} is {now} although its job has ended; {lost or 'the guest may hold on to it'}"
        raise GaveUp(text, reason="ATTACH_FAILED" if attached else "DETACH_FAILED")

    async def _is_attached(self, call: Call, disk: DiskRow) -> bool:
        """A shareable volume names none of its servers; each server names its volumes."""
        if disk.vm_instance_uuid == call.id:
            return True
        if disk.vm_instance_uuid and not disk.is_shareable:
            return False
        row = await self._reader.row(call, call.id)
        return any(known.uuid == disk.uuid for known in row.all_volumes)

    async def _disk(self, call: Call, volume: str) -> DiskRow:
        return await self._session.get_one(call, "/volumes/{uuid}", DiskRow, args={"uuid": volume})
