"""Cinder's rows as msgspec structs, and their way straight into messages.

`storage` and `storage_changes` decode answers into these. Ids of Cinder are UUIDs: safe in a name as they are; zones
are free text and are encoded.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import snapshot_pb2, volume_pb2, volume_type_pb2
from cloudspan_common.names import encode_id
from cloudspan_kit.values import GIB
from cloudspan_openstack.cloud.marker_pages import Link
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef

MARKER_KEY = "cloudspan-marker"
"""Metadata key that a create's marker travels under; no label."""

_V, _S, _T = volume_pb2.Volume, snapshot_pb2.Snapshot, volume_type_pb2.VolumeType
_E = _T.Encryption
_LOCATIONS = {"front-end": _E.CONTROL_LOCATION_FRONT_END, "back-end": _E.CONTROL_LOCATION_BACK_END}
_VOLUME_STATES = {
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
_SNAPSHOT_STATES = {
    "creating": _S.STATE_CREATING,
    "available": _S.STATE_AVAILABLE,
    "restoring": _S.STATE_AVAILABLE,
    "backing-up": _S.STATE_AVAILABLE,
    "deleting": _S.STATE_DELETING,
    "unmanaging": _S.STATE_DELETING,
    "deleted": _S.STATE_DELETING,
}


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


class SnapshotRow(msgspec.Struct, kw_only=True):
    id: str
    volume_id: str | None = None
    name: str | None = None
    description: str | None = None
    status: str | None = None
    size: int | None = None
    project_id: str | None = msgspec.field(name="os-extended-snapshot-attributes:project_id", default=None)
    progress: str | None = msgspec.field(name="os-extended-snapshot-attributes:progress", default=None)
    group_snapshot_id: str | None = None
    metadata: dict[str, str] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None


class VolumeTypeRow(msgspec.Struct, kw_only=True):
    id: str
    name: str | None = None
    description: str | None = None
    is_public: bool = True
    extra_specs: dict[str, Any] = {}


class EncryptionRow(msgspec.Struct, kw_only=True):
    """How a type's volumes are encrypted; empty where they are not."""

    provider: str | None = None
    cipher: str | None = None
    key_size: int | None = None
    control_location: str | None = None


class _Page(msgspec.Struct):
    @property
    def has_next(self) -> bool:
        links: list[Link] = self.links  # type: ignore[attr-defined] # every collection below has them
        return any(link.rel == "next" for link in links)


class Volumes(_Page):
    rows: list[VolumeRow] = msgspec.field(name="volumes")
    links: list[Link] = msgspec.field(name="volumes_links", default_factory=list)


class Snapshots(_Page):
    rows: list[SnapshotRow] = msgspec.field(name="snapshots")
    links: list[Link] = msgspec.field(name="snapshots_links", default_factory=list)


class VolumeTypes(_Page):
    rows: list[VolumeTypeRow] = msgspec.field(name="volume_types")
    links: list[Link] = msgspec.field(name="volume_type_links", default_factory=list)


class StorageMapper:
    """Rows of one cluster's Cinder as messages."""

    def __init__(self, ref: ClusterRef) -> None:
        self._projects = f"{ref}/projects/"
        self._volumes = f"{ref}/volumes/"
        self._types = f"{ref}/volumeTypes/"
        self._snapshots = f"{ref}/snapshots/"
        self._images = f"{ref}/images/"
        self._servers = f"{ref}/servers/"
        self._pools = f"{ref}/storagePools/"
        self._zones = f"{ref}/zones/"
        self._zone_names: dict[str, str] = {}
        self.type_ids: dict[str, str] = {}
        """Volume type ids by name, for Cinder below 3.63, which tells the name only."""

    def volume(self, row: VolumeRow) -> volume_pb2.Volume:
        type_id = row.volume_type_id or self.type_ids.get(row.volume_type or "")
        image_id, zone = row.image.get("image_id"), row.availability_zone
        return volume_pb2.Volume(
            name=self._volumes + row.id,
            display_name=row.name,
            state=_volume_state(row.status),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=_labels(row.metadata),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            size_bytes=row.size * GIB,
            volume_type=self._types + type_id if type_id else None,
            description=row.description,
            zone=(self._zone_names.get(zone) or self._zone(zone)) if zone else None,
            bootable=row.bootable in (True, "true"),
            encrypted=row.encrypted,
            multi_attach=row.multiattach,
            image=f"{self._images}{image_id}" if image_id else None,
            snapshot=self._snapshots + row.snapshot_id if row.snapshot_id else None,
            source_volume=self._volumes + row.source_volid if row.source_volid else None,
            attachments=[self._attachment(attachment) for attachment in row.attachments],
            storage_pool=self._pools + encode_id(row.pool) if row.pool else None,
            image_properties={key: str(value) for key, value in row.image.items()} if row.image else None,
            migration_status=row.migration if row.migration != "none" else None,
        )

    def _zone(self, zone: str) -> str:
        name = self._zone_names[zone] = self._zones + encode_id(zone)
        return name

    def _attachment(self, row: AttachmentRow) -> volume_pb2.Volume.Attachment:
        return _V.Attachment(
            server=self._servers + row.server_id if row.server_id else None,
            device=row.device,
            attach_time=timestamp(row.attached_at),
            id=row.attachment_id,
        )

    def snapshot(self, row: SnapshotRow) -> snapshot_pb2.Snapshot:
        return snapshot_pb2.Snapshot(
            name=self._snapshots + row.id,
            display_name=row.name,
            state=_snapshot_state(row.status),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=_labels(row.metadata),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=row.description,
            volume=self._volumes + row.volume_id if row.volume_id else None,
            volume_size_bytes=None if row.size is None else row.size * GIB,
            progress_percent=_percent(row.progress),
            group=row.group_snapshot_id,
        )

    def volume_type(
        self, row: VolumeTypeRow, default_id: str, encryption: EncryptionRow | None
    ) -> volume_type_pb2.VolumeType:
        shared = row.extra_specs.get("multiattach")
        return volume_type_pb2.VolumeType(
            name=self._types + row.id,
            display_name=row.name,
            description=row.description,
            visibility=_T.VISIBILITY_PUBLIC if row.is_public else _T.VISIBILITY_PRIVATE,
            is_default=row.id == default_id,
            extra_specs={key: str(value) for key, value in row.extra_specs.items()},
            encryption=_encryption(encryption) if encryption is not None and encryption.provider else None,
            multi_attach=None if shared is None else "true" in str(shared).lower(),
        )


def _encryption(row: EncryptionRow) -> volume_type_pb2.VolumeType.Encryption:
    where = row.control_location
    return _E(
        provider=row.provider,
        cipher=row.cipher,
        key_size_bits=row.key_size,
        control_location=_LOCATIONS.get(where, _E.CONTROL_LOCATION_UNKNOWN) if where else None,
    )


def _percent(text: str | None) -> int | None:
    digits = (text or "").removesuffix("%")
    return int(digits) if digits.isdecimal() else None


def _volume_state(status: str | None) -> Any:
    if not status:
        return _V.STATE_UNKNOWN
    return _VOLUME_STATES.get(status, _V.STATE_ERROR if status.startswith("error") else _V.STATE_UNKNOWN)


def _snapshot_state(status: str | None) -> Any:
    if not status:
        return _S.STATE_UNKNOWN
    return _SNAPSHOT_STATES.get(status, _S.STATE_ERROR if status.startswith("error") else _S.STATE_UNKNOWN)


def _labels(metadata: dict[str, str]) -> dict[str, str]:
    if MARKER_KEY in metadata:
        return {key: value for key, value in metadata.items() if key != MARKER_KEY}
    return metadata
