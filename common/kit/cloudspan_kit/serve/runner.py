"""Runs an adapter: serve and register at once, log in to the clusters in the background, drain at the end.

An adapter's `__main__` builds its clusters, or says how they are read from a file, and calls `serve`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan.adapter.v1 import adapter_pb2_grpc, step_pb2_grpc, sweep_pb2_grpc
from cloudspan.v1 import cluster_pb2_grpc, platform_pb2_grpc
from cloudspan_common import contract, grpcs
from cloudspan_common.config import address, option
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.metrics_server import Readiness, serve_metrics
from cloudspan_common.names import is_tag
from cloudspan_common.reflection import PoolSource
from cloudspan_common.registry import Instance, open_registry
from cloudspan_common.registry.kept import in_background, stopped
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.service_config import ServiceConfig, one_of
from cloudspan_common.telemetry import add_build_info, new_registry, new_restarts, version_of
from cloudspan_common.watched_server import WatchedServer
from cloudspan_kit.cluster_file import ClusterFile
from cloudspan_kit.serve.callers import GATEWAY, Callers
from cloudspan_kit.serve.clusters import Clusters
from cloudspan_kit.serve.context import AUTO, MODES, ContextGuard
from cloudspan_kit.serve.describe import SERVICES, ClusterServicer, Describer, PlatformServicer
from cloudspan_kit.serve.metrics import CallMetrics
from cloudspan_kit.serve.reload import Reloader, ReloadMetrics
from cloudspan_kit.serve.servicer import SERVED_BY, ContractServicer
from cloudspan_kit.serve.steps import MarkServicer, StepServicer
from cloudspan_kit.serve.sweep import SweepServicer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import grpc
    from grpc_health.v1.health import aio as health_aio
    from prometheus_client import CollectorRegistry

    from cloudspan_common.registry import Registry
    from cloudspan_kit.cluster import Cluster

log = structlog.get_logger(__name__)

INFRASTRUCTURE = ("grpc.health.v1.Health", "grpc.channelz.v1.Channelz")
# What `:port` and containers listen on; nobody can dial it.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - looked for, not bound
_REGISTERED_NOWHERE = (
    "registered nowhere, so no gateway will find this adapter: "
    "give --registry static:FILE or --registry consul://HOST:PORT, the same as the gateway's"
)
ADAPTER_SERVICES = (
    "cloudspan.adapter.v1.AdapterService",
    "cloudspan.adapter.v1.StepService",
    "cloudspan.adapter.v1.MarkService",
    "cloudspan.adapter.v1.SweepService",
)


@dataclass(frozen=True)
class AdapterConfig(ServiceConfig):
    """Options that all adapters have; an adapter's own config inherits it."""

    advertise: str = option(
        "host:port that gateways dial; when empty the listen address, with this host's name for 0.0.0.0.", default=""
    )
    instance: str = option("Id of this instance in the registry; made from tag, host and port when empty.", default="")
    tls_gateway: str = option("Identity of the gateway: a DNS name in its certificate.", default=GATEWAY)
    context: str = option(
        "Whether calls need a gateway's signed context: auto (once the registry has a gateway's key), required, off.",
        default=AUTO,
        check=one_of(*MODES),
    )
    tls_caller: tuple[str, ...] = option(
        "Identity that may call directly, except what only gateways call, such as StepService; repeatable.", default=()
    )


@dataclass(frozen=True)
class Adapter:
    """An adapter, ready to serve."""

    platform: str
    display_name: str
    distribution: str
    """Its distribution's name, for the version that it reports."""
    clusters: Sequence[Cluster] | ClusterFile[Any]
    """What it serves from start to end, or a file that is followed: see `serve.reload`."""
    own_services: dict[str, Callable[[grpc.aio.Server], None]] = field(default_factory=dict)
    """Services beyond the contract: full name -> what adds its servicer to the server."""

    @property
    def build(self) -> str:
        return version_of(self.distribution)


