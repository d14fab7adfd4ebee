"""Images: what servers boot from."""

from __future__ import annotations

from cloudspan.v1 import image_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import ImageDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

Image = image_pb2.Image

IMAGES = Kind(collection="images", message=Image, row=Image, source=MemorySource(), changes_since="update_time")


class Images(MemoryDriver[Image], ImageDriver):
    """ImageService."""

    kind = IMAGES
