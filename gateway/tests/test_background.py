"""Parts in the background: started again when they end, with a pause that grows; their health shows it."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.background import Background


class Parts:
    """A part that ends as a test says, and what was shown of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.restarts = Counter("restarts", "Restarts.", ["part"], registry=CollectorRegistry())
        self.shown: list[bool] = []
        self.begun: list[float] = []
        self.background = Background(self.clock, self.restarts, self.show)

    async def show(self, part: str, *, serving: bool) -> None:
        assert part == "table"
        self.shown.append(serving)

    async def run(self) -> None:
        self.begun.append(round(self.clock.monotonic(), 6))
        raise ZeroDivisionError


async def test_a_part_that_ends_is_started_again_after_a_pause_that_grows() -> None:
    """0.1, 0.2, ... 5 s; the work inside goes on meanwhile."""
    parts = Parts()
    async with parts.background.kept_running({"table": parts.run}):
        for _ in range(90):
            await parts.clock.advance(0.1)
    pauses = [round(later - earlier, 1) for earlier, later in zip(parts.begun, parts.begun[1:], strict=False)]
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert parts.shown[:4] == [True, False, True, False]
    assert parts.restarts.labels("table")._value.get() == len(parts.begun)


async def test_what_ends_the_work_is_raised_to_who_waits() -> None:
    """A server that can't go on must not be waited beside for ever."""
    parts = Parts()
    async with parts.background.doing(parts.run):
        with pytest.raises(ExceptionGroup) as ended:
            await parts.background.until(asyncio.Event())
    assert ended.group_contains(ZeroDivisionError)


async def test_who_waits_hears_of_the_stop() -> None:
    parts, stop = Parts(), asyncio.Event()
    async with parts.background.doing(asyncio.Event().wait):  # type: ignore[arg-type] # it never ends
        waiting = asyncio.ensure_future(parts.background.until(stop))
        await asyncio.sleep(0)
        assert not waiting.done()
        stop.set()
        await waiting
