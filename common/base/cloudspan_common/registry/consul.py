"""The registry in Consul: one service name for all adapters, one blocking query that feeds the whole table.

Speaks through `consul_agent.Agent` with what py-consul and python-consul2 share. An instance has two checks: a TTL
that its own process renews (it is alive), and a gRPC probe by the agent (it can be called).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import CloudspanError, InvalidRequest, PlatformFault
from cloudspan_common.registry import view_cache
from cloudspan_common.registry.base import Feed, Instance, Reach, Registration, View, view_of
from cloudspan_common.registry.consul_keys import ConsulKeys
from cloudspan_common.registry.context_keys import ContextKeys
from cloudspan_common.registry.coordination import LEASE_S
from cloudspan_common.registry.coordination.consul import ConsulClaims
from cloudspan_common.registry.coordination.leased import LeasedCoordinator
from cloudspan_common.registry.kept import Registrations, in_background, stopped
from cloudspan_common.registry.services import TAG, ServiceAddress, is_service_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.consul_agent import Agent

PROBES = ("grpc", "grpcs", "none")
_PASSING = "passing"
_CRITICAL = "critical"
_MAX_SKIPPED = 1000
# A service without instances wakes its watchers on other services' changes: at most 50 such answers a second.
_IDLE_PAUSE_S = 0.02

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsulTimes:
    """How fast things are noticed; tests make them short."""

    ttl_s: float = 5.0
    """A process that is silent for this long is suspect; it renews three times as often."""
    probe_s: float = 2.0
    """Between two gRPC probes by the agent."""
    wait_s: float = 10.0
    """How long the agent may hold a blocking query, and so how long a stuck agent goes unnoticed."""
    hold_s: float = 10.0
    """How long instances are kept as suspect when an agent that was away comes back without them."""
    forget_s: int = 60
    """After how long of silence Consul drops an entry. Its least value is a minute; more would only leave a dead
    container's address in the table for longer, and a living process that was paused registers again by itself."""
    lease_s: float = LEASE_S
    """Of what a process has locked or joined. Consul refuses less than its `session_ttl_min`, 10 s by default."""


