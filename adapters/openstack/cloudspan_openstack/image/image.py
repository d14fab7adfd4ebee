"""The image area: reads of Glance's images.

`cluster` lists it among its areas; the kit calls the functions by their names. An image's labels are its custom
properties (`os_distro`, `hw_disk_bus`, whatever people set): Glance's own key-value pairs. They stand beside the
standard attributes in one flat document, so rows are read as plain documents here; tags have no value and stay tags.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import image_pb2
from cloudspan_kit.driver import Capability, Page
from cloudspan_kit.values import GIB
from cloudspan_openstack.cloud import pushdown
from cloudspan_openstack.cloud.marker_pages import Listing, Params, Scope, list_page, read_one
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Query
    from cloudspan_openstack.cloud.session import Session

ImageRow = dict[str, Any]

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
# Another word than these is refused with 400.
_VISIBILITIES = ("public", "private", "shared", "community")
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
        self._names, self._projects = f"{ref}/images/", f"{ref}/projects/"
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
        return _I(
            name=self._names + row["id"],
            display_name=get("name"),
            state=_STATES.get(status, _I.STATE_UNKNOWN) if status else None,
            native_state=status,
            project=self._projects + owner if owner else None,
            labels={k: v for k, v in row.items() if k not in _STANDARD and isinstance(v, str)},
            create_time=_time(get("created_at")),
            update_time=_time(get("updated_at")),
            size_bytes=get("size"),
            virtual_size_bytes=get("virtual_size"),
            min_disk_bytes=(get("min_disk") or 0) * GIB,
            min_memory_mib=get("min_ram"),
            disk_format=get("disk_format"),
            container_format=get("container_format"),
            visibility=get("visibility"),
            protected=get("protected"),
            checksum=strong or get("checksum"),
            checksum_algorithm=get("os_hash_algo") if strong else ("md5" if get("checksum") else None),
            os_type=get("os_type"),
            architecture=get("architecture"),
            tags=get("tags"),
        )


_PUSHES = {
    "display_name": pushdown.text("name"),
    "native_state": pushdown.text("status"),
    "state": pushdown.word("status", _PUSHED_STATES),
    "visibility": pushdown.word("visibility", {word: word for word in _VISIBILITIES}),
    "disk_format": pushdown.text("disk_format"),
    "container_format": pushdown.text("container_format"),
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
