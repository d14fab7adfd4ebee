"""Volume types: Cinder's, and their ids by name for volumes of older clouds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import volume_type_pb2
from cloudspan_common.errors import Forbidden, NotFound
from cloudspan_kit import Kind, KindDriver
from cloudspan_kit.drivers import VolumeTypeDriver
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.cinder import WholeCinder
from cloudspan_openstack.cloud.source import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call

_T = volume_type_pb2.VolumeType
_E = _T.Encryption
_LOCATIONS = {"front-end": _E.CONTROL_LOCATION_FRONT_END, "back-end": _E.CONTROL_LOCATION_BACK_END}
_VOLUMES_SAY_TYPE_ID = Microversion(3, 63)


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


_TYPES = WholeCinder("/types", "volume_type", key="volume_types")

VOLUME_TYPES = Kind(
    collection="volumeTypes",
    message=volume_type_pb2.VolumeType,
    row=VolumeTypeRow,
    source=_TYPES,
)


class VolumeTypes(KindDriver[VolumeTypeRow, volume_type_pb2.VolumeType], VolumeTypeDriver):
    """VolumeTypeService."""

    kind = VOLUME_TYPES

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/volumeTypes/"

    async def messages(self, call: Call, rows: Sequence[VolumeTypeRow]) -> Sequence[volume_type_pb2.VolumeType]:
        default = await _default_id(call)
        encryptions = await asyncio.gather(*(_encryption_of(call, row.id) for row in rows))
        pairs = zip(rows, encryptions, strict=True)
        return [self._message(row, encryption, is_default=row.id == default) for row, encryption in pairs]

    def _message(
        self, row: VolumeTypeRow, encryption: EncryptionRow | None, *, is_default: bool
    ) -> volume_type_pb2.VolumeType:
        shared = row.extra_specs.get("multiattach")
        return _T(
            name=self._prefix + row.id,
            display_name=row.name,
            description=row.description,
            visibility=_T.VISIBILITY_PUBLIC if row.is_public else _T.VISIBILITY_PRIVATE,
            is_default=is_default,
            extra_specs={key: str(value) for key, value in row.extra_specs.items()},
            encryption=_encryption(encryption) if encryption is not None and encryption.provider else None,
            multi_attach=None if shared is None else "true" in str(shared).lower(),
        )


class TypeNames:
    """The types' ids by name, where volumes have the name only: below 3.63."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, name: str | None) -> str | None:
        return self._ids.get(name or "")

    async def learn(self, call: Call) -> None:
        """Learn them, once."""
        if self._ids or await session_of(call).microversion(call, "volume") >= _VOLUMES_SAY_TYPE_ID:
            return
        self._ids = {row.name or "": row.id for row in (await _TYPES.whole(call, VOLUME_TYPES)).rows}


async def _default_id(call: Call) -> str:
    try:
        found = await session_of(call).row(call, "volume", "/types/default", "volume_type", VolumeTypeRow, args={})
    except NotFound:
        return ""  # none is configured
    return found.rows[0].id


async def _encryption_of(call: Call, type_id: str) -> EncryptionRow | None:
    """Return how a type's volumes are encrypted: a call for each type, which only an administrator may make."""
    session = session_of(call)
    if not (await session.scope(call)).is_admin:
        return None
    path, args = "/types/{id}/encryption", {"id": type_id}
    try:
        return (await session.row(call, "volume", path, "", EncryptionRow, args=args)).rows[0]
    except (Forbidden, NotFound):
        return None


def _encryption(row: EncryptionRow) -> volume_type_pb2.VolumeType.Encryption:
    where = row.control_location
    return _E(
        provider=row.provider,
        cipher=row.cipher,
        key_size_bits=row.key_size,
        control_location=_LOCATIONS.get(where, _E.CONTROL_LOCATION_UNKNOWN) if where else None,
    )
