"""One cluster in memory, and a client of an adapter that serves it over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cloudspan.client import AsyncClient
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_memory import seeding
from cloudspan_memory.cluster import MemoryCluster


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(ClusterRef("memory", "main"), delay_s=0.01)


@pytest.fixture
async def client(cluster: MemoryCluster) -> AsyncIterator[AsyncClient]:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    adapter = Adapter("memory", "Memory", "cloudspan-memory", [cluster], seeding.services([cluster]))
    config = AdapterConfig(drain_s=0.0)
    task = asyncio.create_task(serve(adapter, config, stop, registry=MemoryRegistry(), ready=bound.set_result))
    async with AsyncClient(await bound, timeout_s=10) as opened:
        yield opened
    stop.set()
    await task
