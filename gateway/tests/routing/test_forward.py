"""A call reaches its adapter as it was made, and the answer comes back as it was given."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from gateway.tests.hand_made_adapter import GET_SERVER, TOOLS, Say, tool_file
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common import errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import OutOfTime
from cloudspan_gateway.routing.forward import time_for

NAME = "platforms/openstack/clusters/east/servers/1"
TAGS = (("x-platform", "openstack"),)


def get_server(deployment, name=NAME, **options):
    return server_pb2_grpc.ServerServiceStub(deployment.channel).GetServer(
        server_pb2.GetServerRequest(name=name), **options
    )


async def test_a_read_is_answered_by_the_adapter_that_its_name_says(deployment):
    """GetServer goes to the platform and cluster in the name and comes back with the server."""
    east = await deployment.plug_in()
    west = await deployment.plug_in(instance_id="z-1", platform="zstack", clusters=("dc1",))
    async with deployment.opened():
        call = get_server(deployment)
        server = await call
        trailers = dict(await call.trailing_metadata())
        await get_server(deployment, "platforms/zstack/clusters/dc1/servers/7")
    assert server.name == NAME
    assert trailers["x-served-by"] == "os-1"
    assert [len(adapter.calls) for adapter in (east, west)] == [1, 1]


async def test_only_listed_metadata_reaches_the_adapter(deployment):
    """Request id, trace and x-cloudspan-* go on; the caller's authorization does not."""
    adapter = await deployment.plug_in()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    said = (
        ("authorization", "Bearer secret"),
        ("x-request-id", "req-1"),
        ("traceparent", trace),
        ("tracestate", "a=b"),
        ("x-cloudspan-tenant", "blue"),
        ("x-wait", "3s"),
    )
    async with deployment.opened():
        call = get_server(deployment, metadata=said)
        await call
        trailers = dict(await call.trailing_metadata())
    arrived = {key: value for key, value in adapter.calls[0][1].items() if key != "user-agent"}
    assert arrived.keys() == {"x-request-id", "traceparent", "tracestate", "x-cloudspan-tenant"}
    assert arrived["x-request-id"] == trailers["x-request-id"] == "req-1"
    assert arrived["traceparent"].split("-")[1] == trace.split("-")[1]
    assert arrived["traceparent"] != trace


async def test_a_call_without_a_request_id_gets_one(deployment):
    """What the caller leaves out, or writes in no safe form, the gateway makes; both sides see the same."""
    adapter = await deployment.plug_in()
    async with deployment.opened():
        for metadata in ((), (("x-request-id", "no good; drop table"),)):
            call = get_server(deployment, metadata=metadata)
            await call
            made = dict(await call.trailing_metadata())["x-request-id"]
            assert len(made) == 32
            assert adapter.calls[-1][1]["x-request-id"] == made


async def test_an_adapters_error_passes_untouched(deployment):
    """Code, message, details and trailers are those that the adapter sent, byte by byte."""
    adapter = await deployment.plug_in()
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="CUSTOM", domain="acme"))
    status = status_pb2.Status(code=9, message="the server is paused", details=[detail]).SerializeToString()

    async def refuse(_body, context):
        trailers = (("x-served-by", "os-1"), ("x-native", "409"), (errors.DETAILS_KEY, status))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the server is paused", trailers)

    adapter.answers[GET_SERVER] = refuse
    async with deployment.opened():
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get_server(deployment, metadata=(("x-request-id", "req-9"),))
    trailers = dict(failed.value.trailing_metadata())
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "the server is paused"
    assert trailers[errors.DETAILS_KEY] == status
    assert (trailers["x-native"], trailers["x-request-id"]) == ("409", "req-9")


