"""Volumes, root disks of servers included.

A volume of a size or a disk offering is a row in the database until its first attachment, unless a primary storage is
chosen; one made of a snapshot or an image is made at once. Deletion is soft: the platform keeps a volume for days, and
done is when it says Deleted. Deleted volumes can be read; lists leave them out unless `show_deleted` asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan.v1 import volume_pb2
from cloudspan_common.errors import InvalidRequest, NotFound, PreconditionFailed
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    EMULATED,
    Call,
    Capability,
    Kind,
    KindDriver,
    Operation,
    Query,
    RowPage,
    Rows,
    each,
    listed,
    push,
)
from cloudspan_kit.drivers import VolumeDriver
from cloudspan_zstack.cloud.beside import both, by_uuid, every, read_marks, rows_by
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.queries import without
from cloudspan_zstack.cloud.rows import Date, Row
from cloudspan_zstack.cloud.session import nothing_at
from cloudspan_zstack.cloud.source import AnyKind, M, R, UserTags, ZStackSource, session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.network.ports import APPLIANCE, VmKindRow
from cloudspan_zstack.volume.snapshots import SnapshotRow
from cloudspan_zstack.volume.volume_request import CreateVolumeOptions, VolumeWish, volume_change, wish_of
from cloudspan_zstack.volume.volume_types import DiskOfferingRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.cloud.session import Session

_V = volume_pb2.Volume
# Whether Ready means available or in use, the row's other fields tell. NotInstantiated is there for users: the
# platform makes its data at the first attachment.
_STATES = {
    "Creating": _V.STATE_CREATING,
    "NotInstantiated": _V.STATE_AVAILABLE,
    "Ready": _V.STATE_AVAILABLE,
    "Migrating": _V.STATE_MIGRATING,
    "Deleted": _V.STATE_SOFT_DELETED,
}
_PUSHED = {
    "CREATING": ("status=Creating",),
    "AVAILABLE": ("status?=Ready,NotInstantiated", "vmInstanceUuid is null"),
    "IN_USE": ("status?=Ready,NotInstantiated", "vmInstanceUuid not null"),
    "MAINTENANCE": ("state=Disabled",),
    "MIGRATING": ("status=Migrating",),
    "SOFT_DELETED": ("status=Deleted",),
}
_UNTOLD = (ABSENT, "the platform does not tell it")
_FIELDS = {
    "snapshot": _UNTOLD,
    "source_volume": _UNTOLD,
    "encrypted": _UNTOLD,
    "host": (ABSENT, "which host's disks hold a volume is shown to administrators only"),
    "image_properties": (ABSENT, "the platform tells an image's properties with the image"),
    "migration_status": _UNTOLD,
    "fault": _UNTOLD,
    "attachments.device": _UNTOLD,
    "attachments.id": (ABSENT, "attachments have no id"),
    "attachments": (ABSENT, "of a volume that several servers share the platform does not tell them"),
}
_KINDS = {"Root": _V.KIND_ROOT, "Data": _V.KIND_DATA}
_MADE = ("NotInstantiated", "Ready")


class VolumeRow(Row, kw_only=True):
    type: str = ""
    status: str = ""
    state: str = ""
    size: int = 0
    primary_storage_uuid: str = ""
    vm_instance_uuid: str = ""
    disk_offering_uuid: str = ""
    root_image_uuid: str = ""
    is_shareable: bool = False
    last_attach_date: Date = None


class SourceRow(Row, kw_only=True):
    """An image or a snapshot, as far as a volume that is made of it is concerned."""

    size: int = 0


class PrimaryStorageRow(Row, kw_only=True):
    zone_uuid: str = ""
    type: str = ""


class VolumeSource(ZStackSource):
    """Volumes without those of the platform's own appliances, such as routers, which are no servers."""

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        found = await super().one(call, kind, native_id)
        row: Any = found.rows[0]
        owner = [row.vm_instance_uuid] if row.type == "Root" else []
        vms = await rows_by(session_of(call), call, "/vm-instances", VmKindRow, "uuid", owner)
        if any(vm.type == APPLIANCE for vm in vms):
            raise nothing_at(call, f"{self.path}/{native_id}")
        return found

    async def row(self, call: Call, kind: AnyKind[R, M], native_id: str) -> R:
        return (await super().one(call, kind, native_id)).rows[0]

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        page, appliances = await both(super().page(call, kind, query), _appliances(call))
        return without(page, lambda row: getattr(row, "vm_instance_uuid", "") in appliances) if appliances else page


