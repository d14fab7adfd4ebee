"""The HTTP door of a process: metrics for Prometheus, and whether it lives and can serve for its supervisor.

Gateway and adapters call `serve_metrics` with their registry and their `Readiness`. Three paths answer, nothing else
does.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import choose_encoder

from cloudspan_common.config import address
from cloudspan_common.errors import InvalidRequest, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry

METRICS, HEALTH, READINESS = "/metrics", "/healthz", "/readyz"
_LOOP_ANSWERS_S = 2.0
"""How long an event loop may be busy before its process counts as dead."""
# A client that sends nothing, or reads nothing, holds a thread this long; scrapes come a few at a time.
_CLIENT_S = 5.0
_MOST_CLIENTS = 16
_POLL_S = 0.2
_TEXT = "text/plain; charset=utf-8"

Page = tuple[HTTPStatus, str, bytes]


class Readiness:
    """Whether a process can serve, by its parts; told by the process, read by `/readyz`.

    The same word as `grpc.health.v1` gives: who sets one sets the other.
    """

    def __init__(self, *parts: str) -> None:
        self._ready = dict.fromkeys(parts, False)

    def __repr__(self) -> str:
        return f"<Readiness {'ready' if self.is_ready else 'waits for ' + ', '.join(self.missing)}>"

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts that don't serve now."""
        return tuple(part for part, ready in tuple(self._ready.items()) if not ready)

    @property
    def is_ready(self) -> bool:
        return not self.missing

    def set(self, part: str, *, ready: bool) -> None:
        """Say whether a part serves."""
        self._ready[part] = ready


class MetricsServer:
    """Answers on a thread of its own, so that a busy event loop can still be watched."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)
        self._thread.start()
        self.port: int = server.server_port

    def __repr__(self) -> str:
        return f"<MetricsServer {self._server.server_address[0]!s}:{self.port}>"

    def close(self) -> None:
        """Stop answering and free the port; waits a moment for the thread's poll."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(registry: CollectorRegistry, listen: str, readiness: Readiness | None = None) -> MetricsServer:
    """Serve `registry` over HTTP at `listen` (`127.0.0.1:7071`; port 0 takes a free one, see `.port`).

    `/metrics` answers what Prometheus reads; `/healthz` 200 while the calling thread's event loop runs, else 503;
    `/readyz` 200 while all parts of `readiness` serve, else 503 and their names. Any other path is 404, any method but
    GET and HEAD 405.

    Raises:
        InvalidRequest: `listen` is not an address.
        PreconditionFailed: The address is in use or not ours.
    """
    try:
        where = address(listen)
        return MetricsServer(_Server(where, _Pages(registry, readiness or Readiness())))
    except ValueError as error:
        raise InvalidRequest(str(error), reason="MALFORMED_ADDRESS") from error
    except OSError as error:
        text = (
            f"metrics can't be served at {listen}: {error.strerror or error}; "
            "choose another address, or stop the process that uses it"
        )
        raise PreconditionFailed(text, reason="CANNOT_LISTEN") from error


class _Pages:
    """What the three paths answer."""

    def __init__(self, registry: CollectorRegistry, readiness: Readiness) -> None:
        self._registry, self._readiness = registry, readiness
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self.by_path: Mapping[str, Callable[[str], Page]] = {
            METRICS: self._metrics,
            HEALTH: self._health,
            READINESS: self._ready,
        }

    def _metrics(self, accept: str) -> Page:
        encode, content_type = choose_encoder(accept)
        return HTTPStatus.OK, content_type, encode(self._registry)

    def _health(self, _accept: str) -> Page:
        if self._loop is None or self._loop_answers(self._loop):
            return HTTPStatus.OK, _TEXT, b"ok\n"
        text = f"the event loop did not answer within {_LOOP_ANSWERS_S:.0f} s\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, text.encode()

    def _loop_answers(self, loop: asyncio.AbstractEventLoop) -> bool:
        answered = threading.Event()
        try:
            loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # it is closed
            return False
        return answered.wait(_LOOP_ANSWERS_S)

    def _ready(self, _accept: str) -> Page:
        missing = self._readiness.missing
        if not missing:
            return HTTPStatus.OK, _TEXT, b"ready\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"not ready: {', '.join(missing)}\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Else the end of the process would wait for clients that read nothing.
    block_on_close = False
    request_queue_size = 64
    allow_reuse_port = False  # some Pythons set it: two servers would share a port without an error

    def __init__(self, where: tuple[str, int], pages: _Pages) -> None:
        if ":" in where[0]:
            self.address_family = socket.AF_INET6
        self.pages = pages
        self._free = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__(where, _Handler)

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that HTTPServer makes: it may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left early is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_S
    server: _Server
    server_version, sys_version = "cloudspan", ""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method of HTTP that is not below; what is asked with it does not matter."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        page = self.server.pages.by_path.get(self.path.partition("?")[0])
        if page is None:
            text = f"only {METRICS}, {HEALTH} and {READINESS} answer here\n"
            self._send((HTTPStatus.NOT_FOUND, _TEXT, text.encode()))
        else:
            self._send(page(self.headers.get("Accept", "")))

    def _refuse(self) -> None:
        self._send((HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET and HEAD are answered\n"), Allow="GET, HEAD")

    def _send(self, page: Page, **headers: str) -> None:
        status, content_type, body = page
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Scrapes are not logged."""
