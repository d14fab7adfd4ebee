"""Cinder's rows as msgspec structs, and their way straight into messages.

`storage` decodes answers into these; volumes are in `volumes`. Ids of Cinder are UUIDs: safe in a name as they are.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import snapshot_pb2, volume_type_pb2
from cloudspan_kit import GIB
from cloudspan_openstack.cloud.cinder import labels_in
from cloudspan_openstack.cloud.marker_pages import Link
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef

_S, _T = snapshot_pb2.Snapshot, volume_type_pb2.VolumeType
_E = _T.Encryption
_LOCATIONS = {"front-end": _E.CONTROL_LOCATION_FRONT_END, "back-end": _E.CONTROL_LOCATION_BACK_END}
_SNAPSHOT_STATES = {
    "creating": _S.STATE_CREATING,
    "available": _S.STATE_AVAILABLE,
    "restoring": _S.STATE_AVAILABLE,
    "backing-up": _S.STATE_AVAILABLE,
    "deleting": _S.STATE_DELETING,
    "unmanaging": _S.STATE_DELETING,
    "deleted": _S.STATE_DELETING,
}


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

    def snapshot(self, row: SnapshotRow) -> snapshot_pb2.Snapshot:
        return snapshot_pb2.Snapshot(
            name=self._snapshots + row.id,
            display_name=row.name,
            state=_snapshot_state(row.status),
            native_state=row.status,
            project=self._projects + row.project_id if row.project_id else None,
            labels=dict(labels_in(row.metadata)),
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


def _snapshot_state(status: str | None) -> Any:
    if not status:
        return _S.STATE_UNKNOWN
    return _SNAPSHOT_STATES.get(status, _S.STATE_ERROR if status.startswith("error") else _S.STATE_UNKNOWN)
