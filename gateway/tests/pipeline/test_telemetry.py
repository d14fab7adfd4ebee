"""What is seen of each call from outside."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest
import structlog
from gateway.tests.calls import call
from structlog.testing import capture_logs

from cloudspan_common import logs
from cloudspan_common.errors import Code
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.call import Call, Ending, Target
from cloudspan_gateway.operations.waiting import kept_waiting
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.pipeline.telemetry import Telemetry

GET = "/cloudspan.v1.ServerService/GetServer"


def counted(metrics: GatewayMetrics, code: str) -> float | None:
    labels = {"method": GET[1:], "platform": "", "cluster": "", "code": code}
    return metrics.registry.get_sample_value("cloudspan_gateway_calls_total", labels)


async def observed(metrics: GatewayMetrics, ending: Ending | None) -> list[str]:
    async def proceed(asked: Call) -> None:
        assert metrics.in_flight == 1
        asked.ending = ending

    with capture_logs() as logged:
        await Telemetry(metrics)(call(GET), proceed)
    assert metrics.in_flight == 0
    return [event["event"] for event in logged if event["log_level"] == "warning"]


async def test_a_call_is_counted_by_how_it_ended() -> None:
    """A caller's own mistake is not logged; a failure of the gateway is."""
    metrics = GatewayMetrics()
    assert await observed(metrics, None) == []
    assert await observed(metrics, Ending(Code.NOT_FOUND, "no")) == []
    assert await observed(metrics, Ending(Code.INTERNAL, "oops")) == ["call failed"]
    assert [counted(metrics, code) for code in ("OK", "NOT_FOUND", "INTERNAL")] == [1.0, 1.0, 1.0]


async def test_a_caller_that_leaves_is_counted_as_cancelled() -> None:
    """The cancel goes on: whoever runs the call must see it."""
    metrics = GatewayMetrics()

    async def proceed(_: Call) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Telemetry(metrics)(call(GET), proceed)
    assert counted(metrics, "CANCELLED") == 1.0


@pytest.fixture
def output():
    """Log to a buffer as JSON, and leave logging as it was."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    yield stream
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()
    logs._calls = None


async def test_every_call_is_one_line_that_says_who_what_where_and_how(output: io.StringIO) -> None:
    """Also one that failed by its caller's own mistake; what callers chose is masked."""

    async def proceed(asked: Call) -> None:
        asked.principal, asked.access = Principal("users/alice"), OpenAccess("acme")
        asked.target = Target(GET[1:], ClusterRef("p", "c"))
        asked.served_by, asked.tries, asked.request_id = "p-1", 1, "token=abcdefgh"

    async def failing(asked: Call) -> None:
        asked.ending, asked.reason = Ending(Code.NOT_FOUND, "no"), "there is none; password=hunter2"

    telemetry = Telemetry(GatewayMetrics())
    good, bad = call(GET), call("/x.Y/token=hunter2hunter2")
    good.peer = lambda: "ipv6:%5B2001:db8::1%5D:5000"
    await telemetry(good, proceed)
    await telemetry(bad, failing)
    first, second = [json.loads(line) for line in output.getvalue().splitlines()]
    assert {**first, "ms": 0, "timestamp": ""} == {
        "method": GET[1:], "caller": "users/alice", "tenant": "acme", "platform": "p", "cluster": "c", "code": "OK",
        "reason": "", "ms": 0, "instance": "p-1", "tries": 1, "request_id": "token=***", "peer": "2001:db8::1",
        "event": "call ended", "logger": "cloudspan_gateway.pipeline.telemetry", "level": "info", "timestamp": "",
    }  # fmt: skip
    assert (second["code"], second["level"]) == ("NOT_FOUND", "info")
    assert "hunter2" not in output.getvalue()


async def test_what_a_caller_asked_to_wait_is_not_the_gateways_time() -> None:
    """`x-wait` and WaitOperation take as long as clouds do; latency would say nothing beside them."""
    metrics = GatewayMetrics()

    async def proceed(asked: Call) -> None:
        with kept_waiting(asked):
            await asyncio.sleep(0.03)

    await Telemetry(metrics)(call(GET), proceed)
    took, waited = (
        metrics.registry.get_sample_value(f"cloudspan_gateway_{name}_sum", {"method": GET[1:]})
        for name in ("call_seconds", "call_wait_seconds")
    )
    assert waited > 0.02
    assert 0 <= took < waited
