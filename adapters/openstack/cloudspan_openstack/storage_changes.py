"""Make and delete volumes, each create exactly once.

`storage.Storage` builds on it. The marker of a create travels in the metadata, where Cinder takes and finds it, and
stays there: labels leave it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_common.adapterkit.driver import Made
from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.adapterkit.values import GIB, converted, listed, native_id
from cloudspan_common.errors import (
    GaveUp,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Violation,
)
from cloudspan_openstack.storage_rows import MARKER_KEY, Snapshots, VolumeRow, Volumes
from cloudspan_openstack.storage_types import know_types
from cloudspan_openstack.values import whole_gib

if TYPE_CHECKING:
    from cloudspan.v1 import volume_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.session import Session
    from cloudspan_openstack.storage_rows import StorageMapper

_BUSY = ("creating", "downloading", "attaching", "detaching", "uploading", "extending", "retyping")
_MAX_TEXT = 255


class SchedulerHints(msgspec.Struct, forbid_unknown_fields=True):
    """Where Cinder should place a volume."""

    same_host: list[str] | None = None
    different_host: list[str] | None = None
    local_to_instance: str | None = None
    query: str | None = None


class CreateVolumeOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateVolume."""

    scheduler_hints: SchedulerHints | None = None


class StorageChanges:
    """The mutations of volumes of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: StorageMapper) -> None:
        self._session, self._ref, self._mapper = session, ref, mapper

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume | None:
        body = self._body(request.volume)
        options = read_options(request.options, CreateVolumeOptions)
        made = await op.create(
            "volume",
            send=lambda marker: self._create(op.call, body, options, marker),
            find=lambda marker: self._find(op.call, marker),
            undo=lambda made_id: self._undo_create(op.call, made_id),
        )
        op.touches(self._ref.resource("volumes", made.id))
        row = await op.until("available", lambda: self._made(op.call, made.id), percent=50)
        if (row.status or "").startswith("error"):
            text = (
                f"Cinder took the volume and then failed to make it: {made.id} is in state {row.status}; "
                "usually no storage has room for its size and type"
            )
            raise GaveUp(text, reason="VOLUME_ERROR", resource=self._ref.resource("volumes", made.id))
        await know_types(self._session, op.call, self._mapper)
        return self._mapper.volume(row)

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        op.touches(request.name)
        volume_id = native_id(self._ref, "volumes", request.name, "name")
        await op.act("delete", lambda: self._delete(op.call, volume_id))
        status = await op.until("gone", lambda: self._gone(op.call, volume_id), percent=50)
        if status != "gone":
            text = f"Cinder could not delete {request.name}: it is in state {status}; ask the cloud's operator"
            raise GaveUp(text, reason="VOLUME_ERROR", resource=request.name)

    def _body(self, wanted: volume_pb2.Volume) -> dict[str, Any]:
        if wanted.image and wanted.snapshot:
            raise _bad("volume.snapshot", "volume.image and volume.snapshot exclude each other; keep one")
        if not wanted.size_bytes and not wanted.image and not wanted.snapshot:
            raise _bad("volume.size_bytes", "an empty volume needs volume.size_bytes, in whole GiB")
        if MARKER_KEY in wanted.labels:
            raise _bad("volume.labels", f"the label {MARKER_KEY!r} is kept for the platform's adapter; use another")
        for key, value in wanted.labels.items():
            if not key or len(key) > _MAX_TEXT or len(value) > _MAX_TEXT:
                raise _bad("volume.labels", f"the label {key[:60]!r} is empty or longer than {_MAX_TEXT} characters")
        ref = self._ref
        body = {
            "name": wanted.display_name,
            "description": wanted.description,
            "size": whole_gib(wanted.size_bytes, "volume.size_bytes"),
            "volume_type": native_id(ref, "volumeTypes", wanted.volume_type, "volume.volume_type"),
            "availability_zone": native_id(ref, "zones", wanted.zone, "volume.zone"),
            "imageRef": native_id(ref, "images", wanted.image, "volume.image"),
            "snapshot_id": native_id(ref, "snapshots", wanted.snapshot, "volume.snapshot"),
        }
        return {key: value for key, value in body.items() if value} | {"metadata": dict(wanted.labels)}

    # ------------------------------------------------------------------ native calls

    async def _create(self, call: Call, body: dict[str, Any], options: CreateVolumeOptions, marker: str) -> Made:
        volume = body | {"metadata": body["metadata"] | {MARKER_KEY: marker}}
        if "imageRef" in body and "size" not in body:
            volume["size"] = await self._image_gib(call, body["imageRef"])
        document: dict[str, Any] = {"volume": volume}
        if options.scheduler_hints is not None:
            hints = msgspec.to_builtins(options.scheduler_hints)
            document["OS-SCH-HNT:scheduler_hints"] = {k: v for k, v in hints.items() if v is not None}
        answer = await self._session.send(call, "POST", "volume", "/volumes", dict[str, Any], json=document)
        return Made(converted(answer.get("volume"), VolumeRow).id)

    async def _image_gib(self, call: Call, image_id: str) -> int:
        """Return the GiB that an image needs; Cinder knows it for snapshots only and answers 400 without a size."""
        image = await self._session.get(call, "image", "/images/{id}", dict[str, Any], args={"id": image_id})
        size = image.get("virtual_size") or image.get("size") or 0
        return max(int(image.get("min_disk") or 0), -(-int(size) // GIB), 1)

    async def _find(self, call: Call, marker: str) -> list[Made]:
        """Return what carries the marker; a marker holds no quote, so the filter's Python dict is safe to write."""
        params = (("metadata", repr({MARKER_KEY: marker})),)
        page = await self._session.get(call, "volume", "/volumes/detail", Volumes, params=params)
        mine = [row for row in page.rows if row.metadata.get(MARKER_KEY) == marker]
        return [Made(row.id) for row in sorted(mine, key=lambda row: (str(row.created_at), row.id))]

    async def _get(self, call: Call, volume_id: str) -> VolumeRow:
        body = await self._session.get(call, "volume", "/volumes/{id}", dict[str, Any], args={"id": volume_id})
        return converted(body.get("volume"), VolumeRow)

    async def _made(self, call: Call, volume_id: str) -> VolumeRow | None:
        row = await self._get(call, volume_id)
        return None if row.status in _BUSY else row

    async def _gone(self, call: Call, volume_id: str) -> str | None:
        try:
            row = await self._get(call, volume_id)
        except NotFound:
            return "gone"
        return row.status if (row.status or "").startswith("error") else None

    async def _remove(self, call: Call, volume_id: str) -> None:
        await self._session.send(call, "DELETE", "volume", "/volumes/{id}", None, args={"id": volume_id}, redo_ok=True)

    async def _delete(self, call: Call, volume_id: str) -> None:
        """Ask for deletion; done as well when it is gone or on its way.

        Raises:
            PreconditionFailed: It is attached, has snapshots, or is in a state that does not allow it; says which.
        """
        try:
            await self._remove(call, volume_id)
        except NotFound:
            return
        except PreconditionFailed as error:
            # Cinder has one text for all reasons: look which it is.
            await self._explain(call, volume_id, error)

    async def _explain(self, call: Call, volume_id: str, error: PreconditionFailed) -> None:
        name = self._ref.resource("volumes", volume_id)
        try:
            row = await self._get(call, volume_id)
        except NotFound:
            return
        if row.status == "deleting":
            return
        params = (("volume_id", volume_id),)
        snapshots = (await self._session.get(call, "volume", "/snapshots/detail", Snapshots, params=params)).rows
        servers = [a.server_id for a in row.attachments if a.server_id]
        if servers:
            users = listed(self._ref.resource("servers", server) for server in servers)
            text, reason = f"{name} is attached to {users}; detach it first", "VOLUME_IN_USE"
        elif snapshots:
            users = listed(self._ref.resource("snapshots", snapshot.id) for snapshot in snapshots)
            text, reason = f"{name} has {len(snapshots)} snapshots, delete them first: {users}", "HAS_SNAPSHOTS"
        else:
            text, reason = f"{name} is in state {row.status}, which can't be deleted: {error.message}", error.reason
        raise PreconditionFailed(text, reason=reason, metadata=error.metadata, resource=name) from error

    async def _undo_create(self, call: Call, volume_id: str) -> None:
        """Delete what a create made; done only when it is gone, else it would be reported as removed too early."""
        refused: PreconditionFailed | None = None
        try:
            await self._delete(call, volume_id)
        except PreconditionFailed as error:
            refused = error
        try:
            row = await self._get(call, volume_id)
        except NotFound:
            return
        if row.status in _BUSY or row.status == "deleting":
            # Cinder deletes no volume that it is still making: the undo is asked again, as after any "slow down".
            text = f"volume {volume_id} is {row.status}; its removal is looked at again"
            raise RateLimited(text, reason="STILL_BUSY", retry_after_s=1.0) from refused
        text = f"volume {volume_id} is in state {row.status} and was not deleted"
        raise refused or PreconditionFailed(text, reason="NOT_DELETED")


def _bad(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(text, violations=[Violation(field, text)])
