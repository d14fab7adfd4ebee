"""Builds a bus process, top to bottom: the gateway's client, the topic's server, health, metrics, membership."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

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

T = TypeVar("T")
log = get_logger(__name__)

GROUP = "cloudspan-bus"
"""The group in the registry that every bus process joins, under the name of its queue."""
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
        ready: Called whenever it begins to take messages.

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
        await door.start(lambda server: grpcs.add_health(server, health))
        stack.push_async_callback(door.stop, 0.0)
        watching = asyncio.create_task(door.watch(), name="serve health")
        stack.callback(watching.cancel)
        bus_metrics, stopping = BusMetrics(metrics), threading.Event()
        gateway = _gateway(config, stopping, bus_metrics)
        stack.callback(gateway.close)
        topic = Topic(config.topic, config.exchange)
        await _joined(config, topic, registry, stack)
        transport = open_transport(config.broker, config.exchange, config.at_once, round(config.reply_for))
        server = BusServer(transport, topic, gateway, config, bus_metrics, stopping)
        # It waits for the broker, for as long as that takes.
        starting = _in_thread("bus-start", lambda: server.start(config.at_once))
        publisher = None if config.no_events else EventPublisher(config, transport, bus_metrics)
        stack.push_async_callback(_all_drained, server, starting, publisher, config.drain_s)
        if publisher is not None:
            publisher.start()
        log.info("bus starts", topic=topic.name, host=config.name, gateway=config.gateway)
        tell = _Tell(readiness, health, bus_metrics, ready, door.port)
        await _until(stop, watching, server, starting, tell)
        await health.enter_graceful_shutdown()
        readiness.set(BROKER, ready=False)
        log.info("bus drains", limit_s=config.drain_s)


def _gateway(config: BusConfig, stop: threading.Event, metrics: BusMetrics) -> Gateway:
    try:
        return Gateway(config, stop, metrics)
    except ValueError as error:
        raise InvalidRequest(str(error), reason="MALFORMED_CREDENTIAL") from error
    except OSError as error:
        raise PreconditionFailed(f"{error.filename}: {error.strerror}", reason="UNREADABLE_FILE") from error


async def _joined(config: BusConfig, topic: Topic, given: Registry | None, stack: AsyncExitStack) -> None:
    """Join the group, where the registry has groups."""
    registry = given or open_registry(config.registry, token=config.registry_token or None)
    if given is None:
        stack.push_async_callback(registry.close)
    if registry.coordinator is None:
        log.info("the registry has no groups: nobody sees which bus processes there are", registry=config.registry)
        return
    membership = await registry.coordinator.join(GROUP, topic.of_host(config.name), topic.name)
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


def _in_thread(name: str, do: Callable[[], T]) -> asyncio.Future[T]:
    """Let a thread do it that keeps no process from ending, as those of `asyncio.to_thread` would."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[Any], None], what: Any) -> None:
        if not ended.done():
            how(what)

    def run() -> None:
        try:
            outcome: tuple[Any, Any] = ended.set_result, do()
        except Exception as error:  # noqa: BLE001 - who waits for it gets it
            outcome = ended.set_exception, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended


async def _until(
    stop: asyncio.Event, watching: asyncio.Task[None], server: BusServer, starting: asyncio.Future[None], tell: _Tell
) -> None:
    """Say how things stand until `stop` is set.

    Raises:
        PreconditionFailed: The broker refuses this process, or its port is another's.
    """
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            if watching.done():
                await watching
            if starting.done() and (error := starting.exception()) is not None:
                text = f"the broker refuses this process, fix --broker or what is declared there: {error}"
                raise PreconditionFailed(text[:1000], reason="BROKER_REFUSES")
            await tell.connected(server.is_connected)
            news = {one for one in (stopped, watching, starting) if not one.done()}
            await asyncio.wait(news, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _all_drained(
    server: BusServer, starting: asyncio.Future[None], publisher: EventPublisher | None, limit_s: float
) -> None:
    """End both at once: each within the limit."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_drained(server, starting, limit_s))
        if publisher is not None:
            group.create_task(asyncio.to_thread(publisher.stop, limit_s))


async def _drained(server: BusServer, starting: asyncio.Future[None], limit_s: float) -> None:
    if not starting.done():
        log.warning("bus ends without having reached the broker")
        return
    if starting.exception() is not None:
        return
    # While the broker is away there is nobody to take leave of.
    patience_s = limit_s + (_DAEMON_LEAVES_S if server.is_connected else 0.0)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            if await _in_thread("bus-drain", lambda: server.drain(limit_s)):
                return
    log.warning("bus ends with messages under way: they are delivered again")
