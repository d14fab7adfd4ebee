"""A gRPC server that is made again on its port when its loop ends: what gateway and adapters serve with.

One request whose `:path` is not UTF-8 ends the accepting loop of grpc.aio (seen up to 1.85.1; docs/upstream/) while
the process lives on: its port closes for good. Nothing in the library's API is asked before that path is decoded, so
the loop is watched and a new server takes its place within milliseconds. Calls under way go on at the old one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan_common import grpcs
from cloudspan_common.config import address
from cloudspan_common.errors import CloudspanError, PreconditionFailed
from cloudspan_common.request_limits import RequestLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

log = structlog.get_logger(__name__)

DRAIN_S = 5.0
"""How long calls under way may go on at a server whose loop has ended, in seconds."""
GIVE_UP_S = 30.0
"""How long the port may not be had, in seconds, before the process gives up serving."""
_MAIN_LOOP = "AioServer._server_main_loop"
_POLL_S = 1.0
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.002, 0.5


class WatchedServer:
    """One port; `watch` keeps a server behind it."""

    def __init__(
        self,
        listen: str,
        tls: grpcs.Tls | None = None,
        guards: Sequence[grpcs.Guard] = (),
        *,
        on_restart: Callable[[], None],
    ) -> None:
        """Bind the port; `on_restart` is called whenever a server takes the place of another.

        Raises:
            CloudspanError: The address can't be listened on.
        """
        self._tls, self._guards, self._limits = tls, guards, RequestLimits()
        self._server = self._new_server()
        self.port = grpcs.listen(self._server, listen, tls)
        self._on_restart = on_restart
        host = address(listen)[0]
        self._address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self._add_services: Callable[[grpc.aio.Server], None] = _no_services
        self._serving: asyncio.Task[Any] | None = None
        self._drained: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __repr__(self) -> str:
        return f"<WatchedServer {self._address}>"

    def _new_server(self) -> grpc.aio.Server:
        return grpcs.new_server(self._guards, limits=self._limits)

    async def start(self, add_services: Callable[[grpc.aio.Server], None]) -> None:
        """Serve what `add_services` adds; it is called again for each server that takes the place of another."""
        self._add_services = add_services
        await self._start(self._server)

    async def _start(self, server: grpc.aio.Server) -> None:
        self._add_services(server)
        before = asyncio.all_tasks()
        await server.start()
        new = asyncio.all_tasks() - before
        self._serving = next((t for t in new if getattr(t.get_coro(), "__qualname__", "") == _MAIN_LOOP), None)

    async def watch(self) -> None:
        """Serve again whenever the server's loop ends, until `stop`.

        Raises:
            PreconditionFailed: The port could not be had again for `GIVE_UP_S`: this process can't serve.
        """
        while True:
            why = await self._ended()
            if self._stopping:
                return
            log.error("server ended, serving again", address=self._address, reason=repr(why))
            draining = asyncio.create_task(self._server.stop(DRAIN_S), name="drain the ended server")
            self._drained.add(draining)
            draining.add_done_callback(self._drained.discard)
            self._server = await self._again()
            self._on_restart()

    async def _ended(self) -> BaseException | None:
        """Return what ended the server's loop, once it has ended."""
        while True:
            # The task says so at once; the library's own word comes as soon as somebody asks.
            if self._serving is not None:
                await asyncio.wait({self._serving}, timeout=_POLL_S)
                if self._serving.done():
                    return None if self._serving.cancelled() else self._serving.exception()
            try:
                if not await self._server.wait_for_termination(timeout=0 if self._serving else _POLL_S):
                    return None
            except Exception as error:  # noqa: BLE001 - whatever ended the loop
                return error

    async def _again(self) -> grpc.aio.Server:
        loop = asyncio.get_running_loop()
        began, pause_s = loop.time(), _FIRST_PAUSE_S
        while True:
            server = self._new_server()
            try:
                grpcs.listen(server, self._address, self._tls)
                await self._start(server)
            except CloudspanError as error:
                # The library closes the old socket some milliseconds later.
                if loop.time() - began > GIVE_UP_S:
                    text = f"the server of {self._address} ended and can't be started again: {error.message}"
                    raise PreconditionFailed(text, reason=error.reason) from error
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _MAX_PAUSE_S)
            else:
                return server

    async def stop(self, drain_s: float) -> None:
        """Take no new calls, and let those under way end for at most `drain_s` seconds."""
        self._stopping = True
        await self._server.stop(drain_s)
        if self._drained:
            await asyncio.wait(self._drained)


def _no_services(_server: grpc.aio.Server) -> None:
    raise PreconditionFailed("the server was not started")
