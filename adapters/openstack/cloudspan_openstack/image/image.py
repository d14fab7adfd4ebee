"""The image area: reads of Glance's images.

`cluster` lists it among its areas; the kit calls the functions by their names. Glance's key-value pairs stand beside
the standard attributes in one flat document, so rows are read as plain documents here. Those that mean something to
Nova, Cinder or Glance (`hw_disk_bus`) are properties, the others are labels; tags have no value and stay tags.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from cloudspan.v1 import image_pb2
from cloudspan_kit import GIB, Capability, Page
from cloudspan_openstack.cloud import pushdown
from cloudspan_openstack.cloud.marker_pages import Listing, Params, Scope, list_page, read_one
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session

ImageRow = dict[str, Any]
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
_PUSHED_STATES = {"ACTIVE": "active", "DEACTIVATED": "deactivated"}
_SORT = {
    "display_name": "name",
    "native_state": "status",
    "create_time": "created_at",
    "update_time": "updated_at",
    "size_bytes": "size",
    "disk_format": "disk_format",
    "container_format": "container_format",
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
# Properties that fields of ours hold.
_OURS = frozenset(("description", "hw_firmware_type", "instance_uuid", "os_distro", "os_version"))
# Properties that the cloud's services set or act by: Nova's ImageMetaProps, Cinder's and Glance's own.
_PROPERTY = re.compile(
    r"(base_image_|boot_|cinder_|hw_|image_|img_|instance_|libvirt_|nova_|os_|owner_specified\.|trait:|vmware_).*"
    r"|auto_disk_config|bdm_v2|block_device_mapping|cpu_arch|hypervisor_(type|version_requires)|mappings|owner_id"
    r"|root_device_name|signature_verified|user_id|vm_mode"
)
# What Glance itself keeps; anything else in the document is somebody's property.
_STANDARD = frozenset(
    (
        "architecture", "checksum", "container_format", "created_at", "direct_url", "disk_format", "file", "id",
        "kernel_id", "locations", "min_disk", "min_ram", "name", "os_hash_algo", "os_hash_value", "os_hidden",
        "os_type", "owner", "protected", "ramdisk_id", "schema", "self", "size", "status", "stores", "tags",
        "updated_at", "virtual_size", "visibility",
    )
)  # fmt: skip


class Images(msgspec.Struct):
    """A page of Glance's listing."""

    rows: list[ImageRow] = msgspec.field(name="images")
    next: str | None = None

    @property
    def has_next(self) -> bool:
        return bool(self.next)


