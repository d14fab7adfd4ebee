"""The HTTP server below a fake cloud: one port, the cloud's own clock in its answers, broken connections on demand.

A fake's `FakeCloud` is a `FakeServer` that handles requests; its `__main__` runs it `until_signalled`.
"""

from __future__ import annotations

import abc
import asyncio
import signal
import socket
import struct
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol, Self

from aiohttp import web

from cloudspan_kit.fakes import faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.faults import Rule, RuleT
    from cloudspan_kit.fakes.timeline import Timeline

_SHUTDOWN_S = 0.05
_BACKLOG = 512


class Answer(Protocol):
    """What every fake's reply tells the server; `headers` are those beyond what is always sent."""

    @property
    def status(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class World(Protocol):
    """What every fake's store holds: time, what is to come, and how long the cloud's own work takes."""

    timing: Any

    @property
    def clock(self) -> Clock: ...
    @property
    def timeline(self) -> Timeline: ...
    def now(self) -> float:
        """Return the cloud's own unix time."""
        ...


class FakeServer(abc.ABC):
    """Listens for a fake cloud; what is asked goes to `_handle`, which the fake provides."""

    _max_body = 1024**2

    def __init__(self, world: World, host: str, port: int) -> None:
        self._world, self._host, self._port = world, host, port
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; port 0 takes a free one."""
        app = web.Application(client_max_size=self._max_body)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; calls that hang are reset."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @abc.abstractmethod
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""

    async def _sit_out(self, met: list[RuleT]) -> RuleT | None:
        """Let the latencies among the faults pass; return the one that decides, if any."""
        for fault in met:
            if fault.kind == faults.LATENCY:
                await self._world.clock.sleep(fault.seconds)
                self._world.timeline.catch_up()
        return faults.decisive(met)

    async def _deliver(self, request: web.Request, fault: Rule[Any], answer: Answer) -> web.StreamResponse:
        """Send the answer, or what the fault leaves of it."""
        if fault.kind == faults.HANG:
            await self._closing.wait()
        if fault.kind in faults.SILENT:
            return _reset(request)
        if fault.kind == faults.CUT_BODY:
            return await _cut(request, answer)
        return self._response(answer)

    def _response(self, answer: Answer) -> web.Response:
        # The cloud's own clock, not the host's: clients learn their skew from it.
        date = formatdate(self._world.now(), usegmt=True)
        headers = {"Date": date, "Content-Type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=answer.payload, headers=headers)


async def until_signalled() -> None:
    """Return at SIGINT or SIGTERM."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    await done.wait()


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    response.content_length = len(answer.payload)
    await response.prepare(request)
    await response.write(answer.payload[: len(answer.payload) // 2])
    _reset(request)
    return response


def _reset(request: web.Request) -> web.Response:
    """Reset the connection, so that the caller meets an error and not an end of file."""
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
