"""The queues of a topic, and how messages are taken from them: `TOPIC`, `TOPIC.HOST`, `TOPIC.fanout`, `TOPIC.dead`.

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
_DEAD_LETTERS = 10_000
_UNUSED_MS = 7 * 86_400_000
FANOUT_REFUSED = (
    "fanout is refused: a request to Cloudspan has one effect and one answer; send it without fanout, and with "
    "prepare(server=...) to one process of the bus"
)


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
    def fanout_exchange(self) -> str:
        """What oslo.messaging sends a fanout to."""
        return f"{self.name}_fanout"

    def of_host(self, host: str) -> str:
        """The queue of one process, as oslo.messaging names it."""
        return f"{self.name}.{host}"


def arguments(topic: Topic, *, expires: bool = False) -> dict[str, Any]:
    """Return how a queue is declared that messages are worked on from."""
    found = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": topic.dead}  # for what expires
    return {**found, "x-expires": _UNUSED_MS} if expires else found


class Consumer(impl_rabbit.Consumer):  # type: ignore[misc] # oslo.messaging has no types
    """One queue that a process takes messages from; oslo.messaging's connection keeps it over reconnects."""

    def __init__(self, topic: Topic, queue_name: str, receive: Callable[[Any, Consumer], None]) -> None:
        """Take what comes to a queue of a topic; `receive` gets each message as the broker sent it."""
        super().__init__(topic.exchange, queue_name, queue_name, "topic", True, False, False, receive)
        self.topic = topic
        self.round = 0
        """Counts up each time that the broker is asked for messages: what came before it hands out again."""

    @property
    def refusal(self) -> str:
        """Why nothing from this queue is done; empty where it is."""
        return FANOUT_REFUSED if self.queue_name == self.topic.fanout else ""

    def declare(self, conn: Any) -> None:
        """Declare the queue, that of the dead letters, and what leads to it; called again after each reconnect."""
        dead = {"x-max-length": _DEAD_LETTERS}
        kombu.Queue(self.topic.dead, durable=True, queue_arguments=dead)(conn.channel).declare()
        own = arguments(self.topic, expires=self.queue_name == self.topic.of_host(self._host))
        self.queue = kombu.Queue(self.queue_name, durable=True, queue_arguments=own)(conn.channel)
        self.queue.declare()
        for exchange in self._exchanges(conn):
            self.queue.bind_to(exchange, routing_key=self.queue_name)
        self._declared_on = conn.channel

    @property
    def _host(self) -> str:
        return self.queue_name.removeprefix(f"{self.topic.name}.")

    def _exchanges(self, conn: Any) -> tuple[str, ...]:
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
        convert = getattr(self.queue.channel, "message_to_python", None)
        self.callback(convert(message) if convert else message, self)


def _declared(conn: Any, name: str, kind: str, *, auto_delete: bool) -> None:
    """Declare an exchange as callers with oslo.messaging's defaults do, who could not use a durable one of ours."""
    exchange = kombu.Exchange(name, type=kind, durable=False, auto_delete=auto_delete)
    try:
        exchange(conn.channel).declare()
    except amqp.PreconditionFailed:
        exchange(conn.channel).declare(passive=True)  # it is there, and durable: all the better
