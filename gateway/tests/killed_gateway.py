"""A process that drives operations in a store and says what was acknowledged, until it is killed.

Run as `python -m gateway.tests.killed_gateway URL KEYS`. A line for each acknowledgement: id, revision, attempt, done.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sys

from gateway.tests.audit_chains import event
from gateway.tests.operation_store_suite import DONE, PROGRESS, intent

from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.stores.base import Claim, Fenced, OperationStore
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher

DRIVERS = 8
LEASE_S = 2.0


def _acknowledge(row: Row) -> None:
    os.write(1, f"{row.intent.id} {row.revision} {row.attempt} {int(row.done)}\n".encode())


async def _accepting(store: OperationStore) -> None:
    while True:
        _acknowledge(await store.accept(intent(request=os.urandom(200)), event()))


async def _driving(store: OperationStore, claims: asyncio.Queue[Claim]) -> None:
    while True:
        claim = await claims.get()
        with contextlib.suppress(Fenced):  # where the machine is slow the lease may end
            _acknowledge(await store.begin_attempt(claim))
            _acknowledge(await store.advance(claim, PROGRESS, b"told"))
            _acknowledge(await store.begin_attempt(claim))
            _acknowledge(await store.finish(claim, dataclasses.replace(PROGRESS, percent=100), DONE))


async def _staying_alive(store: OperationStore) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 4)
        await store.heartbeat()


async def main(url: str, keys: str) -> None:
    """Accept, claim and drive for ever."""
    store = await open_store(url, Cipher.load(keys), lease_s=LEASE_S)
    claims: asyncio.Queue[Claim] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_staying_alive(store))
        for _ in range(DRIVERS):
            tasks.create_task(_driving(store, claims))
            tasks.create_task(_accepting(store))
        while True:
            await store.work()
            for claim, _ in await store.claim(DRIVERS):
                claims.put_nowait(claim)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