async def _appliances(call: Call) -> set[str]:
    return {row.uuid for row in await every(session_of(call), call, "/vm-instances", Row, [f"type={APPLIANCE}"])}


# Memory and Cache volumes are the platform's own.
_SOURCE = VolumeSource(
    "/volumes",
    only={"type": ("Root", "Data")},
    unless_asked="status!=Deleted",
    moving="status?=Creating,Migrating",
    expunge="expungeDataVolume",
)
VOLUMES = Kind(
    collection="volumes",
    message=volume_pb2.Volume,
    row=VolumeRow,
    source=_SOURCE,
    sort={
        "display_name": "name",
        "create_time": "createDate",
        "update_time": "lastOpDate",
        "size_bytes": "size",
        "native_state": "status",
    },
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "volumes"),
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.words(_PUSHED),
        "bootable": push.words({"true": ("type=Root",), "false": ("type=Data",)}),
        "kind": push.words({"ROOT": ("type=Root",), "DATA": ("type=Data",)}),
        "storage_pool": push.ref("primaryStorageUuid", "storagePools"),
        "multi_attach": push.word("isShareable", push.FLAGS),
        "volume_type": push.ref("diskOfferingUuid", "volumeTypes"),
        "image": push.ref("rootImageUuid", "images"),
    },
    settled=lambda row: row.status not in ("Creating", "Migrating"),
    usable=lambda row: row.status in (*_MADE, "Deleted"),
    gone=lambda row: row.status == "Deleted",
    safety=BY_KEY,
    marker=UserTags("VolumeVO"),
)
VOLUME = _SOURCE.native(VOLUMES)
"""The kind as servers make and delete it."""


