"""Volumes: block devices that are attached to servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import volume_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_kit import BY_KEY, Kind
from cloudspan_kit.drivers import VolumeDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers
from cloudspan_memory.cloud.store import Store, copied

if TYPE_CHECKING:
    from cloudspan_kit import Operation

Volume = volume_pb2.Volume

VOLUMES = Kind(
    collection="volumes",
    message=Volume,
    row=Volume,
    source=MemorySource(),
    changes_since="update_time",
    settled=lambda row: row.state not in (Volume.STATE_CREATING, Volume.STATE_DELETING),
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Volumes(MemoryDriver[Volume], VolumeDriver):
    """VolumeService."""

    kind = VOLUMES

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        store.before_delete("volumes", _refuse_attached)

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> Volume:
        check_size(request.volume.size_bytes, "volume.size_bytes")
        made = await op.create(VOLUMES, new_volume(request.volume))
        return await self.to_message(op.call, await op.ready(VOLUMES, made, step="available"))

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        await op.delete(VOLUMES, op.call.id)


def check_size(size_bytes: int, field: str) -> None:
    """Raise InvalidRequest for a volume of no size."""
    if size_bytes <= 0:
        text = f"{field} must be above 0"
        raise InvalidRequest(text, violations=[Violation(field, text)])


def new_volume(wanted: Volume) -> New[Volume]:
    """Return what makes a volume: CREATING at first, then AVAILABLE."""

    def build(_: str) -> Volume:
        volume = copied(wanted)
        volume.state = Volume.STATE_CREATING
        return volume

    def available(kept: Volume) -> None:
        kept.state = Volume.STATE_AVAILABLE

    return New(build, available)


def _refuse_attached(volume: Volume) -> None:
    if volume.attachments:
        users = ", ".join(attachment.server for attachment in volume.attachments)
        raise PreconditionFailed(f"{volume.name} is attached to {users}; detach it first")
