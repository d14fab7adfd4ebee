"""Builds a bus process, top to bottom: the gateway's client, the topic's server, health, metrics, membership."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2

from cloudspan_bus.events import EventPublisher
from cloudspan_bus.gateway import Gateway
from cloudspan_bus.metrics import BusMetrics
from cloudspan_bus.oslo import open_transport
from cloudspan_bus.queues import Topic
from cloudspan_bus.server import BusServer
from cloudspan_common import grpcs
from cloudspan_common.errors import InvalidRequest, PreconditionFailed
from cloudspan_common.logs import get_logger
from cloudspan_common.metrics_server import Readiness, serve_metrics
from cloudspan_common.registry import open_registry
from cloudspan_common.telemetry import add_build_info, new_registry, new_restarts
from cloudspan_common.watched_server import WatchedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc_health.v1.health import aio as health_aio

    from cloudspan_bus.config import BusConfig
    from cloudspan_common.registry import Registry

log = get_logger(__name__)

GROUP = "cloudspan-bus"
"""The group in the registry that every bus process joins under its name."""
BROKER = "broker"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_LOOK_S = 0.5
_DAEMON_LEAVES_S = 5.0


async def serve(
    config: BusConfig,
    stop: asyncio.Event,
    *,
    registry: Registry | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve until `stop` is set, then end what is under way, acknowledge it, and leave.

    Args:
        config: Broker, gateway and the rest.
        stop: Ends it.
        registry: Where to join the group, instead of `config.registry`; a test's.
        ready: Called once messages are taken for the first time.

    Raises:
        CloudspanError: The broker's URL, a file or an address can't be used.
    """
    async with AsyncExitStack() as stack:
        metrics, readiness = new_registry(), Readiness(BROKER)
        add_build_info(metrics, "cloudspan-bus")
        if config.metrics:
            stack.callback(serve_metrics(metrics, config.metrics, readiness).close)
        door = WatchedServer(config.listen, config.tls, on_restart=new_restarts(metrics).labels("server").inc)
        health = grpcs.new_health()
        await door.start(lambda server: _add_health(server, health))
        stack.push_async_callback(door.stop, 0.0)
        stack.enter_context(_Watched(asyncio.create_task(door.watch(), name="serve health")))
        bus_metrics, stopping = BusMetrics(metrics), threading.Event()
        gateway = _gateway(config, stopping, bus_metrics)
        stack.callback(gateway.close)
        await _joined(config, registry, stack)
        topic = Topic(config.topic, config.exchange)
        transport = open_transport(config.broker, config.exchange, config.at_once, round(config.reply_for))
        server = BusServer(transport, topic, gateway, config, bus_metrics, stopping)
        starting = _Start(server, config.at_once)
        starting.start()  # it waits for the broker, for as long as that takes
        stack.push_async_callback(_drained, server, starting, config.drain_s)
        if not config.no_events:
            publisher = EventPublisher(config, transport, bus_metrics)
            publisher.start()
            stack.push_async_callback(asyncio.to_thread, publisher.stop, config.drain_s)
        log.info("bus starts", topic=topic.name, host=config.name, gateway=config.gateway)
        await _until(stop, server, starting, _Tell(readiness, health, bus_metrics, ready, door.port))
        await health.enter_graceful_shutdown()
        readiness.set(BROKER, ready=False)
        log.info("bus drains", limit_s=config.drain_s)


def _add_health(server: Any, health: health_aio.HealthServicer) -> None:
    grpcs.add_health(server, health)


class _Watched:
    """Cancels a task at the end."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._task.cancel()


def _gateway(config: BusConfig, stop: threading.Event, metrics: BusMetrics) -> Gateway:
    try:
        return Gateway(config, stop, metrics)
    except ValueError as error:
        raise InvalidRequest(str(error), reason="MALFORMED_CREDENTIAL") from error
    except OSError as error:
        raise PreconditionFailed(f"{error.filename}: {error.strerror}", reason="UNREADABLE_FILE") from error


async def _joined(config: BusConfig, given: Registry | None, stack: AsyncExitStack) -> None:
    """Join the group, where the registry has groups."""
    registry = given or open_registry(config.registry, token=config.registry_token or None)
    if given is None:
        stack.push_async_callback(registry.close)
    if registry.coordinator is None:
        log.info("the registry has no groups: nobody sees which bus processes there are", registry=config.registry)
        return
    membership = await registry.coordinator.join(GROUP, config.name, config.topic)
    stack.push_async_callback(membership.leave)


class _Tell:
    """Says to all who ask whether messages are taken."""

    def __init__(
        self, readiness: Readiness, health: health_aio.HealthServicer, metrics: BusMetrics,
        ready: Callable[[], None] | None,
        port: int,
    ) -> None:  # fmt: skip
        self._readiness, self._health, self._metrics, self._ready = readiness, health, metrics, ready
        self._port = port
        self._said: bool | None = None

    async def connected(self, connected: bool) -> None:
        if connected == self._said:
            return
        if connected:
            log.info("bus takes messages", port=self._port)
        elif self._said:
            log.warning("bus has lost the broker")
        self._said = connected
        self._readiness.set(BROKER, ready=connected)
        self._metrics.connected.set(connected)
        status = _SERVING if connected else _NOT_SERVING
        await self._health.set("", status)
        if connected and self._ready is not None:
            self._ready()


class _Start(threading.Thread):
    """Starts the server, and keeps why it could not."""

    def __init__(self, server: BusServer, at_once: int) -> None:
        super().__init__(name="bus-start", daemon=True)
        self._server, self._at_once = server, at_once
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._server.start(self._at_once)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process says it and ends
            self.error = error


async def _until(stop: asyncio.Event, server: BusServer, starting: _Start, tell: _Tell) -> None:
    while not stop.is_set():
        if starting.error is not None:
            text = f"the broker refuses this process, fix --broker or what is declared there: {starting.error}"
            raise PreconditionFailed(text[:1000], reason="BROKER_REFUSES")
        await tell.connected(server.is_connected)
        try:
            async with asyncio.timeout(_LOOK_S):
                await stop.wait()
        except TimeoutError:
            continue


async def _drained(server: BusServer, starting: _Start, limit_s: float) -> None:
    if starting.error is not None:
        return
    if starting.is_alive():
        log.warning("bus ends without having reached the broker")
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[bool] = loop.create_future()

    def drain() -> None:
        took_all = server.drain(limit_s)
        loop.call_soon_threadsafe(_settle, ended, took_all)

    threading.Thread(target=drain, name="bus-drain", daemon=True).start()
    try:
        async with asyncio.timeout(limit_s + _DAEMON_LEAVES_S):
            if await ended:
                return
    except TimeoutError:
        pass
    log.warning("bus ends with messages under way: they are delivered again")


def _settle(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)