class ConsulRegistry:
    """Registers with, and watches through, one local agent."""

    def __init__(
        self,
        agent: Agent,
        service: str,
        *,
        probe: str = "grpc",
        times: ConsulTimes | None = None,
        clock: Clock | None = None,
        cache_path: Path | None = None,
    ) -> None:
        self._agent, self._service, self._cache_path = agent, service, cache_path
        self._times = times or ConsulTimes()
        self._clock = clock or SystemClock()
        store = _ConsulStore(agent, service, probe, self._times)
        self._registrations = Registrations(store, self._clock, self._times.ttl_s / 3)
        self.context_keys = ContextKeys(ConsulKeys(agent), self._clock)
        claims = ConsulClaims(agent, self._clock, lease_s=self._times.lease_s, wait_s=self._times.wait_s)
        self.coordinator = LeasedCoordinator(claims, self._clock, self._times.lease_s)
        self._feed = Feed()
        self._reach = Reach("watch", agent=agent.address)
        self._absent = _Absent(self._times.hold_s)
        self._skipped: set[str] = set()
        self._index = 0
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        watch = f"{self._feed!r}, agent {self._reach!r}" if self._task else "not watching"
        return f"<ConsulRegistry {self._service} at {self._agent.address}: {watch} | {len(self._registrations)} own>"

    async def register(self, instance: Instance) -> Registration:
        return await self._registrations.add(instance)

    async def service(self, name: str) -> Sequence[ServiceAddress]:
        if not is_service_name(name):  # it becomes part of a path
            return ()
        _, rows = await self._agent.call(lambda api: api.health.service(name, tag=TAG, passing=True))
        if not isinstance(rows, list):
            raise _fault_of(self._agent, TypeError(f"{rows!r:.200}"))
        return _services_of(name, rows)

    def watch(self) -> AsyncIterator[View]:
        if self._task is None and not self._feed.closed:
            self._start_from_cache()
            self._task = in_background(self._follow(), "consul watch")
        return self._feed.follow()

    async def close(self) -> None:
        if self._task:
            await stopped(self._task)
        self._feed.close()
        await self.coordinator.close()
        await self._registrations.close()
        self._agent.close()

    def _start_from_cache(self) -> None:
        view = view_cache.load(self._cache_path) if self._cache_path else None
        if view is not None:
            log.info("registry view read from cache until Consul answers", instances=len(view))
            self._feed.publish(view)

    async def _follow(self) -> None:
        comes_back = True  # what the cache holds deserves the same doubt as an agent that was away
        while True:
            try:
                index, listed = await self._query()
            except Exception as found:  # noqa: BLE001 - whatever an agent answers must not end the watch
                error = found if isinstance(found, CloudspanError) else _fault_of(self._agent, found)
                comes_back, self._index = True, 0
                pause = self._reach.lost(error)
                if self._feed.view is None:
                    self._feed.publish(())
                await self._clock.sleep(pause)
                continue
            self._reach.found()
            # An index that goes backwards is another life of the servers: start over, as Consul's documentation asks.
            went_back = index < self._index
            self._index = 0 if went_back else index
            changed = self._publish(listed, doubted=comes_back or went_back)
            comes_back = False
            if not changed:
                await self._clock.sleep(_IDLE_PAUSE_S)

    async def _query(self) -> tuple[int, View]:
        """Return at once after a failure, else when something changes or `wait_s` is over."""
        hold = self._absent.ends_in(self._clock.monotonic())
        wait_s = self._times.wait_s if hold is None else min(self._times.wait_s, max(hold, 0.001))
        index = self._index
        if index == 0:
            wait_s = 0.0
        index_text, rows = await self._agent.query(
            lambda api: api.health.service(self._service, index=index or None, wait=f"{wait_s * 1000:.0f}ms"), wait_s
        )
        if not isinstance(rows, list):
            raise PlatformFault(
                f"Consul agent {self._agent.address} has no health API; is it the address of Consul?",
                reason="REGISTRY_FAULT",
            )
        # Consul's documentation asks for it: with 0 a query would not block, and the watch poll without pause.
        return max(int(index_text), 1), self._view(rows)

    def _view(self, rows: list[Any]) -> View:
        instances: dict[str, Instance] = {}
        for row in rows:
            try:
                instance = _instance_of(row)
            except (KeyError, ValueError, TypeError, AttributeError, InvalidRequest) as error:
                self._skip(_id_of(row), error)
                continue
            known = instances.get(instance.instance_id)
            if known is None or known.suspect:  # two agents may both have it after a move: the living one counts
                instances[instance.instance_id] = instance
        return view_of(instances.values())

    def _skip(self, service_id: str, error: Exception) -> None:
        if service_id not in self._skipped:
            if len(self._skipped) >= _MAX_SKIPPED:
                self._skipped.clear()
            self._skipped.add(service_id)
            log.warning(
                "entry in Consul is not an adapter, skipped", service=self._service, id=service_id, why=repr(error)
            )

    def _publish(self, listed: View, *, doubted: bool) -> bool:
        before = (self._feed.view or ()) if doubted else ()
        view = self._absent.merged(listed, before, self._clock.monotonic())
        changed = self._feed.publish(view)
        if changed and self._cache_path:
            view_cache.save(self._cache_path, view)
        return changed


