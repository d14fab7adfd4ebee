"""CreateServer requests as tests write them: the resource's fields and the create's own, side by side."""

from __future__ import annotations

from typing import Any

from cloudspan.v1 import server_pb2

Interface = server_pb2.CreateServerRequest.NetworkInterface
NewPort = server_pb2.CreateServerRequest.NewPort
NewVolume = server_pb2.CreateServerRequest.NewVolume
BootVolume = server_pb2.CreateServerRequest.BootVolume

_OF_THE_CREATE = frozenset(server_pb2.CreateServerRequest.DESCRIPTOR.fields_by_name)


def create_server(parent: str, **fields: Any) -> server_pb2.CreateServerRequest:
    """Return the request that makes a server of `fields`: those that a create alone takes stand beside the server."""
    beside = {name: value for name, value in fields.items() if name in _OF_THE_CREATE}
    server = {name: value for name, value in fields.items() if name not in _OF_THE_CREATE}
    return server_pb2.CreateServerRequest(parent=parent, server=server_pb2.Server(**server), **beside)
