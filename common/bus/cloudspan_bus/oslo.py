"""What we use of oslo.messaging, imported in one place: with threads, never with eventlet.

oslo.service, below it, would choose eventlet unless it is told otherwise before the first import.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from oslo_service import backend

with warnings.catch_warnings():
    # oslo.messaging imports what oslo.utils calls deprecated; without eventlet it stands for threads.
    warnings.simplefilter("ignore", DeprecationWarning)
    backend.init_backend(backend.BackendType.THREADING)
    import kombu
    import oslo_messaging
    from oslo_config import cfg
    from oslo_messaging import TransportOptions
    from oslo_messaging._drivers import amqp, amqpdriver, base, impl_rabbit
    from oslo_messaging._drivers import common as driver_common
    from oslo_messaging._utils import version_is_compatible
    from oslo_messaging.exceptions import MessageDeliveryFailure, MessageUndeliverable
    from oslo_messaging.rpc.dispatcher import NoSuchMethod, RPCDispatcher, UnsupportedVersion
    from oslo_messaging.rpc.server import RPCServer
    from oslo_messaging.transport import _transport_opts as transport_options

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MessageDeliveryFailure",
    "MessageUndeliverable",
    "NoSuchMethod",
    "RPCDispatcher",
    "RPCServer",
    "TransportOptions",
    "UnsupportedVersion",
    "amqp",
    "amqpdriver",
    "base",
    "cfg",
    "driver_common",
    "impl_rabbit",
    "kombu",
    "open_transport",
    "oslo_messaging",
    "publish_confirmed",
    "version_is_compatible",
]

_GROUP = "oslo_messaging_rabbit"


def open_transport(broker: str, exchange: str, prefetch: int, patience_s: int) -> oslo_messaging.RPCTransport:
    """Return the transport of a bus process; nothing is connected yet.

    Args:
        broker: `rabbit://USER:PASSWORD@HOST:PORT/VHOST`; several HOST:PORT are separated by commas, and the options of
            oslo.messaging's driver can stand in its query: `?ssl=true&ssl_ca_file=FILE`.
        exchange: The topic exchange that callers send to: their `control_exchange`.
        prefetch: Messages that the broker hands out before one of them is acknowledged.
        patience_s: How long a reply waits for a caller whose reply queue is not there.

    Raises:
        ValueError: The URL is not one of RabbitMQ.
    """
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    conf.register_group(cfg.OptGroup(_GROUP))
    conf.register_opts(impl_rabbit.rabbit_opts, _GROUP)
    conf.register_opts(amqp.amqp_opts, _GROUP)
    values = {
        "rabbit_qos_prefetch_count": prefetch,
        "heartbeat_timeout_threshold": 20,
        "rabbit_retry_interval": 1,
        "rabbit_retry_backoff": 1,
        "rabbit_interval_max": 5,  # 1, 2, ... 5 s between two tries
        "kombu_reconnect_delay": 0.2,
        "kombu_missing_consumer_retry_timeout": patience_s,
    }
    for name, value in values.items():
        conf.set_default(name, value, _GROUP)
    conf.register_opts(transport_options)
    conf.set_default("control_exchange", exchange)
    checked_broker(broker)
    return oslo_messaging.get_rpc_transport(conf, oslo_messaging.TransportURL.parse(conf, broker))


def checked_broker(broker: str) -> None:
    """Raise ValueError unless a text can be the URL of a RabbitMQ; its own words never show the password."""
    if not broker.startswith("rabbit://"):
        raise ValueError("the broker's URL must begin with rabbit://, as in rabbit://USER:PASSWORD@HOST:PORT/VHOST")
    try:
        url = oslo_messaging.TransportURL.parse(cfg.ConfigOpts(), broker)
    except Exception as error:
        raise ValueError("the broker's URL can't be read; expected rabbit://USER:PASSWORD@HOST:PORT/VHOST") from error
    if not url.hosts or not all(host.hostname for host in url.hosts):
        raise ValueError("the broker's URL names no host; expected rabbit://USER:PASSWORD@HOST:PORT/VHOST")


def publish_confirmed(
    driver: Any, body: bytes, *, first: Callable[[Any], None] | None = None, **properties: Any
) -> None:
    """Publish a message that outlives the broker, over a connection of oslo.messaging's driver; return once confirmed.

    Args:
        driver: The transport's.
        body: What is sent.
        first: Gets the channel, to declare what the message needs.
        properties: As kombu's producer takes them.

    Raises:
        MessageDeliveryFailure: The broker has not confirmed after some tries.
    """

    def publish() -> None:
        if first is not None:
            first(conn.channel)
        conn._producer.publish(body, delivery_mode=2, **properties)  # noqa: SLF001 - its connection's own way to send

    # Its lock is taken as its own publishing takes it.
    with driver._get_connection(driver_common.PURPOSE_SEND) as conn, conn._connection_lock:  # noqa: SLF001
        conn.ensure(publish, retry=2)
