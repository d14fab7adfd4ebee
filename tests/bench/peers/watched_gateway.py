"""Peer: a gateway whose inventory changes when it is told to.

Run by: python watched_gateway.py

Prints its port as JSON. For each line on stdin it changes one server and prints when that was committed (monotonic
seconds, the same in all processes of the machine). Ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from cloudspan.v1 import server_pb2
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.inventory.model import Observed, Origin

NAME = "platforms/memory/clusters/main/servers/{}"


async def changed(gateway: Gateway, number: int) -> None:
    """Change one of a hundred servers."""
    server = server_pb2.Server(name=NAME.format(number % 100), display_name=f"web-{number}", vcpus=2)
    assert gateway.inventory is not None
    await gateway.inventory.store.apply("servers", [Observed.of(server)], time.time(), Origin.READ)


async def main() -> None:
    """Serve until stdin ends."""
    config = GatewayConfig(listen="127.0.0.1:0", metrics="", drain_s=0.0, database="memory:", wait_for_adapters=0.0)
    gateway = Gateway(config, MemoryRegistry())
    async with gateway.running():
        for number in range(100):
            await changed(gateway, number)
        print(json.dumps({"port": gateway.server.port}), flush=True)
        number, loop = 100, asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            await changed(gateway, number)
            print(json.dumps({"committed": time.monotonic()}), flush=True)
            number += 1


if __name__ == "__main__":
    uvloop.run(main())
