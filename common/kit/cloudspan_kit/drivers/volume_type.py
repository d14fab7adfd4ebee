"""VolumeTypeService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.volume_type_pb2 import GetVolumeTypeRequest, VolumeType
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class VolumeTypeDriver(Driver, Protocol):
    """Functions of VolumeTypeService; those that a driver leaves out are not served."""

    async def get_volume_type(self, call: Call, request: GetVolumeTypeRequest) -> VolumeType:
        raise not_driven("get_volume_type")

    async def list_volume_types(self, call: Call, query: Query) -> Page[VolumeType]:
        raise not_driven("list_volume_types")
