"""SubnetService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.subnet_pb2 import CreateSubnetRequest, DeleteSubnetRequest, GetSubnetRequest, Subnet
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class SubnetDriver(Driver, Protocol):
    """Functions of SubnetService; those that a driver leaves out are not served."""

    async def get_subnet(self, call: Call, request: GetSubnetRequest) -> Subnet:
        raise not_driven("get_subnet")

    async def list_subnets(self, call: Call, query: Query) -> Page[Subnet]:
        raise not_driven("list_subnets")

    async def create_subnet(self, op: Operation, request: CreateSubnetRequest) -> Subnet:
        raise not_driven("create_subnet")

    async def delete_subnet(self, op: Operation, request: DeleteSubnetRequest) -> None:
        raise not_driven("delete_subnet")
