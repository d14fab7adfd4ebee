"""Volume types: there is one."""

from __future__ import annotations

from cloudspan.v1 import volume_type_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import VolumeTypeDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

VolumeType = volume_type_pb2.VolumeType

VOLUME_TYPES = Kind(
    collection="volumeTypes", message=VolumeType, row=VolumeType, source=MemorySource(), changes_since="update_time"
)


class VolumeTypes(MemoryDriver[VolumeType], VolumeTypeDriver):
    """VolumeTypeService."""

    kind = VOLUME_TYPES
