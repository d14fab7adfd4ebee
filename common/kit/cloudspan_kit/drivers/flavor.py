"""FlavorService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.flavor_pb2 import Flavor, GetFlavorRequest
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class FlavorDriver(Driver, Protocol):
    """Functions of FlavorService; those that a driver leaves out are not served."""

    async def get_flavor(self, call: Call, request: GetFlavorRequest) -> Flavor:
        raise not_driven("get_flavor")

    async def list_flavors(self, call: Call, query: Query) -> Page[Flavor]:
        raise not_driven("list_flavors")
