"""P8: memory of gateway and adapter at rest, against a process that only imports what they are built of."""

from __future__ import annotations

import asyncio

import pytest
from tests.bench.measure import fake
from tests.harness.processes import Program, openstack, world

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import server_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

GATEWAY_MB, ADAPTER_MB = 80, 90
IMPORTS = "import grpc.aio, uvloop, structlog, click, google.protobuf, prometheus_client"
REST = f'{IMPORTS}, time; print(\'{{"event": "at rest"}}\', flush=True); time.sleep(60)'


async def test_gateway_and_adapter_are_small_at_rest(tmp_path, table):
    """After the first calls, with one cluster logged in."""
    with fake(tmp_path, "east", "--seed", "100", "servers") as cloud, world(tmp_path) as running:
        adapter = await asyncio.to_thread(running.adapter, *openstack(cloud.clouds, ["east"]))
        async with AsyncClient(running.address, retries=False) as client:
            await _until_listed(client)
        with Program(tmp_path / "imports.log", "-c", REST) as imports:
            await asyncio.to_thread(imports.event, "at rest")
            least = imports.rss_mb
        rests = {"gateway": running.gateway.rss_mb, "adapter, OpenStack": adapter.rss_mb}
    found = table("P8: memory at rest", "process", "RSS MB", "x imports", "bar MB")
    found.add("imports of the libraries only", least, 1.0, "-")
    for (name, rss), bar in zip(rests.items(), (GATEWAY_MB, ADAPTER_MB), strict=True):
        found.add(name, rss, rss / least, bar)
    assert rests["gateway"] <= GATEWAY_MB
    assert rests["adapter, OpenStack"] <= ADAPTER_MB


async def _until_listed(client):
    request = server_pb2.ListServersRequest(parent="platforms/openstack/clusters/east")
    async with asyncio.timeout(20):
        while True:
            try:
                await client.servers.ListServers(request)
            except CloudspanError:
                await asyncio.sleep(0.05)
            else:
                return
