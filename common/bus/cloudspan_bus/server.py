"""Works on messages: oslo.messaging's RPC server, acknowledging only what the gateway has accepted or answered."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from cloudspan_bus.delivery import NoCaller, Poison, Stopping
from cloudspan_bus.errors import RemoteError
from cloudspan_bus.gateway import Patience
from cloudspan_bus.listener import Listener, listen
from cloudspan_bus.oslo import NoSuchMethod, RPCDispatcher, RPCServer, UnsupportedVersion, oslo_messaging
from cloudspan_bus.queues import DELIVERIES
from cloudspan_bus.request import request_of
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_bus.config import BusConfig
    from cloudspan_bus.delivery import Delivery
    from cloudspan_bus.gateway import Gateway
    from cloudspan_bus.metrics import BusMetrics
    from cloudspan_bus.queues import Topic

log = get_logger(__name__)

_MARGIN, _LEAST_MARGIN_S = 0.1, 1.0


class Pool:
    """Threads that work on messages; those of the standard library would keep the process from ending."""

    def __init__(self, max_workers: int) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[Any], None], Any] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"bus-{number}", daemon=True) for number in range(max_workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[Any], None], what: Any) -> None:
        """Let a thread do `work(what)`."""
        self._work.put((work, what))

    def _run(self) -> None:
        while (order := self._work.get()) is not None:
            order[0](order[1])

    def shutdown(self, limit_s: float) -> bool:
        """Let what was submitted end; return whether it did within the time."""
        for _ in self._threads:
            self._work.put(None)
        give_up = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(give_up - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)


class Dispatcher(RPCDispatcher):  # type: ignore[misc] # oslo.messaging has no types
    """Finds the method among those of the contract, and calls the gateway."""

    def __init__(self, gateway: Gateway, config: BusConfig) -> None:
        super().__init__([], None)
        self._gateway, self._config = gateway, config

    def dispatch(self, incoming: Delivery) -> dict[str, Any]:
        """Return the answer.

        Raises:
            NoSuchMethod: Of oslo.messaging, which also has UnsupportedVersion.
            RemoteError: Whatever else the bus or the gateway refuses.
            Stopping: This process ends.
        """
        request = request_of(incoming, self._config.name)
        patience = self._patience(incoming)
        ended = threading.Event()
        watchdog = threading.Thread(target=self._watchdog, args=(ended, incoming), daemon=True)
        if incoming.client_timeout and incoming.is_call:
            watchdog.start()  # oslo.messaging's call_monitor_timeout: the caller hears that its call is worked on
        try:
            return self._gateway.answer(request, patience)
        finally:
            ended.set()

    def _patience(self, delivery: Delivery) -> Patience:
        if not delivery.is_call:
            return Patience(delivery.received + self._config.retry_for, waits=False)
        waits_s = delivery.caller_waits_s
        if waits_s is None:
            return Patience(delivery.received + self._config.max_wait, waits=True)
        margin_s = min(max(_MARGIN * waits_s, _LEAST_MARGIN_S), waits_s / 2)
        return Patience(delivery.received + min(waits_s - margin_s, self._config.max_wait), waits=True)


class BusServer(RPCServer):  # type: ignore[misc] # oslo.messaging has no types
    """The topic's server in this process."""

    listener_of_ours: Listener | None = None

    def __init__(
        self, transport: Any, topic: Topic, gateway: Gateway, config: BusConfig, metrics: BusMetrics,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        """Make it; `stop` is set when the process begins to drain."""
        target = oslo_messaging.Target(exchange=topic.exchange, topic=topic.name, server=config.name)
        super().__init__(transport, target, Dispatcher(gateway, config))
        self._executor_cls = Pool
        self._topic, self._config_of_ours, self._metrics, self._stop = topic, config, metrics, stop

    @property
    def is_connected(self) -> bool:
        """Whether messages are taken."""
        return self.listener_of_ours is not None and self.listener_of_ours.is_connected

    def _create_listener(self) -> Any:
        config = self._config_of_ours
        self.listener_of_ours, adapter = listen(
            self.transport, self._topic, config.name, config.max_bytes, self._metrics
        )
        return adapter

    def drain(self, limit_s: float) -> bool:
        """Take nothing new, end what is under way, acknowledge it, leave; return whether all of it ended in time."""
        self._stop.set()
        self.stop()
        ended = self._work_executor.shutdown(limit_s)
        if self.listener is not None:
            self.listener.cleanup()
        self.transport.cleanup()
        return ended

    def _process_incoming(self, incoming: list[Delivery]) -> None:
        delivery = incoming[0]
        kind = "other" if delivery.poison else "call" if delivery.is_call else "cast"
        self._metrics.in_flight.inc()
        try:
            outcome = self._outcome(delivery)
        except Exception:
            log.exception("a message could not be worked on, it is handed back")
            delivery.requeue()
            outcome = "requeued"
        finally:
            self._metrics.in_flight.dec()
        self._metrics.messages.labels(kind, outcome).inc()
        self._metrics.seconds.labels(kind).observe(time.monotonic() - delivery.received)

    def _outcome(self, delivery: Delivery) -> str:
        if delivery.poison:
            return self._bury(delivery, delivery.poison)
        if delivery.redelivered:
            return self._counted(delivery)
        try:
            return self._settled(delivery, *self._answer(delivery))
        except Stopping:
            delivery.requeue()
            return "requeued"

    def _counted(self, delivery: Delivery) -> str:
        """Send a message that was handed out before as a new one that says so: its process may have ended by it."""
        if delivery.deliveries >= DELIVERIES:
            text = f"it was handed out {delivery.deliveries} times, and each time its process ended or lost the broker"
            return self._bury(delivery, Poison("DELIVERY_LIMIT", text))
        delivery.count()
        delivery.acknowledge()
        return "requeued"

    def _answer(self, delivery: Delivery) -> tuple[Any, Exception | None]:
        try:
            return self.dispatcher.dispatch(delivery), None
        except (NoSuchMethod, UnsupportedVersion, RemoteError) as error:
            return None, error
        except Stopping:
            raise
        except Exception as error:
            if self._stop.is_set():
                raise Stopping from error  # its connection was closed below it
            log.exception("a message could not be worked on", method=delivery.message["method"])
            text = "the bus could not work on the message; its log says why"
            return None, RemoteError(text, code="INTERNAL", reason="INTERNAL")

    def _settled(self, delivery: Delivery, answer: Any, failure: Exception | None) -> str:
        if not delivery.is_call:
            if failure is not None:
                reason = getattr(failure, "reason", "") or type(failure).__name__
                return self._bury(delivery, Poison(reason, str(failure)))  # nobody waits who could be told
            delivery.acknowledge()
            return "accepted"
        return self._reply(delivery, answer, failure)

    def _reply(self, delivery: Delivery, answer: Any, failure: Exception | None) -> str:
        try:
            # Without a traceback: callers learn what was refused, not where in our files.
            delivery.answer(self._stop, answer, failure and (type(failure), failure.with_traceback(None), None))
        except NoCaller:
            log.warning("nobody takes a reply: its reply queue is gone", method=delivery.message["method"])
            delivery.acknowledge()
            return "no_caller"
        delivery.acknowledge()
        return "refused" if failure else "answered"

    def _bury(self, delivery: Delivery, why: Poison) -> str:
        delivery.bury(why, self._config_of_ours.max_bytes)
        delivery.acknowledge()
        self._metrics.dead.labels(why.reason).inc()
        log.warning("a message is among the dead letters", queue=self._topic.dead, reason=why.reason)
        return "dead"