class Volumes(KindDriver[VolumeRow, volume_pb2.Volume], VolumeDriver):
    """VolumeService."""

    kind = VOLUMES
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_volumes": Capability(fields=_FIELDS),
        "create_volume": Capability(
            options=CreateVolumeOptions,
            fields={
                "volume.source_volume": (ABSENT, "copy a volume by a snapshot of it"),
                "volume.size_bytes": (EMULATED, "beside a larger source's size the volume is extended once it is made"),
            },
        ),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._volumes, self._types, self._images = f"{ref}/volumes/", f"{ref}/volumeTypes/", f"{ref}/images/"
        self._servers, self._zones, self._pools = f"{ref}/servers/", f"{ref}/zones/", f"{ref}/storagePools/"

    async def messages(self, call: Call, rows: Sequence[VolumeRow]) -> Sequence[volume_pb2.Volume]:
        session, used = session_of(call), (row.primary_storage_uuid for row in rows)
        marks, storages = await both(
            read_marks(session, call, self._ref, "VolumeVO", rows),
            rows_by(session, call, "/primary-storage", PrimaryStorageRow, "uuid", used),
        )
        known = by_uuid(storages)
        return await each(call, rows, lambda row: self._message(row, marks, known))

    def _message(self, row: VolumeRow, marks: Marks, storages: Mapping[str, PrimaryStorageRow]) -> volume_pb2.Volume:
        storage = storages.get(row.primary_storage_uuid)
        return _V(
            name=self._volumes + row.uuid,
            display_name=row.name,
            state=_state(row),
            native_state=row.status,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            size_bytes=row.size,
            volume_type=self._types + row.disk_offering_uuid if row.disk_offering_uuid else None,
            description=row.description,
            zone=self._zones + storage.zone_uuid if storage and storage.zone_uuid else None,
            bootable=row.type == "Root",
            multi_attach=row.is_shareable,
            image=self._images + row.root_image_uuid if row.root_image_uuid else None,
            attachments=[self._attachment(row)] if row.vm_instance_uuid else [],
            kind=_KINDS.get(row.type, _V.KIND_UNKNOWN) if row.type else None,
            storage_pool=self._pools + row.primary_storage_uuid if row.primary_storage_uuid else None,
        )

    def _attachment(self, row: VolumeRow) -> volume_pb2.Volume.Attachment:
        return _V.Attachment(server=self._servers + row.vm_instance_uuid, attach_time=self._time(row.last_attach_date))

    # ------------------------------------------------------------------ changes

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume:
        check_texts(request)
        wish = wish_of(request, self._ref)
        storage = wish.options.primary_storage
        if wish.needs_a_storage or wish.names_its_size_twice:
            storage = (await op.read_once("place", lambda: _place(op.call, wish)))["storage"]
        made = await op.create(VOLUMES, lambda uuid: volume_change(wish, storage, uuid))
        if wish.is_of_a_source and wish.size:
            await _extend(op, wish, made.id)
        return await self.to_message(op.call, await op.ready(VOLUMES, made, step="readable", percent=90))

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        await op.delete(VOLUMES, op.call.id, check=self.refuse_users)

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Refuse what the platform would do in silence: detach it, and delete its snapshots along with it.

        Raises:
            PreconditionFailed: It is a server's root disk, attached, or has snapshots; says which.
        """
        name = self._ref.resource("volumes", native_id)
        try:
            row = await VOLUMES.source.row(call, VOLUMES, native_id)
        except NotFound:
            return
        if VOLUMES.gone(row):
            return
        if row.type != "Data":
            text = f"{name} is the {row.type or 'own'} disk of a server; delete the server instead"
            raise PreconditionFailed(text, reason="NOT_A_DATA_VOLUME", resource=name)
        if row.vm_instance_uuid:
            server = self._ref.resource("servers", row.vm_instance_uuid)
            raise PreconditionFailed(
                f"{name} is attached to {server}; detach it first", reason="VOLUME_IN_USE", resource=name
            )
        snapshots = await every(session_of(call), call, "/volume-snapshots", SnapshotRow, [f"volumeUuid={native_id}"])
        if snapshots:
            names = listed(self._ref.resource("snapshots", snapshot.uuid) for snapshot in snapshots)
            text = f"{name} has {len(snapshots)} snapshots, delete them first: {names}"
            raise PreconditionFailed(text, reason="HAS_SNAPSHOTS", resource=name)


async def _extend(op: Operation, wish: VolumeWish, uuid: str) -> None:
    """Give a volume that was made of a source the size that was asked for; nothing is sent where it has that."""
    creation = Creation(session_of(op.call))

    async def holds() -> bool:
        row = await creation.row(op.call, VOLUME, uuid)
        if row is not None and row.size > wish.size:
            raise _too_small(wish, row.size)
        return row is not None and row.size == wish.size

    params = {"size": wish.size}
    change = Change(
        "PUT", "/volumes/data/resize/{uuid}/actions", {"uuid": uuid}, action="resizeDataVolume", params=params
    )
    await creation.apply(op, "extend", change, holds=holds)


async def _place(call: Call, wish: VolumeWish) -> dict[str, str]:
    """Check the size against the type's or the source's, and choose the primary storage where one is needed."""
    if wish.names_its_size_twice:
        check = check_source if wish.is_of_a_source else check_size
        await check(session_of(call), call, wish)
    if not wish.needs_a_storage:
        return {"storage": wish.options.primary_storage}
    conditions = ["state=Enabled", "status=Connected", *([f"zoneUuid={wish.zone}"] if wish.zone else [])]
    rows = await every(session_of(call), call, "/primary-storage", PrimaryStorageRow, conditions)
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


def _state(row: VolumeRow) -> Any:
    state = _STATES.get(row.status, _V.STATE_UNKNOWN)
    if state != _V.STATE_AVAILABLE:
        return state
    if row.vm_instance_uuid:
        return _V.STATE_IN_USE
    # The platform attaches no volume that its owner or an administrator disabled.
    return _V.STATE_MAINTENANCE if row.state == "Disabled" else state
