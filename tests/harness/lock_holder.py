"""A process that has a lock whenever it can: `python -m tests.harness.lock_holder URL NAME LEASE_S FILE`.

The URL is a registry's (`consul://...`) or a database's. Each line of FILE is one time that it had the lock: fence,
when it had it first, and the last moment at which it would still have acted as its holder, by the host's monotonic
clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from cloudspan_common.clock import SystemClock
from cloudspan_common.registry.consul_agent import Agent
from cloudspan_common.registry.coordination.consul import ConsulClaims
from cloudspan_common.registry.coordination.leased import LeasedCoordinator
from cloudspan_gateway.storage.coordination import coordinator_in
from cloudspan_gateway.storage.engine import open_database

_LOOK_S = 0.002
_LINE = 64


async def _coordinator(url: str, lease_s: float) -> LeasedCoordinator:
    scheme, _, address = url.partition("://")
    if scheme != "consul":
        return coordinator_in(await open_database(url), lease_s=lease_s)
    host, _, port = address.partition(":")
    claims = ConsulClaims(Agent(host, int(port)), SystemClock(), lease_s=lease_s, wait_s=10.0)
    return LeasedCoordinator(claims, lease_s=lease_s)


async def _hold(url: str, name: str, lease_s: float, file: int) -> None:
    coordinator = await _coordinator(url, lease_s)
    print(json.dumps({"event": "asks"}), flush=True)
    for line in range(1_000_000):
        held = await coordinator.lock(name, timeout_s=None)
        assert held is not None
        # Read before it is asked: a freeze between the two must not look like an act.
        first = now = time.monotonic()
        while not held.lost.is_set():
            os.pwrite(file, f"{held.fence} {first:.4f} {now:.4f}".ljust(_LINE - 1).encode() + b"\n", line * _LINE)
            await asyncio.sleep(_LOOK_S)
            now = time.monotonic()


def holds(file: Path) -> list[tuple[int, float, float]]:
    """Return what a process wrote: fence, first and last moment of each time that it had the lock."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return [(int(fence), float(first), float(last)) for fence, first, last in lines]


if __name__ == "__main__":
    _url, _name, _lease, _file = sys.argv[1:]
    asyncio.run(_hold(_url, _name, float(_lease), os.open(_file, os.O_RDWR | os.O_CREAT, 0o600)))
