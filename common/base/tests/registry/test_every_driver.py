"""What every registry driver must do; one suite for memory, static and consul."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudspan_common.errors import AlreadyExists
from cloudspan_common.registry.static import StaticRegistry

if TYPE_CHECKING:
    from cloudspan_common.registry import Instance

QUIET_S = 0.3


async def test_an_empty_registry_shows_an_empty_view_at_once(place) -> None:
    """A gateway without adapters starts all the same."""
    watch = place.open().watch()
    async with asyncio.timeout(5):
        assert await anext(watch) == ()


async def test_a_registered_instance_reaches_a_watcher_in_full(place, east: Instance, until) -> None:
    """What was registered is what gateways see, field by field."""
    watch = place.open().watch()
    assert await anext(watch) == ()
    await place.open().register(east)
    assert await until(watch, bool) == (east,)


async def test_a_late_watcher_gets_the_whole_view_at_once(place, east: Instance, west: Instance) -> None:
    """A gateway that starts after the adapters knows them from the first view."""
    registry = place.open()
    await registry.register(west)
    await registry.register(east)
    watch = place.open().watch()
    async with asyncio.timeout(5):
        assert await anext(watch) == (east, west)


async def test_a_deregistered_instance_leaves(place, east: Instance, west: Instance, until) -> None:
    """Only the one that left is gone; leaving twice does nothing."""
    adapters, watch = place.open(), place.open().watch()
    leaving, _ = await adapters.register(east), await adapters.register(west)
    await until(watch, lambda view: view == (east, west))
    await leaving.deregister()
    await leaving.deregister()
    assert await until(watch, lambda view: len(view) == 1) == (west,)
    assert "deregistered" in repr(leaving)


async def test_a_draining_instance_stays_and_says_so(place, east: Instance, until) -> None:
    """Draining asks for no new work; it is not an illness."""
    watch = place.open().watch()
    registration = await place.open().register(east)
    await until(watch, lambda view: view == (east,))
    await registration.drain()
    draining = replace(east, draining=True)
    assert await until(watch, bool) == (draining,)
    assert registration.instance == draining
    assert "draining" in repr(registration)


async def test_an_entry_of_the_same_id_is_replaced(place, east: Instance, until) -> None:
    """A process that restarts with its old id leaves no double."""
    watch = place.open().watch()
    await place.open().register(east)
    await until(watch, lambda view: view == (east,))
    successor = replace(east, build="1.5.0")
    await place.restart_of(successor)
    assert await until(watch, bool) == (successor,)


async def test_two_watches_of_one_registry_see_the_same(place, east: Instance, until) -> None:
    """Table and console watch side by side."""
    gateway = place.open()
    first, second = gateway.watch(), gateway.watch()
    await place.open().register(east)
    assert await until(first, bool) == await until(second, bool) == (east,)


async def test_a_slow_reader_skips_to_the_latest_view(place, east: Instance, west: Instance, until) -> None:
    """An old view is never handed out after a newer one."""
    gateway, adapters = place.open(), place.open()
    slow, quick = gateway.watch(), gateway.watch()
    assert await anext(slow) == ()
    first = await adapters.register(east)
    await until(quick, lambda view: view == (east,))
    await adapters.register(west)
    await until(quick, lambda view: view == (east, west))
    await first.deregister()
    await until(quick, lambda view: view == (west,))
    assert await anext(slow) == (west,)


async def test_nothing_is_yielded_without_a_change(place, east: Instance, until) -> None:
    """Renewals are not changes."""
    watch = place.open().watch()
    await place.open().register(east)
    await until(watch, lambda view: view == (east,))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await anext(watch)


async def test_a_context_deregisters_also_after_a_failure(place, east: Instance, until) -> None:
    """An adapter that crashes in Python leaves no entry."""
    watch = place.open().watch()
    adapters = place.open()

    async def crash() -> None:
        async with await adapters.register(east):
            await until(watch, lambda view: view == (east,))
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await crash()
    assert await until(watch, lambda view: not view) == ()


async def test_closing_ends_watches_and_entries(place, east: Instance, until) -> None:
    """Nothing that the registry renewed outlives it."""
    registry = place.open()
    own, others = registry.watch(), place.open().watch()
    await registry.register(east)
    await until(own, lambda view: view == (east,))
    await until(others, lambda view: view == (east,))
    await registry.close()
    assert [view async for view in own] == []
    assert [view async for view in registry.watch()] == []
    if "Memory" not in repr(registry):
        assert await until(others, lambda view: not view) == ()


async def test_an_id_is_registered_once_per_process(place, east: Instance) -> None:
    """Two renewals of one entry would overwrite each other; after leaving the id is free."""
    registry = place.open()
    first = await registry.register(east)
    with pytest.raises(AlreadyExists, match="os-east"):
        await registry.register(east)
    await first.deregister()
    assert (await registry.register(east)).instance == east


async def test_repr_shows_who_is_there(place, east: Instance, west: Instance, until) -> None:
    """The debug view counts instances and names the odd ones."""
    registry = place.open()
    watch = registry.watch()
    await registry.register(east)
    registration = await registry.register(west)
    await registration.drain()
    await until(watch, lambda view: len(view) == 2 and view[1].draining)
    assert "2 instances (1 draining)" in repr(registry)
    assert repr(registration).endswith(f"Registration zs-west at {west.address}: registered, draining>")


async def test_a_registry_keeps_locks_unless_it_is_a_file(place) -> None:
    """They are given up when it is closed; who has a file takes the coordinator of its database."""
    registry = place.open()
    if isinstance(registry, StaticRegistry):
        assert registry.coordinator is None
        return
    held = await registry.coordinator.lock("x")
    async with await registry.coordinator.join("g", "m"):
        assert await anext(registry.coordinator.members("g")) == {"m": ""}
        await registry.close()
    assert held.lost.is_set()
