"""Volumes, volume types, snapshots and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.adapterkit.driver import BY_KEY, Call, Capability, Made, Operation, Page, Query
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_memory.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import image_pb2, snapshot_pb2, volume_pb2, volume_type_pb2


class Storage:
    """The storage area of one cluster."""

    capabilities: Mapping[str, Capability] = {"create_volume": Capability(create_safety=BY_KEY)}

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get_volume(self, call: Call, _: volume_pb2.GetVolumeRequest) -> volume_pb2.Volume:
        return copied(self._store.get("volumes", call.id))

    async def list_volumes(self, _: Call, query: Query) -> Page[volume_pb2.Volume]:
        return self._store.page("volumes", query)

    async def get_volume_type(self, call: Call, _: volume_type_pb2.GetVolumeTypeRequest) -> volume_type_pb2.VolumeType:
        return copied(self._store.get("volumeTypes", call.id))

    async def list_volume_types(self, _: Call, query: Query) -> Page[volume_type_pb2.VolumeType]:
        return self._store.page("volumeTypes", query)

    async def get_snapshot(self, call: Call, _: snapshot_pb2.GetSnapshotRequest) -> snapshot_pb2.Snapshot:
        return copied(self._store.get("snapshots", call.id))

    async def list_snapshots(self, _: Call, query: Query) -> Page[snapshot_pb2.Snapshot]:
        return self._store.page("snapshots", query)

    async def get_image(self, call: Call, _: image_pb2.GetImageRequest) -> image_pb2.Image:
        return copied(self._store.get("images", call.id))

    async def list_images(self, _: Call, query: Query) -> Page[image_pb2.Image]:
        return self._store.page("images", query)

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume:
        if request.volume.size_bytes <= 0:
            text = "volume.size_bytes must be above 0"
            raise InvalidRequest(text, violations=[Violation("volume.size_bytes", text)])

        async def send(marker: str) -> Made:
            volume = copied(request.volume)
            volume.state = volume.STATE_CREATING
            kept = self._store.put("volumes", self._store.id_for(marker), volume)
            self._store.later(kept, lambda: setattr(kept, "state", kept.STATE_AVAILABLE))
            return Made(self._store.id_for(marker))

        async def find(marker: str) -> list[Made]:
            volume_id = self._store.id_for(marker)
            return [Made(volume_id)] if self._store.find("volumes", volume_id) is not None else []

        made = await op.create("volume", send=send, find=find, undo=self._delete, safety=BY_KEY)
        op.touches(self._store.name("volumes", made.id))
        return await op.until("available", lambda: self._available(made.id), percent=50)

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        async def delete() -> None:
            volume = self._store.find("volumes", op.call.id)
            if volume is not None and volume.attachments:
                users = ", ".join(attachment.server for attachment in volume.attachments)
                raise PreconditionFailed(f"{request.name} is attached to {users}; detach it first")
            self._store.delete("volumes", op.call.id)

        op.touches(request.name)
        await op.act("delete", delete)

    async def _available(self, volume_id: str) -> volume_pb2.Volume | None:
        volume = self._store.get("volumes", volume_id)
        return copied(volume) if volume.state == volume.STATE_AVAILABLE else None

    async def _delete(self, volume_id: str) -> None:
        self._store.delete("volumes", volume_id)
