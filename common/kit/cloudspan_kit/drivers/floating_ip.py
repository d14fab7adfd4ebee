"""FloatingIpService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.floating_ip_pb2 import (
        AssociateFloatingIpRequest,
        CreateFloatingIpRequest,
        DeleteFloatingIpRequest,
        DisassociateFloatingIpRequest,
        FloatingIp,
        GetFloatingIpRequest,
        UpdateFloatingIpRequest,
    )
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class FloatingIpDriver(Driver, Protocol):
    """Functions of FloatingIpService; those that a driver leaves out are not served."""

    async def get_floating_ip(self, call: Call, request: GetFloatingIpRequest) -> FloatingIp:
        raise not_driven("get_floating_ip")

    async def list_floating_ips(self, call: Call, query: Query) -> Page[FloatingIp]:
        raise not_driven("list_floating_ips")

    async def create_floating_ip(self, op: Operation, request: CreateFloatingIpRequest) -> FloatingIp:
        raise not_driven("create_floating_ip")

    async def update_floating_ip(self, op: Operation, request: UpdateFloatingIpRequest) -> FloatingIp:
        raise not_driven("update_floating_ip")

    async def delete_floating_ip(self, op: Operation, request: DeleteFloatingIpRequest) -> None:
        raise not_driven("delete_floating_ip")

    async def associate_floating_ip(self, op: Operation, request: AssociateFloatingIpRequest) -> FloatingIp:
        raise not_driven("associate_floating_ip")

    async def disassociate_floating_ip(self, op: Operation, request: DisassociateFloatingIpRequest) -> FloatingIp:
        raise not_driven("disassociate_floating_ip")
