"""Create a volume without waiting, and follow its operation until it is done.

python examples/follow_operation.py PLATFORM/CLUSTER [HOST:PORT]
"""

from __future__ import annotations

import asyncio
import sys

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient
from cloudspan.v1.operation_pb2 import OperationMetadata
from cloudspan.v1.volume_pb2 import CreateVolumeRequest, Volume

GIB = 1024**3


async def main(cluster: str, gateway: str = DEFAULT_ADDRESS) -> None:
    """Print each change of the operation, then what it made."""
    platform, tag = cluster.split("/")
    parent = f"platforms/{platform}/clusters/{tag}"
    async with AsyncClient(gateway) as cloud:
        volume = Volume(display_name="followed", size_bytes=GIB)
        accepted = await cloud.volumes.CreateVolume(CreateVolumeRequest(parent=parent, volume=volume))
        async for operation in accepted.changes():
            at = operation.metadata
            print(f"{operation.name}: {OperationMetadata.Phase.Name(at.phase)} {at.percent} % {at.stage}")
        print(f"made {(await accepted.result()).name}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: follow_operation.py PLATFORM/CLUSTER [HOST:PORT]")
    asyncio.run(main(*sys.argv[1:]))
