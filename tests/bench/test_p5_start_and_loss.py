"""P5: how soon a new adapter is called, and what a killed replica costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from tests.bench.measure import fake, p50
from tests.harness.processes import openstack, world

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import server_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(180)]

COLD_S = 1.5
PLUGGED_IN_S = 0.05
ROUNDS = 5
IMPORTS = "import grpc.aio, aiohttp, msgspec, google.protobuf, keystoneauth1.session, openstack.config"


def _list(client, ref, **more):
    return client.servers.ListServers(server_pb2.ListServersRequest(parent=ref), **more)


async def _until_called(client, ref):
    async with asyncio.timeout(30):
        while True:
            try:
                return await _list(client, ref, timeout=5)
            except CloudspanError:
                await asyncio.sleep(0.002)


async def test_a_new_adapter_process_serves_its_first_call_soon(tmp_path, table):
    """Process start to first routed call: log in to a cloud included; its libraries' imports alone as a measure."""
    took, imports = [], []
    with fake(tmp_path, "east", "--seed", "3", "servers") as cloud, world(tmp_path) as running:
        async with AsyncClient(running.address, retries=False) as client:
            for round_number in range(ROUNDS):
                imports.append(await asyncio.to_thread(_imports_s))
                tag = f"openstack{round_number}"
                began = time.monotonic()
                arguments = openstack(cloud.clouds, ["east"], "--platform", tag)
                await asyncio.to_thread(lambda a=arguments, t=tag: running.spawn(*a, name=t))
                await _until_called(client, f"platforms/{tag}/clusters/east")
                took.append(time.monotonic() - began)
    found = table("P5: process start to the first routed call", "what", "best s", "median s", "x imports")
    found.add("imports of its libraries, nothing else", min(imports), p50(imports), 1.0)
    found.add("adapter started, logged in and called", min(took), p50(took), min(took) / min(imports))
    assert min(took) <= COLD_S


def _imports_s():
    began = time.monotonic()
    subprocess.run((sys.executable, "-W", "ignore", "-c", IMPORTS), check=True)
    return time.monotonic() - began


async def test_an_adapter_is_called_at_once_after_its_registration(tmp_path, table):
    """An adapter that runs already, written into the registry's file by hand."""
    took = []
    with world(tmp_path) as running:
        adapter = await asyncio.to_thread(
            lambda: running.spawn("cloudspan_memory", "--registry", "memory:", name="memory")
        )
        address = (await asyncio.to_thread(adapter.event, "adapter serves"))["address"]
        async with AsyncClient(running.address, retries=False) as client:
            for _ in range(ROUNDS):
                took.append(await _plug_in(running.registry, client, address))
                running.registry.write_text("adapters: []\n")
                await _until_away(client)
    found = table("P5: registration to the first routed call", "best ms", "median ms", "bar ms")
    found.add(min(took) * 1e3, p50(took) * 1e3, PLUGGED_IN_S * 1e3)
    assert min(took) <= PLUGGED_IN_S


async def _plug_in(registry, client, address):
    entry = f'adapters:\n  - {{platform: memory, address: "{address}"}}\n'
    beside = registry.with_suffix(".new")
    beside.write_text(entry)
    began = time.monotonic()
    beside.rename(registry)
    await _until_called(client, "platforms/memory/clusters/main")
    return time.monotonic() - began


async def _until_away(client):
    async with asyncio.timeout(10):
        while True:
            try:
                await _list(client, "platforms/memory/clusters/main", timeout=5)
            except CloudspanError:
                return
            await asyncio.sleep(0.01)


async def test_killing_one_of_two_replicas_under_load_fails_no_read(tmp_path, table):
    """Kill -9 in the middle of thousands of calls."""
    with world(tmp_path) as running:
        for name in ("one", "two"):
            await asyncio.to_thread(lambda n=name: running.adapter("cloudspan_memory", "--servers", "5", name=n))
        async with AsyncClient(running.address, retries=False) as client:
            await _until_called(client, "platforms/memory/clusters/main")
            load = _Load(client)
            work = asyncio.gather(*(load.run() for _ in range(30)))
            await asyncio.sleep(0.5)
            running.adapters["one"].kill()
            await asyncio.sleep(1.5)
            load.over = True
            await work
    found = table("P5: kill -9 of one of two replicas", "calls", "failed", "slowest ms")
    found.add(load.calls, len(load.failures), load.slowest_s * 1e3)
    assert load.failures == []
    assert load.calls > 500


class _Load:
    def __init__(self, client):
        self.client, self.over, self.calls, self.failures, self.slowest_s = client, False, 0, [], 0.0

    async def run(self):
        while not self.over:
            began = time.perf_counter()
            try:
                await _list(self.client, "platforms/memory/clusters/main", timeout=10)
            except CloudspanError as error:
                self.failures.append(error)
            self.calls += 1
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