class Image:
    """Images of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {"list_images": Capability(sortable=tuple(_SORT))}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._names, self._projects, self._servers = f"{ref}/images/", f"{ref}/projects/", f"{ref}/servers/"
        self._listing: Listing[ImageRow, image_pb2.Image] = Listing(
            "image", "/images", "images", Images, self._message, _place, descending=True, sort=_sort
        )

    def __repr__(self) -> str:
        return f"<Image {self._ref}>"

    async def get_image(self, call: Call, _request: image_pb2.GetImageRequest) -> image_pb2.Image:
        return await read_one(self._session, call, self._listing, ImageRow, key="")

    async def list_images(self, call: Call, query: Query) -> Page[image_pb2.Image]:
        pushed = pushdown.pushed(query, _PUSHES)
        return await list_page(
            self._session, call, self._listing, query, pushed=pushed, scopes=await self._parts(call, query)
        )

    async def _parts(self, call: Call, query: Query) -> list[Scope[ImageRow]]:
        """Return the parts of a listing.

        A member sees its own, public images and what was shared with it; an administrator would see every project's
        private ones as well, so those are left out unless `project` asks for them. Shared images of others stay:
        Glance does not tell an administrator which of them are shared with whom.
        """
        wanted = query.filter.equal("project") or ""
        login = await self._session.scope(call)
        if wanted.startswith(self._projects):
            return [Scope((("owner", wanted.removeprefix(self._projects)),))]
        if not login.is_admin or pushdown.asks_for_projects(query):
            return [Scope()]
        own = login.project_id
        return [Scope((), lambda row: row.get("owner") == own or row.get("visibility") in ("public", "shared"))]

    def _message(self, row: ImageRow) -> image_pb2.Image:
        get = row.get
        status, owner, strong = get("status"), get("owner"), get("os_hash_value")
        server, stores = get("instance_uuid"), get("stores")
        custom = {k: v for k, v in row.items() if k not in _STANDARD and k not in _OURS and isinstance(v, str)}
        algorithm = get("os_hash_algo") if strong else ("md5" if get("checksum") else None)
        return _I(
            name=self._names + row["id"],
            display_name=get("name"),
            state=_STATES.get(status or "", _I.STATE_UNKNOWN),
            native_state=status,
            project=self._projects + owner if owner else None,
            labels={k: v for k, v in custom.items() if not _PROPERTY.fullmatch(k)},
            properties={k: v for k, v in custom.items() if _PROPERTY.fullmatch(k)},
            create_time=_time(get("created_at")),
            update_time=_time(get("updated_at")),
            size_bytes=get("size"),
            virtual_size_bytes=get("virtual_size"),
            min_disk_bytes=(get("min_disk") or 0) * GIB,
            min_memory_mib=get("min_ram"),
            disk_format=_word(get("disk_format"), _DISK_FORMATS, _I.DISK_FORMAT_UNKNOWN),
            container_format=_word(get("container_format"), _CONTAINER_FORMATS, _I.CONTAINER_FORMAT_UNKNOWN),
            visibility=_word(get("visibility"), _VISIBILITIES, _I.VISIBILITY_UNKNOWN),
            delete_protected=get("protected"),
            checksum=strong or get("checksum"),
            checksum_algorithm=_word(algorithm, _CHECKSUMS, _I.CHECKSUM_ALGORITHM_UNKNOWN),
            os_type=get("os_type"),
            architecture=get("architecture"),
            tags=get("tags"),
            description=get("description"),
            # Whether a disk has a system to boot, Glance doesn't tell.
            kind=_I.KIND_ISO if get("disk_format") == "iso" else None,
            os_distro=get("os_distro"),
            os_version=get("os_version"),
            boot_mode=_word(get("hw_firmware_type"), _BOOT_MODES, _I.BOOT_MODE_UNKNOWN),
            hidden=get("os_hidden"),
            source=_I.Source(server=self._servers + server) if server else None,
            stores=[store for store in stores.split(",") if store] if stores else None,
        )


def _word(word: str | None, words: Mapping[str, T], unknown: T) -> T | None:
    """Return the enum's value for a word of Glance's; none where it tells none."""
    return words.get(word.lower(), unknown) if word else None


def _pushes(native: str, words: Mapping[str, Any]) -> pushdown.Push:
    return pushdown.word(native, {word.upper(): word for word in words})


_PUSHES = {
    "display_name": pushdown.text("name"),
    "native_state": pushdown.text("status"),
    "state": pushdown.word("status", _PUSHED_STATES),
    "visibility": _pushes("visibility", _VISIBILITIES),
    "disk_format": _pushes("disk_format", _DISK_FORMATS),
    "container_format": _pushes("container_format", _CONTAINER_FORMATS),
    # Glance leaves hidden images out unless it is asked for them.
    "hidden": pushdown.word("os_hidden", {"true": "true", "false": "false"}),
    "os_type": pushdown.text("os_type"),
    "architecture": pushdown.text("architecture"),
}


def _place(row: ImageRow) -> tuple[str, str]:
    return str(row.get("created_at")), str(row["id"])


def _sort(order_by: Sequence[tuple[str, bool]]) -> Params:
    chosen = [f"{_SORT[field]}:{'desc' if descending else 'asc'}" for field, descending in order_by]
    # Glance's own default, said aloud: the order that a listing can be taken up again in.
    return (("sort", ",".join(chosen) or "created_at:desc,id:desc"),)


def _time(text: str | None) -> Any:
    return timestamp(datetime.fromisoformat(text)) if text else None
