"""The registry while its real Consul agent is away, frozen, or has lost its memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cloudspan_common.registry.consul import ConsulTimes
from cloudspan_common.testing import FakeClock

if TYPE_CHECKING:
    from cloudspan_common.registry import Instance

HASTY = ConsulTimes(ttl_s=1.0, probe_s=1.0, wait_s=0.5, hold_s=0.5)


async def test_an_agent_that_lost_its_memory_is_taught_again(own_consul, open_consul, east, until, eventually) -> None:
    """Killed and started with nothing: the table never empties, and each process registers itself anew."""
    own_consul.start()
    seen = []

    async def look() -> None:
        async for view in gateway.watch():
            seen.append(view)  # noqa: PERF401 - read while it grows

    gateway = open_consul(own_consul)
    looking = asyncio.create_task(look())
    clock = FakeClock()
    registration = await open_consul(own_consul, times=ConsulTimes(), clock=clock).register(east)
    await until(gateway.watch(), lambda view: view == (east,))
    seen_before = len(seen)
    own_consul.kill()
    own_consul.start()
    await eventually(lambda: (replace(east, suspect=True),) in seen[seen_before:])
    await clock.advance(ConsulTimes().ttl_s / 3)
    await eventually(lambda: gateway_view(gateway) == (east,))
    assert repr(registration).endswith(": registered>")
    assert own_consul.api.agent.services().keys() == {east.instance_id}
    await gateway.close()
    await looking
    assert () not in seen[seen_before:]


def gateway_view(gateway) -> tuple[Instance, ...] | None:
    return gateway._feed.view


async def test_a_restarted_agent_changes_nothing(own_consul, open_consul, east, until, eventually) -> None:
    """With its data kept, an agent's restart changes nothing."""
    own_consul.on_disk = True
    own_consul.start()
    gateway = open_consul(own_consul)
    watch = gateway.watch()
    await open_consul(own_consul).register(east)
    await until(watch, lambda view: view == (east,))
    own_consul.kill()
    await eventually(lambda: "away" in repr(gateway))
    own_consul.start()
    await eventually(lambda: "in reach" in repr(gateway))
    await eventually(lambda: gateway_view(gateway) == (east,))
    assert own_consul.checks_of(gateway._service).keys() == {"heartbeat", "gRPC health"}


async def test_a_frozen_agent_blocks_no_caller(own_consul, open_consul, east, west, until, eventually) -> None:
    """Its callers come back in time, the loop runs on, threads stay few, and thawing mends all."""
    own_consul.start()
    gateway = open_consul(own_consul, times=HASTY, call_s=0.3)
    adapters = open_consul(own_consul, times=HASTY, call_s=0.3)
    watch = gateway.watch()
    await adapters.register(east)
    await until(watch, lambda view: view == (east,))
    own_consul.freeze()
    began = time.monotonic()
    registration = await adapters.register(west)
    assert time.monotonic() - began < 1
    assert "not yet registered" in repr(registration)
    await eventually(lambda: "away after" in repr(gateway))
    assert gateway_view(gateway) == (east,)
    assert sum(thread.name.startswith("consul ") for thread in threading.enumerate()) <= 12
    own_consul.thaw()
    await until(watch, lambda view: view == (east, west))


async def test_an_agent_that_is_away_keeps_the_view_and_is_reported_once(
    own_consul, open_consul, east, until, eventually
) -> None:
    """Many failed tries are one line in the log, and so is the return."""
    own_consul.start()
    gateway, adapters = open_consul(own_consul), open_consul(own_consul)
    watch = gateway.watch()
    await adapters.register(east)
    await until(watch, lambda view: view == (east,))
    with capture_logs() as logs:
        own_consul.kill()
        await eventually(lambda: "away after 4" in repr(gateway))
        assert gateway_view(gateway) == (east,)
        own_consul.start()
        await eventually(lambda: "in reach" in repr(gateway))
    of_watch = [entry for entry in logs if entry.get("work") == "watch" and "no leader" not in entry.get("error", "")]
    lost = [entry for entry in of_watch if entry["event"].startswith("registry lost")]
    assert len(lost) <= 2
    assert "can't be reached" in lost[0]["error"]
    assert [entry["event"] for entry in of_watch if entry not in lost] == ["registry found again"]


async def test_a_start_without_an_agent_succeeds_later(own_consul, open_consul, east, until) -> None:
    """Adapter and gateway may be up before Consul is."""
    gateway = open_consul(own_consul)
    watch = gateway.watch()
    assert await anext(watch) == ()
    registration = await open_consul(own_consul).register(east)
    assert "not yet registered" in repr(registration)
    await registration.drain()
    own_consul.start()
    assert await until(watch, bool) == (replace(east, draining=True),)


async def test_a_start_without_an_agent_uses_the_cache(own_consul, open_consul, east, tmp_path, until) -> None:
    """A gateway that restarts while Consul is down still routes; later Consul corrects it."""
    cache = tmp_path / "registry.json"
    own_consul.start()
    first = open_consul(own_consul, cache_path=cache)
    registration = await open_consul(own_consul).register(east)
    await until(first.watch(), lambda view: view == (east,))
    await first.close()
    own_consul.freeze()
    second = open_consul(own_consul, cache_path=cache, times=HASTY, call_s=0.3)
    watch = second.watch()
    async with asyncio.timeout(0.1):
        assert await anext(watch) == (east,)
    own_consul.thaw()
    await registration.deregister()
    await until(watch, lambda view: not view)


async def test_leaving_while_the_agent_is_away_raises_nothing(own_consul, open_consul, east) -> None:
    """Whoever shuts down can do nothing about it; Consul forgets the entry by itself."""
    own_consul.start()
    registration = await open_consul(own_consul).register(east)
    own_consul.kill()
    with capture_logs() as logs:
        await registration.deregister()
    assert [(entry["event"], entry["instance"]) for entry in logs] == [("deregistration failed", east.instance_id)]


async def test_a_process_ends_although_a_call_hangs(own_consul) -> None:
    """A thread in a frozen agent's socket must not keep a container from stopping."""
    own_consul.start()
    own_consul.freeze()
    program = f"""
        import asyncio
        from cloudspan_common.registry.consul_agent import Agent
        async def main():
            agent = Agent("127.0.0.1", {own_consul.http_port})
            calling = asyncio.ensure_future(agent.query(lambda api: api.health.service("x"), 60))
            await asyncio.sleep(0.2)
            assert repr(agent).endswith("1 of 8 threads, 0 idle>"), agent
            calling.cancel()
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    process = await asyncio.to_thread(subprocess.run, command, timeout=10, capture_output=True, check=False)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.faults
@pytest.mark.timeout(120)
async def test_a_minute_without_an_agent_keeps_the_view(own_consul, open_consul, east, until, eventually) -> None:
    """The table stands through a real minute, past the time after which Consul forgets the silent."""
    own_consul.start()
    gateway = open_consul(own_consul, times=ConsulTimes())
    watch = gateway.watch()
    await open_consul(own_consul, times=ConsulTimes()).register(east)
    await until(watch, lambda view: view == (east,))
    own_consul.kill()
    end = time.monotonic() + 62
    while time.monotonic() < end:
        assert gateway_view(gateway) == (east,)
        await asyncio.sleep(0.05)
    own_consul.start()
    await eventually(lambda: "in reach" in repr(gateway) and gateway_view(gateway) == (east,), within_s=15)
