"""What Prometheus sees of the gateway: calls by method, cluster and code, their time, and the state of the table.

The stages count through `GatewayMetrics`; what the table and the forwarder know already is read when scraped.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from cloudspan_common import contract, telemetry
from cloudspan_common.names import WILDCARD
from cloudspan_gateway.audit.metrics import AuditMetrics
from cloudspan_gateway.operations.metrics import OperationMetrics
from cloudspan_gateway.operations.model import Phase
from cloudspan_gateway.routing.snapshot import state_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from cloudspan_common.errors import Code
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.limits import Counters
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.runner import Runner
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.table import Table

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
# Each label is a series for ever: names that callers invent are not among them.
_OTHER = "other"
_UNKNOWN = "unknown"
_EVERY = "*"
_BY_CLUSTER = ("platform", "cluster")


class GatewayMetrics:
    """The gateway's own counters, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or telemetry.new_registry()
        telemetry.add_build_info(self.registry, "cloudspan-gateway")
        self.in_flight = 0
        self.defects = Counter(
            "cloudspan_gateway_defects", "Calls that failed by a fault of the gateway.", registry=self.registry
        )
        self.restarts = telemetry.new_restarts(self.registry)
        """By part: server, table, runner."""
        self.operations = OperationMetrics(self.registry)
        self.audit = AuditMetrics(self.registry)
        self._table: Table | None = None
        self._calls = self._counter("calls", "Calls ended.", "method", *_BY_CLUSTER, "code")
        self._parts = self._counter(
            "list_parts", "Parts of lists over many clusters, by cluster.", "method", *_BY_CLUSTER, "code"
        )
        self._seconds = self._histogram("call_seconds", "Calls by the time that they took.", "method")
        self._waits = self._histogram(
            "call_wait_seconds",
            "Calls by the time that they were kept waiting as their callers asked.",
            "method",
            buckets=_WAIT_BUCKETS_S,
        )
        self._cluster_seconds = self._histogram(
            "cluster_seconds", "Calls and parts of lists that an adapter answered, by the time they took.", *_BY_CLUSTER
        )
        # labels() costs 3 us and this dict 0.1 us, on each call.
        self._children: dict[tuple[object, ...], Counter] = {}
        self._timers: dict[str, Histogram] = {}
        self._cluster_timers: dict[ClusterRef, Histogram] = {}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"cloudspan_gateway_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = _BUCKETS_S) -> Histogram:
        return Histogram(f"cloudspan_gateway_{name}", text, labels, registry=self.registry, buckets=buckets)

    def watch(self, table: Table, forwarder: Forwarder) -> None:
        """Show the state of the table and the forwarder too; the table tells known clusters from invented ones."""
        self._table = table
        self.registry.register(_Seen(self, table, forwarder))

    def watch_operations(self, runner: Runner) -> None:
        """Show the operations that are driven too."""
        self.registry.register(_Operations(runner))

    def watch_tenants(self, counters: Counters, runner: Runner) -> None:
        """Show what tenants and pools use too; they are rows, so their series are as few."""
        self.registry.register(_Tenants(counters, runner))

    def ended(self, call: Call, took_s: float) -> None:
        """Count a call by its cluster: empty where it is about none, `*` for all, `unknown` where there is none such.

        The time that it was kept waiting as its caller asked is not the gateway's, and counted apart.
        """
        ref = call.target.ref
        key = (call.path, ref, call.code)
        child = self._children.get(key) or self._child(key, call.path, ref, call.code)
        child.inc()
        timer = self._timers.get(call.path)
        if timer is None:
            timer = self._seconds.labels(_label(call.path))
            if _label(call.path) != _OTHER:
                self._timers[call.path] = timer
        timer.observe(took_s - call.waited_s)
        if call.waited_s:
            self._waits.labels(_label(call.path)).observe(call.waited_s)
        if call.tries and ref is not None and ref.cluster:
            self._cluster_took(ref, took_s)

    def _child(self, key: tuple[object, ...], path: str, ref: ClusterRef | None, code: Code) -> Counter:
        where = self._labels_of(ref)
        child = self._calls.labels(_label(path), *where, code.name)
        if _label(path) != _OTHER and _UNKNOWN not in where:
            self._children[key] = child
        return child

    def part_ended(self, method: str, ref: ClusterRef, code: Code, took_s: float) -> None:
        """Count what one cluster answered to a list over many."""
        key = (method, ref, code)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._parts.labels(method, *self._labels_of(ref), code.name)
        child.inc()
        self._cluster_took(ref, took_s)

    def _cluster_took(self, ref: ClusterRef, took_s: float) -> None:
        timer = self._cluster_timers.get(ref)
        if timer is None:
            where = self._labels_of(ref)
            timer = self._cluster_seconds.labels(*where)
            if _UNKNOWN not in where:
                self._cluster_timers[ref] = timer
        timer.observe(took_s)

    def _labels_of(self, ref: ClusterRef | None) -> tuple[str, str]:
        """Return platform and cluster as labels."""
        if ref is None:
            return "", ""
        platforms = self._table.snapshot.platforms if self._table else {}
        if ref.platform == WILDCARD:
            known = any(ref.cluster in platform.clusters for platform in platforms.values())
            return _EVERY, _named(ref.cluster, known=known)
        if ref.platform not in platforms:
            return _UNKNOWN, _UNKNOWN
        return ref.platform, _named(ref.cluster, known=ref.cluster in platforms[ref.platform].clusters)


