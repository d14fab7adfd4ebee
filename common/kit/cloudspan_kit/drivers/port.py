"""PortService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.port_pb2 import GetPortRequest, Port
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class PortDriver(Driver, Protocol):
    """Functions of PortService; those that a driver leaves out are not served."""

    async def get_port(self, call: Call, request: GetPortRequest) -> Port:
        raise not_driven("get_port")

    async def list_ports(self, call: Call, query: Query) -> Page[Port]:
        raise not_driven("list_ports")
