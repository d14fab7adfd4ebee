"""ServerService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.server_pb2 import (
        AttachVolumeRequest,
        CreateServerRequest,
        DeleteServerRequest,
        DetachVolumeRequest,
        GetServerRequest,
        RebootServerRequest,
        Server,
        StartServerRequest,
        StopServerRequest,
    )
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class ServerDriver(Driver, Protocol):
    """Functions of ServerService; those that a driver leaves out are not served."""

    async def get_server(self, call: Call, request: GetServerRequest) -> Server:
        raise not_driven("get_server")

    async def list_servers(self, call: Call, query: Query) -> Page[Server]:
        raise not_driven("list_servers")

    async def create_server(self, op: Operation, request: CreateServerRequest) -> Server:
        raise not_driven("create_server")

    async def delete_server(self, op: Operation, request: DeleteServerRequest) -> None:
        raise not_driven("delete_server")

    async def start_server(self, op: Operation, request: StartServerRequest) -> Server:
        raise not_driven("start_server")

    async def stop_server(self, op: Operation, request: StopServerRequest) -> Server:
        raise not_driven("stop_server")

    async def reboot_server(self, op: Operation, request: RebootServerRequest) -> Server:
        raise not_driven("reboot_server")

    async def attach_volume(self, op: Operation, request: AttachVolumeRequest) -> Server:
        raise not_driven("attach_volume")

    async def detach_volume(self, op: Operation, request: DetachVolumeRequest) -> Server:
        raise not_driven("detach_volume")
