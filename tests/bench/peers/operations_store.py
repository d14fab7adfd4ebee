"""What a store of operations does alone, on one core: python operations_store.py URL OPERATIONS CALLERS.

Each operation is accepted, claimed, its attempt counted, advanced and finished: five writes, each awaited. Prints what
it measured as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid

import uvloop
from google.protobuf import any_pb2

from cloudspan_common.names import ClusterRef
from cloudspan_gateway.operations.model import Intent, Phase, Progress
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher

WARM_UP = 200
CLUSTER = ClusterRef("p", "c")
DONE = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
PROGRESS = Progress(
    cursor=b"c" * 100,
    phase=Phase.PHASE_RUNNING,
    stage="server",
    percent=40,
    resource=CLUSTER.resource("servers", "1"),
    native_ids={"server": "1"},
)


def intent():
    """Return one of the usual size."""
    return Intent(
        id=str(uuid.uuid4()),
        method="cloudspan.v1.ServerService/CreateServer",
        request=os.urandom(500),
        cluster=CLUSTER,
        request_id=str(uuid.uuid4()),
        digest=os.urandom(32),
    )


async def drive(store, operations, callers):
    """Return how long each accept took, in ms."""
    claims, took, left = asyncio.Queue(), [], operations

    async def accepting():
        nonlocal left
        while left > 0:
            left -= 1
            wanted, began = intent(), time.perf_counter()
            await store.accept(wanted)
            took.append((time.perf_counter() - began) * 1e3)

    async def driving():
        while (claim := await claims.get()) is not None:
            await store.begin_attempt(claim)
            await store.advance(claim, PROGRESS)
            await store.finish(claim, PROGRESS, DONE)

    async def claiming():
        taken = 0
        while taken < operations:
            await store.work()
            for claim, _ in await store.claim(1_000):
                claims.put_nowait(claim)
                taken += 1
        for _ in range(callers):
            claims.put_nowait(None)

    await asyncio.gather(claiming(), *(work() for _ in range(callers) for work in (accepting, driving)))
    return sorted(took)


async def alone(store):
    """Return how long an accept takes while nothing else happens, in ms."""
    took = []
    for _ in range(WARM_UP):
        wanted, began = intent(), time.perf_counter()
        await store.accept(wanted)
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took)


async def main(url, operations, callers):
    """Measure, and print it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    store = await open_store(url, Cipher.new())
    await drive(store, WARM_UP, callers)
    batches, began, cpu = store._writer.batches, time.perf_counter(), time.process_time()
    took = await drive(store, operations, callers)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    batches, light = store._writer.batches - batches, await alone(store)
    await store.close()
    found = {"per_s": operations / wall_s, "per_cpu_s": operations / cpu_s, "cpu_us": cpu_s / operations * 1e6}
    found |= {"p50_ms": took[len(took) // 2], "p99_ms": took[len(took) * 99 // 100], "alone_ms": light[WARM_UP // 2]}
    print(json.dumps(found | {"writes_a_commit": 5 * operations / batches}))


uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
