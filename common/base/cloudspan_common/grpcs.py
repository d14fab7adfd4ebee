"""How every process of ours speaks gRPC: the same options, credentials and side services on both ends.

Gateway and adapters make servers with `new_server` and `listen`, and channels with `new_channel`; nobody else knows
an option's name.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import structlog
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2_grpc

from cloudspan_common.config import address
from cloudspan_common.errors import InvalidRequest, PreconditionFailed
from cloudspan_common.reflection import DescriptorSource, ReflectionServicer
from cloudspan_common.request_limits import MAX_REQUEST_BYTES, MAX_STREAMS, RequestLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Handler = grpc.RpcMethodHandler[Any, Any]

# Answers are cut below 3 MiB; the room above is for adapters of others that don't.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
# Status details and trailers stay below 4 KiB each hop; tenants' context and traces need the rest.
MAX_METADATA_BYTES = 16 * 1024

Options = tuple[tuple[str, int | str], ...]

log = structlog.get_logger(__name__)

SERVER_OPTIONS: Options = (
    # Else two servers share one port without an error, and each call meets one of them by chance.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Our channels ping each 20 s, idle or not; gRPC's default calls that abuse and hangs up (GOAWAY too_many_pings).
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # Of a burst of calls gRPC's core cancels at random what waits to be accepted beyond 1 000, and all beyond 3 000
    # (measured: 7 000 of 10 000 calls ended CANCELLED, which looks like a lost instance).
    ("grpc.server.max_pending_requests", 30_000),
    ("grpc.server.max_pending_requests_hard_limit", 60_000),
    # Streams that are opened and reset at once are refused beyond these (100 000 took 740 MB for good, measured).
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # Else a client with more calls than that, which waits with the rest, is refused some of them (measured).
    ("grpc.http.overload_protection", 0),
    # What a call may send before it is read stays at 64 KiB, else hundreds of waiting ones hold megabytes each.
    ("grpc.http2.bdp_probe", 0),
)

CHANNEL_OPTIONS: Options = (
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted adapter is met again within 2 s; gRPC's own limit is 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long one attempt may take; gRPC's own 20 s would outlive most deadlines on a host that drops packets.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Private clouds lie behind no proxy, whatever the environment of the process says.
    ("grpc.enable_http_proxy", 0),
    # Only the router knows which calls may be sent twice.
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of one side. With `authority` both sides must show a certificate signed by it (mTLS)."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    @classmethod
    def mutual(cls, certificate: Path | None, key: Path | None, authority: Path | None) -> Tls | None:
        """Return what mTLS needs, or None when nothing is configured.

        Raises:
            InvalidRequest: Only some of the files are named: half of a configuration would look like a safe one.
        """
        if certificate is None and key is None and authority is None:
            return None
        if certificate is None or key is None or authority is None:
            text = "--tls-certificate, --tls-key and --tls-authority go together; one or two of them are missing"
            raise InvalidRequest(text, reason="TLS_FILES")
        return cls(certificate, key, authority)

    @property
    def changed_at(self) -> tuple[int, ...]:
        """When each file was changed, to be compared; a file that is missing just now counts as unchanged since 0."""
        return tuple(_changed_at(path) for path in (self.certificate, self.key, self.authority) if path)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return what a server shows, and asks of its callers if `authority` is set.

        Files that are replaced count for new connections.

        Raises:
            PreconditionFailed: A file is missing or can't be read.
        """
        return grpc.dynamic_ssl_server_credentials(
            self._server_configuration(),
            _Renewal(self),  # type: ignore[arg-type] # the stubs forget None, which keeps what was given last
            require_client_authentication=self.authority is not None,
        )

    def _server_configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (_read(self.key, "TLS key"), _read(self.certificate, "TLS certificate"))
        authority = _read(self.authority, "TLS authority") if self.authority else None
        return grpc.ssl_server_certificate_configuration([pair], authority)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return what a caller trusts, and shows if it has a certificate.

        Raises:
            PreconditionFailed: A file can't be read.
        """
        authority = _read(self.authority, "TLS authority") if self.authority else None
        if self.certificate is None:
            return grpc.ssl_channel_credentials(authority)
        key, certificate = _read(self.key, "TLS key"), _read(self.certificate, "TLS certificate")
        return grpc.ssl_channel_credentials(authority, key, certificate)

    def client_context(self) -> ssl.SSLContext:
        """Return the same trust for connections that are not gRPC's.

        Raises:
            PreconditionFailed: A file can't be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise PreconditionFailed(f"TLS files can't be read: {error}", reason="TLS_FILES") from error
        context.set_alpn_protocols(["h2"])
        return context


