"""The composition root: what the gateway is made of, in the order in which a call meets it.

`__main__` runs `serve`; tests and `cloudspan up` build a `Gateway` over a registry of their own.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pool import DescriptorPool

from cloudspan_common import contract, logs
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import CloudspanError
from cloudspan_common.listing.page_token import authenticated
from cloudspan_common.metrics_server import Readiness, serve_metrics
from cloudspan_common.reflection import PoolSource, file_descriptor_set
from cloudspan_common.registry import open_registry
from cloudspan_gateway.access.access import NOTHING, OPEN, OpenAccess
from cloudspan_gateway.access.limits import Counters
from cloudspan_gateway.access.policy import whole_table
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.access.store import PolicyStore
from cloudspan_gateway.audit.file import AuditFile
from cloudspan_gateway.audit.store import AuditStore
from cloudspan_gateway.background import Background
from cloudspan_gateway.doors.grpc_server import GatewayServer
from cloudspan_gateway.doors.side_services import SideServices
from cloudspan_gateway.events.parts import EventNeeds, Events, EventSettings
from cloudspan_gateway.events.webhooks.parts import Webhooks
from cloudspan_gateway.events.webhooks.store import WebhookStore
from cloudspan_gateway.identity.certificates import CertificateAuthenticator
from cloudspan_gateway.identity.config import MTLS, SESSIONS
from cloudspan_gateway.identity.password_login.grants import Grants
from cloudspan_gateway.identity.password_login.passwords import Passwords
from cloudspan_gateway.inventory.parts import Inventory, InventoryNeeds
from cloudspan_gateway.lists.fan_out import FanOut
from cloudspan_gateway.operations.accept import Acceptor
from cloudspan_gateway.operations.runner import Runner
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.pipeline.audit import Audit
from cloudspan_gateway.pipeline.authenticate import Authenticate
from cloudspan_gateway.pipeline.dispatch import Dispatch
from cloudspan_gateway.pipeline.limit import Limits
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.pipeline.pipeline import CallerStages, Pipeline
from cloudspan_gateway.routing.forward import Forwarder
from cloudspan_gateway.routing.reflection import PluggedSource
from cloudspan_gateway.routing.router import Router
from cloudspan_gateway.routing.table import Table
from cloudspan_gateway.routing.trust import Trust
from cloudspan_gateway.services.audit import AuditService
from cloudspan_gateway.services.callers import CallerParts, PasswordLogin, no_password_login
from cloudspan_gateway.services.clusters import ClusterService
from cloudspan_gateway.services.events import EventService
from cloudspan_gateway.services.inventory.parts import inventory_services
from cloudspan_gateway.services.inventory.scopes import Scopes
from cloudspan_gateway.services.methods import service_methods
from cloudspan_gateway.services.operations import OperationService, OperationsService
from cloudspan_gateway.services.orphans import OrphanService
from cloudspan_gateway.services.platforms import PlatformService
from cloudspan_gateway.services.policy import PolicyService
from cloudspan_gateway.services.tenants import TenantService
from cloudspan_gateway.services.webhooks import WebhookService
from cloudspan_gateway.storage.coordination import coordinator_of
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_common.registry import Registry
    from cloudspan_common.registry.coordination import Coordinator
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.background import Work
    from cloudspan_gateway.config import GatewayConfig
    from cloudspan_gateway.events.webhooks.store import Hook
    from cloudspan_gateway.identity.config import OidcConfig
    from cloudspan_gateway.identity.jwt import JwtAuthenticator
    from cloudspan_gateway.operations.stores.base import OperationStore
    from cloudspan_gateway.pipeline.authenticate import Authenticator
    from cloudspan_gateway.routing.context import ContextSigner
    from cloudspan_gateway.services.methods import ServiceMethod
    from cloudspan_gateway.storage.engine import Database

OPERATIONS = "google.longrunning.Operations"
_SIDE_SERVICES = ("grpc.health.v1.Health", "grpc.channelz.v1.Channelz")

log = logs.get_logger(__name__)


class Gateway:
    """All parts of one gateway; those that need the store are there while it runs."""

    database: Database
    audit: AuditStore
    policy: PolicyStore
    store: OperationStore
    router: Router
    runner: Runner
    pipeline: Pipeline
    """Answers calls of any door; the gRPC one comes with `running`."""
    server: GatewayServer
    coordinator: Coordinator
    events: Events
    webhooks: Webhooks
    inventory: Inventory | None = None  # with --no-inventory
    password_login: PasswordLogin | None = None
    """Sessions and users, with `--auth sessions`."""

    def __init__(self, config: GatewayConfig, registry: Registry, clock: Clock | None = None) -> None:
        config.check_callers()
        self.config = config
        self.registry = registry
        self.signer = _new_signer(config, registry, clock) if config.auth else None
        """Tells adapters on whose behalf calls are; None where callers are not authenticated."""
        self.table = Table(registry, clock, Trust(config.tls, config.claims), self.signer)
        self._cipher = config.cipher()
        self.forwarder = Forwarder(self.table, self._cipher)
        self.metrics = GatewayMetrics()
        self.metrics.watch(self.table, self.forwarder)
        kept = () if config.no_inventory else ("inventory",)
        self.readiness = Readiness("server", "table", "runner", "policy", "events", "webhooks", *kept)
        """Of the parts that grpc.health.v1 knows as "", `gateway/table`, `gateway/runner` and so on."""
        self._jwt = _jwt_authenticator(config.oidc, clock) if config.oidc else None
        self._passwords = Passwords()
        self._clock = clock
        self._time: Clock = clock or SystemClock()
        self._background = Background(self._time, self.metrics.restarts, self._set_health)

    def __repr__(self) -> str:
        return f"<Gateway {self.config.listen} | {self.table!r}>"

    def _assemble(self, store: OperationStore) -> None:
        self.store = store
        self.router = Router(self.table, self.policy.narrowed, whole_table() if self.config.auth else OPEN)
        self.runner = Runner(
            store, self.router, self.forwarder, self.config.operations, self._clock, self.metrics.operations
        )
        self.metrics.watch_operations(self.runner)
        self.table.subscribe(lambda _: self.runner.wake_signal.send())
        needs = EventNeeds(self.database, self.table, self.coordinator, self._time, self.metrics.registry)
        self.events = Events(needs, EventSettings(self.config.keep_events, self.config.removed_after))
        hooks = WebhookStore(self.database, self._cipher, self.audit.chain.append)
        self.webhooks = Webhooks(needs, self.events.log, hooks, self._access_of_hook, self.config.webhooks)
        if not self.config.no_inventory:
            self.inventory = Inventory(
                InventoryNeeds(self.database, self.table, self.forwarder, self.coordinator, self._time,
                               self.metrics.registry, self._cipher, self._projects_of_pools),
                self.config.inventory,
            )  # fmt: skip
        if SESSIONS in self.config.auth:
            self.password_login = PasswordLogin(self._caller_parts(), self.config.sessions, self._passwords)
        check = authenticated(self._cipher.digest)
        stored = self.inventory.stored_reads(store, self.runner.subscribe, check) if self.inventory else None
        dispatch = Dispatch(
            self.router,
            self.forwarder,
            self._services(),
            mutations=Acceptor(store, self.router, self.forwarder, self.table, self._cipher.digest),
            lists=FanOut(self.table, self.forwarder, check, self.metrics.part_ended, stored),
            stored=stored,
        )
        self.pipeline = Pipeline(self.metrics, self.router, dispatch, self._callers())
        side_services = SideServices(self.pipeline, self._descriptors(), lambda: self.table.snapshot)
        self.server = GatewayServer(self.pipeline, side_services, self.metrics.restarts.labels("server").inc)

    def _callers(self) -> CallerStages:
        if not self.config.auth:
            return CallerStages(self._auditing, describe=self._auditing.describe)
        limits = self._limits()
        self.metrics.watch_tenants(limits.counters, self.runner)
        return CallerStages(
            audit=self._auditing,
            authenticate=Authenticate(self._authenticators(), self._access_of),
            describe=self._auditing.describe,
            limit_tenant=limits.of_tenant,
            limit=limits.of_pool,
            clock=self._time,
        )

    def _limits(self) -> Limits:
        return Limits(Counters(self._time), self._time)

    def _projects_of_pools(self, ref: ClusterRef) -> frozenset[str]:
        """Return the projects of a cluster that adapters can be bound to: by the signed context alone."""
        return self.policy.policy.projects(ref) if self.signer is not None else frozenset()

    def _access_of(self, principal: Principal, tenant: str) -> Access:
        return self.policy.access(principal, tenant)

    def _access_of_hook(self, hook: Hook) -> Access:
        """Return what the subject of a webhook may hear of now; of a JWT's groups nothing is known then."""
        if not self.config.auth:
            return OpenAccess(hook.tenant)
        try:
            return self._access_of(Principal(hook.row.subject, tenant=hook.tenant), hook.tenant)
        except CloudspanError:  # its tenant is disabled, or it has no role there any more
            return NOTHING

    def _authenticators(self) -> Sequence[Authenticator]:
        """Return those of `--auth`, in the order in which they are asked."""
        found: list[Authenticator] = [self.password_login.sessions] if self.password_login else []
        if self._jwt is not None:
            found.append(self._jwt)
        if MTLS in self.config.auth:
            found.append(CertificateAuthenticator(self._time))
        return found

    def _caller_parts(self) -> CallerParts:
        return CallerParts(
            self.database, self._cipher, self._time, Grants(self.database, self._time), self._access_of,
            self.config.installation, self.registry, self.config.tls, self.audit.chain.append,
        )  # fmt: skip

    def _caller_services(self) -> Iterable[ServiceMethod]:
        if self.password_login is not None:
            return self.password_login.services()
        return no_password_login(self._caller_parts() if self.config.auth else None)

    def _services(self) -> Sequence[ServiceMethod]:
        orphans = OrphanService(self.store, self.router, self.forwarder, self.config.installation)
        return (
            *service_methods("cloudspan.v1.PlatformService", PlatformService(self.table)),
            *service_methods("cloudspan.v1.ClusterService", ClusterService(self.table, self.router.tags)),
            *service_methods(OPERATIONS, OperationsService(self.store, authenticated(self._cipher.digest))),
            *service_methods("cloudspan.v1.OperationService", OperationService(self.store, self.runner)),
            *service_methods("cloudspan.v1.OrphanService", orphans),
            *service_methods("cloudspan.v1.TenantService", TenantService(self.policy, self.store, self._time)),
            *service_methods("cloudspan.v1.PolicyService", PolicyService(self.policy, self._time)),
            *service_methods("cloudspan.v1.AuditService", AuditService(self.audit, authenticated(self._cipher.digest))),
            *service_methods("cloudspan.v1.EventService", EventService(self.events, self.router.tags, self._cipher)),
            *service_methods("cloudspan.v1.WebhookService", WebhookService(self.webhooks)),
            *inventory_services(self.inventory, Scopes(self.table, self.router.tags), self._cipher.digest),
            *self._caller_services(),
        )

    def _descriptors(self) -> Callable[[Access], PluggedSource]:
        """Return what returns what a caller may read: the contract, and the own services of platforms that it sees."""
        names = (*contract.services(), OPERATIONS, *_SIDE_SERVICES)
        # A pool of its own: what else this process has imported is not the gateway's to show.
        pool = DescriptorPool()
        for file in file_descriptor_set(names).file:
            pool.Add(file)
        return PluggedSource(lambda: self.table.snapshot, PoolSource(names, pool)).seen_by

    @asynccontextmanager
    async def _audited(self) -> AsyncIterator[None]:
        """Open the audit over the database for the time inside the `with` block."""
        self.audit = AuditStore(self.database)
        self.audit.chain.subscribe(self.metrics.audit.appended)
        self._auditing = Audit(self.audit, self.metrics.audit, self._clock)
        lost = self.metrics.audit.failures.labels("file")
        file = AuditFile(self.config.audit_log, lost.inc) if self.config.audit_log else None
        if file is not None:
            self.audit.chain.subscribe(file.write)
        try:
            yield
        finally:
            await self._auditing.close()
            await self.audit.close()
            if file is not None:
                await file.close()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Gateway]:
        """Run all of it but the doors: inside the `with` block `pipeline` answers calls.

        Raises:
            CloudspanError: The operations' store can't be opened.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.registry.close)
            self.database = await open_database(self.config.database, self._clock)
            stack.push_async_callback(self.database.close)
            await stack.enter_async_context(self._audited())
            self.policy = PolicyStore(self.database, self.audit.chain.append, self._clock)
            store = await open_store(self.config.database, self._cipher, self._clock, self.config.lease, self.audit)
            stack.push_async_callback(store.close)
            await self.policy.load()
            self.coordinator = coordinator_of(self.registry, self.database, self._time)
            if self.coordinator is not self.registry.coordinator:  # else the registry closes it
                stack.push_async_callback(self.coordinator.close)
            self._assemble(store)
            stack.push_async_callback(self.webhooks.close)
            await self.events.begin()
            parts: dict[str, Work] = {
                "table": self.table.run, "runner": self.runner.run, "policy": self.policy.run,
                "events": self.events.run, "webhooks": self.webhooks.run,
            }  # fmt: skip
            if self.signer is not None:
                await self.signer.start()
                parts["context-keys"] = self.signer.run
            if self._jwt is not None:
                parts["issuer"] = self._jwt.run
            if self.inventory is not None:
                parts["inventory"] = self.inventory.run
            if self.password_login is not None:
                stack.callback(self.password_login.close)
                await self.password_login.offer_administrator()
                parts["sessions"] = self.password_login.sessions.run
            async with self._background.kept_running(parts):
                # The first calls must not hear of unknown platforms only because nobody was asked yet.
                await self.table.settled(self.config.wait_for_adapters)
                yield self

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """Serve gRPC inside the `with` block; drain at its end.

        Raises:
            CloudspanError: The address can't be listened on, or the operations' store can't be opened.
        """
        async with self.working():
            await self.server.start(self.config.listen, self.config.own_tls)
            async with self._background.doing(partial(self.server.tell_health, self.table), self.server.watch):
                try:
                    self._warn_of_reach()
                    log.info(
                        "gateway started", listen=self.config.listen, port=self.server.port, table=repr(self.table)
                    )
                    self.readiness.set("server", ready=True)
                    yield self
                finally:
                    self.readiness.set("server", ready=False)
                    self.events.drain()
                    if self.inventory is not None:
                        self.inventory.drain()
                    await self.server.stop(self.config.drain_s)

    def _warn_of_reach(self) -> None:
        """Say in the log what others on the network could read, or do."""
        if not self.config.is_reachable:
            return
        if not self.config.auth:
            log.warning("callers are not authenticated, and other machines can call", listen=self.config.listen)
        elif self.config.tls_listen == "none":
            text = "credentials of callers pass in clear text; use --tls-listen, or let a proxy in front do TLS"
            log.warning(text, listen=self.config.listen)

    async def _set_health(self, part: str, *, serving: bool) -> None:
        self.readiness.set(part, ready=serving)
        await self.server.set_health(f"gateway/{part}", serving=serving)

    async def until(self, stop: asyncio.Event) -> None:
        """Return once `stop` is set; raise what ended the work in the background, if that comes first."""
        await self._background.until(stop)


def _jwt_authenticator(config: OidcConfig, clock: Clock | None) -> JwtAuthenticator:
    # PyJWT and aiohttp take 5 MB; only those who use them have them.
    from cloudspan_gateway.identity.jwt import JwtAuthenticator  # noqa: PLC0415 - see above

    return JwtAuthenticator(config, clock)


def _new_signer(config: GatewayConfig, registry: Registry, clock: Clock | None) -> ContextSigner:
    # An open gateway signs nothing and need not import the libraries below it.
    from cloudspan_gateway.routing.context import ContextSigner  # noqa: PLC0415 - see above

    return ContextSigner(registry.context_keys, config.installation, clock or SystemClock())


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
