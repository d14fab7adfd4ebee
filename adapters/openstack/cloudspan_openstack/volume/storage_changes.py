"""Make and delete volumes, each create exactly once.

`storage.Storage` builds on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_common.errors import GaveUp, InvalidRequest, NotFound, Violation
from cloudspan_kit.driver import Watch
from cloudspan_kit.serve.options import read_options
from cloudspan_kit.values import native_id
from cloudspan_openstack.cloud.values import whole_gib
from cloudspan_openstack.volume.storage_rows import MARKER_KEY
from cloudspan_openstack.volume.storage_types import know_types
from cloudspan_openstack.volume.volume_making import VolumeMaking

if TYPE_CHECKING:
    from cloudspan.v1 import volume_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Operation
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.volume.storage_rows import StorageMapper

_MAX_TEXT = 255


class SchedulerHints(msgspec.Struct, forbid_unknown_fields=True):
    """Where Cinder should place a volume."""

    same_host: list[str] | None = None
    different_host: list[str] | None = None
    local_to_instance: str | None = None
    query: str | None = None


class CreateVolumeOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateVolume."""

    scheduler_hints: SchedulerHints | None = None


class StorageChanges:
    """The mutations of volumes of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: StorageMapper) -> None:
        self._session, self._ref, self._mapper = session, ref, mapper
        self._making = VolumeMaking(session, ref)

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume | None:
        body = self._body(request.volume)
        options = read_options(request.options, CreateVolumeOptions)
        made = await self._making.make(op, "volume", body, _hints(options))
        op.set_resource(self._ref.resource("volumes", made.id))
        watch = Watch("volumes", made.id)
        row = await op.wait_until("available", lambda: self._making.made(op.call, made.id), percent=50, watch=watch)
        await know_types(self._session, op.call, self._mapper)
        return self._mapper.volume(row)

    async def delete_volume(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None:
        op.set_resource(request.name)
        volume_id = native_id(self._ref, "volumes", request.name, "name")
        await op.change("delete", lambda: self._making.delete(op.call, volume_id))
        watch = Watch("volumes", volume_id)
        status = await op.wait_until("gone", lambda: self._gone(op.call, volume_id), percent=50, watch=watch)
        if status != "gone":
            text = f"Cinder could not delete {request.name}: it is in state {status}; ask the cloud's operator"
            raise GaveUp(text, reason="VOLUME_ERROR", resource=request.name)

    def _body(self, wanted: volume_pb2.Volume) -> dict[str, Any]:
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
        body = {
            "name": wanted.display_name,
            "description": wanted.description,
            "size": whole_gib(wanted.size_bytes, "volume.size_bytes"),
            "volume_type": native_id(ref, "volumeTypes", wanted.volume_type, "volume.volume_type"),
            "availability_zone": native_id(ref, "zones", wanted.zone, "volume.zone"),
            "imageRef": native_id(ref, "images", wanted.image, "volume.image"),
            "snapshot_id": native_id(ref, "snapshots", wanted.snapshot, "volume.snapshot"),
            "source_volid": native_id(ref, "volumes", wanted.source_volume, "volume.source_volume"),
        }
        return {key: value for key, value in body.items() if value} | {"metadata": dict(wanted.labels)}

    async def _gone(self, call: Call, volume_id: str) -> str | None:
        try:
            row = await self._making.get(call, volume_id)
        except NotFound:
            return "gone"
        return row.status if (row.status or "").startswith("error") else None


def _hints(options: CreateVolumeOptions) -> dict[str, Any]:
    if options.scheduler_hints is None:
        return {}
    hints = msgspec.to_builtins(options.scheduler_hints)
    return {"OS-SCH-HNT:scheduler_hints": {k: v for k, v in hints.items() if v is not None}}


def _bad(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(text, violations=[Violation(field, text)])
