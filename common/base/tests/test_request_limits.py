"""What requests may take at once, per connection and in all; asked by grpc.aio over sockets."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloudspan_common import errors, grpcs
from cloudspan_common.request_limits import Bounds, Pool, RequestLimits, Share

MIB = 1024 * 1024
QUICK = Bounds(tick_s=0.02, wait_s=0.03)
NEVER_SLOW = replace(QUICK, tick_s=20.0)


class Request:
    """A parsed one, which weak references know, unlike bytes."""

    def __init__(self, body: bytes) -> None:
        self.body = body


class Desk(grpc.GenericRpcHandler):
    """Takes requests and answers once it may."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0
        self.refused: list[weakref.ref[Request]] = []

    async def _take(self, body: bytes, _context: Any) -> bytes:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        await asyncio.sleep(0)
        self.at_once -= 1
        return body[:4]

    async def _abort(self, request: Request, context: Any) -> bytes:
        self.refused.append(weakref.ref(request))
        await context.abort(grpc.StatusCode.NOT_FOUND, "not here")
        raise AssertionError

    async def _count(self, bodies: AsyncIterator[bytes], _context: Any) -> bytes:
        return str([len(body) async for body in bodies]).encode()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return {
            "/desk/Take": grpc.unary_unary_rpc_method_handler(self._take),
            "/desk/Abort": grpc.unary_unary_rpc_method_handler(self._abort, Request),
            "/desk/Count": grpc.stream_unary_rpc_method_handler(self._count),
        }.get(handler_call_details.method)


@asynccontextmanager
async def served(bounds: Bounds = QUICK) -> AsyncIterator[tuple[Desk, RequestLimits, Any]]:
    """A desk behind limits, and a function that opens a connection to it."""
    desk, limits = Desk(), RequestLimits(bounds)
    server = grpcs.new_server(limits=limits)
    server.add_generic_rpc_handlers((desk,))
    grpcs.add_health(server)
    port = grpcs.listen(server, "127.0.0.1:0")
    await server.start()
    channels: list[grpc.aio.Channel] = []

    def connect() -> grpc.aio.Channel:
        own = (("grpc.use_local_subchannel_pool", 1), ("test.number", len(channels)))
        channels.append(grpcs.new_channel(f"127.0.0.1:{port}", options=own))
        return channels[-1]

    try:
        yield desk, limits, connect
    finally:
        desk.open.set()
        for channel in channels:
            await channel.close()
        await server.stop(0)


async def _until_at(desk: Desk, number: int) -> None:
    async with asyncio.timeout(5):
        while desk.at_once < number:  # noqa: ASYNC110 - nothing tells when a handler has begun
            await asyncio.sleep(0.001)


def _half_sent(channel: grpc.aio.Channel) -> Any:
    """A call whose only message never comes."""

    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    return channel.stream_unary("/desk/Take")(nothing())


async def _refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def _details(error: grpc.aio.AioRpcError) -> tuple[str, float]:
    """Its reason and after how many seconds to retry."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in errors.status_of(error).details:
        _ = detail.Unpack(info) or detail.Unpack(retry)
    return info.reason, retry.retry_delay.ToTimedelta().total_seconds()


async def test_large_requests_at_once_are_all_answered_a_few_at_a_time():
    """More of them would take more memory than the connection's share."""
    async with served(replace(NEVER_SLOW, held=Share(3 * MIB, 8 * MIB), wait_s=20.0)) as (desk, limits, connect):
        take = connect().unary_unary("/desk/Take")
        answers = await asyncio.gather(*(take(b"x" * MIB) for _ in range(40)))
        assert set(answers) == {b"xxxx"}
        assert desk.most_at_once <= 3
        assert "0 calls" in repr(limits)
        assert "0 of 8388608 taken by 0 connections, 0 wait" in repr(limits)


async def test_one_connections_large_requests_leave_others_their_share():
    """The second connection is served while the first has used up what it may."""
    async with served(replace(NEVER_SLOW, held=Share(2 * MIB, 8 * MIB))) as (desk, _, connect):
        desk.open.clear()
        greedy, other = connect().unary_unary("/desk/Take"), connect().unary_unary("/desk/Take")
        held = [asyncio.ensure_future(greedy(b"x" * MIB)) for _ in range(2)]
        await _until_at(desk, 2)
        error = await _refused(greedy(b"x" * MIB))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert _details(error) == ("TOO_MANY_REQUESTS", 1.0)
        served_other = asyncio.ensure_future(other(b"y" * MIB))
        await _until_at(desk, 3)
        desk.open.set()
        assert await served_other == b"yyyy"
        assert await asyncio.gather(*held) == [b"xxxx", b"xxxx"]


async def test_calls_under_way_are_bounded_in_all():
    """The next one hears at once when to retry, and how many there are."""
    async with served(replace(QUICK, calls=3)) as (desk, _, connect):
        desk.open.clear()
        channels = [connect() for _ in range(3)]
        under_way = [asyncio.ensure_future(channel.unary_unary("/desk/Take")(b"abcd")) for channel in channels]
        await _until_at(desk, 3)
        error = await _refused(connect().unary_unary("/desk/Take")(b"abcd"))
        assert "3 calls are under way" in str(error.details())
        assert _details(error) == ("TOO_MANY_REQUESTS", 1.0)
        desk.open.set()
        assert await asyncio.gather(*under_way) == [b"abcd"] * 3
        assert await channels[0].unary_unary("/desk/Take")(b"abcd") == b"abcd"


