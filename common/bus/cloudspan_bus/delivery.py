"""One message that the broker has handed out: read, answered, acknowledged, handed back, or a dead letter."""

from __future__ import annotations

import bz2
import functools
import json
import re
import time
import zlib
from typing import TYPE_CHECKING, Any

from cloudspan_bus.oslo import MessageUndeliverable, amqp, amqpdriver, driver_common, publish_confirmed
from cloudspan_bus.queues import COMPRESSION, declare_dead_letters
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from cloudspan_bus.queues import Consumer

log = get_logger(__name__)

TOKEN = "cloudspan_token"  # noqa: S105 - the name of what holds it
_REPLY_QUEUE = re.compile(r"(reply_|amq\.gen-)[A-Za-z0-9._:-]{1,200}")
_AGAIN_S = 0.25
_DELIVERIES = "x-cloudspan-deliveries"
# By every name that kombu knows them by.
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("application/x-gzip", "gzip", "zlib"), zlib.decompressobj),
    **dict.fromkeys(("application/x-bz2", "bz2", "bzip2", "bzip"), bz2.BZ2Decompressor),
}
_TOKEN_AS_TEXT = re.compile(rb'(_context_cloudspan_token\\*"\s*:\s*\\*")[^"\\]+')


class Poison(Exception):
    """A message that nothing can be done with."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class NoCaller(Exception):
    """Nobody takes the reply."""


class Stopping(Exception):
    """This process ends before a message is done with: it is for another one."""


class GoneReplyQueues(amqpdriver.ObsoleteReplyQueuesCache):  # type: ignore[misc] # oslo.messaging has no types
    """Reply queues that were waited for in vain within the last minute; oslo.messaging drops what is for them."""

    def has(self, reply_queue: str) -> bool:
        """Whether it was waited for in vain."""
        with self._lock:
            return reply_queue in self._cache

    def reply_q_valid(self, _reply_q: str, _msg_id: str) -> bool:
        """Nothing is dropped untried."""
        return True


class Delivery(amqpdriver.AMQPIncomingMessage):  # type: ignore[misc] # oslo.messaging has no types
    """A message as oslo.messaging's server knows it, acknowledged when it is said and not before.

    `ctxt` is the caller's context, `message` has namespace, method, version and args.
    """

    poison: Poison | None = None
    """Why nothing can be done with it."""
    raw: Any = None
    """The message as kombu has it."""
    consumer: Consumer
    _round: int = 0

    def from_queue(self, raw: Any, consumer: Consumer) -> Delivery:
        """Note where it came from; returns itself."""
        self.raw, self.consumer, self._round = raw, consumer, consumer.round
        self.received = time.monotonic()
        return self

    @property
    def is_call(self) -> bool:
        """Whether somebody waits for a reply."""
        return bool(self.orig_msg_id and self.reply_q)

    @property
    def redelivered(self) -> bool:
        """Whether it was handed out before."""
        return bool((self.raw.delivery_info or {}).get("redelivered"))

    @property
    def caller_waits_s(self) -> float | None:
        """How long its caller waits for the answer: oslo.messaging lets a call expire when its time-out is over."""
        try:
            return int((self.raw.properties or {})["expiration"]) / 1000
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def identity(self) -> str:
        """What tells this message from every other one, also when it is handed out again; empty if nothing does."""
        named = (self.unique_id, self.orig_msg_id, (self.raw.properties or {}).get("message_id"))
        return next((f"{name}" for name in named if isinstance(name, str) and name), "")

    def acknowledge(self) -> None:
        """Tell the broker that it is done with, on the thread of the listener."""
        self._settle("acknowledge", self.raw.ack)

    def requeue(self) -> None:
        """Hand it back for another process."""
        self._settle("requeue", self.raw.requeue)

    def _settle(self, what: str, how: Any) -> None:
        def settle() -> None:
            self.listener.settled()
            if self.consumer.round != self._round:
                return  # the connection was lost: the broker has handed it out again, and its tag may be another's
            try:
                how()
            except Exception as error:  # noqa: BLE001 - whatever a lost connection raises: it is handed out again
                log.warning("a message is not settled, it will be delivered again", what=what, reason=repr(error))

        self._message_operations_handler.do(settle)

    def answer(self, stop: threading.Event, reply: Any = None, failure: Any = None) -> None:
        """Send the reply, and wait for a reply queue that is not there: after a broker's restart it comes again.

        Raises:
            NoCaller: The queue did not come.
            Stopping: This process ends before it came.
        """
        driver, gone = self.listener.driver, self._obsolete_reply_queues
        # One that was waited for in vain is tried once: it may be there again.
        patience_s = 0.0 if gone.has(self.reply_q) else driver.missing_destination_retry_timeout
        give_up = time.monotonic() + patience_s
        while True:
            try:
                with driver._get_connection(driver_common.PURPOSE_SEND) as conn:  # noqa: SLF001
                    self._send_reply(conn, reply, failure)
                return
            except (MessageUndeliverable, amqp.AMQPDestinationNotFound) as error:
                if time.monotonic() >= give_up:
                    gone.add(self.reply_q, self.msg_id)
                    raise NoCaller from error
                if stop.wait(_AGAIN_S):
                    raise Stopping from error

    @property
    def deliveries(self) -> int:
        """How often it was handed out and not done with before; counted in a header, since the broker does not."""
        before = (self.raw.headers or {}).get(_DELIVERIES, 0)
        return (max(before, 0) if isinstance(before, int) else 0) + self.redelivered

    def count(self) -> None:
        """Put a copy that says how often it was handed out in its place, confirmed by the broker.

        Raises:
            Exception: The broker did not confirm; it must not be acknowledged.
        """
        headers = {**(self.raw.headers or {}), _DELIVERIES: self.deliveries}
        expiration = self.caller_waits_s
        self._publish(self.consumer.queue_name, bytes_of(self.raw.body), headers, expiration=expiration)

    def bury(self, why: Poison, cut: int) -> None:
        """Put it among the dead letters, confirmed by the broker; its body without the caller's token.

        Raises:
            Exception: The broker did not confirm; it must not be acknowledged.
        """
        headers = {
            "x-cloudspan-reason": why.reason,
            "x-cloudspan-message": str(why)[:2000],
            "x-cloudspan-queue": self.consumer.queue_name,
            "x-cloudspan-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        topic, body = self.consumer.topic, without_token(bytes_of(self.raw.body))[:cut]
        # Whoever empties that queue may have deleted it, and the broker confirms what it has no queue for.
        self._publish(topic.dead, body, headers, first=functools.partial(declare_dead_letters, topic))

    def _publish(
        self, queue: str, body: bytes, headers: dict[str, Any], *, first: Callable[[Any], None] | None = None,
        **properties: Any,
    ) -> None:  # fmt: skip
        publish_confirmed(
            self.listener.driver,
            body,
            first=first,
            exchange="",
            routing_key=queue,
            headers=headers,
            content_type=str(self.raw.content_type or "application/octet-stream"),
            content_encoding=str(self.raw.content_encoding or "binary"),
            message_id=(self.raw.properties or {}).get("message_id"),
            **properties,
        )


def opened(raw: Any, max_bytes: int, refusal: tuple[str, str] | None = None) -> dict[str, Any]:
    """Return what oslo.messaging's envelope in a message holds; one that was compressed is not any more.

    Raises:
        Poison: It is no such envelope, larger than that, or from a queue that everything is refused of.
    """
    if refusal:
        raise Poison(*refusal)
    size = len(bytes_of(raw.body))
    if size > max_bytes:
        raise Poison("MESSAGE_TOO_LARGE", f"the message has {size} bytes; {max_bytes} are taken")
    if raw.headers.get(COMPRESSION) is not None:
        raw.body = _decompressed(raw.body, raw.headers[COMPRESSION], max_bytes)
        del raw.headers[COMPRESSION]
    try:
        payload = raw.payload
    except Exception as error:
        raise Poison("NOT_JSON", f"the body can't be read as {raw.content_type!r}: {type(error).__name__}") from error
    if not isinstance(payload, dict) or not {"oslo.version", "oslo.message"} <= payload.keys():
        text = "the body is not oslo.messaging's envelope: a JSON object with oslo.version and oslo.message"
        raise Poison("NOT_AN_ENVELOPE", text)
    try:
        message = driver_common.deserialize_msg(payload)
    except driver_common.UnsupportedRpcEnvelopeVersion as error:
        raise Poison("ENVELOPE_VERSION", f"{error} The version that is taken is 2.0") from error
    except Exception as error:
        raise Poison("NOT_JSON", f"oslo.message can't be read as JSON: {type(error).__name__}") from error
    _check(message)
    return message


def _decompressed(body: Any, name: Any, max_bytes: int) -> bytes:
    make = _DECOMPRESSORS.get(name) if isinstance(name, str) else None
    if make is None:
        raise Poison("COMPRESSION", f"the body is compressed by {name!r}; by gzip and bz2 it is taken")
    try:
        found: bytes = make().decompress(bytes_of(body), max_bytes + 1)
    except (OSError, ValueError, zlib.error) as error:
        raise Poison("COMPRESSION", f"the body can't be decompressed by {name}: {error}") from error
    if len(found) > max_bytes:
        raise Poison("MESSAGE_TOO_LARGE", f"the message has more than {max_bytes} bytes once it is decompressed")
    return found


def _check(message: Any) -> None:
    if not isinstance(message, dict):
        raise Poison("NOT_AN_ENVELOPE", "oslo.message is not a JSON object")
    if not isinstance(message.get("method"), str) or not isinstance(message.get("args", {}), dict):
        raise Poison("NOT_A_REQUEST", "oslo.message needs `method`, a text, and `args`, an object")
    optional = ("_msg_id", "_reply_q", "_unique_id", "namespace", "version")
    wrong = [name for name in optional if not isinstance(message.get(name), str | None)]
    if wrong:
        raise Poison("NOT_A_REQUEST", f"not a text: {', '.join(wrong)}")
    queue = message.get("_reply_q")
    if queue is not None and not _REPLY_QUEUE.fullmatch(queue):
        # With our permissions on the broker it would be written to wherever the caller likes.
        raise Poison("BAD_REPLY_QUEUE", "_reply_q must be named reply_... or amq.gen-...")


def without_token(body: bytes) -> bytes:
    """Return a body as it is kept: what may be the caller's credential is taken out, envelope or not."""
    try:
        envelope = json.loads(body)
        message = json.loads(envelope["oslo.message"])
        if f"_context_{TOKEN}" not in message:
            return body
        message[f"_context_{TOKEN}"] = "***"
        return json.dumps({**envelope, "oslo.message": json.dumps(message)}).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return _TOKEN_AS_TEXT.sub(rb"\1***", body)


def bytes_of(body: Any) -> bytes:
    """A body as bytes; kombu hands out a text where the sender said its encoding."""
    return body.encode(errors="surrogateescape") if isinstance(body, str) else bytes(body)
