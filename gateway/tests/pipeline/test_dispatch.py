"""A streaming rpc of the contract needs no code in the gateway: it is routed by its first message."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import grpc
import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common import contract

EAST = "platforms/openstack/clusters/east"
TAIL, UPLOAD = "cloudspan.v1.ServerService/TailServer", "cloudspan.v1.ServerService/UploadServer"
Request, Answer = server_pb2.GetServerRequest, server_pb2.Server


@pytest.fixture(autouse=True)
def grown_contract(monkeypatch):
    """The contract with a server stream and a client stream more."""
    known = contract.methods()
    get = known["cloudspan.v1.ServerService/GetServer"]
    tail = dataclasses.replace(get, full_name=TAIL, name="TailServer", server_streaming=True)
    upload = dataclasses.replace(
        get, full_name=UPLOAD, name="UploadServer", client_streaming=True, kind=contract.Kind.CALL
    )
    grown = MappingProxyType({**known, TAIL: tail, UPLOAD: upload})
    monkeypatch.setattr(contract, "methods", lambda: grown)


def tail(deployment, name=f"{EAST}/servers/1"):
    stub = deployment.channel.unary_stream(f"/{TAIL}", Request.SerializeToString, Answer.FromString)
    return stub(Request(name=name))


def lines(adapter, count, *, lost_after=None):
    """A handler that sends `count` servers, or breaks off without the stamp."""

    async def answer(request, context):
        adapter.calls.append((TAIL, dict(context.invocation_metadata()), b""))
        adapter.stamp(context)
        for number in range(count):
            if number == lost_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "broken off", (("x-none", "1"),))
            yield Answer(name=f"{adapter.instance_id}: {request.name}", display_name=str(number))

    adapter.handlers[f"/{TAIL}"] = grpc.unary_stream_rpc_method_handler(
        answer, Request.FromString, Answer.SerializeToString
    )


async def test_a_server_stream_is_passed_on_message_by_message(deployment):
    """Routed by the name in its request; the request id comes ahead of the first message."""
    adapter = await deployment.plug_in()
    lines(adapter, 3)
    async with deployment.opened():
        call = tail(deployment)
        servers = [server async for server in call]
        assert len(dict(await call.initial_metadata())["x-request-id"]) == 32
    assert [server.display_name for server in servers] == ["0", "1", "2"]


async def test_a_server_stream_to_nowhere_is_refused(deployment):
    """The same words as for a unary call."""
    await deployment.plug_in()
    async with deployment.opened():
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await tail(deployment, "platforms/vmware/clusters/a/servers/1").read()
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_read_stream_lost_before_its_first_message_goes_to_another_instance(deployment):
    """Later it can't: what was sent can't be taken back."""
    one, two = await deployment.plug_in(), await deployment.plug_in(instance_id="os-2")
    lines(one, 3, lost_after=0)
    lines(two, 3)
    async with deployment.opened():
        one.describe_fails = grpc.StatusCode.UNAVAILABLE
        for _ in range(6):
            assert [server.display_name async for server in tail(deployment)] == ["0", "1", "2"]
        assert len(one.calls) <= 1


async def test_a_read_stream_lost_under_way_ends_with_an_error(deployment, told):
    """The caller keeps what it has, and learns that it is not all."""
    adapter = await deployment.plug_in()
    lines(adapter, 3, lost_after=1)
    await deployment.plug_in(instance_id="os-2", clusters=())
    async with deployment.opened():
        call = tail(deployment)
        assert (await call.read()).display_name == "0"
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
    assert (failed.value.code(), told(failed.value).reason) == (grpc.StatusCode.UNAVAILABLE, "INSTANCE_LOST")


async def test_a_caller_that_leaves_a_stream_leaves_no_defect_behind(deployment):
    """A stream without end is given up by its caller; the gateway takes that for what it is."""
    adapter = await deployment.plug_in()
    lines(adapter, 1_000_000)
    async with deployment.opened():
        for _ in range(5):
            call = tail(deployment)
            await call.read()
            call.cancel()
        assert deployment.gateway.metrics.defects._value.get() == 0
    assert deployment.gateway.metrics.in_flight == 0


async def test_a_client_stream_is_routed_by_its_first_message(deployment):
    """The others follow it to the same instance; without any message there is nowhere to go."""
    adapter = await deployment.plug_in()

    async def answer(requests, context):
        adapter.stamp(context)
        return Answer(display_name=" ".join([request.name.rpartition("/")[2] async for request in requests]))

    adapter.handlers[f"/{UPLOAD}"] = grpc.stream_unary_rpc_method_handler(
        answer, Request.FromString, Answer.SerializeToString
    )
    async with deployment.opened():
        upload = deployment.channel.stream_unary(f"/{UPLOAD}", Request.SerializeToString, Answer.FromString)
        answered = await upload([Request(name=f"{EAST}/servers/1"), Request(name="2"), Request(name="3")])
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await upload([])
    assert answered.display_name == "1 2 3"
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "without a message" in failed.value.details()