class _Absent:
    """Instances missing from the first answer after an outage.

    An agent that lost its memory knows nobody until they register again, a heartbeat later. Until then they stay, as
    suspects: a gateway that dropped its table at that moment would fail every call.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._held: dict[str, tuple[Instance, float]] = {}

    def merged(self, listed: View, before: View, now: float) -> View:
        """Return `listed` and those of `before` that it lacks, each for `hold_s` at most."""
        for instance in before:
            self._held.setdefault(instance.instance_id, (replace(instance, suspect=True), now + self._hold_s))
        ids, addresses = {one.instance_id for one in listed}, {one.address for one in listed}
        self._held = {
            key: (one, until)
            for key, (one, until) in self._held.items()
            if until > now and key not in ids and one.address not in addresses
        }
        return view_of([*listed, *(one for one, _ in self._held.values())])

    def ends_in(self, now: float) -> float | None:
        """Return the seconds until the next one is let go, or None when none is held."""
        return min((until - now for _, until in self._held.values()), default=None)


class _ConsulStore:
    """Entries as services of the local agent."""

    def __init__(self, agent: Agent, service: str, probe: str, times: ConsulTimes) -> None:
        self._agent, self._service, self._probe, self._times = agent, service, probe, times

    async def put(self, instance: Instance, *, anew: bool) -> None:
        # Registering without checks leaves those that are there as they are: no flapping for a change of Meta.
        await self._agent.call(lambda api: self._enter(api, instance, with_checks=anew))

    async def refresh(self, instance: Instance) -> bool:
        try:
            # 404 in newer agents is False here; 1.8 says 500, distinguished from a real fault by registering again.
            return bool(await self._agent.call(lambda api: api.agent.check.ttl_pass(_ttl_id(instance))))
        except PlatformFault:
            return False

    async def remove(self, instance_id: str) -> None:
        await self._agent.call(lambda api: api.agent.service.deregister(instance_id))

    def _enter(self, api: Any, instance: Instance, *, with_checks: bool) -> None:
        host, _, port = instance.address.rpartition(":")
        api.agent.service.register(
            self._service,
            service_id=instance.instance_id,
            address=host.strip("[]"),
            port=int(port),
            meta=_meta_of(instance),
            check=self._ttl_check(instance) if with_checks else None,
        )
        # The libraries agree on one check per service registration; the second is attached by its own call.
        if with_checks and self._probe != "none":
            check = self._grpc_check(instance)
            name = "gRPC health"
            api.agent.check.register(
                name, check=check, check_id=f"{instance.instance_id}:grpc", service_id=instance.instance_id
            )

    def _ttl_check(self, instance: Instance) -> dict[str, Any]:
        return {
            "CheckID": _ttl_id(instance),
            "Name": "heartbeat",
            "TTL": f"{self._times.ttl_s * 1000:.0f}ms",
            "Status": _PASSING,
            # Only here: a probe that can't reach a living instance must not remove it.
            "DeregisterCriticalServiceAfter": f"{self._times.forget_s}s",
        }

    def _grpc_check(self, instance: Instance) -> dict[str, Any]:
        return {
            "GRPC": instance.address,
            "GRPCUseTLS": self._probe == "grpcs",
            "Interval": f"{self._times.probe_s * 1000:.0f}ms",
            "Timeout": f"{self._times.probe_s * 1000:.0f}ms",
            "Status": _PASSING,  # it serves before it registers; the first probe may take a whole interval
        }


def _ttl_id(instance: Instance) -> str:
    return f"{instance.instance_id}:ttl"


def _meta_of(instance: Instance) -> dict[str, str]:
    return {
        "platform": instance.platform,
        "contract_min": str(instance.contract[0]),
        "contract_max": str(instance.contract[1]),
        "build": instance.build,
        "draining": "true" if instance.draining else "false",
    }


def _fault_of(agent: Agent, error: Exception) -> PlatformFault:
    text = f"Consul agent {agent.address} answered something unexpected ({error!r}); the last known view stays in use"
    return PlatformFault(text, reason="REGISTRY_FAULT")


def _id_of(row: Any) -> str:
    """Return the id of a row for a log, whatever the row is."""
    service = row.get("Service") if isinstance(row, dict) else None
    return str(service.get("ID"))[:200] if isinstance(service, dict) else f"{row!r:.200}"


def _services_of(name: str, rows: list[Any]) -> list[ServiceAddress]:
    found = []
    for row in rows:
        try:
            service = row["Service"]
            if service["Service"] == name and TAG in service["Tags"]:
                found.append(ServiceAddress(_address_of(row), name))
        except (KeyError, ValueError, TypeError, AttributeError, InvalidRequest) as error:
            log.warning("entry in Consul is not a service, skipped", service=name, id=_id_of(row), why=repr(error))
    return found


def _address_of(row: dict[str, Any]) -> str:
    service = row["Service"]
    host = service["Address"] or row["Node"]["Address"]
    return f"[{host}]:{service['Port']}" if ":" in host else f"{host}:{service['Port']}"


def _instance_of(row: dict[str, Any]) -> Instance:
    service = row["Service"]
    meta = service["Meta"] or {}
    return Instance(
        instance_id=service["ID"],
        platform=meta["platform"],
        address=_address_of(row),
        contract=(int(meta["contract_min"]), int(meta["contract_max"])),
        build=meta.get("build", ""),
        draining=meta.get("draining") == "true",
        suspect=any(check["Status"] == _CRITICAL for check in row["Checks"]),
    )
