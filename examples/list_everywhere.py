"""List every server of every cluster, and say honestly what is missing.

python examples/list_everywhere.py [HOST:PORT]
"""

from __future__ import annotations

import asyncio
import sys

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient
from cloudspan.v1.common_pb2 import ClusterStatus
from cloudspan.v1.server_pb2 import ListServersRequest, Server


async def main(gateway: str = DEFAULT_ADDRESS) -> None:
    """Print a line for each server, then a line for each cluster."""
    async with AsyncClient(gateway) as cloud:
        servers = cloud.each(cloud.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-"))
        async for server in servers:
            print(f"{server.name}  {server.display_name}  {Server.State.Name(server.state)}")
        for status in servers.cluster_status:
            age_s = status.age.ToTimedelta().total_seconds()
            print(f"{status.cluster}: {ClusterStatus.State.Name(status.state)}, {age_s:.1f} s old {status.message}")
        if servers.unreachable:
            sys.exit(f"not in this list: {', '.join(servers.unreachable)}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
