"""The gRPC door: health, defects, and how it closes."""

from __future__ import annotations

import asyncio

import grpc
from gateway.tests.callers import NAME, get_server, refused
from gateway.tests.hand_made_adapter import GET_SERVER
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import generate_latest

from cloudspan.v1 import server_pb2
from cloudspan_gateway.routing.forward import Forwarder

CODE = grpc.StatusCode


async def test_health_is_reported_for_the_gateway_and_each_platform(deployment):
    """A platform without a serving instance is NOT_SERVING; the gateway stays SERVING."""
    adapter = await deployment.plug_in()
    async with deployment.opened(), asyncio.timeout(10):
        stub = health_pb2_grpc.HealthStub(deployment.channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == 1
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="platforms/openstack"))
        while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
            pass
        await adapter.stop()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_a_defect_of_the_gateway_is_reported_and_counted_and_the_gateway_goes_on(deployment, told, monkeypatch):
    """INTERNAL with the request id; the next call is served."""
    await deployment.plug_in()

    async def broken(*_arguments, **_options):
        raise KeyError("oops")

    async with deployment.opened():
        with monkeypatch.context() as patched:
            patched.setattr(Forwarder, "unary", broken)
            error = await refused(get_server(deployment.channel))
        assert (await get_server(deployment.channel)).name == NAME
        text = generate_latest(deployment.gateway.metrics.registry).decode()
    assert (error.code(), told(error).reason) == (CODE.INTERNAL, "INTERNAL")
    assert "the gateway failed with KeyError" in error.details()
    assert "cloudspan_gateway_defects_total 1.0" in text


async def test_a_header_near_one_of_ours_is_named_in_a_trailer(deployment):
    """Behind an answer and behind an error alike."""
    await deployment.plug_in()
    text = "unknown metadata x_request_id; did you mean x-request-id?"
    async with deployment.opened():
        call = get_server(deployment.channel, metadata=(("x_request_id", "mine"),))
        assert (await call).name == NAME
        assert dict(await call.trailing_metadata())["x-cloudspan-warning"] == text
        nowhere = deployment.channel.unary_unary("/no.Such/Method")
        error = await refused(nowhere(b"", metadata=(("x_request_id", "mine"),)))
        assert dict(error.trailing_metadata())["x-cloudspan-warning"] == text


async def test_a_stop_lets_calls_under_way_end(deployment):
    """New calls are refused, the one at the adapter is answered."""
    adapter = await deployment.plug_in()
    release = asyncio.Event()

    async def slow(_body, _context):
        await release.wait()
        return server_pb2.Server(name=NAME).SerializeToString()

    adapter.answers[GET_SERVER] = slow
    async with deployment.opened(drain_s=5.0):
        call = get_server(deployment.channel)
        under_way = asyncio.ensure_future(_answer(call))
        async with asyncio.timeout(5):
            await adapter.reached.wait()
        stopping = asyncio.ensure_future(deployment.gateway.server.stop(5.0))
        await asyncio.sleep(0.02)
        late = await refused(get_server(deployment.channel, wait_for_ready=False, timeout=1))
        release.set()
        assert (await under_way).name == NAME
        await stopping
    assert late.code() is CODE.UNAVAILABLE


async def _answer(call):
    return await call
