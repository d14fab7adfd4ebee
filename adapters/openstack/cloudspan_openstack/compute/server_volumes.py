"""AttachVolume and DetachVolume: done when Nova and Cinder agree.

A volume and a server make a natural key: Nova refuses the second attach, so both may be asked twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan_common.errors import GaveUp, InvalidRequest, NotFound, PreconditionFailed
from cloudspan_kit import Watch, converted, listed, native_id
from cloudspan_openstack.volume.volumes import VolumeRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Capability, Operation
    from cloudspan_openstack.compute.compute import Compute

# Nova and Cinder go on with the caller's token after the answer; it must outlive their work.
_TOKEN_LIFE_S = 600.0
_ATTACHING = frozenset({"reserved", "attaching"})
_ATTACHMENTS = "/servers/{id}/os-volume_attachments"


@dataclass(frozen=True, slots=True)
class _Pair:
    """How a volume and a server stand to each other."""

    volume: VolumeRow
    by_cinder: bool
    by_nova: bool


class ServerVolumes:
    """AttachVolume, DetachVolume."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        volume_id = native_id(self._compute.ref, "volumes", request.volume, "volume")
        watch = Watch("volumes", volume_id)
        await op.change("attach", lambda: self._attach(op.call, volume_id, request.device))
        pair = await op.wait_until("attached", lambda: self._attached(op.call, volume_id), percent=50, watch=watch)
        if not pair.by_cinder or not pair.by_nova:
            text = f"{request.volume} did not attach to {request.name}: Cinder ended in status {pair.volume.status}"
            raise GaveUp(text, reason="ATTACH_FAILED", resource=request.volume)
        return await self._server(op.call)

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        volume_id = native_id(self._compute.ref, "volumes", request.volume, "volume")
        watch = Watch("volumes", volume_id)
        await op.change("detach", lambda: self._detach(op.call, volume_id))
        pair = await op.wait_until("detached", lambda: self._detached(op.call, volume_id), percent=50, watch=watch)
        if pair is not None and isinstance(pair, _Pair) and (pair.by_cinder or pair.by_nova):
            text = (
                f"{request.volume} did not detach from {request.name}: it is {pair.volume.status} again; "
                "the guest may hold on to it: unmount it there"
            )
            raise GaveUp(text, reason="DETACH_FAILED", resource=request.volume)
        return await self._server(op.call)

    async def _server(self, call: Call) -> server_pb2.Server:
        return await self._compute.message(call, await self._compute.row(call, call.id))

    async def _attach(self, call: Call, volume_id: str, device: str) -> None:
        pair = await self._look(call, volume_id)
        if pair.by_nova or pair.by_cinder:
            return
        attachment = {"volumeId": volume_id} | ({"device": device} if device else {})
        try:
            await self._session.send(
                call, "POST", "compute", _ATTACHMENTS, None,
                args={"id": call.id}, json={"volumeAttachment": attachment}, min_life_s=_TOKEN_LIFE_S,
            )  # fmt: skip
        except (PreconditionFailed, InvalidRequest) as error:
            again = await self._look(call, volume_id)
            if again.by_nova or again.by_cinder:
                return  # the first try came through after all
            users = [a.server_id for a in again.volume.attachments if a.server_id]
            if not users:
                raise
            names = listed(self._compute.ref.resource("servers", server) for server in users)
            text = f"volume {volume_id} is attached to {names}; detach it there first"
            raise PreconditionFailed(text, reason="VOLUME_IN_USE", metadata=error.metadata) from error

    async def _attached(self, call: Call, volume_id: str) -> _Pair | None:
        pair = await self._look(call, volume_id)
        busy = pair.volume.status in _ATTACHING
        half = pair.by_nova != pair.by_cinder and not (pair.volume.status or "").startswith("error")
        return None if busy or half else pair

    async def _detach(self, call: Call, volume_id: str) -> None:
        pair = await self._look(call, volume_id)
        if not (pair.by_nova or pair.by_cinder) or pair.volume.status == "detaching":
            return
        try:
            await self._session.send(
                call, "DELETE", "compute", _ATTACHMENTS + "/{volume}", None,
                args={"id": call.id, "volume": volume_id}, redo_ok=True, min_life_s=_TOKEN_LIFE_S,
            )  # fmt: skip
        except NotFound:
            return
        except (PreconditionFailed, InvalidRequest):
            again = await self._look(call, volume_id)
            if again.volume.status == "detaching" or not again.by_nova:
                return  # an earlier try is under way
            raise

    async def _detached(self, call: Call, volume_id: str) -> _Pair | str | None:
        try:
            pair = await self._look(call, volume_id)
        except NotFound:
            return "gone"  # server or volume went meanwhile, and the attachment with it
        attached = pair.by_nova or pair.by_cinder
        return None if attached and (pair.volume.status == "detaching" or pair.by_nova != pair.by_cinder) else pair

    async def _look(self, call: Call, volume_id: str) -> _Pair:
        body = await self._session.get(call, "volume", "/volumes/{id}", dict[str, Any], args={"id": volume_id})
        volume = converted(body.get("volume"), VolumeRow)
        by_cinder = any(attachment.server_id == call.id for attachment in volume.attachments)
        path = _ATTACHMENTS + "/{volume}"
        try:
            args = {"id": call.id, "volume": volume_id}
            await self._session.get(call, "compute", path, dict[str, Any], args=args)
        except NotFound as error:
            if "not attached" not in error.message:
                raise  # the server itself is unknown
            return _Pair(volume, by_cinder, by_nova=False)
        return _Pair(volume, by_cinder, by_nova=True)
