"""The composition root: what the gateway is made of, in the order in which a call meets it.

`__main__` runs `serve`; tests and `cloudspan up` build a `Gateway` over a registry of their own.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pool import DescriptorPool

from cloudspan_common import contract, logs
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.listing.page_token import authenticated
from cloudspan_common.metrics_server import Readiness, serve_metrics
from cloudspan_common.reflection import PoolSource, file_descriptor_set
from cloudspan_common.registry import open_registry
from cloudspan_gateway.doors.grpc_server import GatewayServer
from cloudspan_gateway.lists.fan_out import FanOut
from cloudspan_gateway.operations.accept import Acceptor
from cloudspan_gateway.operations.runner import Runner
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.operations.stores.sql import SqlStore
from cloudspan_gateway.pipeline.dispatch import Dispatch
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.pipeline.pipeline import Pipeline
from cloudspan_gateway.routing.forward import Forwarder
from cloudspan_gateway.routing.reflection import PluggedSource
from cloudspan_gateway.routing.router import Router
from cloudspan_gateway.routing.table import Table
from cloudspan_gateway.routing.trust import Trust
from cloudspan_gateway.services.clusters import ClusterService
from cloudspan_gateway.services.methods import service_methods
from cloudspan_gateway.services.operations import OperationService, OperationsService
from cloudspan_gateway.services.orphans import OrphanService
from cloudspan_gateway.services.platforms import PlatformService
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence

    from cloudspan_common.registry import Registry
    from cloudspan_gateway.config import GatewayConfig
    from cloudspan_gateway.operations.stores.base import OperationStore
    from cloudspan_gateway.services.methods import ServiceMethod
    from cloudspan_gateway.storage.engine import Database

    Work = Callable[[], Coroutine[Any, Any, None]]

OPERATIONS = "google.longrunning.Operations"
_SIDE_SERVICES = ("grpc.health.v1.Health", "grpc.channelz.v1.Channelz")

_FIRST_PAUSE_S, _MAX_PAUSE_S, _WELL_AFTER_S = 0.1, 5.0, 60.0

log = logs.get_logger(__name__)


class Gateway:
    """All parts of one gateway; those that need the store are there while it runs."""

    database: Database
    store: OperationStore
    runner: Runner
    pipeline: Pipeline
    """Answers calls of any door; the gRPC one comes with `running`."""
    server: GatewayServer

    def __init__(self, config: GatewayConfig, registry: Registry, clock: Clock | None = None) -> None:
        self.config = config
        self.registry = registry
        self.table = Table(registry, clock, Trust(config.tls, config.claims))
        self._cipher = config.cipher()
        self.forwarder = Forwarder(self.table, self._cipher)
        self.router = Router(self.table, config.pools)
        self.metrics = GatewayMetrics()
        self.metrics.watch(self.table, self.forwarder)
        self.readiness = Readiness("server", "table", "runner")
        """Of the parts that grpc.health.v1 knows as "", `gateway/table` and `gateway/runner`."""
        self._clock = clock
        self._time: Clock = clock or SystemClock()
        self._background: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<Gateway {self.config.listen} | {self.table!r}>"

    def _assemble(self, store: OperationStore) -> None:
        self.store = store
        self.runner = Runner(
            store, self.router, self.forwarder, self.config.operations, self._clock, self.metrics.operations
        )
        self.metrics.watch_operations(self.runner)
        self.table.subscribe(lambda _: self.runner.wake_signal.send())
        dispatch = Dispatch(
            self.router,
            self.forwarder,
            self._services(),
            mutations=Acceptor(store, self.router, self.forwarder, self.table, self._cipher.digest),
            lists=FanOut(self.table, self.forwarder, authenticated(self._cipher.digest), self.metrics.part_ended),
        )
        self.pipeline = Pipeline(self.metrics, self.router, dispatch)
        self.server = GatewayServer(self.pipeline, self._descriptors(), self.metrics.restarts.labels("server").inc)

    def _services(self) -> Sequence[ServiceMethod]:
        orphans = OrphanService(self.store, self.router, self.forwarder, self.config.installation)
        return (
            *service_methods("cloudspan.v1.PlatformService", PlatformService(self.table)),
            *service_methods("cloudspan.v1.ClusterService", ClusterService(self.table)),
            *service_methods(OPERATIONS, OperationsService(self.store, authenticated(self._cipher.digest))),
            *service_methods("cloudspan.v1.OperationService", OperationService(self.store, self.runner)),
            *service_methods("cloudspan.v1.OrphanService", orphans),
        )

    def _descriptors(self) -> PluggedSource:
        names = (*contract.services(), OPERATIONS, *_SIDE_SERVICES)
        # A pool of its own: what else this process has imported is not the gateway's to show.
        pool = DescriptorPool()
        for file in file_descriptor_set(names).file:
            pool.Add(file)
        return PluggedSource(lambda: self.table.snapshot, PoolSource(names, pool))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Gateway]:
        """Run all of it but the doors: inside the `with` block `pipeline` answers calls.

        Raises:
            CloudspanError: The operations' store can't be opened.
        """
        try:
            self.database = await open_database(self.config.database, self._clock)
            store = self._new_store(self.database)
            try:
                self._assemble(store)
                parts = (
                    partial(self._kept_running, "table", self.table.run),
                    partial(self._kept_running, "runner", self.runner.run),
                )
                async with self._in_background(*parts):
                    # The first calls must not hear of unknown platforms only because nobody was asked yet.
                    await self.table.settled(self.config.wait_for_adapters)
                    yield self
            finally:
                await store.close()
                await self.database.close()
        finally:
            await self.registry.close()

    def _new_store(self, database: Database) -> OperationStore:
        """Operations of `memory:` are lost with the process, so they need not pass a file."""
        if self.config.database == "memory:":
            return MemoryStore(self._clock, self.config.lease)
        return SqlStore(database, self._cipher, self._clock, self.config.lease)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """Serve gRPC inside the `with` block; drain at its end.

        Raises:
            CloudspanError: The address can't be listened on, or the operations' store can't be opened.
        """
        async with self.working():
            await self.server.start(self.config.listen, self.config.own_tls)
            async with self._in_background(partial(self.server.tell_health, self.table), self.server.watch):
                try:
                    log.info(
                        "gateway started", listen=self.config.listen, port=self.server.port, table=repr(self.table)
                    )
                    self.readiness.set("server", ready=True)
                    yield self
                finally:
                    self.readiness.set("server", ready=False)
                    await self.server.stop(self.config.drain_s)

    @asynccontextmanager
    async def _in_background(self, *works: Work) -> AsyncIterator[None]:
        """Do work inside the `with` block; `until` raises what ends it early."""
        task = asyncio.ensure_future(_all(works))
        self._background.add(task)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._background.discard(task)

    async def _kept_running(self, part: str, run: Work) -> None:
        """Run a part until cancelled; one that ends with an error is run again, after a pause that grows.

        Its health is that of the service `gateway/PART` of grpc.health.v1.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            began = self._time.monotonic()
            await self._set_health(part, serving=True)
            try:
                await run()
            except Exception:  # whatever it was: the others go on, and its health shows that it is down
                log.exception("a part of the gateway ended, it is started again", part=part, pause_s=pause_s)
            self.metrics.restarts.labels(part).inc()
            await self._set_health(part, serving=False)
            if self._time.monotonic() - began > _WELL_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            await self._time.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    async def _set_health(self, part: str, *, serving: bool) -> None:
        self.readiness.set(part, ready=serving)
        await self.server.set_health(f"gateway/{part}", serving=serving)

    async def until(self, stop: asyncio.Event) -> None:
        """Return once `stop` is set; raise what ended the work in the background, if that comes first."""
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({stopped, *self._background}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._background:
                if task.done():
                    await task
        finally:
            stopped.cancel()


async def _all(works: Iterable[Work]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work())


def build(config: GatewayConfig, registry: Registry | None = None) -> Gateway:
    """Return a gateway, not yet running; to be called where the event loop runs.

    Raises:
        InvalidRequest: The registry's URL is none.
    """
    found = registry or open_registry(config.registry, token=config.registry_token or None)
    return Gateway(config, found)


async def serve(config: GatewayConfig, stop: asyncio.Event) -> None:
    """Run a gateway until `stop`, then drain.

    Raises:
        CloudspanError: An address can't be listened on, or the registry's URL is none.
    """
    gateway = build(config)
    metrics = serve_metrics(gateway.metrics.registry, config.metrics, gateway.readiness) if config.metrics else None
    try:
        async with gateway.running():
            await gateway.until(stop)
            log.info("gateway stops", drain_s=config.drain_s)
    finally:
        if metrics is not None:
            metrics.close()
