"""The queues of a topic, and how messages are taken from them.

`TOPIC` and `TOPIC.HOST` are worked on; what comes to `TOPIC.fanout` and `TOPIC.expired` is refused, and ends in
`TOPIC.dead` as all dead letters do.

oslo.messaging declares queues that a broker forgets when it restarts, and acknowledges what it takes before it looks at
it. These are durable, and what was confirmed outlives the broker. They are classic queues: quorum queues would count
deliveries, but some of RabbitMQ 3.10 never answer a consumer after the broker was killed. The exchange is declared as
callers with oslo.messaging's defaults do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import amqp

from cloudspan_bus.oslo import impl_rabbit, kombu

if TYPE_CHECKING:
    from collections.abc import Callable

DELIVERIES = 20
"""How often a message is handed out before it counts as one that ends processes."""
ALWAYS_THERE = "amq.topic"
"""An exchange that each broker has, durable, and that no caller declares: our queues stay bound to it."""
RESERVED = ("dead", "fanout", "expired")
"""What no process can be called: its queue would be one of these."""
COMPRESSION = "compression"
"""The header by which kombu decompresses."""
_DEAD_LETTERS = 10_000
_UNUSED_MS = 7 * 86_400_000
_FANOUT_REFUSED = (
    "FANOUT_REFUSED",
    (
        "fanout is refused: a request to Cloudspan has one effect and one answer; send it without fanout, and with "
        "prepare(server=...) to one process of the bus"
    ),
)
_EXPIRED = ("EXPIRED", "the time of the call was over before a process took it: its caller waits no longer")


@dataclass(frozen=True, slots=True)
class Topic:
    """The names that belong to a topic."""

    name: str
    exchange: str

    @property
    def dead(self) -> str:
        """The queue of dead letters."""
        return f"{self.name}.dead"

    @property
    def fanout(self) -> str:
        """The queue for what was sent to all: one for all processes, so that it is refused once."""
        return f"{self.name}.fanout"

    @property
    def expired(self) -> str:
        """The queue for calls whose time was over: by the broker's own hands dead letters would keep their tokens."""
        return f"{self.name}.expired"

    @property
    def fanout_exchange(self) -> str:
        """What oslo.messaging sends a fanout to."""
        return f"{self.name}_fanout"

    def of_host(self, host: str) -> str:
        """The queue of one process, as oslo.messaging names it."""
        return f"{self.name}.{host}"


def declare_dead_letters(topic: Topic, channel: Any) -> None:
    """Declare the queue of dead letters, which holds the newest of them."""
    kombu.Queue(topic.dead, durable=True, queue_arguments={"x-max-length": _DEAD_LETTERS})(channel).declare()


class Consumer(impl_rabbit.Consumer):  # type: ignore[misc] # oslo.messaging has no types
    """One queue that a process takes messages from; oslo.messaging's connection keeps it over reconnects."""

    def __init__(self, topic: Topic, queue_name: str, receive: Callable[[Any, Consumer], None]) -> None:
        """Take what comes to a queue of a topic; `receive` gets each message as the broker sent it."""
        super().__init__(topic.exchange, queue_name, queue_name, "topic", True, False, False, receive)
        self.topic = topic
        self.round = 0
        """Counts up each time that the broker is asked for messages: what came before it hands out again."""

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Why nothing from this queue is done: reason and text; None where it is."""
        return {self.topic.fanout: _FANOUT_REFUSED, self.topic.expired: _EXPIRED}.get(self.queue_name)

    def declare(self, conn: Any) -> None:
        """Declare the queue, that of the dead letters, and what leads to it; called again after each reconnect."""
        declare_dead_letters(self.topic, conn.channel)
        self.queue = kombu.Queue(self.queue_name, durable=True, queue_arguments=self._arguments)(conn.channel)
        self.queue.declare()
        for exchange in self._exchanges(conn):
            self.queue.bind_to(exchange, routing_key=self.queue_name)
        self._declared_on = conn.channel

    @property
    def _arguments(self) -> dict[str, Any]:
        if self.queue_name == self.topic.expired:
            return {"x-max-length": _DEAD_LETTERS}
        found = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.topic.expired}
        return found if self.queue_name == self.topic.name else {**found, "x-expires": _UNUSED_MS}

    def _exchanges(self, conn: Any) -> tuple[str, ...]:
        if self.queue_name == self.topic.expired:
            return ()  # the broker puts in what expires
        if self.queue_name == self.topic.fanout:
            _declared(conn, self.topic.fanout_exchange, "fanout", auto_delete=True)
            return (self.topic.fanout_exchange,)
        if self.topic.exchange != ALWAYS_THERE:
            _declared(conn, self.topic.exchange, "topic", auto_delete=False)
            return (ALWAYS_THERE, self.topic.exchange)
        return (ALWAYS_THERE,)

    def consume(self, conn: Any, tag: int) -> None:
        """Ask the broker for messages."""
        if conn.channel != self._declared_on:
            self.declare(conn)
        self.round += 1
        conn._set_qos(conn.channel)  # noqa: SLF001 - a channel that was opened again has forgotten it
        self.queue.consume(callback=self._callback, consumer_tag=str(tag))

    def _callback(self, message: Any) -> None:
        headers = message.properties.get("application_headers") or {}
        # kombu would decompress here and now, however much that gives; `delivery` does it within a limit.
        compression = headers.pop(COMPRESSION, None)
        found = self.queue.channel.message_to_python(message)
        if compression is not None:
            found.headers[COMPRESSION] = compression
        self.callback(found, self)


def _declared(conn: Any, name: str, kind: str, *, auto_delete: bool) -> None:
    """Declare an exchange as callers with oslo.messaging's defaults do, who could not use a durable one of ours."""
    exchange = kombu.Exchange(name, type=kind, durable=False, auto_delete=auto_delete)
    try:
        exchange(conn.channel).declare()
    except amqp.PreconditionFailed:
        exchange(conn.channel).declare(passive=True)  # it is there, and durable: all the better
