"""The store: pages that hold while resources come and go."""

from __future__ import annotations

import asyncio

from adapters.memory.tests.steps import MAIN

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2
from cloudspan_memory.cluster import MemoryCluster


async def test_2500_servers_are_all_listed_though_some_go_meanwhile(
    client: AsyncClient, cluster: MemoryCluster
) -> None:
    """Deleted between two pages: the rest comes once each, and a page emptied by deletions does not loop."""
    cluster.seed_servers(2500)
    request = server_pb2.ListServersRequest(parent=MAIN, page_size=1000)
    page = await client.servers.ListServers(request)
    seen = [server.name for server in page.servers]
    gone = [f"seed-{number:06}" for number in (0, 500, 999, 1000, 1001, *range(1200, 1300))]
    for server_id in gone:
        server = cluster.store.get("servers", server_id)
        cluster.store.later(server, lambda i=server_id: cluster.store.delete("servers", i))
    await asyncio.sleep(0.02)
    while page.next_page_token:
        request.page_token = page.next_page_token
        page = await client.servers.ListServers(request)
        seen += [server.name for server in page.servers]
    assert len(seen) == len(set(seen)) == 2500 - sum(int(i[5:]) >= 1000 for i in gone)
