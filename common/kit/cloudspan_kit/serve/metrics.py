"""What Prometheus sees of the calls that an adapter answers: by method, cluster and how they ended.

The servicer counts here; calls to the cloud itself are `cloudspan_common.telemetry.NativeCallMetrics`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

if TYPE_CHECKING:
    import grpc

    from cloudspan_common.names import ClusterRef

# From an answer out of memory to a cloud that takes as long as most deadlines.
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Set where a request's cluster is looked up, read where its call ends: the same task, many functions apart.
_cluster: ContextVar[ClusterRef | None] = ContextVar("cluster_of_the_call", default=None)


def concerns(ref: ClusterRef) -> None:
    """Note which cluster, one that exists, the call of this task is about."""
    _cluster.set(ref)


class CallMetrics:
    """Counts calls; the cluster is empty where a call is about none, or about one that there isn't."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        labels = ("method", "platform", "cluster", "code")
        self._calls = Counter("cloudspan_adapter_calls", "Calls ended.", labels, registry=registry)
        self._seconds = Histogram(
            "cloudspan_adapter_call_seconds",
            "Calls by the time that they took.",
            labels[:3],
            registry=registry,
            buckets=_BUCKETS_S,
        )
        # labels() costs 3 us and this dict 0.1 us, on each call.
        self._children: dict[tuple[str, ClusterRef | None, grpc.StatusCode], tuple[Counter, Histogram]] = {}

    def ended(self, method: str, code: grpc.StatusCode, took_s: float) -> None:
        """Count a call of `method`, its full name."""
        ref = _cluster.get()
        key = (method, ref, code)
        children = self._children.get(key)
        if children is None:
            where = (ref.platform, ref.cluster) if ref else ("", "")
            calls = self._calls.labels(method, *where, code.name)
            children = self._children[key] = calls, self._seconds.labels(method, *where)
        calls, seconds = children
        calls.inc()
        seconds.observe(took_s)
