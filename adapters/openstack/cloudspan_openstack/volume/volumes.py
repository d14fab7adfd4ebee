"""Volumes: Cinder's block devices."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import volume_pb2
from cloudspan_common.errors import CloudspanError, InvalidRequest, NotFound, PreconditionFailed, Violation
from cloudspan_common.names import encode_id
from cloudspan_kit import (
    BY_MARKER,
    GIB,
    Call,
    Capability,
    Kind,
    KindDriver,
    Operation,
    each,
    listed,
    native_id,
    push,
    read_options,
)
from cloudspan_kit.drivers import VolumeDriver
from cloudspan_openstack.cloud.cinder import MARKER_KEY, Cinder, CinderBody, in_metadata, labels_in
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import timestamp, whole_gib
from cloudspan_openstack.volume.snapshots import snapshots_of
from cloudspan_openstack.volume.volume_types import TypeNames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef

_V = volume_pb2.Volume
_MAX_TEXT = 255
_STATES = {
    "creating": _V.STATE_CREATING,
    "downloading": _V.STATE_CREATING,
    "managing": _V.STATE_CREATING,
    "available": _V.STATE_AVAILABLE,
    "uploading": _V.STATE_AVAILABLE,
    "awaiting-transfer": _V.STATE_AVAILABLE,
    "reserved": _V.STATE_RESERVED,
    "attaching": _V.STATE_RESERVED,
    "in-use": _V.STATE_IN_USE,
    "detaching": _V.STATE_DETACHING,
    "extending": _V.STATE_RESIZING,
    "retyping": _V.STATE_MIGRATING,
    "migrating": _V.STATE_MIGRATING,
    "backing-up": _V.STATE_BACKING_UP,
    "restoring-backup": _V.STATE_BACKING_UP,
    "reverting": _V.STATE_BACKING_UP,
    "deleting": _V.STATE_DELETING,
    "unmanaging": _V.STATE_DELETING,
    "maintenance": _V.STATE_MAINTENANCE,
}
# States of ours that are one status of Cinder's; the others are several, and are not pushed.
_PUSHED = {"IN_USE": "in-use", "DETACHING": "detaching", "RESIZING": "extending", "MAINTENANCE": "maintenance"}
_NOT_USABLE = frozenset({
    "creating", "downloading", "attaching", "detaching", "uploading", "extending", "retyping",
})  # fmt: skip
_MOVING = _NOT_USABLE | {
    # A volume of a server that was deleted while it was built stays reserved for a moment.
    "reserved", "deleting", "managing", "unmanaging", "migrating", "backing-up", "restoring-backup", "reverting",
}  # fmt: skip


class AttachmentRow(msgspec.Struct):
    server_id: str | None = None
    device: str | None = None
    attached_at: datetime | None = None
    attachment_id: str | None = None


class VolumeRow(msgspec.Struct, kw_only=True):
    id: str
    name: str | None = None
    description: str | None = None
    status: str | None = None
    size: int = 0
    project_id: str | None = msgspec.field(name="os-vol-tenant-attr:tenant_id", default=None)
    tenant_id: str | None = None
    metadata: dict[str, str] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None
    volume_type: str | None = None
    volume_type_id: str | None = None
    availability_zone: str | None = None
    bootable: str | bool | None = None
    encrypted: bool = False
    multiattach: bool = False
    snapshot_id: str | None = None
    source_volid: str | None = None
    pool: str | None = msgspec.field(name="os-vol-host-attr:host", default=None)
    migration: str | None = msgspec.field(name="os-vol-mig-status-attr:migstat", default=None)
    image: dict[str, Any] = msgspec.field(name="volume_image_metadata", default_factory=dict)
    attachments: list[AttachmentRow] = []


VOLUMES = Kind(
    collection="volumes",
    message=volume_pb2.Volume,
    row=VolumeRow,
    source=Cinder("/volumes", "volume", detail="/volumes/detail"),
    sort={
        "display_name": "name",
        "create_time": "created_at",
        "update_time": "updated_at",
        "size_bytes": "size",
        "native_state": "status",
    },
    changes_since="updated_at",
    push={
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.word("status", _PUSHED),
        "bootable": push.word("bootable", push.FLAGS),
        "zone": push.ref("availability_zone", "zones"),
    },
    settled=lambda row: row.status not in _MOVING,
    usable=lambda row: row.status not in _NOT_USABLE,
    failed=lambda row: row.status if row.status and row.status.startswith("error") else "",
    failed_reason="VOLUME_ERROR",
    safety=BY_MARKER,
    marker=in_metadata(),
)


class SchedulerHints(msgspec.Struct, forbid_unknown_fields=True):
    """Where Cinder should place a volume."""

    same_host: list[str] | None = None
    different_host: list[str] | None = None
    local_to_instance: str | None = None
    query: str | None = None


class CreateVolumeOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateVolume."""

    scheduler_hints: SchedulerHints | None = None


