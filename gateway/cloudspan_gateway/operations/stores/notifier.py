"""Who waits for what, in this process: waiters of one operation share one event, and nobody polls the database.

`SqlStore` passes it every row that it wrote, and which rows others wrote; those that are watched it reads once for all.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations.stores.base import not_there

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.operations.model import Row

log = structlog.get_logger(__name__)

_RETRY_S = 0.5  # between reads while the database is away


class _Watched:
    def __init__(self) -> None:
        self.waiters = 0
        self.row: Row | None = None
        self.gone = False
        self.changed = asyncio.Event()

    def offer(self, row: Row | None) -> None:
        """Take what was read or written, unless something newer is known."""
        if row is None:
            self.gone = True
        elif self.row is None or row.revision > self.row.revision:
            self.row = row
        else:
            return
        self.changed.set()
        self.changed = asyncio.Event()


class Notifier:
    """The watched operations of one store."""

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[Sequence[Row]]], clock: Clock) -> None:
        self._find = find
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._stale: set[str] = set()
        self._reading: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        waiters = sum(watched.waiters for watched in self._watched.values())
        return f"<Notifier {waiters} waiting for {len(self._watched)} operations>"

    async def changed(self, operation_id: str, revision: int) -> Row:
        """Return the row as soon as its revision is above `revision`; NotFound once it is gone."""
        with self._watching(operation_id) as watched:
            while watched.row is None or watched.row.revision <= revision:
                if watched.gone:
                    raise not_there(operation_id)
                await watched.changed.wait()
            return watched.row

    def tell(self, changed: Iterable[Row], gone: Iterable[str]) -> None:
        """Take rows as they are now, and the ids of those that were deleted."""
        if not self._watched:
            return
        for row in changed:
            if row.intent.id in self._watched:
                self._watched[row.intent.id].offer(row)
        for operation_id in gone:
            if operation_id in self._watched:
                self._watched[operation_id].offer(None)

    def reread(self, ids: Iterable[str] | None = None) -> None:
        """Read those of the operations that are watched, all of them without `ids`: somebody else wrote them."""
        self._stale.update(self._watched if ids is None else (one for one in ids if one in self._watched))
        if self._stale and self._reading is None:
            self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    @contextmanager
    def _watching(self, operation_id: str) -> Iterator[_Watched]:
        watched = self._watched.get(operation_id)
        if watched is None or watched.gone:
            watched = self._watched[operation_id] = _Watched()
            self.reread([operation_id])
        watched.waiters += 1
        try:
            yield watched
        finally:
            watched.waiters -= 1
            if not watched.waiters and self._watched.get(operation_id) is watched:
                del self._watched[operation_id]

    async def _read(self) -> None:
        try:
            while ids := sorted(self._stale & self._watched.keys()):
                self._stale.clear()
                try:
                    found = {row.intent.id: row for row in await self._find(ids)}
                except CloudspanError as error:
                    log.warning("watched operations not read", operations=len(ids), reason=error.reason)
                    self._stale.update(ids)
                    await self._clock.sleep(_RETRY_S)
                else:
                    for one in ids:
                        if one in self._watched:
                            self._watched[one].offer(found.get(one))
        finally:
            self._reading = None
