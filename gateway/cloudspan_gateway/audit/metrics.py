"""What Prometheus sees of the audit: what was appended, left out, and could not be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from cloudspan_gateway.audit.event import Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.registry import CollectorRegistry

    from cloudspan_gateway.audit.chain import Link


class AuditMetrics:
    """Counted by the chain's subscriber, the audit stage and the audit log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "cloudspan_gateway_audit_events", "Events appended to the audit, by type.", ["type"], registry=registry
        )
        self._length = Gauge(
            "cloudspan_gateway_audit_length",
            "Sequence of the newest audit event that this gateway has appended.",
            registry=registry,
        )
        self.failures = Counter(
            "cloudspan_gateway_audit_failures",
            "Events that could not be written: to the database, or to the file of --audit-log.",
            ["where"],
            registry=registry,
        )
        self.left_out = Counter(
            "cloudspan_gateway_audit_left_out",
            "Failures that were not recorded, since their source had too many at once.",
            registry=registry,
        )

    def appended(self, links: Sequence[Link]) -> None:
        """Count what was appended."""
        for link in links:
            self._events.labels(Type.Name(link.type).removeprefix("TYPE_")).inc()
        self._length.set(links[-1].sequence)
