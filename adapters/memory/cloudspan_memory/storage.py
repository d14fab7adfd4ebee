"""Volumes, volume types, snapshots and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import volume_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_kit import BY_KEY, Call, Capability, Operation, Page, Query, Watch
from cloudspan_memory.making import delete, make, marked, transits
from cloudspan_memory.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import image_pb2, snapshot_pb2, volume_type_pb2

_MOVING = (volume_pb2.Volume.STATE_CREATING, volume_pb2.Volume.STATE_DELETING)


class Storage:
    """The storage area of one cluster."""

    capabilities: Mapping[str, Capability] = {"create_volume": Capability(create_safety=BY_KEY)}

    def __init__(self, store: Store) -> None:
        self._store = store
        self.transits = {"volumes": transits(store, "volumes", _MOVING)}
        self.marked = {"volumes": marked(store, "volumes")}
        store.before_delete("volumes", _refuse_attached)

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
        check_size(request.volume.size_bytes, "volume.size_bytes")
        volume_id = await make_volume(op, self._store, "volume", request.volume)
        op.set_resource(self._store.name("volumes", volume_id))
        return await until_available(op, self._store, "available", volume_id)

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        op.set_resource(request.name)
        await op.change("delete", lambda: delete(self._store, "volumes", op.call.id))


def _refuse_attached(volume: volume_pb2.Volume) -> None:
    if volume.attachments:
        users = ", ".join(attachment.server for attachment in volume.attachments)
        raise PreconditionFailed(f"{volume.name} is attached to {users}; detach it first")


def check_size(size_bytes: int, field: str) -> None:
    """Raise InvalidRequest for a volume of no size."""
    if size_bytes <= 0:
        text = f"{field} must be above 0"
        raise InvalidRequest(text, violations=[Violation(field, text)])


async def make_volume(op: Operation, store: Store, step: str, wanted: volume_pb2.Volume) -> str:
    """Make a volume and return its id."""

    def build(_: str) -> volume_pb2.Volume:
        volume = copied(wanted)
        volume.state = volume.STATE_CREATING
        return volume

    def available(kept: volume_pb2.Volume) -> None:
        kept.state = kept.STATE_AVAILABLE

    return await make(op, store, step, "volumes", build, becomes=available)


async def until_available(op: Operation, store: Store, step: str, volume_id: str) -> volume_pb2.Volume:
    """Wait until a volume that was made can be used."""

    async def poll() -> volume_pb2.Volume | None:
        volume = store.get("volumes", volume_id)
        return copied(volume) if volume.state == volume.STATE_AVAILABLE else None

    return await op.wait_until(step, poll, percent=50, watch=Watch("volumes", volume_id))
