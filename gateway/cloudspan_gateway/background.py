"""Runs the parts of a process in the background: one that ends with an error is started again; its health shows it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
    from typing import Protocol

    from prometheus_client import Counter

    from cloudspan_common.clock import Clock

    Work = Callable[[], Coroutine[Any, Any, None]]

    class ShowHealth(Protocol):
        """Shows whether a part runs."""

        async def __call__(self, part: str, *, serving: bool) -> None: ...


_FIRST_PAUSE_S, _MAX_PAUSE_S, _WELL_AFTER_S = 0.1, 5.0, 60.0

log = get_logger(__name__)


class Background:
    """What runs beside the calls."""

    def __init__(self, clock: Clock, restarts: Counter, show_health: ShowHealth) -> None:
        self._clock = clock
        self._restarts = restarts
        self._show_health = show_health
        self._tasks: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<Background {len(self._tasks)} tasks>"

    @asynccontextmanager
    async def kept_running(self, parts: Mapping[str, Work]) -> AsyncIterator[None]:
        """Run parts inside the `with` block, each started again when it ends, after a pause that grows."""
        async with self.doing(*(partial(self._kept_running, part, run) for part, run in parts.items())):
            yield

    @asynccontextmanager
    async def doing(self, *works: Work) -> AsyncIterator[None]:
        """Do work inside the `with` block; `until` raises what ends it early."""
        task = asyncio.ensure_future(_all(works))
        self._tasks.add(task)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._tasks.discard(task)

    async def until(self, stop: asyncio.Event) -> None:
        """Return once `stop` is set; raise what ended the work, if that comes first."""
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({stopped, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    await task
        finally:
            stopped.cancel()

    async def _kept_running(self, part: str, run: Work) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            await self._show_health(part, serving=True)
            try:
                await run()
            except Exception:  # whatever it was: the others go on, and its health shows that it is down
                log.exception("a part of the gateway ended, it is started again", part=part, pause_s=pause_s)
            self._restarts.labels(part).inc()
            await self._show_health(part, serving=False)
            if self._clock.monotonic() - began > _WELL_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)


async def _all(works: Iterable[Work]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work())
