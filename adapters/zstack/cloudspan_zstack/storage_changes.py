"""Make and delete volumes, each create exactly once.

`storage.Storage` builds on it. A volume of a size or a disk offering is a row in the database until its first
attachment, unless a primary storage is chosen; one made of a snapshot or an image is made at once. Deletion is soft:
the platform keeps a volume for days, and done is when it says Deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.adapterkit.values import listed, native_id
from cloudspan_common.errors import InvalidRequest, PreconditionFailed, Violation
from cloudspan_zstack.beside import every
from cloudspan_zstack.creation import Creation, Kind
from cloudspan_zstack.labels import tags_of
from cloudspan_zstack.session import Change
from cloudspan_zstack.storage_messages import StorageMessages
from cloudspan_zstack.storage_rows import DiskOfferingRow, PrimaryStorageRow, SnapshotRow, VolumeRow

if TYPE_CHECKING:
    from cloudspan.v1 import volume_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.session import Session

_MADE = ("NotInstantiated", "Ready")
VOLUME = Kind(
    "/volumes",
    VolumeRow,
    "volumes",
    finished=lambda row: row.status in (*_MADE, "Deleted"),
    gone=lambda row: row.status == "Deleted",
    expunge="expungeDataVolume",
)


class CreateVolumeOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateVolume; ids are the platform's own."""

    primary_storage: str = ""
    """Where to keep it; the data is made at once then, not at the first attachment."""
    host: str = ""
    """The host whose disks to take, on local storage."""
    shareable: bool = False
    """Whether several servers may attach it at once."""
    ceph_pool: str = ""

    def tags(self) -> list[str]:
        """Return what travels as system tags."""
        told = {"localStorage::hostUuid::": self.host, "ceph::pool::": self.ceph_pool}
        tags = [prefix + value for prefix, value in told.items() if value]
        return [*tags, "ephemeral::shareable"] if self.shareable else tags


