"""Watch at gateways that share a database: each tells of what any of them wrote, and goes on where another ended."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
from gateway.tests import postgres_server
from gateway.tests.inventory_writer import InventoryWriter
from gateway.tests.watching import Follower
from tests.harness.clouds import create_request, memory_cluster
from tests.harness.in_process import deployment

from cloudspan.client import AsyncClient
from cloudspan.v1 import inventory_pb2, server_pb2
from cloudspan_common import grpcs
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.storage.cipher import Cipher

EAST = "platforms/openstack/clusters/east"


def server(key: object, display_name: str) -> server_pb2.Server:
    return server_pb2.Server(name=f"{EAST}/servers/{key}", display_name=display_name)


class Running:
    """One gateway, its writer, and a channel to it."""

    def __init__(self, **config) -> None:
        settings = {"listen": "127.0.0.1:0", "metrics": "", "drain_s": 5.0, "wait_for_adapters": 0.0}
        self.gateway = Gateway(GatewayConfig(**{**settings, **config}), MemoryRegistry())
        self._stack = AsyncExitStack()

    async def start(self) -> Running:
        await self._stack.enter_async_context(self.gateway.running())
        self.channel = grpcs.new_channel(f"127.0.0.1:{self.gateway.server.port}")
        assert self.gateway.inventory
        self.writer = InventoryWriter(self.gateway.database, self.gateway.inventory.store)
        return self

    async def stop(self) -> None:
        """Drain, as at SIGTERM, with the channel still open."""
        await self._stack.aclose()
        await self.channel.close()


@pytest.fixture
async def two(tmp_path):
    key = tmp_path / "operations.key"
    Cipher.load(key)
    shared = {"database": postgres_server.needed().new_database(), "operations_key": key}
    gateways = [await Running(**shared).start() for _ in range(2)]
    yield gateways
    for gateway in gateways:
        await gateway.stop()


async def test_what_another_gateway_wrote_comes_at_once(two):
    """The database tells; nobody waits for the next look."""
    one, other = two
    follower = Follower(one.channel)
    await follower.until_complete()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(5):
        await other.writer.put("servers", server(1, f"s{number}"))
        await follower.until(number + 1)
    assert loop.time() - began < 2.5  # five looks, a second each, would take longer
    assert follower.seen == [("ADDED", "s0"), *(("UPDATED", f"s{n}") for n in range(1, 5))]


async def test_gateways_that_share_nothing_but_a_database_agree_on_who_sweeps_a_cluster(two):
    """Registries in memory know nothing of each other; the locks are those of the database."""
    one, other = (running.gateway.coordinator for running in two)
    async with await one.lock(f"inventory/{EAST}"):
        assert await other.lock(f"inventory/{EAST}") is None
    assert await other.lock(f"inventory/{EAST}") is not None


async def test_a_watch_goes_on_at_another_gateway(two):
    """With the token of the first one; each change once."""
    one, other = two
    await one.writer.put("servers", server(1, "a"))
    first = Follower(one.channel)
    await first.until_complete()
    await one.writer.put("servers", server(1, "b"), server(2, "c"))
    second = Follower(other.channel, resume_token=first.request.resume_token)
    assert await second.until(2) == [("UPDATED", "b"), ("ADDED", "c")]


async def test_a_gateway_that_stops_ends_its_watches_at_once():
    """With UNAVAILABLE, long before the end of its drain, so that clients go on elsewhere; its metrics count them."""
    running = await Running(database="memory:").start()
    await running.writer.put("servers", server(1, "a"))
    follower = Follower(running.channel)
    await follower.until_complete()
    assert running.gateway.metrics.registry.get_sample_value("cloudspan_gateway_inventory_watches") == 1
    stopping = asyncio.create_task(running.stop())
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await follower.until(2)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    async with asyncio.timeout(4):  # of the five seconds that calls have
        await stopping


async def test_the_client_follows_over_a_restart(tmp_path):
    """Of the gateway that it watches at: its resources are those that there are then."""
    kept = {"database": f"sqlite:{tmp_path}/gateway.db"}
    running = await Running(**kept).start()
    address = f"127.0.0.1:{running.gateway.server.port}"
    await running.writer.put("servers", server(1, "a"), server(2, "b"))
    found = []
    async with AsyncClient(address) as client:
        watch = client.watch(inventory_pb2.WatchRequest(collections=["servers"]))
        async for change in watch:
            found.append(change.resource.display_name)
            if found == ["a", "b"]:
                await running.stop()
                running = await Running(**kept, listen=address).start()
                await running.writer.put("servers", server(1, "A"), server(3, "c"))
                await running.writer.remove(server(2, "").name)
            if len(found) == 5:
                break
    await running.stop()
    assert sorted(found[2:]) == ["A", "b", "c"]
    assert sorted(resource.display_name for resource in watch.resources.values()) == ["A", "c"]


async def test_what_an_operation_makes_comes_when_it_ends():
    """Without waiting for a sweep; in its own message, as Get shows it."""
    async with deployment(memory_cluster(), no_inventory=False) as running:
        request = inventory_pb2.WatchRequest(collections=["servers"], changes_only=True)
        changes = aiter(running.client.watch(request))
        first = asyncio.ensure_future(anext(changes))
        while not running.gateway.inventory.feed.watches:  # noqa: ASYNC110 - a count, and nothing tells its changes
            await asyncio.sleep(0.001)
        operation = await running.client.servers.CreateServer(create_request())
        made = await operation.result(5)
        change = await asyncio.wait_for(first, 5)
        while (change.resource.name, change.resource.state) != (made.name, "RUNNING"):
            change = await asyncio.wait_for(anext(changes), 5)
        await changes.aclose()
    shown = server_pb2.Server()
    assert change.resource.resource.Unpack(shown)
    assert (shown.display_name, shown.flavor) == ("web", made.flavor)