async def test_requests_that_never_arrive_keep_nobody_waiting():
    """Of its own connection and of others: after some ticks they need room for the largest message, or end."""
    small = replace(QUICK, arriving=Share(2, 3), slow=Share(2, 4), wait_s=10.0)
    async with served(small) as (_, limits, connect):
        hostile = connect()
        half_sent = [_half_sent(hostile) for _ in range(30)]
        for channel in (connect(), hostile):
            assert await channel.unary_unary("/desk/Take")(b"abcd") == b"abcd"
        async with asyncio.timeout(5):  # the server's room is free before its last refusals have reached the client
            while "0 of 3 taken" not in repr(limits) or sum(call.done() for call in half_sent) < 28:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        ended = [call for call in half_sent if call.done()]
        assert len(ended) == 28
        assert {await call.code() for call in ended} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        for call in half_sent:
            call.cancel()


async def test_a_request_that_does_not_arrive_in_time_ends():
    """However much room there is."""
    async with served(replace(QUICK, arrive_s=0.03)) as (_, _limits, connect):
        error = await _refused(_half_sent(connect()))
        assert "did not arrive within 0.03 s" in str(error.details())


async def test_streams_that_wait_for_their_callers_are_bounded():
    """They may wait for as long as they like, but not any number of them."""
    async with served(replace(QUICK, idle=Share(2, 3))) as (_, _limits, connect):
        channel, may_send = connect(), asyncio.Event()

        async def bodies() -> AsyncIterator[bytes]:
            yield b"x" * 70_000
            await may_send.wait()
            yield b"y"

        calls = [channel.stream_unary("/desk/Count")(bodies()) for _ in range(5)]
        async with asyncio.timeout(5):
            while sum(call.done() for call in calls) < 3:  # noqa: ASYNC110 - same
                await asyncio.sleep(0.005)
        may_send.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [result for result in results if isinstance(result, bytes)] == [b"[70000, 1]"] * 2
        assert {_details(result)[0] for result in results if isinstance(result, grpc.aio.AioRpcError)} == {
            "TOO_MANY_REQUESTS"
        }


async def test_a_call_without_a_message_is_the_callers_fault():
    """Not INTERNAL: a client that ends the call before it has sent its request."""
    async with served() as (_, _limits, connect):

        async def nothing() -> AsyncIterator[bytes]:
            for body in ():
                yield body

        error = await _refused(connect().stream_unary("/desk/Take")(nothing()))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert _details(error)[0] == "NO_MESSAGE"


async def test_bytes_that_are_no_message_are_the_callers_fault():
    """Also of services that are not ours, such as health."""
    async with served() as (_, _limits, connect):
        error = await _refused(connect().unary_unary("/grpc.health.v1.Health/Check")(b"\xff\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert _details(error)[0] == "MALFORMED_MESSAGE"


async def test_streams_of_answers_go_on_behind_the_limits():
    """A health watch, which writes by itself."""
    async with served() as (_, limits, connect):
        watch = health_pb2_grpc.HealthStub(connect()).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert "1 calls" in repr(limits)
        watch.cancel()


async def test_a_refused_request_is_not_kept():
    """The error of an aborted call lives until the garbage is collected; the request must not stay with it."""
    async with served() as (desk, _limits, connect):
        gc.collect()
        gc.disable()
        try:
            await _refused(connect().unary_unary("/desk/Abort")(b"x"))
            await asyncio.sleep(0.01)
            assert [request() for request in desk.refused] == [None]
        finally:
            gc.enable()


async def test_connections_that_wait_are_served_in_turn():
    """Whoever waits with many does not come before those who wait with one."""
    pool = Pool(Share(2, 2))
    assert pool.take("a", 2)
    waits = {name: asyncio.ensure_future(pool.wait(name[0], 1, 5.0)) for name in ("a1", "a2", "a3", "b1")}
    await asyncio.sleep(0)
    pool.give("a", 2)
    await asyncio.sleep(0)
    assert [name for name, wait in waits.items() if wait.done()] == ["a1", "b1"]
    assert repr(pool) == "<Pool: 2 of 2 taken by 2 connections, 2 wait>"
    for wait in waits.values():
        wait.cancel()


async def test_what_a_caller_that_has_gone_waited_for_is_given_to_the_next():
    """Cancelled before its turn, or at the moment of it."""
    pool = Pool(Share(1, 1))
    assert pool.take("a", 1)
    gone, late, last = (asyncio.ensure_future(pool.wait(name, 1, 5.0)) for name in ("b", "c", "d"))
    await asyncio.sleep(0)
    gone.cancel()
    pool.give("a", 1)
    late.cancel()
    assert await last
    assert repr(pool) == "<Pool: 1 of 1 taken by 1 connections, 0 wait>"
