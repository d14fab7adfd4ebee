"""Group commit: whatever queued while the last transaction was committed goes into the next one together.

A store hands in jobs; the writer runs them through the store's `apply`, in one transaction a batch, and answers each
once that is durable. A job that alone breaks its batch fails alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudspan_common.errors import CloudspanError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.storage.engine import Database

J = TypeVar("J")
R = TypeVar("R")

MAX_BATCH = 100  # a batch has the loop to itself for some 50 us a job


class Writer(Generic[J, R]):
    """Writes jobs of one store to its database, one batch after the other."""

    def __init__(
        self,
        database: Database,
        apply: Callable[[Connection, Sequence[J]], Sequence[R | Exception]],
        kept: Callable[[Sequence[J], Sequence[R | Exception]], None],
    ) -> None:
        """Take what applies jobs within a transaction, and what is announced of those that were committed."""
        self._database = database
        self._apply = apply
        self._kept = kept
        self._queue: deque[tuple[J, asyncio.Future[R]]] = deque()
        self._draining: asyncio.Task[None] | None = None
        self.closed = False
        self.batches = 0
        """How many transactions were committed."""

    def __repr__(self) -> str:
        return f"<Writer {len(self._queue)} queued, {self.batches} batches written>"

    async def write(self, job: J) -> R:
        """Return what became of `job` once it is durable."""
        if self.closed:
            raise Unreachable("the store is closed; use another gateway", reason="STORE_CLOSED")
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((job, answer))
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return await answer

    async def close(self) -> None:
        """Write what is queued; take nothing more."""
        self.closed = True
        if self._draining is not None:
            await self._draining

    async def _drain(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
                await self._write([(job, answer) for job, answer in batch if not answer.done()])
        finally:
            self._draining = None

    async def _write(self, batch: Sequence[tuple[J, asyncio.Future[R]]]) -> None:
        jobs = [job for job, _ in batch]
        try:
            results = await self._database.transact(lambda conn: self._apply(conn, jobs))
        except Unreachable as error:  # those behind would wait as long, one batch after the other, to hear the same
            _answer([*batch, *self._queue], [error] * (len(batch) + len(self._queue)))
            self._queue.clear()
        except CloudspanError as error:  # the database's state: the same for all
            _answer(batch, [error] * len(batch))
        except Exception as error:  # noqa: BLE001 - one of them, perhaps: the others are not to pay for it
            if len(batch) == 1:
                _answer(batch, [error])
            for one in batch if len(batch) > 1 else ():
                await self._write([one])
        else:
            self.batches += 1
            self._kept(jobs, results)
            _answer(batch, results)


def _answer(batch: Sequence[tuple[J, asyncio.Future[R]]], results: Sequence[R | Exception]) -> None:
    for (_, answer), result in zip(batch, results, strict=True):
        if answer.done():
            continue  # nobody waits for it any more
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