def _named(cluster: str, *, known: bool) -> str:
    if cluster == WILDCARD:
        return _EVERY
    return cluster if known or not cluster else _UNKNOWN


def _label(path: str) -> str:
    full_name = path[1:]
    known = full_name in contract.methods() or full_name.startswith("google.longrunning.Operations/")
    return full_name if known else _OTHER


class _Seen(Collector):
    """Reads the table when scraped, from the metrics server's own thread: snapshots never change."""

    def __init__(self, metrics: GatewayMetrics, table: Table, forwarder: Forwarder) -> None:
        self._metrics, self._table, self._forwarder = metrics, table, forwarder

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("cloudspan_gateway_in_flight", "Calls being answered.", value=self._metrics.in_flight)
        yield CounterMetricFamily(
            "cloudspan_gateway_retries", "Reads sent to another instance.", value=self._forwarder.retries
        )
        yield CounterMetricFamily(
            "cloudspan_gateway_other_projects_resources",
            "Resources that adapters showed to callers of another project; they were left out.",
            value=self._forwarder.projects.dropped,
        )
        yield CounterMetricFamily(
            "cloudspan_gateway_ejections", "Instances taken out by a lost call.", value=self._table.ejections
        )
        yield from self._instances()

    def _instances(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "cloudspan_gateway_instances", "Adapter instances by state.", labels=("platform", "state")
        )
        busy = GaugeMetricFamily(
            "cloudspan_gateway_instance_in_flight", "Calls on an instance.", labels=("platform", "instance")
        )
        for platform in self._table.snapshot.platforms.values():
            for state, count in Tally(state_name(seen.state) for seen in platform.instances).items():
                states.add_metric((platform.tag, state), count)
            for seen in platform.instances:
                under_way = self._table.channels.in_flight(seen.endpoint)
                busy.add_metric((platform.tag, seen.endpoint.instance_id), under_way)
        yield states
        yield busy


class _Tenants(Collector):
    """Reads the counters when scraped, from the metrics server's own thread."""

    def __init__(self, counters: Counters, runner: Runner) -> None:
        self._counters, self._runner = counters, runner

    def collect(self) -> Iterator[Metric]:
        labels = ("tenant", "pool")
        calls = GaugeMetricFamily(
            "cloudspan_gateway_tenant_in_flight", "Calls being answered, by tenant.", labels=labels
        )
        streams = GaugeMetricFamily("cloudspan_gateway_tenant_streams", "Streams among them.", labels=labels)
        held = GaugeMetricFamily("cloudspan_gateway_tenant_request_bytes", "Bytes of their requests.", labels=labels)
        for usage in self._counters.all():
            where = _tenant_and_pool(usage.name)
            calls.add_metric(where, usage.calls)
            streams.add_metric(where, usage.streams)
            held.add_metric(where, usage.request_bytes)
        yield from (calls, streams, held)
        running = GaugeMetricFamily(
            "cloudspan_gateway_tenant_operations", "Operations under way, by tenant.", labels=("tenant",)
        )
        for tenant, count in Tally(row.intent.tenant for row in self._runner.running).items():
            running.add_metric((tenant,), count)
        yield running
        refused = CounterMetricFamily(
            "cloudspan_gateway_tenant_refused", "Calls refused by a limit, by tenant.", labels=(*labels, "limit")
        )
        for (name, limit), count in tuple(self._counters.refusals.items()):
            refused.add_metric((*_tenant_and_pool(name), str(limit)), count)
        yield refused


def _tenant_and_pool(name: str) -> tuple[str, str]:
    """Return the ids in `tenants/acme/pools/prod`; the pool is empty where the name is the tenant's."""
    _, tenant, *rest = name.split("/")
    return tenant, rest[-1] if rest else ""


class _Operations(Collector):
    """Counts the operations under way when scraped: each row is read once and never changes."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def collect(self) -> Iterator[Metric]:
        rows = self._runner.running
        running = GaugeMetricFamily(
            "cloudspan_gateway_operations", "Operations under way.", labels=("platform", "cluster", "phase")
        )
        for (ref, phase), count in Tally((row.intent.cluster, row.progress.phase) for row in rows).items():
            running.add_metric((ref.platform, ref.cluster, Phase.Name(phase).removeprefix("PHASE_")), count)
        yield running
        oldest = max((time.time() - row.create_time for row in rows), default=0.0)
        yield GaugeMetricFamily(
            "cloudspan_gateway_oldest_operation_seconds", "Age of the oldest operation under way.", value=oldest
        )
