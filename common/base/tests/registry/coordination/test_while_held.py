"""Work under a lock ends when the lock is lost."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan_common.registry.coordination import while_held
from cloudspan_common.registry.coordination.memory import World
from cloudspan_common.testing import FakeClock


@pytest.fixture
async def held():
    coordinator = World(FakeClock()).coordinator(10.0)
    found = await coordinator.lock("x")
    yield found
    await coordinator.close()


async def test_work_that_ends_by_itself_is_told_apart_from_work_whose_lock_was_lost(held) -> None:
    async def work() -> None: ...

    assert await while_held(held, work())
    cancelled = asyncio.Event()

    async def works_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    working = asyncio.create_task(while_held(held, works_for_ever()))
    await asyncio.sleep(0)
    await held.release()
    assert not await working
    assert cancelled.is_set()


async def test_what_the_work_raises_is_raised(held) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await while_held(held, fails())


async def test_who_is_cancelled_ends_its_work(held) -> None:
    ended = asyncio.Event()

    async def works_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    working = asyncio.create_task(while_held(held, works_for_ever()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait([working])
    assert ended.is_set()
