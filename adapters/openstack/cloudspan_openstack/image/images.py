"""Images: Glance's, with people's pairs as labels.

Pairs that mean something to Nova, Cinder or Glance (`hw_disk_bus`) are properties; tags have no value and stay tags.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cloudspan.v1 import image_pb2
from cloudspan_kit import GIB, Kind, KindDriver, push
from cloudspan_kit.drivers import ImageDriver
from cloudspan_openstack.cloud.glance import Glance
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef

T = TypeVar("T")

_I = image_pb2.Image
_STATES = {
    "queued": _I.STATE_CREATING,
    "saving": _I.STATE_CREATING,
    "importing": _I.STATE_CREATING,
    "uploading": _I.STATE_CREATING,
    "active": _I.STATE_ACTIVE,
    "deactivated": _I.STATE_DEACTIVATED,
    "deleted": _I.STATE_DELETING,
    "pending_delete": _I.STATE_SOFT_DELETED,
    "killed": _I.STATE_ERROR,
}
_VISIBILITIES = {
    "public": _I.VISIBILITY_PUBLIC,
    "private": _I.VISIBILITY_PRIVATE,
    "shared": _I.VISIBILITY_SHARED,
    "community": _I.VISIBILITY_COMMUNITY,
}
_DISK_FORMATS: Mapping[str, Any] = {
    word: _I.DiskFormat.Value(f"DISK_FORMAT_{word.upper()}")
    for word in ("raw", "qcow2", "iso", "vmdk", "vhd", "vhdx", "vdi", "ploop", "ami", "ari", "aki")
}
_CONTAINER_FORMATS: Mapping[str, Any] = {
    word: _I.ContainerFormat.Value(f"CONTAINER_FORMAT_{word.upper()}")
    for word in ("bare", "ovf", "ova", "ami", "ari", "aki", "docker", "compressed")
}
_CHECKSUMS = {
    "md5": _I.CHECKSUM_ALGORITHM_MD5,
    "sha1": _I.CHECKSUM_ALGORITHM_SHA1,
    "sha256": _I.CHECKSUM_ALGORITHM_SHA256,
    "sha384": _I.CHECKSUM_ALGORITHM_SHA384,
    "sha512": _I.CHECKSUM_ALGORITHM_SHA512,
}
_BOOT_MODES = {"bios": _I.BOOT_MODE_BIOS, "uefi": _I.BOOT_MODE_UEFI}
# Properties that the cloud's services set or act by: Nova's ImageMetaProps, Cinder's and Glance's own.
_PROPERTY = re.compile(
    r"(base_image_|boot_|cinder_|hw_|image_|img_|instance_|libvirt_|nova_|os_|owner_specified\.|trait:|vmware_).*"
    r"|auto_disk_config|bdm_v2|block_device_mapping|cpu_arch|hypervisor_(type|version_requires)|mappings|owner_id"
    r"|root_device_name|signature_verified|user_id|vm_mode"
)


class ImageRow(msgspec.Struct, kw_only=True):
    id: str
    name: str | None = None
    status: str | None = None
    owner: str | None = None
    visibility: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    size: int | None = None
    virtual_size: int | None = None
    min_disk: int | None = None
    min_ram: int | None = None
    disk_format: str | None = None
    container_format: str | None = None
    protected: bool | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    os_hidden: bool | None = None
    os_type: str | None = None
    architecture: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    stores: str | None = None
    # Pairs that fields of ours hold.
    description: str | None = None
    os_distro: str | None = None
    os_version: str | None = None
    hw_firmware_type: str | None = None
    instance_uuid: str | None = None
    pairs: dict[str, str] = msgspec.field(name=":pairs", default_factory=dict)
    """All others; not Glance's word, the source puts them here."""


def _words(native: str, words: Mapping[str, Any]) -> push.Push:
    return push.word(native, {word.upper(): word for word in words})


IMAGES = Kind(
    collection="images",
    message=image_pb2.Image,
    row=ImageRow,
    source=Glance("/images", "image"),
    sort={
        "display_name": "name",
        "native_state": "status",
        "create_time": "created_at",
        "update_time": "updated_at",
        "size_bytes": "size",
        "disk_format": "disk_format",
        "container_format": "container_format",
    },
    changes_since="updated_at",
    push={
        "display_name": push.text("name"),
        "native_state": push.text("status"),
        "state": push.word("status", {"ACTIVE": "active", "DEACTIVATED": "deactivated"}),
        "visibility": _words("visibility", _VISIBILITIES),
        "disk_format": _words("disk_format", _DISK_FORMATS),
        "container_format": _words("container_format", _CONTAINER_FORMATS),
        # Glance leaves hidden images out unless it is asked for them.
        "hidden": push.word("os_hidden", push.FLAGS),
        "os_type": push.text("os_type"),
        "architecture": push.text("architecture"),
    },
)


class Images(KindDriver[ImageRow, image_pb2.Image], ImageDriver):
    """ImageService."""

    kind = IMAGES

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._images, self._projects, self._servers = f"{ref}/images/", f"{ref}/projects/", f"{ref}/servers/"

    def message(self, row: ImageRow) -> image_pb2.Image:
        strong, server, pairs = row.os_hash_value, row.instance_uuid, row.pairs
        algorithm = row.os_hash_algo if strong else ("md5" if row.checksum else None)
        return _I(
            name=self._images + row.id,
            display_name=row.name,
            state=_STATES.get(row.status or "", _I.STATE_UNKNOWN),
            native_state=row.status,
            project=self._projects + row.owner if row.owner else None,
            labels={k: v for k, v in pairs.items() if not _PROPERTY.fullmatch(k)},
            properties={k: v for k, v in pairs.items() if _PROPERTY.fullmatch(k)},
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            size_bytes=row.size,
            virtual_size_bytes=row.virtual_size,
            min_disk_bytes=(row.min_disk or 0) * GIB,
            min_memory_mib=row.min_ram,
            disk_format=_word(row.disk_format, _DISK_FORMATS, _I.DISK_FORMAT_UNKNOWN),
            container_format=_word(row.container_format, _CONTAINER_FORMATS, _I.CONTAINER_FORMAT_UNKNOWN),
            visibility=_word(row.visibility, _VISIBILITIES, _I.VISIBILITY_UNKNOWN),
            delete_protected=row.protected,
            checksum=strong or row.checksum,
            checksum_algorithm=_word(algorithm, _CHECKSUMS, _I.CHECKSUM_ALGORITHM_UNKNOWN),
            os_type=row.os_type,
            architecture=row.architecture,
            tags=row.tags,
            description=row.description,
            # Whether a disk has a system to boot, Glance doesn't tell.
            kind=_I.KIND_ISO if row.disk_format == "iso" else None,
            os_distro=row.os_distro,
            os_version=row.os_version,
            boot_mode=_word(row.hw_firmware_type, _BOOT_MODES, _I.BOOT_MODE_UNKNOWN),
            hidden=row.os_hidden,
            source=_I.Source(server=self._servers + server) if server else None,
            stores=[store for store in row.stores.split(",") if store] if row.stores else None,
        )


def _word(word: str | None, words: Mapping[str, T], unknown: T) -> T | None:
    """Return the enum's value for a word of Glance's; none where it tells none."""
    return words.get(word.lower(), unknown) if word else None
