"""NetworkService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.network_pb2 import CreateNetworkRequest, DeleteNetworkRequest, GetNetworkRequest, Network
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class NetworkDriver(Driver, Protocol):
    """Functions of NetworkService; those that a driver leaves out are not served."""

    async def get_network(self, call: Call, request: GetNetworkRequest) -> Network:
        raise not_driven("get_network")

    async def list_networks(self, call: Call, query: Query) -> Page[Network]:
        raise not_driven("list_networks")

    async def create_network(self, op: Operation, request: CreateNetworkRequest) -> Network:
        raise not_driven("create_network")

    async def delete_network(self, op: Operation, request: DeleteNetworkRequest) -> None:
        raise not_driven("delete_network")
