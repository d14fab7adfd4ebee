"""What tests of a running gateway call it with, over gRPC."""

from __future__ import annotations

import grpc
import pytest

from cloudspan.v1 import server_pb2, server_pb2_grpc

NAME = "platforms/openstack/clusters/east/servers/1"


def get_server(channel, name=NAME, **options):
    return server_pb2_grpc.ServerServiceStub(channel).GetServer(server_pb2.GetServerRequest(name=name), **options)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value
