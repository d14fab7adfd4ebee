"""Quotas: what is used."""

from __future__ import annotations

from adapters.memory.tests.steps import MAIN

from cloudspan.client import AsyncClient
from cloudspan.v1 import quota_pb2
from cloudspan_memory.cluster import MemoryCluster


async def test_quotas_count_what_is_there(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Nothing is limited; three servers are three."""
    cluster.seed_servers(3)
    quota = await client.quotas.GetQuota(quota_pb2.GetQuotaRequest(name=f"{MAIN}/quotas/main"))
    assert {item.metric: (item.used, item.limit) for item in quota.items}[quota_pb2.Quota.METRIC_SERVERS] == (3, -1)
