"""RouterService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.router_pb2 import GetRouterRequest, Router
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class RouterDriver(Driver, Protocol):
    """Functions of RouterService; those that a driver leaves out are not served."""

    async def get_router(self, call: Call, request: GetRouterRequest) -> Router:
        raise not_driven("get_router")

    async def list_routers(self, call: Call, query: Query) -> Page[Router]:
        raise not_driven("list_routers")
