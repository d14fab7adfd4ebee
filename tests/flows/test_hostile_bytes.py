"""Bytes that no gRPC library would send: gateway and adapter go on serving everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.harness import http2
from tests.harness.clouds import memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.v1 import server_pb2

NOT_UTF8 = http2.request(b"/a\xff/b")
LIST = server_pb2.ListServersRequest(parent="platforms/memory/clusters/main")


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    async with deployment(memory_cluster("main"), retries=True) as made:
        yield made


async def _eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - an adapter's server has no event for it
            await asyncio.sleep(0.005)


def _restarts(running: Deployment) -> float:
    return running.gateway.metrics.registry.get_sample_value("cloudspan_restarts_total", {"part": "server"}) or 0.0


async def test_a_path_that_is_not_utf8_takes_no_gateway_down(running: Deployment) -> None:
    """A client that retries notices nothing; the restart is counted."""
    port = running.gateway.server.port
    for number in range(1, 4):
        await http2.send(port, NOT_UTF8)
        await running.client.servers.ListServers(LIST)
        assert _restarts(running) == number


async def test_a_path_that_is_not_utf8_takes_no_adapter_down(running: Deployment) -> None:
    """Calls through the gateway go on."""
    [instance] = running.gateway.table.snapshot.platforms["memory"].instances
    port = int(instance.endpoint.address.rpartition(":")[2])
    for _ in range(3):
        await http2.send(port, NOT_UTF8)

        async def answers() -> bool:
            try:
                await running.client.servers.ListServers(LIST)
            except Exception:  # noqa: BLE001 - until the adapter is back, a retry at most
                return False
            return True

        await _eventually(answers)
        assert b"\x00" in await http2.send(port, http2.request(b"/a/b"))


async def test_raw_frames_of_every_kind_leave_the_gateway_serving(running: Deployment) -> None:
    """Unknown frames, headers that end nowhere, sizes that lie: connections end, the process does not."""
    port = running.gateway.server.port
    hostile: list[Any] = [
        b"\x00" * 64,
        http2.frame(0xFF, 0xFF, 0x7FFFFFFF, b"\xff" * 100),
        http2.frame(1, 4, 1, b"\xff" * 64),
        http2.frame(1, 0, 1, b""),
        http2.request(b"/cloudspan.v1.ServerService/ListServers") + http2.frame(0, 1, 1, b"\x00\xff\xff\xff\xff"),
        http2.request(b""),
        http2.request(b"cloudspan.v1.ServerService/ListServers"),
        http2.request(b"/%ff/\x00"),
    ]
    for frames in hostile:
        await http2.send(port, frames)
        await running.client.servers.ListServers(LIST)
