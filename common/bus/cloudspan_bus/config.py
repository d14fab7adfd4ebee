"""The bus's configuration: every value with its default, unit and sentence. Read by `__main__`."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the command line is made from the annotations

from cloudspan.client import Tls
from cloudspan.client.connection import is_loopback
from cloudspan_bus.oslo import checked_broker
from cloudspan_bus.queues import RESERVED
from cloudspan_common.config import address, option
from cloudspan_common.service_config import ServiceConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LARGEST = 3_000_000
"""Bytes of a message: its JSON is larger than the request, of which the gateway takes 4 MiB."""
_LONGEST_S = 1600.0
"""How long a message is held at most, with room for the last try."""


def _queue_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name; expected up to 100 letters, digits, '.', '_' and '-'")


def _host(text: str) -> None:
    if text:
        _queue_name(text)


def _consumer(text: str) -> None:
    if text and not re.fullmatch("[a-z][a-z0-9-]{0,38}", text):
        raise ValueError(
            f"{text!r} is not the id of a consumer; expected a lower-case letter, then lower-case letters, digits and "
            "'-', at most 39 characters"
        )


@dataclass(frozen=True)
class BusConfig(ServiceConfig):
    """Run Cloudspan on a message bus: oslo.messaging's calls and casts over RabbitMQ become calls of the gateway."""

    broker: str = option(
        "The RabbitMQ: rabbit://USER:PASSWORD@HOST:PORT/VHOST; set the variable, others can read a command line.",
        default="rabbit://guest:guest@127.0.0.1:5672/",
        secret=True,
        check=checked_broker,
    )
    gateway: str = option("host:port of the gateway.", default="127.0.0.1:7070", check=address)
    gateway_tls: bool = option(
        "Speak TLS with the gateway: --tls-authority checks it, --tls-certificate and --tls-key are shown to it.",
        default=False,
    )
    gateway_insecure: bool = option("Send credentials to a gateway on another machine in plain text.", default=False)
    topic: str = option("The topic that callers name in their target.", default="cloudspan", check=_queue_name)
    exchange: str = option(
        "The topic exchange that callers send to, their control_exchange; amq.topic always works too.",
        default="openstack",
        check=_queue_name,
    )
    host: str = option(
        "Name of this process among those of the topic, for target.server; this machine's name when empty.",
        default="",
        check=_host,
    )
    token_file: Path | None = option(
        "File of the token for messages that bring none: a session or a JWT; read again once it is refused.",
        default=None,
    )
    tenant: str = option("Tenant of messages that bring no credential.", default="")
    at_once: int = option("Messages that are worked on at the same time.", default=100, minimum=1)
    max_wait: float = option(
        "How long a call of a change waits for its end at most, and how long when its caller says no time-out.",
        default=300.0,
        unit="s",
        minimum=0,
    )
    retry_for: float = option(
        "How long a cast is tried again that the gateway refuses for the moment; then it goes to the dead letters.",
        default=600.0,
        unit="s",
        minimum=0,
    )
    reply_for: float = option(
        "How long a reply waits for a caller whose reply queue is not there, as after a restart of the broker.",
        default=60.0,
        unit="s",
        minimum=0,
    )
    max_bytes: int = option("Largest message; larger ones go to the dead letters.", default=_LARGEST, minimum=1024)

    no_events: bool = option("Publish no events.", default=False)
    events_exchange: str = option(
        "The topic exchange that events are published on; it is declared, durable.",
        default="cloudspan.events",
        check=_queue_name,
    )
    events_consumer: str = option(
        "The gateway's event consumer that this topic's processes share; bus-TOPIC when empty.",
        default="",
        check=_consumer,
    )

    def __post_init__(self) -> None:
        if not self.gateway_tls and not self.gateway_insecure and not is_loopback(self.gateway):
            text = f"messages' credentials would be sent to --gateway {self.gateway} in plain text: say --gateway-tls"
            raise ValueError(f"{text}, or confirm it with --gateway-insecure")
        for options, held_s in (
            ("--max-wait and --reply-for together", self.max_wait + self.reply_for),
            ("--retry-for", self.retry_for),
        ):
            if held_s > _LONGEST_S:
                text = f"{options}, {held_s:g} s, are too long: brokers take back what is not acknowledged in"
                raise ValueError(f"{text} 30 minutes; at most {_LONGEST_S:g} s")
        if self.name in RESERVED:
            raise ValueError(f"--host {self.name} is the name of a queue of each topic; choose another one")

    @property
    def name(self) -> str:
        """What `target.server` reaches this process by."""
        return self.host or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())

    @property
    def consumer(self) -> str:
        """The id of the event consumer that events are read as."""
        return self.events_consumer or f"bus-{re.sub('[^a-z0-9-]', '-', self.topic.lower())}"[:39]

    @property
    def client_tls(self) -> Tls | None:
        """What the gateway is checked by, and shown."""
        return Tls(self.tls_authority, self.tls_certificate, self.tls_key) if self.gateway_tls else None
