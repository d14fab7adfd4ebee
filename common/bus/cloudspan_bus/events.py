"""Publishes what happens on a topic exchange, as CloudEvents JSON: one process of the topic does, in its order.

Read from the gateway as a named consumer, whose place moves once the broker has confirmed: each event at least once.
The gateway lets one stream at a time read as a consumer, so another process takes over when this one ends.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from cloudspan.client import CloudspanError
from cloudspan.v1 import event_pb2
from cloudspan_bus.gateway import own_client
from cloudspan_bus.oslo import MessageDeliveryFailure, kombu, publish_confirmed
from cloudspan_common.cloud_events import CONTENT_TYPE, cloud_event
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from cloudspan_bus.config import BusConfig
    from cloudspan_bus.metrics import BusMetrics
    from cloudspan_bus.oslo import oslo_messaging

log = get_logger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0  # 0.1, 0.2, ... 5 s
_IN_USE_S = 2.0
_REFUSED_S = 30.0
_REFUSED = frozenset({"UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED"})
_ROUTING_KEY_BYTES = 255  # AMQP 0-9-1, short strings


class EventPublisher:
    """One thread between the gateway's stream of events and the broker."""

    def __init__(self, config: BusConfig, transport: oslo_messaging.RPCTransport, metrics: BusMetrics) -> None:
        """Connect lazily. Raises as `Gateway`."""
        self._config = config
        self._driver = transport._driver  # noqa: SLF001 - the transport has no public way to a connection
        self._metrics = metrics
        self._client = own_client(config)
        self._exchange = kombu.Exchange(config.events_exchange, type="topic", durable=True)
        self._stopping = threading.Event()
        self._at_work = threading.Lock()
        self._has_lost = False
        self._thread = threading.Thread(target=self._run, name="bus-events", daemon=True)

    def __repr__(self) -> str:
        return f"<EventPublisher to {self._config.events_exchange} as {self._config.consumer}>"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End it: what is being published is confirmed and acknowledged first, within the limit."""
        self._stopping.set()
        if self._at_work.acquire(timeout=limit_s):
            self._at_work.release()
        else:
            log.warning("bus ends with events unconfirmed: they are published again")
        self._client.close()
        if self._thread.ident is not None:
            self._thread.join(timeout=limit_s)

    # -------------------------------------------------------------- on its thread

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began, wait_s = time.monotonic(), 0.0
            try:
                self._publish_all()
            except CloudspanError as error:
                wait_s = self._wait_after(error, pause_s)
            except MessageDeliveryFailure as error:
                log.warning("an event can't be published, it is tried again", reason=str(error)[:200])
            except Exception:  # whatever a broker or a connection can raise: calls go on, and this is tried again
                log.exception("events can't be published, it is tried again", pause_s=pause_s)
            finally:
                self._metrics.publishing.set(0)
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _LONGEST_PAUSE_S else pause_s
            self._stopping.wait(max(wait_s, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _wait_after(self, error: CloudspanError, pause_s: float) -> float:
        """Return for how long to wait; what an operator must see is logged."""
        if self._stopping.is_set():
            return 0.0
        if error.reason == "CONSUMER_IN_USE":
            return _IN_USE_S
        if error.reason == "EVENTS_LOST":
            log.error("events are lost: they were not read for longer than the gateway keeps them", reason=error.reason)
            self._metrics.events_lost.inc()
            self._has_lost = True
            return 0.0
        log.warning("events can't be read", code=error.code.name, reason=error.reason, message=error.message)
        return _REFUSED_S if error.code.name in _REFUSED else pause_s

    def _publish_all(self) -> None:
        request = event_pb2.WatchEventsRequest(consumer=self._config.consumer, from_oldest=self._has_lost)
        for message in self._client.events.WatchEvents(request):
            with self._at_work:
                if self._stopping.is_set():
                    return
                self._metrics.publishing.set(1)
                for event in message.events:
                    self._publish(event)
                self._acknowledge(message)
                self._has_lost = False

    def _acknowledge(self, message: event_pb2.WatchEventsResponse) -> None:
        request = event_pb2.AcknowledgeEventsRequest(name=message.consumer, resume_token=message.resume_token)
        self._client.events.AcknowledgeEvents(request)

    def _publish(self, event: event_pb2.Event) -> None:
        """Return once the broker has confirmed. Raises MessageDeliveryFailure when it has not after some tries."""
        publish_confirmed(
            self._driver,
            cloud_event(event),
            exchange=self._exchange,
            declare=[self._exchange],
            routing_key=event.type[:_ROUTING_KEY_BYTES],
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            message_id=event.id,
            type=event.type[:_ROUTING_KEY_BYTES],
            timestamp=event.time.seconds,
        )
        self._metrics.events.labels(event.type.partition(".")[0]).inc()
        self._metrics.events_lag.set(max(time.time() - event.time.ToNanoseconds() / 1e9, 0.0))