async def test_an_adapters_long_error_reaches_a_client_with_default_settings(deployment):
    """An adapter of others does not cut: 13 KiB of Chinese would end as RESOURCE_EXHAUSTED, without a word of it."""
    adapter = await deployment.plug_in()
    whole = "无法连接到物理机。" * 110

    async def refuse(_body, context):
        adapter.stamp(context)
        status = status_pb2.Status(code=9, message=whole).SerializeToString()
        trailers = (("x-served-by", "os-1"), (errors.DETAILS_KEY, status))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, whole, trailers)

    adapter.answers[GET_SERVER] = refuse
    async with (
        deployment.opened() as opened,
        grpc.aio.insecure_channel(f"127.0.0.1:{opened.gateway.server.port}") as plain,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await server_pb2_grpc.ServerServiceStub(plain).GetServer(server_pb2.GetServerRequest(name=NAME))
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == errors.status_of(failed.value).message
    assert failed.value.details().endswith("…")
    assert len(failed.value.details()) > 400


async def test_an_adapters_initial_metadata_and_trailers_come_back(deployment):
    """What an adapter says before and behind its answer reaches the caller."""
    adapter = await deployment.plug_in()

    async def answer(_body, context):
        await context.send_initial_metadata((("x-native-region", "eu"),))
        adapter.stamp(context, ("x-cost", "7"))
        return server_pb2.Server(name=NAME).SerializeToString()

    adapter.answers[GET_SERVER] = answer
    async with deployment.opened():
        call = get_server(deployment)
        await call
        assert dict(await call.initial_metadata())["x-native-region"] == "eu"
        assert dict(await call.trailing_metadata())["x-cost"] == "7"


async def test_services_that_only_an_adapter_knows_pass_in_all_four_shapes(deployment):
    """The tag alone leads them, as byte streams; metadata comes back here too."""
    await deployment.plug_in()
    async with deployment.opened():
        codec = {"request_serializer": Say.SerializeToString, "response_deserializer": Say.FromString}
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", **codec)(Say(value="hi"), metadata=TAGS)
        count = deployment.channel.unary_stream(f"/{TOOLS}/Count", **codec)(Say(value="3"), metadata=TAGS)
        words = [Say(value="a"), Say(value="b")]
        total = deployment.channel.stream_unary(f"/{TOOLS}/Sum", **codec)(words, metadata=TAGS)
        chat = deployment.channel.stream_stream(f"/{TOOLS}/Chat", **codec)(words, metadata=TAGS)
        assert (await echo).value == "os-1: hi"
        assert dict(await echo.trailing_metadata())["x-tool"] == "hammer"
        assert [word.value async for word in count] == ["0", "1", "2"]
        assert dict(await count.initial_metadata())["x-count"] == "3"
        assert (await total).value == "ab"
        assert [word.value async for word in chat] == ["A", "B"]


async def test_a_stream_of_both_directions_is_not_held_up(deployment):
    """Each message of a conversation gets its answer before the next is sent."""
    await deployment.plug_in()
    async with deployment.opened():
        chat = deployment.channel.stream_stream(f"/{TOOLS}/Chat", Say.SerializeToString, Say.FromString)(metadata=TAGS)
        for word in ("one", "two"):
            await chat.write(Say(value=word))
            assert (await chat.read()).value == word.upper()
        await chat.done_writing()
        assert await chat.read() is grpc.aio.EOF


async def test_an_adapters_own_service_is_routed_by_cluster_and_pool_too(deployment):
    """With x-cluster, or a pool, the adapter gets platform and cluster."""
    adapter = await deployment.plug_in()
    async with deployment.opened():
        await deployment.pool("gold", "platforms/openstack/clusters/east")
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", Say.SerializeToString, Say.FromString)
        for tags in ((*TAGS, ("x-cluster", "east")), (("x-pool", "gold"),)):
            await echo(Say(value="hi"), metadata=tags)
            arrived = adapter.calls[-1][1]
            assert (arrived["x-platform"], arrived["x-cluster"]) == ("openstack", "east")


async def test_a_callers_deadline_reaches_the_adapter(deployment):
    """The adapter gets what is left of it; without a deadline it is 60 s."""
    adapter = await deployment.plug_in()
    left = []

    async def note(_body, context):
        left.append(context.time_remaining())
        return b""

    adapter.answers[GET_SERVER] = note
    async with deployment.opened():
        await get_server(deployment, timeout=5)
        await get_server(deployment)
    assert 3.0 < left[0] <= 5.0
    assert 57.0 < left[1] <= 60.0


@pytest.mark.parametrize(("left_s", "passed_on_s"), [(60.0, 59.95), (1.0, 0.95), (0.1, 0.095)])
def test_a_share_of_the_deadline_is_kept_for_the_way_back(left_s, passed_on_s):
    """A twentieth, at most 50 ms; with nothing left the adapter is not asked."""
    assert time_for(Deadline(left_s, lambda: 0.0)) == pytest.approx(passed_on_s)
    with pytest.raises(OutOfTime):
        time_for(Deadline(left_s, lambda: left_s))


async def test_a_deadline_that_ends_at_the_adapter_is_reported_by_the_gateway(deployment, told):
    """DEADLINE_EXCEEDED names the instance, carries the request id, and ejects nobody."""
    adapter = await deployment.plug_in()

    async def hang(_body, _context):
        await asyncio.Event().wait()

    adapter.answers[GET_SERVER] = hang
    async with deployment.opened():
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get_server(deployment, timeout=1.0, metadata=(("x-request-id", "req-2"),))
        assert deployment.states() == "[<os-1 READY>]"
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert told(failed.value).metadata["instance"] == "os-1"
    status = errors.status_of(failed.value)
    info = error_details_pb2.RequestInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.request_id == "req-2"
    async with asyncio.timeout(5):
        await adapter.cancelled.wait()


async def test_a_callers_cancel_cancels_the_adapters_call(deployment):
    """Nobody goes on working for a caller that has left; a unary call and a stream alike."""
    adapter = await deployment.plug_in()

    async def hang(_body, _context):
        await asyncio.Event().wait()

    adapter.answers[GET_SERVER] = hang
    async with deployment.opened(), asyncio.timeout(10):
        call = get_server(deployment)
        reading = asyncio.ensure_future(_outcome(call))
        await adapter.reached.wait()
        call.cancel()
        await adapter.cancelled.wait()
        await reading
        chat = deployment.channel.stream_stream(f"/{TOOLS}/Chat", Say.SerializeToString, Say.FromString)(metadata=TAGS)
        await chat.write(Say(value="a"))
        await chat.read()
        assert not adapter.ended.is_set()
        chat.cancel()
        await adapter.ended.wait()
        assert deployment.states() == "[<os-1 READY>]"
    assert deployment.gateway.metrics.in_flight == 0


async def _outcome(call):
    try:
        return await call
    except asyncio.CancelledError:
        return None


async def test_a_service_with_a_reserved_name_never_passes_through(deployment):
    """Neither Describe nor Step of an adapter can be reached by a caller, whatever the tags."""
    await deployment.plug_in()
    async with deployment.opened():
        for method in ("cloudspan.adapter.v1.AdapterService/Describe", "cloudspan.v1.ServerService/Explode"):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await deployment.channel.unary_unary(f"/{method}")(b"", metadata=TAGS)
            assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert method in failed.value.details()
    assert deployment.adapters[0].calls == []


async def test_a_new_adapters_service_is_used_without_a_restart(deployment):
    """A platform that appears while the gateway runs is called as soon as it has described itself."""
    async with deployment.opened():
        await deployment.plug_in(files=(tool_file(),))
        await deployment.until(
            lambda: "READY" in deployment.states() if deployment.gateway.table.snapshot.platforms else False
        )
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", Say.SerializeToString, Say.FromString)
        assert (await echo(Say(value="hi"), metadata=TAGS)).value == "os-1: hi"
