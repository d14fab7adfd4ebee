"""What Prometheus sees of the inventory: how old what is kept is, how much, and what sweeps cost.

Of the clusters that this gateway sweeps: each cluster is one gateway's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.names import parse_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from cloudspan_gateway.inventory.model import CollectionState
    from cloudspan_gateway.inventory.sync.sweep import Swept

_LABELS = ("platform", "cluster", "collection")
_OF_STATES = (*_LABELS, "project")
"""Of what there is one of for each listing; timers and counters would be thousands with many projects."""
_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)


class SyncMetrics:
    """Counters and timers of one gateway's sweeps."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Clock | None = None) -> None:
        self._states: dict[tuple[str, str, str], CollectionState] = {}
        self._clock = clock or SystemClock()
        registry = registry or CollectorRegistry()
        prefix = "cloudspan_gateway_inventory"
        self._seconds = Histogram(
            f"{prefix}_sweep_seconds", "Sweeps, to their end.", _LABELS, registry=registry, buckets=_BUCKETS_S
        )
        self._sweeps = Counter(
            f"{prefix}_sweeps", "Sweeps ended, by how complete.", (*_LABELS, "completeness"), registry=registry
        )
        self._pages = Counter(f"{prefix}_pages", "Pages read.", (*_LABELS, "unchanged"), registry=registry)
        self._changes = Counter(f"{prefix}_changes", "Rows written.", (*_LABELS, "what"), registry=registry)
        registry.register(_States(self))

    def swept(self, swept: Swept, state: CollectionState) -> None:
        """Count a sweep."""
        self._states[state.cluster, state.collection, state.project] = state
        where = _labels(state)
        self._seconds.labels(*where).observe(state.took_s)
        self._sweeps.labels(*where, str(state.completeness)).inc()
        self._pages.labels(*where, "yes").inc(swept.unchanged_pages)
        self._pages.labels(*where, "no").inc(swept.pages - swept.unchanged_pages)
        self._count(swept)

    def looked(self, swept: Swept) -> None:
        """Count a look for changes."""
        self._count(swept)

    def _count(self, swept: Swept) -> None:
        where = _labels(swept.state)
        for what in ("added", "updated", "removed"):
            count = getattr(swept.written, what)
            if count:
                self._changes.labels(*where, what).inc(count)

    def owned(self, state: CollectionState) -> None:
        """Show what is known of a collection that this gateway sweeps from now on."""
        self._states[state.cluster, state.collection, state.project] = state

    def released(self, cluster: str) -> None:
        """Show nothing of a cluster that another gateway sweeps now, or nobody."""
        for key in [key for key in self._states if key[0] == cluster]:
            del self._states[key]

    def states(self) -> Iterator[tuple[CollectionState, float | None]]:
        """Yield what is known, and how old it is in seconds: None where nothing was ever complete."""
        now = self._clock.now()
        for state in tuple(self._states.values()):
            observed = state.observe_time
            yield state, None if observed is None else max(now - observed, 0.0)


class _States(Collector):
    """Reads the states when scraped, from the metrics server's own thread: a state never changes."""

    def __init__(self, metrics: SyncMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        prefix = "cloudspan_gateway_inventory"
        lag = GaugeMetricFamily(
            f"{prefix}_lag_seconds", "Age of what is kept: since the last complete sweep began.", labels=_OF_STATES
        )
        rows = GaugeMetricFamily(f"{prefix}_rows", "Resources kept.", labels=_OF_STATES)
        brake = GaugeMetricFamily(
            f"{prefix}_brake_missing", "Resources that a brake keeps from being taken for deleted.", labels=_OF_STATES
        )
        for state, age_s in self._metrics.states():
            where = (*_labels(state), state.project.rpartition("/")[2])
            rows.add_metric(where, state.row_count)
            brake.add_metric(where, state.brake.missing if state.brake is not None else 0)
            if age_s is not None:
                lag.add_metric(where, age_s)
        yield from (lag, rows, brake)


def _labels(state: CollectionState) -> tuple[str, str, str]:
    ref = parse_cluster(state.cluster)
    return ref.platform, ref.cluster, state.collection
