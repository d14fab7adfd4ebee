"""What Prometheus sees of the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class BusMetrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "cloudspan_bus_messages",
            "Messages by kind (call, cast, other) and outcome: answered, refused, accepted, dead, requeued, no_caller.",
            ("kind", "outcome"),
            registry=registry,
        )
        self.seconds = Histogram(
            "cloudspan_bus_seconds",
            "Messages by the time from their receipt to their acknowledgement.",
            ("kind",),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self.redelivered = Counter(
            "cloudspan_bus_redelivered", "Messages that were delivered before.", registry=registry
        )
        self.dead = Counter("cloudspan_bus_dead", "Messages that became dead letters.", ("reason",), registry=registry)
        self.in_flight = Gauge("cloudspan_bus_in_flight", "Messages that are worked on.", registry=registry)
        self.connected = Gauge(
            "cloudspan_bus_connected", "Whether messages are taken from the broker.", registry=registry
        )
        self.gateway_retries = Counter(
            "cloudspan_bus_gateway_retries", "Calls of the gateway that were sent again.", registry=registry
        )
        self.events = Counter(
            "cloudspan_bus_events", "Events that the broker has confirmed.", ("kind",), registry=registry
        )
        self.events_lag = Gauge(
            "cloudspan_bus_events_lag_seconds", "How old the last event was once it was confirmed.", registry=registry
        )
        self.events_lost = Counter(
            "cloudspan_bus_events_lost", "How many times events were no longer kept when they were asked for.",
            registry=registry,
        )  # fmt: skip
        self.publishing = Gauge(
            "cloudspan_bus_events_publishing", "Whether this process publishes its topic's events.", registry=registry
        )
