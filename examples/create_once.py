"""Create a server exactly once, however often this is run with the same request id, and wait until it runs.

python examples/create_once.py PLATFORM/CLUSTER REQUEST_ID [HOST:PORT]

The request id is a UUID that you choose and keep until you have the answer. After a crash, a time-out or a lost
connection run it again with the same one: you get the same operation, never a second server.
"""

from __future__ import annotations

import asyncio
import sys

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient, waiting
from cloudspan.v1.flavor_pb2 import ListFlavorsRequest
from cloudspan.v1.image_pb2 import ListImagesRequest
from cloudspan.v1.network_pb2 import ListNetworksRequest
from cloudspan.v1.server_pb2 import CreateServerRequest, Server


async def main(cluster: str, request_id: str, gateway: str = DEFAULT_ADDRESS) -> None:
    """Create a server of the smallest flavor and the first image."""
    platform, tag = cluster.split("/")
    parent = f"platforms/{platform}/clusters/{tag}"
    async with AsyncClient(gateway) as cloud:
        wanted = await smallest(cloud, parent)
        request = CreateServerRequest(parent=parent, server=wanted, request_id=request_id)
        # Done within 10 s the answer holds the server; else the operation goes on and is waited for below.
        operation = await cloud.servers.CreateServer(request, metadata=waiting(10))
        server = await operation.result(120)
        print(f"{operation.name}: {server.name} is {Server.State.Name(server.state)}")


async def smallest(cloud: AsyncClient, parent: str) -> Server:
    """Return what to ask for; the same each time, since a request id stands for one request."""
    flavors = [f async for f in cloud.each(cloud.flavors.ListFlavors, ListFlavorsRequest(parent=parent))]
    images = [i async for i in cloud.each(cloud.images.ListImages, ListImagesRequest(parent=parent))]
    networks = [n async for n in cloud.each(cloud.networks.ListNetworks, ListNetworksRequest(parent=parent))]
    return Server(
        display_name="created-once",
        flavor=min(flavors, key=lambda flavor: (flavor.memory_mib, flavor.name)).name,
        image=min(image.name for image in images),
        network_interfaces=[{"network": min(network.name for network in networks if not network.external)}],
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: create_once.py PLATFORM/CLUSTER REQUEST_ID [HOST:PORT]")
    asyncio.run(main(*sys.argv[1:]))