class Volumes(KindDriver[VolumeRow, volume_pb2.Volume], VolumeDriver):
    """VolumeService."""

    kind = VOLUMES
    capabilities: ClassVar[Mapping[str, Capability]] = {"create_volume": Capability(options=CreateVolumeOptions)}

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._volumes, self._projects, self._servers = f"{ref}/volumes/", f"{ref}/projects/", f"{ref}/servers/"
        self._types, self._images, self._snapshots = f"{ref}/volumeTypes/", f"{ref}/images/", f"{ref}/snapshots/"
        self._pools = f"{ref}/storagePools/"
        self._zones: dict[str, str] = {}
        self._type_names = TypeNames()

    async def messages(self, call: Call, rows: Sequence[VolumeRow]) -> Sequence[volume_pb2.Volume]:
        await self._type_names.learn(call)
        return await each(call, rows, self.message)

    def message(self, row: VolumeRow) -> volume_pb2.Volume:
        type_id = row.volume_type_id or self._type_names.id_of(row.volume_type)
        image_id, zone = row.image.get("image_id"), row.availability_zone
        return _V(
            name=self._volumes + row.id,
            display_name=row.name,
            state=_state(row.status),
            native_state=row.status,
            project=self._projects + project if (project := row.project_id or row.tenant_id) else None,
            labels=labels_in(row.metadata),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            size_bytes=row.size * GIB,
            volume_type=self._types + type_id if type_id else None,
            description=row.description,
            zone=(self._zones.get(zone) or self._zone(zone)) if zone else None,
            bootable=row.bootable in (True, "true"),
            encrypted=row.encrypted,
            multi_attach=row.multiattach,
            image=f"{self._images}{image_id}" if image_id else None,
            snapshot=self._snapshots + row.snapshot_id if row.snapshot_id else None,
            source_volume=self._volumes + row.source_volid if row.source_volid else None,
            storage_pool=self._pools + encode_id(row.pool) if row.pool else None,
            image_properties={key: str(value) for key, value in row.image.items()} if row.image else None,
            migration_status=row.migration if row.migration != "none" else None,
            attachments=[
                _V.Attachment(
                    server=self._servers + attached.server_id if attached.server_id else None,
                    device=attached.device,
                    attach_time=timestamp(attached.attached_at),
                    id=attached.attachment_id,
                )
                for attached in row.attachments
            ],
        )

    def _zone(self, zone: str) -> str:
        name = self._zones[zone] = f"{self._ref}/zones/{encode_id(zone)}"
        return name

    # ------------------------------------------------------------------ changes

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume:
        hints = _hints(read_options(request.options, CreateVolumeOptions))
        made = await op.create(VOLUMES, volume_body(self._fields(request.volume), hints))
        return await self.to_message(op.call, await op.ready(VOLUMES, made, step="available"))

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        await op.delete(VOLUMES, op.call.id, refused=self._name_dependants)

    def _fields(self, wanted: volume_pb2.Volume) -> dict[str, object]:
        sources = [field for field in ("image", "snapshot", "source_volume") if getattr(wanted, field)]
        if len(sources) > 1:
            named = " and ".join(f"volume.{field}" for field in sources)
            raise _bad(f"volume.{sources[1]}", f"{named} exclude each other; keep one")
        if not wanted.size_bytes and not sources:
            raise _bad("volume.size_bytes", "an empty volume needs volume.size_bytes, in whole GiB")
        if MARKER_KEY in wanted.labels:
            raise _bad("volume.labels", f"the label {MARKER_KEY!r} is kept for the platform's adapter; use another")
        for key, value in wanted.labels.items():
            if not key or len(key) > _MAX_TEXT or len(value) > _MAX_TEXT:
                raise _bad("volume.labels", f"the label {key[:60]!r} is empty or longer than {_MAX_TEXT} characters")
        ref = self._ref
        fields: dict[str, object] = {
            "name": wanted.display_name,
            "description": wanted.description,
            "size": whole_gib(wanted.size_bytes, "volume.size_bytes"),
            "volume_type": native_id(ref, "volumeTypes", wanted.volume_type, "volume.volume_type"),
            "availability_zone": native_id(ref, "zones", wanted.zone, "volume.zone"),
            "imageRef": native_id(ref, "images", wanted.image, "volume.image"),
            "snapshot_id": native_id(ref, "snapshots", wanted.snapshot, "volume.snapshot"),
            "source_volid": native_id(ref, "volumes", wanted.source_volume, "volume.source_volume"),
        }
        return {key: value for key, value in fields.items() if value} | {"metadata": dict(wanted.labels)}

    async def _name_dependants(self, call: Call, volume_id: str, error: PreconditionFailed) -> CloudspanError | None:
        name = self._ref.resource("volumes", volume_id)
        try:
            row = await VOLUMES.source.row(call, VOLUMES, volume_id)
        except NotFound:
            return None
        if row.status == "deleting":
            return None
        snapshots = await snapshots_of(call, volume_id)
        servers = [a.server_id for a in row.attachments if a.server_id]
        if servers:
            users = listed(self._ref.resource("servers", server) for server in servers)
            text, reason = f"{name} is attached to {users}; detach it first", "VOLUME_IN_USE"
        elif snapshots:
            users = listed(self._ref.resource("snapshots", snapshot.id) for snapshot in snapshots)
            text, reason = f"{name} has {len(snapshots)} snapshots, delete them first: {users}", "HAS_SNAPSHOTS"
        else:
            text, reason = f"{name} is in state {row.status}, which can't be deleted: {error.message}", error.reason
        return PreconditionFailed(text, reason=reason, metadata=error.metadata, resource=name)


