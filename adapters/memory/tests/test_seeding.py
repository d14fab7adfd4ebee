"""SeedService, which the adapter has beside the contract."""

from __future__ import annotations

import pytest
from google.protobuf import message_factory

from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan_memory.cluster import MemoryCluster
from cloudspan_memory.seed.v1 import seed_pb2, seed_pb2_grpc


async def test_its_own_service_seeds_servers(client: AsyncClient, cluster: MemoryCluster) -> None:
    """What an adapter may have beside the contract."""
    seed = seed_pb2_grpc.SeedServiceStub(client.channel)
    assert (await seed.Seed(seed_pb2.SeedRequest(servers=4))).servers == 4
    for request in (seed_pb2.SeedRequest(servers=-1), seed_pb2.SeedRequest(cluster="none")):
        with pytest.raises(client_errors.CloudspanError):
            await seed.Seed(request)
    assert repr(cluster.store).startswith("<Store platforms/memory/clusters/main: ")
    assert message_factory.GetMessageClass(seed_pb2.SeedRequest.DESCRIPTOR) is seed_pb2.SeedRequest
