"""Images: reads.

Deleted images can be read, SOFT_DELETED, for the days that the platform keeps them; lists leave them out unless
`show_deleted` asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from yarl import URL

from cloudspan.v1 import image_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import ImageDriver
from cloudspan_zstack.cloud.beside import both, read_marks
from cloudspan_zstack.cloud.labels import read_system_tags
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_I = image_pb2.Image
_STATES = {
    "Creating": _I.STATE_CREATING,
    "Downloading": _I.STATE_CREATING,
    "Ready": _I.STATE_ACTIVE,
    "Migrating": _I.STATE_DEACTIVATED,
    "Deleted": _I.STATE_SOFT_DELETED,
    "Error": _I.STATE_ERROR,
}
_PUSHED = {
    "CREATING": ("status?=Creating,Downloading",),
    "ACTIVE": ("status=Ready", "state=Enabled"),
    "SOFT_DELETED": ("status=Deleted",),
    "ERROR": ("status=Error",),
}
_ROOT = "RootVolumeTemplate"
_KINDS = {_ROOT: _I.KIND_ROOT, "DataVolumeTemplate": _I.KIND_DATA, "ISO": _I.KIND_ISO}
_FORMATS = {
    "raw": _I.DISK_FORMAT_RAW,
    "qcow2": _I.DISK_FORMAT_QCOW2,
    "iso": _I.DISK_FORMAT_ISO,
    "vmdk": _I.DISK_FORMAT_VMDK,
    "vhd": _I.DISK_FORMAT_VHD,
    "vhdx": _I.DISK_FORMAT_VHDX,
    "vmtx": _I.DISK_FORMAT_VMTX,
}
_BOOT_MODES = {
    "Legacy": _I.BOOT_MODE_BIOS, "UEFI": _I.BOOT_MODE_UEFI, "UEFI_WITH_CSM": _I.BOOT_MODE_UEFI_WITH_CSM,
}  # fmt: skip
_BOOT_MODE = "bootMode::"
_UNTOLD = (ABSENT, "the platform does not tell it")
_FIELDS = {
    "visibility": _UNTOLD,
    "min_memory_mib": _UNTOLD,
    "container_format": _UNTOLD,
    "os_version": (ABSENT, "the platform tells system and version in one word, which is os_distro"),
    "progress_percent": _UNTOLD,
}


class StoreRef(msgspec.Struct, rename="camel"):
    """One backup storage that holds an image."""

    backup_storage_uuid: str = ""


class ImageRow(Row, kw_only=True):
    state: str = ""
    status: str = ""
    size: int = 0
    actual_size: int = 0
    md5_sum: str = ""
    media_type: str = ""
    platform: str = ""
    guest_os_type: str = ""
    architecture: str = ""
    format: str = ""
    url: str = ""
    system: bool = False
    virtio: bool | None = None
    backup_storage_refs: list[StoreRef] = msgspec.field(default_factory=list)


def _kind_conditions() -> dict[str, tuple[str]]:
    return {_I.Kind.Name(kind).removeprefix("KIND_"): (f"mediaType={native}",) for native, kind in _KINDS.items()}


IMAGES = Kind(
    collection="images",
    message=image_pb2.Image,
    row=ImageRow,
    source=ZStackSource("/images", unless_asked="status!=Deleted"),
    sort={
        "display_name": "name",
        "native_state": "status",
        "create_time": "createDate",
        "update_time": "lastOpDate",
        "size_bytes": "actualSize",
        "virtual_size_bytes": "size",
        "disk_format": "format",
    },
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "images"),
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.words(_PUSHED),
        "kind": push.words(_kind_conditions()),
        "disk_format": push.word("format", {native.upper(): native for native in _FORMATS}),
        "os_type": push.text("platform"),
        "os_distro": push.text("guestOsType"),
        "architecture": push.text("architecture"),
        "checksum": push.text("md5Sum"),
    },
)


class Images(KindDriver[ImageRow, image_pb2.Image], ImageDriver):
    """ImageService."""

    kind = IMAGES
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "get_image": Capability(fields=_FIELDS),
        "list_images": Capability(fields=_FIELDS),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._images, self._volumes, self._snapshots = f"{ref}/images/", f"{ref}/volumes/", f"{ref}/snapshots/"

    async def messages(self, call: Call, rows: Sequence[ImageRow]) -> Sequence[image_pb2.Image]:
        session, uuids = session_of(call), [row.uuid for row in rows]
        marks, tags = await both(
            read_marks(session, call, self._ref, "ImageVO", rows), read_system_tags(session, call, "ImageVO", uuids)
        )
        return [self._message(row, marks, tags.get(row.uuid, ())) for row in rows]

    def _message(self, row: ImageRow, marks: Marks, tags: Sequence[str]) -> image_pb2.Image:
        return _I(
            name=self._images + row.uuid,
            display_name=row.name,
            state=_state(row),
            native_state=row.status,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            # While it is downloaded both sizes are 0, which is not known yet.
            size_bytes=row.actual_size or row.size or None,
            virtual_size_bytes=row.size or None,
            # A root disk may be larger than its template, never smaller.
            min_disk_bytes=row.size if row.media_type == _ROOT and row.size else None,
            disk_format=_FORMATS.get(row.format, _I.DISK_FORMAT_UNKNOWN) if row.format else None,
            checksum=row.md5_sum.lower(),
            checksum_algorithm=_I.CHECKSUM_ALGORITHM_MD5 if row.md5_sum else None,
            os_type=row.platform,
            os_distro=row.guest_os_type,
            architecture=row.architecture,
            tags=[tag for tag in tags if "::" not in tag],
            description=row.description,
            kind=_KINDS.get(row.media_type, _I.KIND_UNKNOWN) if row.media_type else None,
            boot_mode=_boot_mode(tags),
            source=self._source(row.url),
            stores=sorted({ref.backup_storage_uuid for ref in row.backup_storage_refs if ref.backup_storage_uuid}),
            properties=_properties(row, tags),
        )

    def _source(self, url: str) -> image_pb2.Image.Source | None:
        """Return where the data came from; the platform writes volumes and snapshots as addresses too."""
        scheme, _, rest = url.partition("://")
        if not rest:
            return None
        if scheme == "volume":
            return _I.Source(volume=self._volumes + rest)
        if scheme == "volumeSnapshot":
            return _I.Source(snapshot=self._snapshots + rest)
        return _I.Source(uri=_without_credentials(url)) if scheme != "upload" else None


def _state(row: ImageRow) -> Any:
    state = _STATES.get(row.status, _I.STATE_UNKNOWN)
    if state == _I.STATE_ACTIVE and row.state == "Disabled":
        return _I.STATE_DEACTIVATED
    return state


def _boot_mode(tags: Sequence[str]) -> Any:
    told = next((tag.removeprefix(_BOOT_MODE) for tag in tags if tag.startswith(_BOOT_MODE)), "")
    return _BOOT_MODES.get(told, _I.BOOT_MODE_UNKNOWN) if told else None


def _properties(row: ImageRow, tags: Sequence[str]) -> dict[str, str]:
    """Return what the platform knows of an image and no field has: two of its flags, and tags with a value."""
    pairs = [tag.partition("::") for tag in tags if "::" in tag and not tag.startswith(_BOOT_MODE)]
    found = {key: value for key, _, value in pairs} | {"system": str(row.system).lower()}
    return found if row.virtio is None else found | {"virtio": str(row.virtio).lower()}


def _without_credentials(url: str) -> str:
    try:
        return str(URL(url, encoded=True).with_user(None))
    except ValueError:
        return ""  # it can't be taken apart, so it can't be told what in it is a password
