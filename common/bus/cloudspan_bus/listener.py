"""Takes messages from the queues of a topic, and settles them on its own thread, since kombu is not thread-safe."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from cloudspan_bus.delivery import Delivery, GoneReplyQueues, Poison, opened
from cloudspan_bus.oslo import amqp, amqpdriver, base, driver_common
from cloudspan_bus.queues import Consumer, Topic
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from cloudspan_bus.metrics import BusMetrics

log = get_logger(__name__)

_BUSY_S, _IDLE_S = 0.01, 0.25
"""How long the thread waits for a message before it looks whether one is to be acknowledged, or it is to stop."""
_SILENT_S = 4.0
_FLUSH_S = 5.0


class _Operations(amqpdriver.MessageOperationsHandler):  # type: ignore[misc] # oslo.messaging has no types
    """What waits for the listener's thread, and when that last came by."""

    def __init__(self) -> None:
        super().__init__("AMQPListener")
        self.came_by = time.monotonic()

    def process(self) -> None:
        self.came_by = time.monotonic()
        super().process()


class Listener(amqpdriver.AMQPListener):  # type: ignore[misc] # oslo.messaging has no types
    """oslo.messaging's listener with acknowledgements that wait for the work, as its listener of notifications has."""

    message_cls = Delivery

    def __init__(self, driver: Any, conn: Any, max_bytes: int, metrics: BusMetrics) -> None:
        self._wait_s = _IDLE_S
        self._max_bytes, self._metrics = max_bytes, metrics
        self._unsettled = 0
        self._cancelled = threading.Event()
        super().__init__(driver, conn)
        self._message_operations_handler = _Operations()
        self._obsolete_reply_queues = GoneReplyQueues()

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, and its thread goes round."""
        goes_round = time.monotonic() - self._message_operations_handler.came_by < _SILENT_S
        return goes_round and bool(getattr(self._kombu, "connected", False))

    @property
    def _kombu(self) -> Any:
        """The connection below oslo.messaging's, below what that hands out; None once closed."""
        return getattr(self.conn.connection, "connection", None)

    @property
    def _current_timeout(self) -> float:
        """oslo.messaging's waits grow to 5 s, and an acknowledgement waits as long."""
        return min(self._wait_s, _BUSY_S if self._unsettled else _IDLE_S)

    @_current_timeout.setter
    def _current_timeout(self, seconds: float) -> None:
        self._wait_s = max(seconds, _BUSY_S)

    def settled(self) -> None:
        """One message less is worked on; called on the thread of the listener."""
        self._unsettled -= 1

    def receive(self, raw: Any, consumer: Consumer) -> None:
        """Take one message from the broker, on the listener's thread."""
        try:
            message = opened(raw, self._max_bytes, consumer.refusal)
            context = amqp.unpack_context(message)
            delivery = self._delivery(
                context.to_dict(), message, message.pop(amqp.UNIQUE_ID, None), context.msg_id, context.reply_q,
                context.client_timeout,
            )  # fmt: skip
        except Poison as error:
            delivery = self._delivery({}, {})
            delivery.poison = error
        except Exception as error:  # noqa: BLE001 - callers' words must not end the thread
            log.warning("a message can't be read", reason=type(error).__name__)
            delivery = self._delivery({}, {})
            delivery.poison = Poison("NOT_A_REQUEST", f"the message can't be read: {type(error).__name__}")
        self._unsettled += 1
        if delivery.from_queue(raw, consumer).redelivered:
            self._metrics.redelivered.inc()
        self.incoming.append(delivery)

    def _delivery(self, context: dict[str, Any], message: dict[str, Any], *more: Any) -> Delivery:
        unique_id, msg_id, reply_q, timeout = more or (None, None, None, None)
        return Delivery(
            self, context, message, unique_id, msg_id, reply_q, timeout, self._obsolete_reply_queues,
            self._message_operations_handler,
        )  # fmt: skip

    def stop(self) -> None:
        """Take nothing new; what was taken goes on."""
        self._message_operations_handler.do(self._cancel)
        self._cancelled.wait(_FLUSH_S)
        super().stop()

    def _cancel(self) -> None:
        try:
            for consumer, tag in self.conn._consumers.items():  # noqa: SLF001 - its connection knows no other way
                consumer.cancel(tag)
        except Exception as error:  # noqa: BLE001 - a broker that is away hands out nothing either
            log.info("the broker could not be told that this process stops", reason=repr(error))
        finally:
            self._cancelled.set()

    def cleanup(self) -> None:
        """Settle what is left, and close the connection."""
        flushed = threading.Event()
        self._message_operations_handler.do(flushed.set)
        flushed.wait(_FLUSH_S)
        super().cleanup()


def listen(transport: Any, topic: Topic, host: str, max_bytes: int, metrics: BusMetrics) -> tuple[Listener, Any]:
    """Return the listener of a topic's queues, and what oslo.messaging's server drives it with.

    Waits until the broker is there.
    """
    driver = transport._driver  # noqa: SLF001 - the transport has no public way to another listener
    listener = Listener(driver, driver._get_connection(driver_common.PURPOSE_LISTEN), max_bytes, metrics)  # noqa: SLF001
    for queue in (topic.name, topic.of_host(host), topic.fanout, topic.expired):
        listener.conn.declare_consumer(Consumer(topic, queue, listener.receive))
    return listener, base.PollStyleListenerAdapter(listener, 1, None)
