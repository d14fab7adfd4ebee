"""What hostile callers send at once costs a gateway little memory, and other callers are answered meanwhile.

The gateway is a process, so that its memory is its own. The figures of docs/limits.md come from here.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.harness import http2
from tests.harness.processes import Program, World, world

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2, server_pb2_grpc

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

LIST = server_pb2.ListServersRequest(parent="platforms/memory/clusters/main")
LARGE = server_pb2.ListServersRequest(filter="x" * 3_900_000).SerializeToString()
_RESET, _CANCEL = 3, 8


def _channel(address: str, number: int = 0) -> grpc.aio.Channel:
    own = (("grpc.use_local_subchannel_pool", 1), ("test.number", number))
    return grpc.aio.insecure_channel(address, options=(*own, ("grpc.max_send_message_length", -1)))


async def _code(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def large_requests(address: str, connections: int) -> None:
    """150 requests of 3.9 MB at once; each ends with its own fault or for lack of room."""
    channels = [_channel(address, number) for number in range(connections)]
    calls = [channels[n % connections].unary_unary("/cloudspan.v1.ServerService/ListServers") for n in range(150)]
    codes = Counter(await asyncio.gather(*(_code(call(LARGE, timeout=60)) for call in calls)))
    assert codes.keys() <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
    for channel in channels:
        await channel.close()


async def reset_streams(address: str) -> None:
    """100 000 streams opened and reset at once on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(http2.PREFACE + http2.frame(4, 0, 0, b""))
    answers = asyncio.ensure_future(reader.read(-1))
    for stream in range(1, 200_000, 2):
        opened = http2.request(b"/cloudspan.v1.ServerService/ListServers", stream=stream)
        writer.write(opened + http2.frame(_RESET, 0, stream, struct.pack(">I", _CANCEL)))
        if stream % 200 == 1:
            await writer.drain()
    await writer.drain()
    writer.close()
    await answers


async def unknown_methods(address: str, service: str) -> None:
    """20 000 method names of 7 KB that nobody has."""
    async with _channel(address) as channel:
        for first in range(0, 20_000, 200):
            names = (f"/{service}/{number}{'n' * 7000}" for number in range(first, first + 200))
            codes = await asyncio.gather(*(_code(channel.unary_unary(name)(b"", timeout=60)) for name in names))
            assert set(codes) == {grpc.StatusCode.UNIMPLEMENTED}


async def _ask_meanwhile(address: str, attacked: asyncio.Task[None]) -> Counter[grpc.StatusCode]:
    """List servers until the attack is over, and once more."""
    codes: Counter[grpc.StatusCode] = Counter()
    async with _channel(address, 1000) as channel:
        stub = server_pb2_grpc.ServerServiceStub(channel)
        is_over = False
        while not is_over:
            is_over = attacked.done()
            codes[await _code(stub.ListServers(LIST, timeout=20))] += 1
            await asyncio.sleep(0.02)
    return codes


async def _costs_less_than(gateway: Program, address: str, attack: Coroutine[Any, Any, None], mb: int) -> None:
    await asyncio.sleep(0.05)
    rest = gateway.rss_mb
    gateway.forget_peak()
    attacked = asyncio.ensure_future(attack)
    codes = await _ask_meanwhile(address, attacked)
    await attacked
    print(f"{attack.__qualname__}: {rest:.0f} MB at rest, {gateway.peak_rss_mb:.0f} at most; others got {dict(codes)}")
    assert set(codes) == {grpc.StatusCode.OK}
    assert gateway.peak_rss_mb - rest < mb


@pytest.fixture
def running(tmp_path: Path) -> Any:
    with world(tmp_path) as made:
        made.adapter("cloudspan_memory", "--cluster", "main")
        yield made


@pytest.mark.parametrize("connections", [1, 15])
async def test_large_requests_at_once(running: World, connections: int) -> None:
    """585 MB in all, over one connection or many."""
    await _costs_less_than(running.gateway, running.address, large_requests(running.address, connections), 250)


async def test_streams_reset_at_once(running: World) -> None:
    """The rapid reset of CVE-2023-44487."""
    await _costs_less_than(running.gateway, running.address, reset_streams(running.address), 60)


async def test_hundreds_of_paths_that_end_the_server(running: World) -> None:
    """Each is a new server behind the same port; the process lives, and a caller with one retry notices nothing."""
    gateway, port = running.gateway, int(running.address.rpartition(":")[2])
    rest, ended = gateway.rss_mb, 0
    async with AsyncClient(running.address) as client:
        for _ in range(300):
            with suppress(ConnectionError):  # while the next server takes its place
                await http2.send(port, http2.request(b"/a\xff/b"))
                ended += 1
            await client.servers.ListServers(LIST)
    restarts = sum("server ended, serving again" in line for line in gateway.log.read_text().splitlines())
    print(f"{ended} paths, {restarts} servers: {rest:.0f} MB before, {gateway.rss_mb:.0f} after")
    assert restarts >= 290
    assert gateway.rss_mb - rest < 40


async def test_unknown_methods_by_the_thousand(running: World) -> None:
    """Nothing is kept of a name that a plugged-in service does not have."""
    attack = unknown_methods(running.address, "cloudspan_memory.seed.v1.SeedService")
    await _costs_less_than(running.gateway, running.address, attack, 60)
