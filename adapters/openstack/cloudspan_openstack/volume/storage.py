"""The storage area: reads of volume types and snapshots.

`cluster` lists it among its areas; the kit calls the functions by their names.
"""

from __future__ import annotations

import asyncio
import bisect
from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan_common.errors import Forbidden, NotFound
from cloudspan_kit import Capability, Page, converted
from cloudspan_openstack.cloud import pushdown
from cloudspan_openstack.cloud.marker_pages import Listing, Params, Scope, list_page, read_one
from cloudspan_openstack.volume.storage_rows import (
    EncryptionRow,
    SnapshotRow,
    Snapshots,
    StorageMapper,
    VolumeTypeRow,
)
from cloudspan_openstack.volume.storage_types import all_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import snapshot_pb2, volume_type_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session

_SNAPSHOT_SORT = {"display_name": "name", "create_time": "created_at", "native_state": "status"}
# States of ours that are one status of Cinder's; the others are several, and are not pushed.
_SNAPSHOT_STATES = {"CREATING": "creating"}


class Storage:
    """Volume types and snapshots of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_snapshots": Capability(sortable=tuple(_SNAPSHOT_SORT)),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref, self._mapper = session, ref, StorageMapper(ref)
        self._snapshots: Listing[SnapshotRow, snapshot_pb2.Snapshot] = Listing(
            "volume", "/snapshots/detail", "snapshots", Snapshots, self._mapper.snapshot, _place, True,
            _sorted(_SNAPSHOT_SORT),
        )  # fmt: skip
        common = {"display_name": pushdown.text("name"), "native_state": pushdown.text("status")}
        self._snapshot_pushes = common | {
            "state": pushdown.word("status", _SNAPSHOT_STATES),
            "volume": pushdown.name("volume_id", f"{ref}/volumes/"),
        }

    def __repr__(self) -> str:
        return f"<Storage {self._ref}>"

    async def get_snapshot(self, call: Call, _request: snapshot_pb2.GetSnapshotRequest) -> snapshot_pb2.Snapshot:
        return await read_one(
            self._session, call, self._snapshots, SnapshotRow, key="snapshot", template="/snapshots/{id}"
        )

    async def list_snapshots(self, call: Call, query: Query) -> Page[snapshot_pb2.Snapshot]:
        pushed = pushdown.pushed(query, self._snapshot_pushes)
        scopes: list[Scope[SnapshotRow]] = [Scope(await self._whose(call, query))]
        return await list_page(self._session, call, self._snapshots, query, pushed=pushed, scopes=scopes)

    async def get_volume_type(
        self, call: Call, _request: volume_type_pb2.GetVolumeTypeRequest
    ) -> volume_type_pb2.VolumeType:
        body = await self._session.get(call, "volume", "/types/{id}", dict[str, Any], args={"id": call.id})
        default, encryption = await self._default_type(call), await self._encryption(call, call.id)
        return self._type_message(call, body.get("volume_type"), default, encryption)

    async def list_volume_types(self, call: Call, query: Query) -> Page[volume_type_pb2.VolumeType]:
        """List all types at once, by id.

        Cinder answers the first page again when the marker was deleted, with 200: its paging of types proves nothing,
        and there are few of them.
        """
        documents = sorted(await all_types(self._session, call), key=lambda document: str(document.get("id")))
        ids = [str(document.get("id")) for document in documents]
        rest = documents[bisect.bisect_right(ids, query.cursor) :]
        default = await self._default_type(call)
        encryptions = await asyncio.gather(*(self._encryption(call, str(document.get("id"))) for document in rest))
        items = [
            self._type_message(call, document, default, encryption)
            for document, encryption in zip(rest, encryptions, strict=True)
        ]
        return Page(items, more=False, position=lambda index: str(rest[index].get("id")))

    async def _encryption(self, call: Call, type_id: str) -> EncryptionRow | None:
        """Return how a type's volumes are encrypted: a call for each type, which only an administrator may make."""
        if not (await self._session.scope(call)).is_admin:
            return None
        try:
            path = "/types/{id}/encryption"
            return await self._session.get(call, "volume", path, EncryptionRow, args={"id": type_id})
        except (Forbidden, NotFound):
            return None

    def _type_message(
        self, call: Call, document: Any, default_id: str, encryption: EncryptionRow | None
    ) -> volume_type_pb2.VolumeType:
        message = self._mapper.volume_type(converted(document, VolumeTypeRow), default_id, encryption)
        if call.full:
            message.native.update(document)
        return message

    async def _default_type(self, call: Call) -> str:
        try:
            body = await self._session.get(call, "volume", "/types/default", dict[str, Any])
        except NotFound:
            return ""  # none is configured
        return converted(body.get("volume_type"), VolumeTypeRow).id

    async def _whose(self, call: Call, query: Query) -> Params:
        """Return the parameters for whose rows are wanted: without a filter Cinder shows our own, to anybody."""
        login = await self._session.scope(call)
        if not login.is_admin or not pushdown.asks_for_projects(query):
            return ()
        wanted, prefix = query.filter.equal("project") or "", f"{self._ref}/projects/"
        if not wanted.startswith(prefix):
            return (("all_tenants", "1"),)
        return (("all_tenants", "1"), ("project_id", wanted.removeprefix(prefix)))


def _place(row: SnapshotRow) -> tuple[str, str]:
    return str(row.created_at), row.id


def _sorted(sortable: Mapping[str, str]) -> Any:
    def sort(order_by: Sequence[tuple[str, bool]]) -> Params:
        chosen = [f"{sortable[field]}:{'desc' if descending else 'asc'}" for field, descending in order_by]
        # Cinder's own default, said aloud: the order that a listing can be taken up again in.
        return (("sort", ",".join(chosen) or "created_at:desc,id:desc"),)

    return sort
