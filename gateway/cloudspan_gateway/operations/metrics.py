"""What Prometheus sees of operations: how they ended and why, and what they waited for apart from what they took.

The runner and its executions count here. Clusters are those of accepted operations, so their series are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.rpc import code_pb2, status_pb2
from prometheus_client import CollectorRegistry, Counter, Histogram

from cloudspan.v1.error_reason_pb2 import ErrorReason
from cloudspan_common import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.operations.model import Row

_BY_CLUSTER = ("platform", "cluster")
# A step takes a call or two to a cloud; operations take seconds to hours.
_STEP_BUCKETS_S = (0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_OPERATION_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_WAIT_BUCKETS_S = (0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
_OTHER = "other"


class OperationMetrics:
    """Counters and timers of one runner."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._ended = Counter(
            "cloudspan_gateway_operations_ended",
            "Operations ended, by how and why.",
            ("method", *_BY_CLUSTER, "outcome", "reason"),
            registry=self._registry,
        )
        self._took = self._histogram("operation", "Operations, to their end.", _OPERATION_BUCKETS_S, ("method",))
        self._queued = self._histogram("operation_queue", "Operations, until their first step.", _WAIT_BUCKETS_S)
        self._slots = self._histogram("slot_wait", "Steps, waiting for a slot of their cluster.", _WAIT_BUCKETS_S)
        self._steps = self._histogram("step", "Steps, as long as their adapter took.", _STEP_BUCKETS_S)
        # labels() costs 3 us and this dict 0.1 us, on each step.
        self._of_steps: dict[ClusterRef, tuple[Histogram, Histogram]] = {}

    def _histogram(
        self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = _BY_CLUSTER
    ) -> Histogram:
        full_name = f"cloudspan_gateway_{name}_seconds"
        return Histogram(full_name, text, labels, registry=self._registry, buckets=buckets)

    def first_step(self, ref: ClusterRef, queued_s: float) -> None:
        """Count an operation whose first step is sent."""
        self._queued.labels(ref.platform, ref.cluster).observe(max(queued_s, 0.0))

    def step(self, ref: ClusterRef, waited_s: float, took_s: float) -> None:
        """Count a step that an adapter was asked to take."""
        timers = self._of_steps.get(ref)
        if timers is None:
            where = (ref.platform, ref.cluster)
            timers = self._of_steps[ref] = self._slots.labels(*where), self._steps.labels(*where)
        slot, step = timers
        slot.observe(waited_s)
        step.observe(max(took_s, 0.0))

    def ended(self, row: Row) -> None:
        """Count an operation that has ended."""
        ref = row.intent.cluster
        outcome, reason = _outcome(row)
        self._ended.labels(row.intent.method, ref.platform, ref.cluster, outcome, reason).inc()
        if row.end_time is not None:
            self._took.labels(row.intent.method).observe(max(row.end_time - row.create_time, 0.0))


def _outcome(row: Row) -> tuple[str, str]:
    """Return how it ended, and why if it has failed; reasons of an adapter's own are one label together."""
    if not isinstance(row.outcome, status_pb2.Status):
        return "done", ""
    reason = errors.from_status(row.outcome).reason
    outcome = "cancelled" if row.outcome.code == code_pb2.CANCELLED else "failed"
    return outcome, reason if reason in ErrorReason.keys() else _OTHER  # noqa: SIM118 - it is no mapping