class _Renewal:
    """Asked by gRPC, on a thread of its own, before each handshake: None means what was given last."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._given = tls.changed_at

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        now = self._tls.changed_at
        if now == self._given:
            return None
        try:
            configuration = self._tls._server_configuration()  # noqa: SLF001 - the other half of it
        except PreconditionFailed as error:
            log.warning("certificates could not be reloaded, the previous ones stay in use", reason=error.message)
            return None
        self._given = now
        log.info("certificates reloaded", certificate=str(self._tls.certificate))
        return configuration


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path | None, what: str) -> bytes:
    if path is None:
        raise PreconditionFailed(f"no {what} file is configured; a certificate needs its key", reason="TLS_FILES")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PreconditionFailed(f"{what} {path} can't be read: {error.strerror}", reason="TLS_FILES") from error


class Guard(Protocol):
    """Stands before all services of a server. Not an interceptor, which costs a call 30 to 70 us of CPU (measured)."""

    def guarded(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of one call, behind whatever is to be checked before its request is read."""
        ...


class _Guarded(grpc.GenericRpcHandler):
    def __init__(self, guard: Guard, handlers: grpc.GenericRpcHandler) -> None:
        self._guard, self._handlers = guard, handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        handler = self._handlers.service(handler_call_details)
        return None if handler is None else self._guard.guarded(handler, handler_call_details)


def new_server(
    guards: Sequence[Guard] = (), *, limits: RequestLimits | None = None, options: Options = ()
) -> grpc.aio.Server:
    """Return a server with our options; `options` come later and win.

    `limits` bound what its requests take at once, of all services; guards stand before them, the first one outermost.

    A request above `MAX_REQUEST_BYTES` never reaches a servicer: gRPC answers RESOURCE_EXHAUSTED, "SERVER: Received
    message larger than max (10485760 vs. 4194304)".
    """
    made = grpc.aio.server(options=[*SERVER_OPTIONS, *options])
    add, bounded = made.add_generic_rpc_handlers, limits or RequestLimits()

    def behind_all(handlers: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        made = bounded.before(handlers)
        for guard in reversed(guards):
            made = _Guarded(guard, made)
        return made

    made.add_generic_rpc_handlers = lambda handlers: add([behind_all(each) for each in handlers])  # type: ignore[assignment]
    made.add_registered_method_handlers = _not_registered  # type: ignore[assignment]
    return made


def _not_registered(_service_name: str, _handlers: object) -> None:
    """Generated code registers each method beside its generic handler, which serves it as well.

    gRPC keeps a request open for each registered method. When a path that is not UTF-8 ends its loop, it frees them all
    and its core writes to them afterwards: the process crashed after some tens of such paths (1.85.1, by valgrind).
    """


def listen(server: grpc.aio.Server, listen_address: str, tls: Tls | None = None) -> int:
    """Bind `server` to `host:port` (port 0 takes a free one) and return the port.

    Raises:
        InvalidRequest: `listen_address` is not an address.
        PreconditionFailed: The address is in use or not ours.
    """
    try:
        host, port = address(listen_address)
        _probe(host, port)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if tls is None:
            return server.add_insecure_port(target)
        return server.add_secure_port(target, tls.server_credentials())
    except ValueError as error:
        raise InvalidRequest(str(error), reason="MALFORMED_ADDRESS") from error
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        text = f"can't listen on {listen_address}: {why}; choose another address, or stop the process that uses it"
        raise PreconditionFailed(text, reason="CANNOT_LISTEN") from error


def _probe(host: str, port: int) -> None:
    """Bind and free each address that the host has.

    gRPC is content with one of several: on `localhost` it takes ::1 alone when 127.0.0.1 is in use. And when it gets
    none, its error does not say why.
    """
    for family, kind, protocol, _name, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe:
            # As gRPC does; connections of a predecessor in TIME_WAIT must not keep a restart waiting.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)


def new_channel(
    target: str,
    tls: Tls | None = None,
    *,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    options: Options = (),
) -> grpc.aio.Channel:
    """Return a channel with our options; `options` come later and win. It connects at its first call."""
    everything = list({**dict(CHANNEL_OPTIONS), **dict(options)}.items())  # of one given twice gRPC takes the first
    if tls is None:
        return grpc.aio.insecure_channel(target, options=everything, interceptors=list(interceptors))
    return grpc.aio.secure_channel(
        target, tls.channel_credentials(), options=everything, interceptors=list(interceptors)
    )


def new_health() -> health.aio.HealthServicer:
    """Return the servicer of grpc.health.v1, whose `set` and `enter_graceful_shutdown` the process calls."""
    return health.aio.HealthServicer()


def add_health(server: grpc.aio.Server, servicer: health.aio.HealthServicer | None = None) -> health.aio.HealthServicer:
    """Add grpc.health.v1 and return its servicer; a new one unless it is given."""
    servicer = servicer or new_health()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


def add_channelz(server: grpc.aio.Server) -> None:
    """Add grpc.channelz.v1, which shows the process's channels, sockets and servers."""
    channelz.add_channelz_servicer(server)


def add_reflection(server: grpc.aio.Server, source: DescriptorSource) -> None:
    """Add grpc.reflection v1 and v1alpha over `source`."""
    server.add_generic_rpc_handlers(ReflectionServicer(source).handlers())
