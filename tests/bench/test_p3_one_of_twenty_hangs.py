"""P3: a list over 20 clusters of which one hangs, and over the healthy ones, against the slowest of them alone.

Clusters are those of memory adapters behind relays that add the time of a real network and cloud, or keep everything.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from tests.bench.measure import p50, quantile
from tests.harness.processes import free_port, world
from tests.harness.relay import Mode, Relay

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import common_pb2, server_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

CLUSTERS = [f"c{number:02d}" for number in range(19)]
DELAY_S = 0.15
DEADLINE_S = 2.0
CALLS = 12
OK = common_pb2.ClusterStatus.STATE_OK


async def test_a_list_over_twenty_clusters_answers_though_one_hangs(tmp_path, table):
    """19 parts within the deadline's share; without the hanging one, as fast as the slowest cluster alone."""
    with world(tmp_path) as running:
        async with AsyncExitStack() as stack:
            healthy = await _memory(stack, running, "memory", *CLUSTERS, delay_s=DELAY_S)
            stuck = await _memory(stack, running, "stuck", "c19")
            client = await stack.enter_async_context(AsyncClient(running.address, retries=False))
            await _until_parts(client, 20)
            alone = [await _took(client, f"platforms/memory/clusters/{tag}") for tag in CLUSTERS for _ in range(3)]
            together = [await _took(client, "platforms/memory/clusters/-") for _ in range(CALLS)]
            stuck.turn(Mode.HANG)
            partial = await _partial(client)
            assert healthy.mode is Mode.PASS
    slowest = quantile(alone, 0.95)
    found = table("P3: a list over 20 clusters", "what", "p50 ms", "x slowest cluster")
    found.add("slowest healthy cluster alone", slowest * 1e3, 1.0)
    found.add("19 healthy clusters", p50(together) * 1e3, p50(together) / slowest)
    found.add(f"20, one hangs, deadline {DEADLINE_S:g} s", p50(partial) * 1e3, p50(partial) / slowest)
    assert p50(together) <= 1.2 * slowest
    assert max(partial) < DEADLINE_S


async def _memory(stack, running, platform, *tags, delay_s=0.0):
    """A memory adapter that gateways reach through a relay only."""
    port = free_port()
    relay = await stack.enter_async_context(Relay("127.0.0.1", port, answer_after_s=delay_s))
    clusters = [word for tag in tags for word in ("--cluster", tag)]
    address = ("--listen", f"127.0.0.1:{port}", "--advertise", f"127.0.0.1:{relay.port}")
    options = ("--platform", platform, *address, *clusters, "--servers", "5")
    await asyncio.to_thread(lambda: running.adapter("cloudspan_memory", *options, name=platform))
    return relay


def _list(client, parent):
    return client.servers.ListServers(server_pb2.ListServersRequest(parent=parent), timeout=DEADLINE_S)


async def _until_parts(client, number):
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await _list(client, "platforms/-/clusters/-")
            except CloudspanError:
                await asyncio.sleep(0.05)
            else:
                if len(answer.cluster_status) == number and not answer.unreachable:
                    return


async def _took(client, parent):
    began = time.perf_counter()
    answer = await _list(client, parent)
    assert list(answer.unreachable) == []
    return time.perf_counter() - began


async def _partial(client):
    took = []
    for _ in range(3):
        began = time.perf_counter()
        answer = await _list(client, "platforms/-/clusters/-")
        took.append(time.perf_counter() - began)
        assert sum(status.state == OK for status in answer.cluster_status) == 19
        assert list(answer.unreachable) == ["platforms/stuck/clusters/c19"]
        assert len(answer.servers) == 19 * 5
    return took
