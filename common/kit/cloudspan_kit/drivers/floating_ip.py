"""FloatingIpService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.floating_ip_pb2 import FloatingIp, GetFloatingIpRequest
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class FloatingIpDriver(Driver, Protocol):
    """Functions of FloatingIpService; those that a driver leaves out are not served."""

    async def get_floating_ip(self, call: Call, request: GetFloatingIpRequest) -> FloatingIp:
        raise not_driven("get_floating_ip")

    async def list_floating_ips(self, call: Call, query: Query) -> Page[FloatingIp]:
        raise not_driven("list_floating_ips")
