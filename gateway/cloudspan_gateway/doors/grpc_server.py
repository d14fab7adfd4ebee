"""The gateway's gRPC door: takes the bytes of every call and hands them through the stages to what answers them.

The app builds one `GatewayServer`. From here the way of a call goes: interceptors, dispatch, routing.router, the
table, forwarding.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from cloudspan_common import grpcs
from cloudspan_gateway.call import GatewayCall
from cloudspan_gateway.pipeline.context import identify
from cloudspan_gateway.pipeline.errors import Conclude
from cloudspan_gateway.pipeline.stages import compose
from cloudspan_gateway.pipeline.telemetry import Observe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_common.reflection import DescriptorSource
    from cloudspan_gateway.call import Answer, Context
    from cloudspan_gateway.pipeline.dispatch import Dispatch
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed, Stage
    from cloudspan_gateway.routing.snapshot import PlatformRoute
    from cloudspan_gateway.routing.table import Table

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def stages(metrics: GatewayMetrics) -> Sequence[Stage]:
    """Return what every call passes, outermost first; identity and policy come between the last two and the answer."""
    return (Observe(metrics), Conclude(metrics), identify)


class GatewayServer:
    """The server with its side services: health, reflection, channelz."""

    def __init__(self, dispatch: Dispatch, metrics: GatewayMetrics, descriptors: DescriptorSource) -> None:
        self._server = grpcs.new_server()
        through = stages(metrics)
        self._server.add_generic_rpc_handlers((_Known(dispatch, through),))
        self._health = grpcs.add_health(self._server)
        grpcs.add_reflection(self._server, descriptors)
        grpcs.add_channelz(self._server)
        # Last, since it takes every call that nobody else knows.
        self._server.add_generic_rpc_handlers((_Unknown(dispatch, through),))
        self.port = 0

    def __repr__(self) -> str:
        return f"<GatewayServer on port {self.port}>" if self.port else "<GatewayServer, not listening>"

    async def start(self, listen: str, tls: grpcs.Tls | None = None) -> int:
        """Listen on `listen` and return the port.

        Raises:
            CloudspanError: The address can't be listened on.
        """
        port = grpcs.listen(self._server, listen, tls)
        await self._server.start()
        await self._health.set("", SERVING)
        self.port = port
        return port

    async def stop(self, drain_s: float) -> None:
        """Say NOT_SERVING, take no new calls, and let those under way end for at most `drain_s`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(drain_s)

    async def tell_health(self, table: Table) -> None:
        """Keep the health of `platforms/NAME` up to date until cancelled."""
        changed = asyncio.Event()
        table.subscribe(lambda _snapshot: changed.set())
        told: dict[str, int] = {}
        while True:
            changed.clear()
            now = {f"platforms/{p.tag}": _health_of(p) for p in table.snapshot.platforms.values()}
            for gone in told.keys() - now.keys():
                now[gone] = SERVICE_UNKNOWN
            for name, status in now.items():
                if told.get(name) != status:
                    await self._health.set(name, status)
            told = now
            await changed.wait()


def _health_of(platform: PlatformRoute) -> int:
    return int(SERVING if platform.serving else NOT_SERVING)


class _Known(grpc.GenericRpcHandler):
    """Every path of the contract and of the gateway's own services, each with its handler made once."""

    def __init__(self, dispatch: Dispatch, through: Sequence[Stage]) -> None:
        self._handlers = {
            path: _handler(path, compose(through, dispatch.answer_to(path)), streams=dispatch.streams(path))
            for path in dispatch.paths()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


class _Unknown(grpc.GenericRpcHandler):
    """Everything else: passed through by tag as byte streams."""

    def __init__(self, dispatch: Dispatch, through: Sequence[Stage]) -> None:
        self._answer = compose(through, dispatch.pass_through)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return _handler(handler_call_details.method, self._answer, streams=True)


def _handler(path: str, answer: Proceed, *, streams: bool) -> Any:
    """A stream_stream handler serves calls of all four shapes; a unary one costs less."""
    if streams:

        async def serve_stream(messages: AsyncIterator[bytes], context: Context) -> None:
            await answer(GatewayCall(path, context), messages)

        return grpc.stream_stream_rpc_method_handler(serve_stream)

    async def serve(body: bytes, context: Context) -> Answer:
        return await answer(GatewayCall(path, context), body)

    return grpc.unary_unary_rpc_method_handler(serve)
