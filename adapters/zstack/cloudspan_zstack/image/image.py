"""The image area: reads of images.

`cluster` lists it among its areas; the kit calls the functions by their names. Deleted images can be read,
SOFT_DELETED, for the days that the platform keeps them; lists leave them out unless the filter names that state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import image_pb2
from cloudspan_kit.driver import ABSENT, Capability
from cloudspan_zstack.cloud import conditions
from cloudspan_zstack.cloud.beside import read_marks
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Page, Query
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.session import Session

_I = image_pb2.Image
_STATES = {
    "Creating": _I.STATE_CREATING,
    "Downloading": _I.STATE_CREATING,
    "Ready": _I.STATE_ACTIVE,
    "Migrating": _I.STATE_DEACTIVATED,
    "Deleted": _I.STATE_SOFT_DELETED,
    "Error": _I.STATE_ERROR,
}
_PUSHED_STATES = {
    "CREATING": ("status?=Creating,Downloading",),
    "ACTIVE": ("status=Ready", "state=Enabled"),
    "SOFT_DELETED": ("status=Deleted",),
    "ERROR": ("status=Error",),
}
_SORT = {
    "display_name": "name",
    "native_state": "status",
    "create_time": "createDate",
    "update_time": "lastOpDate",
    "size_bytes": "actualSize",
    "virtual_size_bytes": "size",
    "disk_format": "format",
}
_ROOT = "RootVolumeTemplate"
_UNTOLD = (ABSENT, "the platform does not tell it")


class ImageRow(Row, kw_only=True):
    state: str = ""
    status: str = ""
    size: int = 0
    actual_size: int = 0
    md5_sum: str = ""
    media_type: str = ""
    platform: str = ""
    architecture: str = ""
    format: str = ""
    system_tags: list[str] = msgspec.field(default_factory=list)


class Image:
    """Images of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_images": Capability(
            sortable=tuple(_SORT),
            fields={"visibility": _UNTOLD, "min_memory_mib": _UNTOLD, "container_format": _UNTOLD},
        )
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._names = f"{ref}/images/"
        pushes = {
            "name": conditions.name("uuid", self._names),
            "display_name": conditions.text("name"),
            "native_state": conditions.text("status"),
            "state": conditions.word(_PUSHED_STATES),
            "disk_format": conditions.text("format"),
            "os_type": conditions.text("platform"),
            "architecture": conditions.text("architecture"),
            "checksum": conditions.text("md5Sum"),
        }
        self._listing: Listing[ImageRow, image_pb2.Image] = Listing(
            "/images", ImageRow, self._messages, unless_asked="status!=Deleted", sortable=_SORT, pushes=pushes
        )

    def __repr__(self) -> str:
        return f"<Image {self._ref}>"

    async def get_image(self, call: Call, _request: image_pb2.GetImageRequest) -> image_pb2.Image:
        return await read_one(self._session, call, self._listing)

    async def list_images(self, call: Call, query: Query) -> Page[image_pb2.Image]:
        return await list_page(self._session, call, query, self._listing)

    async def _messages(self, call: Call, rows: Sequence[ImageRow]) -> list[image_pb2.Image]:
        marks = await read_marks(self._session, call, self._ref, "ImageVO", rows)
        return [self._message(row, marks) for row in rows]

    def _message(self, row: ImageRow, marks: Marks) -> image_pb2.Image:
        dates = self._session.zone
        return _I(
            name=self._names + row.uuid,
            display_name=row.name,
            state=_state(row),
            native_state=row.status,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=dates.timestamp(row.create_date),
            update_time=dates.timestamp(row.last_op_date),
            size_bytes=row.actual_size or row.size,
            virtual_size_bytes=row.size,
            # A root disk may be larger than its template, never smaller.
            min_disk_bytes=row.size if row.media_type == _ROOT else None,
            disk_format=row.format,
            checksum=row.md5_sum,
            checksum_algorithm="md5" if row.md5_sum else None,
            os_type=row.platform,
            architecture=row.architecture,
            tags=[row.media_type, *row.system_tags] if row.media_type else row.system_tags,
        )


def _state(row: ImageRow) -> Any:
    state = _STATES.get(row.status, _I.STATE_UNKNOWN) if row.status else _I.STATE_UNSPECIFIED
    if state == _I.STATE_ACTIVE and row.state == "Disabled":
        return _I.STATE_DEACTIVATED
    return state
