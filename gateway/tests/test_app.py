"""A whole gateway: how it starts, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from gateway.tests.callers import NAME, get_server, refused
from gateway.tests.conftest import Deployment
from gateway.tests.hand_made_adapter import HandMadeAdapter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs
from tests.harness import http2

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common import grpcs, watched_server
from cloudspan_common.errors import CloudspanError, PreconditionFailed
from cloudspan_common.registry import open_registry
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway import app
from cloudspan_gateway.config import GatewayConfig


async def test_an_address_in_use_is_a_plain_error():
    """Not an exception group: the process reports it in one line."""
    taken = HandMadeAdapter()
    await taken.start()
    gateway = app.build(
        GatewayConfig(listen=f"127.0.0.1:{taken.port}", metrics="", database="memory:", no_inventory=True),
        MemoryRegistry(),
    )
    with pytest.raises(CloudspanError, match="can't listen on"):
        async with gateway.running():
            pass
    await taken.stop()


async def test_the_process_serves_from_a_static_registry_and_drains_at_a_signal(tmp_path):
    """`python -m cloudspan_gateway` answers for the adapter in the file, SIGHUP or not, and exits 0 on SIGTERM."""
    adapter = HandMadeAdapter()
    url = f"static:{tmp_path}/registry.yaml"
    registry = open_registry(url)
    await registry.register(await adapter.start())
    arguments = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--registry", url, "--database", "memory:")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloudspan_gateway", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            port = await _port_of(process)
            process.send_signal(signal.SIGHUP)
            async with grpcs.new_channel(f"127.0.0.1:{port}") as channel:
                assert (await get_server(channel)).name == NAME
            process.terminate()
            await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await registry.close()
        await adapter.stop()


async def _port_of(process):
    async for line in process.stderr:
        if b"gateway started" in line:
            return int(line.split(b'"port":')[1].split(b",")[0])
    raise AssertionError("the gateway ended before it started")


async def test_a_table_that_ended_is_started_again_and_finds_its_adapters_anew(deployment):
    """Counted, and shown by its health meanwhile."""
    await deployment.plug_in()
    async with deployment.opened():
        await deployment.until(lambda: "READY" in deployment.states())
        failures = [ZeroDivisionError()]

        def explode(_snapshot):
            if failures:
                raise failures.pop()

        deployment.gateway.table.subscribe(explode)
        await deployment.plug_in(instance_id="os-2")
        await deployment.until(lambda: _restarts(deployment, "table") and deployment.states().count("READY") == 2)
        assert (await get_server(deployment.channel)).name == NAME
        assert await _health_of(deployment, "gateway/table") == health_pb2.HealthCheckResponse.SERVING


async def test_a_gateway_is_ready_while_all_its_parts_serve(deployment):
    """The same word as its health: a supervisor may ask either."""
    async with deployment.opened():
        assert deployment.gateway.readiness.is_ready
        await deployment.gateway._set_health("runner", serving=False)
        assert deployment.gateway.readiness.missing == ("runner",)
        assert await _health_of(deployment, "gateway/runner") == health_pb2.HealthCheckResponse.NOT_SERVING
    assert "server" in deployment.gateway.readiness.missing


async def test_a_server_that_can_not_be_had_again_ends_the_process(deployment, monkeypatch):
    """Whoever waits for the stop learns why; a supervisor starts another."""
    async with deployment.opened():
        monkeypatch.setattr(watched_server, "GIVE_UP_S", 0.0)
        monkeypatch.setattr(grpcs, "listen", _refuse)
        ending = asyncio.ensure_future(deployment.gateway.until(asyncio.Event()))
        await http2.send(deployment.gateway.server.port, http2.request(b"/\xff"))
        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.timeout(5):
                await ending
    assert failed.group_contains(CloudspanError, match="can't be started again")


def _refuse(*_):
    raise CloudspanError("the address is in use")


def _restarts(deployment, part):
    return deployment.gateway.metrics.registry.get_sample_value("cloudspan_restarts_total", {"part": part})


async def _health_of(deployment, service):
    stub = health_pb2_grpc.HealthStub(deployment.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({"listen": "0.0.0.0:0", "insecure": True}, ["callers are not authenticated, and other machines can call"]),
        ({"listen": "0.0.0.0:0", "auth": ("sessions",)}, ["credentials of callers pass in clear text"]),
        ({"listen": "127.0.0.1:0", "auth": ("sessions",)}, []),
        ({"listen": "127.0.0.1:0"}, []),
    ],
)
async def test_a_gateway_that_others_reach_says_at_its_start_what_they_could_do(deployment, config, warned):
    """Once, in its log."""
    with capture_logs() as logged:
        async with deployment.opened(**config):
            pass
    said = [event["event"] for event in logged if event["log_level"] == "warning"]
    assert [event.partition(";")[0] for event in said] == warned


async def test_the_issuer_of_tokens_is_a_part_like_the_others(deployment):
    """Its health is that of whoever reads its keys; an issuer that is away makes no gateway unready."""
    oidc = {"auth": ("jwt",), "oidc_issuer": "http://127.0.0.1:9", "oidc_audience": "cloudspan"}
    async with deployment.opened(**oidc):
        assert await _health_of(deployment, "gateway/issuer") == health_pb2.HealthCheckResponse.SERVING
        assert deployment.gateway.readiness.is_ready


async def test_audit_events_are_lines_of_a_file_too(deployment: Deployment, tmp_path: Path) -> None:
    """Whole once the gateway has stopped."""
    path = tmp_path / "audit.jsonl"
    await deployment.plug_in()
    async with deployment.opened(audit_log=path):
        await refused(
            server_pb2_grpc.ServerServiceStub(deployment.channel).DeleteServer(
                server_pb2.DeleteServerRequest(name=f"{NAME}x")
            )
        )
    (line,) = path.read_text().splitlines()
    record = json.loads(json.loads(line)["record"])
    assert (record["method"], record["resource"]) == ("cloudspan.v1.ServerService/DeleteServer", f"{NAME}x")


async def test_an_audit_log_that_can_not_be_written_ends_the_start(deployment: Deployment, tmp_path: Path) -> None:
    """Nobody believes that it is kept while it is not."""
    with pytest.raises(PreconditionFailed, match="--audit-log"):
        async with deployment.opened(audit_log=tmp_path / "missing" / "audit.jsonl"):
            pass