def volume_body(fields: Mapping[str, object], beside: Mapping[str, object] | None = None) -> CinderBody:
    """Return what a create of a volume sends; `beside` stands next to the volume in the request."""
    needs_size = "imageRef" in fields and "size" not in fields
    return CinderBody(fields, beside or {}, complete=_with_image_size if needs_size else None)


async def _with_image_size(call: Call, fields: Mapping[str, object]) -> Mapping[str, object]:
    """Add the GiB that the image needs; Cinder knows it for snapshots only and answers 400 without a size."""
    args = {"id": str(fields["imageRef"])}
    image = await session_of(call).get(call, "image", "/images/{id}", dict[str, Any], args=args)
    size = image.get("virtual_size") or image.get("size") or 0
    return {**fields, "size": max(int(image.get("min_disk") or 0), -(-int(size) // GIB), 1)}


def _hints(options: CreateVolumeOptions) -> dict[str, object]:
    if options.scheduler_hints is None:
        return {}
    hints = msgspec.to_builtins(options.scheduler_hints)
    return {"OS-SCH-HNT:scheduler_hints": {k: v for k, v in hints.items() if v is not None}}


def _bad(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(text, violations=[Violation(field, text)])


def _state(status: str | None) -> Any:
    if not status:
        return _V.STATE_UNKNOWN
    return _STATES.get(status, _V.STATE_ERROR if status.startswith("error") else _V.STATE_UNKNOWN)
