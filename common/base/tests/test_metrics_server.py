"""Three paths over HTTP and nothing else: metrics, whether the process lives, whether it can serve."""

from __future__ import annotations

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry

from cloudspan_common import metrics_server
from cloudspan_common.errors import InvalidRequest, PreconditionFailed
from cloudspan_common.metrics_server import Readiness, serve_metrics
from cloudspan_common.telemetry import new_registry, new_restarts


@pytest.fixture
def ready():
    return Readiness()


@pytest.fixture
def port(ready):
    """Where a registry is served, without an event loop."""
    registry = new_registry()
    new_restarts(registry).labels("server").inc()
    server = serve_metrics(registry, "127.0.0.1:0", ready)
    yield server.port
    server.close()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def test_metrics_are_served_until_closed():
    """From the service's own registry, on a free port; closing frees the port."""
    server = serve_metrics(new_registry(), "127.0.0.1:0")
    status, text, _ = ask(server.port, "/metrics")
    server.close()
    assert (status, "process_resident_memory_bytes" in text) == (200, True)
    serve_metrics(CollectorRegistry(), f"127.0.0.1:{server.port}").close()


def test_prometheus_chooses_the_format(port):
    """By Accept; a query is ignored."""
    _, text, headers = ask(port, "/metrics?name=x", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    _, text, headers = ask(port, "/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    assert 'cloudspan_restarts_total{part="server"} 1.0' in text


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", "/../metrics", "/favicon.ico", "/healthz/x"])
def test_any_other_path_is_not_found(port, path):
    """And the answer names those that are."""
    status, text, _ = ask(port, path)
    assert status == 404
    assert text == "only /metrics, /healthz and /readyz answer here\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/metrics", "/nowhere"])
def test_any_other_method_is_refused(port, method, path):
    """With the methods that are answered."""
    status, _, headers = ask(port, path, method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_answers_as_get_does_without_the_text(port):
    """For probes that only look at the status."""
    status, text, headers = ask(port, "/metrics", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 100


def test_a_process_is_ready_once_all_its_parts_are(port, ready):
    """Else 503 with the parts that are not; it lives all the same."""
    ready.set("server", ready=True)
    ready.set("table", ready=False)
    assert ask(port, "/readyz")[:2] == (503, "not ready: table\n")
    assert ask(port, "/healthz")[:2] == (200, "ok\n")
    assert repr(ready) == "<Readiness waits for table>"
    ready.set("table", ready=True)
    assert ask(port, "/readyz")[:2] == (200, "ready\n")
    assert repr(ready) == "<Readiness ready>"


async def test_a_process_whose_event_loop_hangs_is_not_alive(monkeypatch):
    """The thread answers; only a supervisor can help the rest."""
    monkeypatch.setattr(metrics_server, "_LOOP_ANSWERS_S", 0.02)
    server = serve_metrics(CollectorRegistry(), "127.0.0.1:0")
    assert (await asyncio.to_thread(ask, server.port, "/healthz"))[0] == 200
    with ThreadPoolExecutor() as threads:
        assert threads.submit(ask, server.port, "/healthz").result()[0] == 503  # the loop waits here
    server.close()


def test_clients_that_send_nothing_keep_nobody_out(port):
    """Beyond a number of them connections are closed; they come back once the others are cut off."""
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(15)]
    assert ask(port, "/healthz")[0] == 200
    silent += [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
    for each in silent[-5:]:
        each.settimeout(5)
        assert each.recv(1) == b""
    for each in silent:
        each.close()


def test_an_address_in_use_is_a_clear_error():
    """It names the address and what to do."""
    server = serve_metrics(CollectorRegistry(), "127.0.0.1:0")
    with pytest.raises(PreconditionFailed, match=rf"served at 127.0.0.1:{server.port}: Address already in use; choose"):
        serve_metrics(CollectorRegistry(), f"127.0.0.1:{server.port}")
    server.close()


def test_a_malformed_metrics_address_is_refused():
    """Before anything is bound."""
    with pytest.raises(InvalidRequest, match="'7071' is not an address"):
        serve_metrics(CollectorRegistry(), "7071")
