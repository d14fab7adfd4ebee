"""ImageService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.image_pb2 import GetImageRequest, Image
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class ImageDriver(Driver, Protocol):
    """Functions of ImageService; those that a driver leaves out are not served."""

    async def get_image(self, call: Call, request: GetImageRequest) -> Image:
        raise not_driven("get_image")

    async def list_images(self, call: Call, query: Query) -> Page[Image]:
        raise not_driven("list_images")
