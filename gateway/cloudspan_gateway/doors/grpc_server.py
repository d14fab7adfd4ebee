"""The gRPC door: makes a `Call` of every request, runs the pipeline, and gives the answer or the ending back.

The app builds one `GatewayServer`. Nothing behind it knows gRPC's side of a caller.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from cloudspan_common.watched_server import WatchedServer
from cloudspan_gateway.doors.grpc_call import UNARY, StreamWriter, call_of
from cloudspan_gateway.doors.side_services import PLATFORMS, SERVICE_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cloudspan_common import grpcs
    from cloudspan_gateway.call import Answer
    from cloudspan_gateway.doors.side_services import SideServices
    from cloudspan_gateway.pipeline.pipeline import Pipeline
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.snapshot import PlatformRoute
    from cloudspan_gateway.routing.table import Table

    Context = grpc.aio.ServicerContext[bytes, bytes]

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GatewayServer:
    """The server with its side services: health, reflection, channelz."""

    def __init__(self, pipeline: Pipeline, side_services: SideServices, on_restart: Callable[[], None]) -> None:
        self._known, self._unknown, self._side_services = _Known(pipeline), _Unknown(pipeline), side_services
        self._on_restart = on_restart
        self._health = side_services.health
        self._server: WatchedServer | None = None

    def __repr__(self) -> str:
        return f"<GatewayServer on port {self.port}>" if self.port else "<GatewayServer, not listening>"

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before `start`."""
        return self._server.port if self._server else 0

    def _add_services(self, server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((self._known,))
        self._side_services.add_to(server)
        # Last, since it takes every call that nobody else knows.
        server.add_generic_rpc_handlers((self._unknown,))

    async def start(self, listen: str, tls: grpcs.Tls | None = None) -> int:
        """Listen on `listen` and return the port.

        Raises:
            CloudspanError: The address can't be listened on.
        """
        server = WatchedServer(listen, tls, on_restart=self._on_restart)
        await server.start(self._add_services)
        await self._health.set("", SERVING)
        self._server = server
        return server.port

    async def watch(self) -> None:
        """Serve again whenever gRPC's server ends, until cancelled.

        Raises:
            PreconditionFailed: The port can't be had again.
        """
        if self._server is not None:
            await self._server.watch()

    async def stop(self, drain_s: float) -> None:
        """Say NOT_SERVING, take no new calls, and let those under way end for at most `drain_s`."""
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(drain_s)

    async def set_health(self, service: str, *, serving: bool) -> None:
        """Say whether a part of the gateway works: `grpc.health.v1.Health/Check` with the service's name shows it."""
        await self._health.set(service, SERVING if serving else NOT_SERVING)

    async def tell_health(self, table: Table) -> None:
        """Keep the health of `platforms/NAME` up to date until cancelled."""
        changed = asyncio.Event()
        table.subscribe(lambda _snapshot: changed.set())
        reported: dict[str, int] = {}
        while True:
            changed.clear()
            now = {f"{PLATFORMS}{p.tag}": _health_of(p) for p in table.snapshot.platforms.values()}
            for gone in reported.keys() - now.keys():
                now[gone] = SERVICE_UNKNOWN
            for name, status in now.items():
                if reported.get(name) != status:
                    await self._health.set(name, status)
            reported = now
            await changed.wait()


def _health_of(platform: PlatformRoute) -> int:
    return int(SERVING if platform.serving else NOT_SERVING)


class _Known(grpc.GenericRpcHandler):
    """Every path of the contract and of the gateway's own services, each with its handler made once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._handlers = {
            path: _handler(path, pipeline.answer, streams=pipeline.streams(path)) for path in pipeline.paths()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


class _Unknown(grpc.GenericRpcHandler):
    """Everything else: passed through by tag as byte streams."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._answer = pipeline.answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return _handler(handler_call_details.method, self._answer, streams=True)


def _handler(path: str, answer: Proceed, *, streams: bool) -> Any:
    """A stream_stream handler serves calls of all four shapes; a unary one costs less."""
    if streams:

        async def serve_stream(messages: AsyncIterator[bytes], context: Context) -> None:
            call = call_of(path, messages, context, StreamWriter(context))
            await answer(call)
            if call.ending is not None:
                await context.abort(*call.ending)
            context.set_trailing_metadata(call.trailers)

        return grpc.stream_stream_rpc_method_handler(serve_stream)

    async def serve(body: bytes, context: Context) -> Answer:
        call = call_of(path, body, context, UNARY)
        answered = await answer(call)
        if call.ending is not None:
            await context.abort(*call.ending)
        if call.head:
            await context.send_initial_metadata(call.head)
        context.set_trailing_metadata(call.trailers)
        return answered

    return grpc.unary_unary_rpc_method_handler(serve)
