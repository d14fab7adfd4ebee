"""Make and delete volumes, each create exactly once.

`storage.Storage` builds on it. A volume of a size or a disk offering is a row in the database until its first
attachment, unless a primary storage is chosen; one made of a snapshot or an image is made at once. Deletion is soft:
the platform keeps a volume for days, and done is when it says Deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_kit.values import listed, native_id
from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.creation import Creation, Kind
from cloudspan_zstack.cloud.markers import marked_kind
from cloudspan_zstack.cloud.session import Change
from cloudspan_zstack.cloud.transits import transits_of
from cloudspan_zstack.volume.storage_messages import StorageMessages
from cloudspan_zstack.volume.storage_rows import DiskOfferingRow, PrimaryStorageRow, SnapshotRow, SourceRow, VolumeRow
from cloudspan_zstack.volume.volume_request import VolumeWish, bad, volume_change, wish_of

if TYPE_CHECKING:
    from cloudspan.v1 import volume_pb2
    from cloudspan_common.errors import InvalidRequest
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Operation
    from cloudspan_zstack.cloud.session import Session

_MADE = ("NotInstantiated", "Ready")
VOLUME = Kind(
    "/volumes",
    VolumeRow,
    "volumes",
    finished=lambda row: row.status in (*_MADE, "Deleted"),
    gone=lambda row: row.status == "Deleted",
    expunge="expungeDataVolume",
    passes=True,
)
_PASSING = ("Creating", "Migrating")


class StorageChanges:
    """The mutations of volumes of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._messages = StorageMessages(session, ref)
        self._creation = Creation(session)
        self.marked = {"volumes": marked_kind(session, VOLUME, ("VolumeVO",), self._remove_marked)}
        self.transits = {"volumes": transits_of(session, "/volumes", "status", _PASSING)}

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume | None:
        wish = wish_of(request, self._ref)
        storage = wish.options.primary_storage
        if wish.needs_a_storage or wish.names_its_size_twice:
            storage = (await op.read_once("place", lambda: self._place(op.call, wish)))["storage"]

        async def change(_call: Call, uuid: str) -> Change:
            return volume_change(wish, storage, uuid)

        uuid = await self._creation.make(op, "volume", VOLUME, change)
        op.set_resource(self._ref.resource("volumes", uuid))
        if wish.is_of_a_source and wish.size:
            await self._extend(op, wish, uuid)
        row = await op.wait_until("readable", lambda: self._creation.row(op.call, VOLUME, uuid), percent=90)
        (message,) = await self._messages.volumes(op.call, [row])
        return message

    async def _extend(self, op: Operation, wish: VolumeWish, uuid: str) -> None:
        """Give a volume that was made of a source the size that was asked for; nothing is sent where it has that."""

        async def holds() -> bool:
            row = await self._creation.row(op.call, VOLUME, uuid)
            if row is not None and row.size > wish.size:
                raise _too_small(wish, row.size)
            return row is not None and row.size == wish.size

        params = {"size": wish.size}
        change = Change(
            "PUT", "/volumes/data/resize/{uuid}/actions", {"uuid": uuid}, action="resizeDataVolume", params=params
        )
        await self._creation.apply(op, "extend", change, holds=holds)

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        op.set_resource(request.name)
        uuid = native_id(self._ref, "volumes", request.name, "name")
        await op.read_once("check", lambda: self._refuse_users(op.call, request.name, uuid))
        await self._creation.remove(op, "delete", VOLUME, uuid)

    async def _remove_marked(self, call: Call, uuid: str) -> None:
        await self._refuse_users(call, self._ref.resource("volumes", uuid), uuid)
        await self._creation.discard(call, VOLUME, uuid)

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

    # ------------------------------------------------------------------ what is looked up before

    async def _place(self, call: Call, wish: VolumeWish) -> dict[str, str]:
        """Check the size against the type's or the source's, and choose the primary storage where one is needed."""
        if wish.names_its_size_twice:
            check = check_source if wish.is_of_a_source else check_size
            await check(self._session, call, wish)
        if not wish.needs_a_storage:
            return {"storage": wish.options.primary_storage}
        conditions = ["state=Enabled", "status=Connected", *([f"zoneUuid={wish.zone}"] if wish.zone else [])]
        rows = await every(self._session, call, "/primary-storage", PrimaryStorageRow, conditions)
        if len(rows) == 1:
            return {"storage": rows[0].uuid}
        known = listed(f"{row.uuid} ({row.name}, {row.type})" for row in rows) or "none"
        why = "of an image" if wish.image else "in a zone"
        text = f"a volume {why} is made on a primary storage; choose options.primary_storage among: {known}"
        raise bad("options.primary_storage", text)


async def check_size(session: Session, call: Call, wish: VolumeWish) -> None:
    """Refuse a size beside a disk offering of another size: the platform would ignore it.

    Raises:
        InvalidRequest: They differ, or there is no such offering.
    """
    try:
        row = await session.get_one(call, "/disk-offerings/{uuid}", DiskOfferingRow, args={"uuid": wish.offering})
    except NotFound as error:
        raise bad(f"{wish.path}.volume_type", f"{wish.path}.volume_type: {error.message}") from error
    if row.disk_size != wish.size:
        text = (
            f"{wish.path}.size_bytes is {wish.size} and {wish.path}.volume_type, the disk offering {row.name!r}, "
            f"is {row.disk_size} bytes; leave one of them out"
        )
        raise bad(f"{wish.path}.size_bytes", text)


async def check_source(session: Session, call: Call, wish: VolumeWish) -> None:
    """Refuse a source that is not there, and a size below an image's: a volume never shrinks.

    How large the volume of a snapshot was then the platform does not keep; that shows once the copy is there.

    Raises:
        InvalidRequest: It is smaller, or there is no such source.
    """
    field, template, uuid = ("image", "/images/{uuid}", wish.image) if wish.image else (
        "snapshot", "/volume-snapshots/{uuid}", wish.snapshot,
    )  # fmt: skip
    try:
        row = await session.get_one(call, template, SourceRow, args={"uuid": uuid})
    except NotFound as error:
        raise bad(f"{wish.path}.{field}", f"{wish.path}.{field}: {error.message}") from error
    if wish.image and wish.size < row.size:
        raise _too_small(wish, row.size)


def _too_small(wish: VolumeWish, size: int) -> InvalidRequest:
    text = f"{wish.path}.size_bytes is {wish.size}, less than the {size} bytes of what it is made of"
    return bad(f"{wish.path}.size_bytes", text)