async def serve(
    adapter: Adapter,
    config: AdapterConfig,
    stop: asyncio.Event,
    *,
    registry: Registry | None = None,
    metrics: CollectorRegistry | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until `stop` is set, then drain and log out.

    Args:
        adapter: What to serve.
        config: Addresses and the registry.
        stop: Ends it.
        registry: Where to register, instead of `config.registry`; a test's.
        metrics: What to publish on `config.metrics`.
        ready: Called with the bound address once calls are served.
    """
    _check(adapter)
    async with AsyncExitStack() as stack:
        metrics, readiness = metrics or new_registry(), Readiness("server")
        add_build_info(metrics, adapter.distribution)
        guard = ContextGuard(adapter.platform, config.context)
        server = _listening(config, guard, new_restarts(metrics).labels("server").inc)
        instance = _instance(adapter, config, server.port)
        guard.stamp = ((SERVED_BY, instance.instance_id),)
        if config.metrics:
            stack.callback(serve_metrics(metrics, config.metrics, readiness).close)
        clusters = await _clusters(adapter, stack, metrics)
        health = grpcs.new_health()
        if registry is None:
            registry = _opened(config, instance)
            stack.push_async_callback(registry.close)
        # Before the first call: one that needs a context must find the keys.
        await guard.follow(registry.context_keys)
        stack.push_async_callback(stopped, in_background(guard.run(), "context keys"))
        servicer = ContractServicer(clusters, instance.instance_id, CallMetrics(metrics))
        describer = Describer(adapter.display_name, instance, clusters, tuple(adapter.own_services), guard.public_key)
        await server.start(_services(adapter, servicer, describer, clusters, health))
        stack.push_async_callback(server.stop, config.drain_s)
        registration = await registry.register(instance)
        log.info("adapter serves", platform=adapter.platform, address=instance.address, instance=instance.instance_id)
        if ready:
            ready(instance.address)
        readiness.set("server", ready=True)
        await _until(stop, server.watch())
        readiness.set("server", ready=False)
        await registration.drain()
        await registration.deregister()
        await health.enter_graceful_shutdown()
        log.info("adapter drains", platform=adapter.platform, limit_s=config.drain_s)


def _opened(config: AdapterConfig, instance: Instance) -> Registry:
    registry = open_registry(config.registry, token=config.registry_token or None)
    if isinstance(registry, MemoryRegistry):
        log.warning(_REGISTERED_NOWHERE, address=instance.address, registry=config.registry)
    return registry


async def _clusters(adapter: Adapter, stack: AsyncExitStack, metrics: CollectorRegistry) -> Clusters:
    """Return what is served; logins begin in the background."""
    told = adapter.clusters
    clusters = Clusters(adapter.platform, told.clock if isinstance(told, ClusterFile) else None)
    stack.push_async_callback(clusters.close)
    if isinstance(told, ClusterFile):
        reloader = Reloader(told, clusters, ReloadMetrics(metrics, adapter.platform))
        stack.push_async_callback(reloader.close)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, reloader.reload)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)
        await reloader.start()
        return clusters
    for cluster in told:
        clusters.put(cluster)
        await cluster.open()
    return clusters


async def _until(stop: asyncio.Event, watch: Coroutine[Any, Any, None]) -> None:
    """Return once `stop` is set; raise what `watch` ends with before."""
    stopped, watching = asyncio.create_task(stop.wait()), asyncio.create_task(watch)
    try:
        await asyncio.wait({stopped, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await watching
    finally:
        for task in (stopped, watching):
            task.cancel()
        await asyncio.wait({stopped, watching})


def _listening(config: AdapterConfig, guard: ContextGuard, on_restart: Callable[[], None]) -> WatchedServer:
    callers = (Callers(config.tls_gateway, config.tls_caller),) if config.tls else ()
    return WatchedServer(config.listen, config.tls, (*callers, guard), on_restart=on_restart)


def _instance(adapter: Adapter, config: AdapterConfig, port: int) -> Instance:
    host, here = address(config.listen)[0], socket.gethostname()
    dialled = here if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    return Instance(
        instance_id=config.instance or f"{adapter.platform}-{here}-{port}",
        platform=adapter.platform,
        address=config.advertise or f"{dialled}:{port}",
        contract=(contract.CONTRACT_VERSION, contract.CONTRACT_VERSION),
        build=adapter.build,
    )


def _check(adapter: Adapter) -> None:
    clusters = () if isinstance(adapter.clusters, ClusterFile) else adapter.clusters
    tags = [adapter.platform, *(cluster.ref.cluster for cluster in clusters)]
    for tag in tags:
        if not is_tag(tag):
            raise InvalidRequest(
                f"{tag!r} is not a tag; write a lower-case letter, then letters, digits and hyphens, at most 39"
            )
    if len(set(tags[1:])) < len(tags) - 1:
        raise InvalidRequest(f"a cluster tag appears twice in {', '.join(tags[1:])}; tags tell clusters apart")


def _services(
    adapter: Adapter,
    servicer: ContractServicer,
    describer: Describer,
    clusters: Clusters,
    health: health_aio.HealthServicer,
) -> Callable[[grpc.aio.Server], None]:
    """Return what adds the adapter's services to a server."""
    source = PoolSource((*SERVICES, *ADAPTER_SERVICES, *adapter.own_services, *INFRASTRUCTURE))

    def add_services(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers(servicer.handlers())
        platform_pb2_grpc.add_PlatformServiceServicer_to_server(PlatformServicer(describer, servicer), server)
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(ClusterServicer(describer, clusters, servicer), server)
        adapter_pb2_grpc.add_AdapterServiceServicer_to_server(describer, server)
        step_pb2_grpc.add_StepServiceServicer_to_server(StepServicer(clusters, servicer), server)
        step_pb2_grpc.add_MarkServiceServicer_to_server(MarkServicer(clusters, servicer), server)
        sweep_pb2_grpc.add_SweepServiceServicer_to_server(SweepServicer(clusters, servicer), server)
        for add in adapter.own_services.values():
            add(server)
        grpcs.add_channelz(server)
        grpcs.add_reflection(server, source)
        grpcs.add_health(server, health)

    return add_services
