"""Calls go on while the Consul agent is away or frozen: the gateway keeps the table that it had."""

from __future__ import annotations

import asyncio
import time

import pytest
from common.base.tests.registry.conftest import ConsulServer, find_consul
from tests.flows.conftest import gateway, program

from cloudspan.client import NotFound, Unreachable
from cloudspan.v1 import server_pb2

REQUEST = server_pb2.ListServersRequest(parent="platforms/memory/clusters/main")
PAUSE_S = 0.04


@pytest.fixture
def agent(tmp_path):
    """A real agent of this test's own, running."""
    server = ConsulServer(find_consul(), tmp_path)
    server.start()
    yield server
    server.stop()


async def _calls_for(cloud, seconds, least=1):
    """Call steadily for that long and at least so often; return how often. Each call must succeed."""
    end, calls = time.monotonic() + seconds, 0
    while time.monotonic() < end or calls < least:
        await cloud.servers.ListServers(REQUEST, timeout=2)
        calls += 1
        await asyncio.sleep(PAUSE_S)
    return calls


async def _without_an_agent(agent, until, seconds, least):
    registry = f"consul://127.0.0.1:{agent.http_port}?service=adapters"
    async with gateway(registry) as cloud, program("-m", "cloudspan_memory", "--registry", registry, "--drain", "0"):

        async def called():
            try:
                return await _calls_for(cloud, PAUSE_S)
            except (NotFound, Unreachable):
                return 0

        await until(called)
        agent.kill()
        away = await _calls_for(cloud, seconds, least)
        agent.launch()
        await _calls_for(cloud, 1.5, least=10)
    return away


async def test_calls_go_on_while_the_agent_is_away_and_when_it_is_back(agent, until):
    """The last known table goes on; an agent that comes back empty is taught again without a call lost."""
    assert await _without_an_agent(agent, until, 3.0, least=20) >= 20


@pytest.mark.faults
@pytest.mark.timeout(150)
async def test_calls_go_on_for_a_minute_without_an_agent(agent, until):
    """Longer than any time to live and any deregistration."""
    assert await _without_an_agent(agent, until, 65.0, least=500) >= 500
