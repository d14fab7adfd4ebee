"""Peer: a tenant that sends ten times what it may, and never heeds RetryInfo: python flood.py ADDRESS WITH TOKEN.

`calls` has 80 callers that call again at once, `creates` sends 50 creates a second. Ends with SIGTERM; prints how many
calls were answered and refused as JSON.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter

import grpc
import uvloop

from cloudspan.v1 import server_pb2, server_pb2_grpc

CLUSTER = "platforms/memory/clusters/main"
CALLERS, CREATES_A_SECOND = 80, 50
ENDED: Counter[str] = Counter()


async def noted(call: grpc.aio.UnaryUnaryCall) -> None:
    """Wait for a call's end and count how it ended."""
    ENDED[(await call.code()).name] += 1


async def calls(servers: server_pb2_grpc.ServerServiceStub, metadata: tuple[tuple[str, str]]) -> None:
    """Call without a pause, many at once."""
    page = await servers.ListServers(server_pb2.ListServersRequest(parent=CLUSTER), metadata=metadata)
    request = server_pb2.GetServerRequest(name=page.servers[0].name)

    async def one() -> None:
        while True:
            await noted(servers.GetServer(request, metadata=metadata))

    await asyncio.gather(*(one() for _ in range(CALLERS)))


async def creates(servers: server_pb2_grpc.ServerServiceStub, metadata: tuple[tuple[str, str]]) -> None:
    """Create at a steady rate, whatever becomes of it."""
    page = await servers.ListServers(server_pb2.ListServersRequest(parent=CLUSTER), metadata=metadata)
    server = server_pb2.Server(display_name="flood", flavor=page.servers[0].flavor, image=page.servers[0].image)
    request = server_pb2.CreateServerRequest(parent=CLUSTER, server=server)
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()
    while True:
        task = loop.create_task(noted(servers.CreateServer(request, metadata=metadata)))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(1 / CREATES_A_SECOND)


async def main(address: str, kind: str, token: str) -> None:
    """Flood until SIGTERM."""
    async with grpc.aio.insecure_channel(address) as channel:
        servers = server_pb2_grpc.ServerServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        flooding = asyncio.ensure_future({"calls": calls, "creates": creates}[kind](servers, metadata))
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        stopped = asyncio.ensure_future(stop.wait())
        print(json.dumps({"event": "flood begins"}), flush=True)
        await asyncio.wait({flooding, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if flooding.done():
            await flooding
        flooding.cancel()
    print(json.dumps({"event": "flood ended", **ENDED}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