class StorageChanges:
    """The mutations of volumes of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._messages = StorageMessages(session, ref)
        self._creation = Creation(session)

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume | None:
        wanted = _wanted(request, self._ref)
        uuid = await self._creation.make(op, "volume", VOLUME, lambda call, new: self._change(call, wanted, new))
        op.touches(self._ref.resource("volumes", uuid))
        row = await op.until("readable", lambda: self._creation.row(op.call, VOLUME, uuid), percent=90)
        (message,) = await self._messages.volumes(op.call, [row])
        return message

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        op.touches(request.name)
        uuid = native_id(self._ref, "volumes", request.name, "name")

        async def refuse_users() -> None:
            await self._refuse_users(op.call, request.name, uuid)

        await self._creation.look(op, "check", refuse_users)
        await self._creation.remove(op, "delete", VOLUME, uuid)

    async def _refuse_users(self, call: Call, name: str, uuid: str) -> None:
        """Refuse what the platform would do in silence: detach it, and delete its snapshots along with it.

        Raises:
            PreconditionFailed: It is a server's root disk, attached, or has snapshots; says which.
        """
        row = await self._creation.row(call, VOLUME, uuid)
        if row is None or VOLUME.gone(row):
            return
        if row.type != "Data":
            text = f"{name} is the {row.type or 'own'} disk of a server; delete the server instead"
            raise PreconditionFailed(text, reason="NOT_A_DATA_VOLUME", resource=name)
        if row.vm_instance_uuid:
            server = self._ref.resource("servers", row.vm_instance_uuid)
            raise PreconditionFailed(
                f"{name} is attached to {server}; detach it first", reason="VOLUME_IN_USE", resource=name
            )
        snapshots = await every(self._session, call, "/volume-snapshots", SnapshotRow, [f"volumeUuid={uuid}"])
        if snapshots:
            names = listed(self._ref.resource("snapshots", snapshot.uuid) for snapshot in snapshots)
            text = f"{name} has {len(snapshots)} snapshots, delete them first: {names}"
            raise PreconditionFailed(text, reason="HAS_SNAPSHOTS", resource=name)

    # ------------------------------------------------------------------ what is sent

    async def _change(self, call: Call, wanted: _Wanted, uuid: str) -> Change:
        """Return the create call: there are three of them, for what a volume is made of."""
        storage = await self._storage(call, wanted)
        params: dict[str, Any] = {
            "name": wanted.name,
            "description": wanted.description or None,
            "primaryStorageUuid": storage or None,
            "resourceUuid": uuid,
        }
        template, args = "/volumes/data", {}
        if wanted.snapshot:
            template = "/volumes/data/from/volume-snapshots/{snapshot}"
            args = {"snapshot": wanted.snapshot}
        elif wanted.image:
            template, args = "/volumes/data/from/data-volume-templates/{image}", {"image": wanted.image}
            params["hostUuid"] = wanted.options.host or None
        elif wanted.offering:
            await self._check_size(call, wanted)
            params["diskOfferingUuid"] = wanted.offering
        else:
            params["diskSize"] = wanted.size
        return Change("POST", template, args, params=params, system_tags=wanted.options.tags(), user_tags=wanted.tags)

    async def _check_size(self, call: Call, wanted: _Wanted) -> None:
        """A disk offering is a size: another one beside it would be ignored by the platform."""
        if not wanted.size:
            return
        args = {"uuid": wanted.offering}
        row = await self._session.get_one(call, "/disk-offerings/{uuid}", DiskOfferingRow, args=args)
        if row.disk_size != wanted.size:
            text = (
                f"volume.size_bytes is {wanted.size} and volume.volume_type, the disk offering {row.name!r}, "
                f"is {row.disk_size} bytes; leave one of them out"
            )
            raise _bad("volume.size_bytes", text)

    async def _storage(self, call: Call, wanted: _Wanted) -> str:
        """Return the primary storage to make it on; empty where the platform decides at the first attachment."""
        if wanted.options.primary_storage or not (wanted.zone or wanted.image):
            return wanted.options.primary_storage
        conditions = ["state=Enabled", "status=Connected", *([f"zoneUuid={wanted.zone}"] if wanted.zone else [])]
        rows = await every(self._session, call, "/primary-storage", PrimaryStorageRow, conditions)
        if len(rows) == 1:
            return rows[0].uuid
        known = listed(f"{row.uuid} ({row.name}, {row.type})" for row in rows) or "none"
        why = "of an image" if wanted.image else "in a zone"
        text = f"a volume {why} is made on a primary storage; choose options.primary_storage among: {known}"
        raise _bad("options.primary_storage", text)


class _Wanted(msgspec.Struct, frozen=True):
    """What is asked for, in the platform's ids."""

    name: str
    description: str
    size: int
    offering: str
    image: str
    snapshot: str
    zone: str
    tags: list[str]
    options: CreateVolumeOptions


def _wanted(request: volume_pb2.CreateVolumeRequest, ref: ClusterRef) -> _Wanted:
    volume = request.volume
    if volume.image and volume.snapshot:
        raise _bad("volume.snapshot", "volume.image and volume.snapshot exclude each other; keep one")
    source = volume.image or volume.snapshot
    if source and (volume.size_bytes or volume.volume_type):
        text = f"a volume made of {source} has that one's size on this platform; leave size_bytes and volume_type out"
        raise _bad("volume.size_bytes", text)
    if not source and not volume.volume_type and volume.size_bytes <= 0:
        raise _bad("volume.size_bytes", "an empty volume needs volume.size_bytes or a volume.volume_type")
    return _Wanted(
        name=volume.display_name or "volume",
        description=volume.description,
        size=volume.size_bytes,
        offering=native_id(ref, "volumeTypes", volume.volume_type, "volume.volume_type"),
        image=native_id(ref, "images", volume.image, "volume.image"),
        snapshot=native_id(ref, "snapshots", volume.snapshot, "volume.snapshot"),
        zone=native_id(ref, "zones", volume.zone, "volume.zone"),
        tags=tags_of(volume.labels, "volume.labels"),
        options=read_options(request.options, CreateVolumeOptions),
    )


def _bad(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(text, violations=[Violation(field, text)])
