"""P10: a list of 10 000 servers out of the inventory, beside the same list asked of the platform."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.bench.measure import cpu_s, fake, p50
from tests.harness.processes import openstack, world

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

SERVERS = 10_000
REF = "platforms/openstack/clusters/big"
HOUR = {"seconds": 3600}
ROUNDS, PAGE_ROUNDS, CALLS = 3, 7, 60
SHARE = 1 / 3
P50_MS = 3.0


async def test_a_stored_list_costs_a_third_of_the_platforms_and_a_page_takes_milliseconds(tmp_path, table):
    """CPU of gateway and adapter together, all pages of 1000; then the latency of one page of 100."""
    (tmp_path / "cloud").mkdir()
    with (
        fake(tmp_path / "cloud", "big", "--seed", str(SERVERS), "servers") as cloud,
        world(tmp_path, inventory=True) as running,
    ):
        adapter = await asyncio.to_thread(running.adapter, *openstack(cloud.clouds, ["big"]))
        async with AsyncClient(running.address, retries=False, timeout_s=120) as client:
            await _until_swept(client)
            ways = {"platform": {}, "inventory": {"max_staleness": HOUR}}
            spent = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, fields in ways.items():
                    spent[way].append(await _list_cpu_s(client, (running.gateway, adapter), fields))
            took = {way: await _page_ms(client, fields, CALLS if fields else 10) for way, fields in ways.items()}
    best = {way: min(rounds) for way, rounds in spent.items()}
    found = table(f"P10: {SERVERS} servers", "way", "list CPU ms", "share", "page of 100, p50 ms")
    for way in ways:
        found.add(way, best[way] * 1e3, best[way] / best["platform"], took[way])
    assert best["inventory"] <= SHARE * best["platform"]
    assert took["inventory"] <= P50_MS


async def _until_swept(client):
    """Have the cluster listed for the inventory, once it is there."""
    request = server_pb2.ListServersRequest(parent=REF, page_size=1, max_staleness=HOUR)
    async with asyncio.timeout(180):
        while True:
            try:
                found = await client.servers.ListServers(request)
            except Exception:  # noqa: BLE001 - not there yet; the time-out ends it
                found = server_pb2.ListServersResponse()
            if any(status.source == status.SOURCE_INVENTORY for status in found.cluster_status):
                return
            await asyncio.sleep(0.2)


async def _list_cpu_s(client, programs, fields):
    """Return the CPU that listing all servers takes."""
    request = server_pb2.ListServersRequest(parent=REF, page_size=1000, **fields)
    began, count = sum(map(cpu_s, programs)), 0
    while True:
        answer = await client.servers.ListServers(request)
        count += len(answer.servers)
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            assert count == SERVERS
            return sum(map(cpu_s, programs)) - began


async def _page_ms(client, fields, calls):
    """Return the median of the best round: other processes only ever add to one."""
    request, medians = server_pb2.ListServersRequest(parent=REF, page_size=100, **fields), []
    for _ in range(PAGE_ROUNDS):
        took = []
        for _ in range(calls):
            began = time.perf_counter()
            await client.servers.ListServers(request)
            took.append((time.perf_counter() - began) * 1e3)
        medians.append(p50(took))
    return min(medians)
