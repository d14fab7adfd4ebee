"""The suite of locks and groups for the drivers of the registry: in memory, and over a real Consul agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from common.base.tests.registry.coordination.place import LEASE_S, Place
from common.base.tests.registry.coordination.suite import *  # noqa: F403 - the suite

from cloudspan_common.registry.consul_agent import Agent
from cloudspan_common.registry.coordination.consul import PREFIX, ConsulClaims
from cloudspan_common.registry.coordination.memory import MemoryClaims, World

if TYPE_CHECKING:
    from common.base.tests.registry.conftest import ConsulServer


class InMemory(Place):
    def __init__(self):
        super().__init__()
        self.world = World(self.clock)

    def store(self):
        return MemoryClaims(self.world, LEASE_S)

    async def erase(self):
        self.world.end(list(self.world.kept))

    async def forget(self):
        await self.erase()
        self.world.fence = 0


class InConsul(Place):
    """Sessions of those that don't renew are ended as Consul ends them, after twice their TTL; the rest is Consul's."""

    def __init__(self, server: ConsulServer):
        super().__init__()
        self.server = server
        self.dead = []

    def store(self):
        agent = Agent("127.0.0.1", self.server.http_port)
        return ConsulClaims(agent, self.clock, lease_s=LEASE_S, wait_s=10.0)

    def open(self):
        made = super().open()
        self.dead.append(made)
        return made

    async def expire(self, seconds):
        for link in map(self.link, self.dead):
            if link.owner and self.clock.monotonic() + seconds - link.renewed_at >= 2 * LEASE_S:
                await asyncio.to_thread(self.server.api.session.destroy, link.owner)

    async def erase(self):
        await asyncio.to_thread(self.server.api.kv.delete, PREFIX, recurse=True)

    async def forget(self):
        await asyncio.to_thread(self.server.kill)
        await asyncio.to_thread(self.server.start)

    async def close(self):
        await super().close()
        for link in map(self.link, self.dead):
            if link.owner:
                await asyncio.to_thread(self.server.api.session.destroy, link.owner)
            link.store._agent.close()
        await self.erase()


@pytest.fixture(params=["memory", "consul"])
async def place(request: pytest.FixtureRequest):
    """Each driver in turn."""
    if request.param == "memory":
        made = InMemory()
    elif "forgotten" in request.node.name:
        own = request.getfixturevalue("own_consul")
        own.start()
        made = InConsul(own)
    else:
        made = InConsul(request.getfixturevalue("shared_consul"))
    yield made
    await made.close()
