"""A bus process as a whole: how it joins, and what ends it."""

from __future__ import annotations

import asyncio

import pytest
from common.bus.tests.conftest import World

from cloudspan_bus import app
from cloudspan_common.errors import PreconditionFailed

pytestmark = pytest.mark.timeout(120)


async def members(world: World, count: int) -> dict[str, str]:
    """The members of the group in the registry, once there are so many."""
    found = world.registry.coordinator.members(app.GROUP)
    async with asyncio.timeout(10):
        async for seen in found:
            if len(seen) == count:
                break
    await found.aclose()
    return dict(seen)


async def test_processes_of_several_topics_are_members_though_their_host_has_one_name(world):
    """As on one machine; each by the name of its queue."""
    other = f"{world.topic}-2"
    async with world.bus(host="one"), world.bus(host="one", topic=other):
        assert await members(world, 2) == {f"{world.topic}.one": world.topic, f"{other}.one": other}


async def test_a_process_ends_that_can_not_serve_its_health_any_more(world, monkeypatch):
    """As gateway and adapters do: whoever watches it starts it again."""
    ending = asyncio.Event()

    async def watch(_server: object) -> None:
        await ending.wait()
        raise PreconditionFailed("the port is another's")

    monkeypatch.setattr(app.WatchedServer, "watch", watch)
    stop, serves = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(app.serve(world.config(), stop, registry=world.registry, ready=serves.set))
    async with asyncio.timeout(20):
        await serves.wait()
        ending.set()
        with pytest.raises(PreconditionFailed, match="another's"):
            await work
