"""VolumeService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.volume_pb2 import CreateVolumeRequest, DeleteVolumeRequest, GetVolumeRequest, Volume
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class VolumeDriver(Driver, Protocol):
    """Functions of VolumeService; those that a driver leaves out are not served."""

    async def get_volume(self, call: Call, request: GetVolumeRequest) -> Volume:
        raise not_driven("get_volume")

    async def list_volumes(self, call: Call, query: Query) -> Page[Volume]:
        raise not_driven("list_volumes")

    async def create_volume(self, op: Operation, request: CreateVolumeRequest) -> Volume:
        raise not_driven("create_volume")

    async def delete_volume(self, op: Operation, request: DeleteVolumeRequest) -> None:
        raise not_driven("delete_volume")
