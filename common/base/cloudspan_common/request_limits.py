"""What the requests of a server may take at once: bounded per connection and in all, before they are read.

gRPC buffers the whole of every message that is asked for, however many are asked for at once (150 requests of 3.9 MB
took 800 MB, measured). `RequestLimits` stands before all services of a server and asks for few at a time:

* Few messages arrive at the same moment; the next ones wait their turn, connections in turn. A message that has not
  come after a few ticks is slow, and makes way: half-sent requests don't keep others waiting. There may be few of them.
* What has arrived counts until its call ends.

Beyond that a call ends with RESOURCE_EXHAUSTED, reason TOO_MANY_REQUESTS, and RetryInfo: nothing of it was done.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from cloudspan_common import errors
from cloudspan_common.errors import CloudspanError, InvalidRequest, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Answer = Callable[[Any, Context], Awaitable[Any]]

MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_STREAMS = 1000
"""Calls under way of one connection; gRPC itself keeps them, and clients wait with more."""
_MIB = 1024 * 1024
_SLOW_TICKS = 3
_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something there is."""

    per_connection: int
    in_all: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers of docs/limits.md."""

    calls: int = 10_000
    arriving: Share = Share(8, 16)
    """Messages that are read at the same moment."""
    slow: Share = Share(4, 16)
    """Messages that take longer, each of at most 4 MiB."""
    held: Share = Share(16 * _MIB, 64 * _MIB)
    """Bytes of requests whose calls are under way."""
    idle: Share = Share(32, 128)
    """Request streams whose caller has not sent the next message yet."""
    tick_s: float = 0.1
    """A message that has not come after three of them is slow; less would catch those of a burst on a busy machine."""
    arrive_s: float = 10.0
    """How long the one message of a call may take."""
    wait_s: float = 5.0
    """How long a call may wait for its turn."""


class Pool:
    """A share that is given out, fairly: connections that wait are served in turn."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._taken: dict[str, int] = {}
        self._in_all = 0
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    def __repr__(self) -> str:
        waiting = sum(map(len, self._waiting.values()))
        return f"<Pool: {self._in_all} of {self._share.in_all} taken by {len(self._taken)} connections, {waiting} wait>"

    def take(self, connection: str, amount: int) -> bool:
        """Take `amount` if it is there and nobody of the same connection waits for some."""
        if connection in self._waiting or not self._fits(connection, amount):
            return False
        self._taken[connection] = self._taken.get(connection, 0) + amount
        self._in_all += amount
        return True

    def _fits(self, connection: str, amount: int) -> bool:
        taken = self._taken.get(connection, 0)
        return self._in_all + amount <= self._share.in_all and taken + amount <= self._share.per_connection

    def give(self, connection: str, amount: int) -> None:
        """Give back what was taken."""
        left = self._taken[connection] - amount
        if left:
            self._taken[connection] = left
        else:
            del self._taken[connection]
        self._in_all -= amount
        if self._waiting:
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        served = True
        while served:
            served = False
            for connection in list(self._waiting):
                if self._in_all >= self._share.in_all:
                    return  # thousands may wait, and each call that ends comes by here
                served |= self._serve_first(connection)

    def _serve_first(self, connection: str) -> bool:
        queue = self._waiting.pop(connection)
        while queue and queue[0][1].done():  # whose caller has gone
            queue.popleft()
        served = bool(queue) and self._fits(connection, queue[0][0])
        if served:
            amount, turn = queue.popleft()
            self._taken[connection] = self._taken.get(connection, 0) + amount
            self._in_all += amount
            turn.set_result(None)
        if queue:
            self._waiting[connection] = queue  # behind the other connections
        return served

    async def wait(self, connection: str, amount: int, wait_s: float) -> bool:
        """Take `amount` once it is there; False if it is not within `wait_s`."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(connection, deque()).append((amount, turn))
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except TimeoutError:
            return turn.done() and not turn.cancelled()  # it may have come at the same moment
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(connection, amount)
            raise
        finally:
            if turn.cancelled():
                self._serve_waiting()  # those behind it
        return True


@dataclass(slots=True, eq=False)
class _Reading:
    """A message that a call waits for, and the pool that it is in meanwhile."""

    connection: str
    of_stream: bool
    pool: Pool
    task: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    ticks: int = 0
    refusal: str = ""

    def move(self, pool: Pool) -> bool:
        """Go to another pool, if there is room."""
        if not pool.take(self.connection, 1):
            return False
        self.pool.give(self.connection, 1)
        self.pool = pool
        return True

    def refuse(self, text: str) -> None:
        """End the wait for the message; once, since `refused` takes back one cancellation."""
        if not self.refusal and self.task is not None:
            self.task.cancel()
        self.refusal = self.refusal or text

    def refused(self) -> TooManyRequests:
        """Return why, in place of the cancellation."""
        if self.task is not None:
            self.task.uncancel()
        return _too_many(self.refusal)


@dataclass(slots=True)
class _Held:
    """The bytes that a call holds."""

    connection: str
    bytes: int = 0


class RequestLimits:
    """Stands before every service of a server; one for a port, whatever server is behind it."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._calls = 0
        self._arriving, self._held = Pool(self._bounds.arriving), Pool(self._bounds.held)
        self._slow, self._idle = Pool(self._bounds.slow), Pool(self._bounds.idle)
        self._reading: set[_Reading] = set()
        self._ticking = False

    def __repr__(self) -> str:
        return f"<RequestLimits: {self._calls} calls | arriving {self._arriving!r} | held {self._held!r}>"

    def before(self, handlers: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        """Return the same handlers, reading their requests within the limits.

        Not an interceptor: one costs a call 30 to 70 us of CPU for itself (measured).
        """
        return _Limited(self, handlers)

    def limited(self, handler: Handler) -> Handler:
        """Return one method's handler, reading its requests within the limits."""
        # A handler of one message becomes one of a stream, since gRPC reads the message of the former by itself.
        if handler.response_streaming:
            function = handler.stream_stream if handler.request_streaming else handler.unary_stream
            made = grpc.stream_stream_rpc_method_handler
        else:
            function = handler.stream_unary if handler.request_streaming else handler.unary_unary
            made = grpc.stream_unary_rpc_method_handler
        serve: Any = self._within(_awaited(function), handler.request_deserializer, streams=handler.request_streaming)
        return made(serve, None, handler.response_serializer)

    def _within(self, answer: Answer, parse: Any, *, streams: bool) -> Answer:
        async def serve(_messages: object, context: Context) -> Any:
            held = await self._admit(context)
            try:
                if streams:
                    return await answer(self._messages(parse, context, held), context)
                return await answer(await self._message(parse, context, held), context)
            except CloudspanError as error:
                await _refuse(context, error)
            except grpc.aio.AbortError as error:
                # gRPC keeps it, and all that its traceback knows, until the garbage is collected.
                raise error.with_traceback(None) from None
            finally:
                self._dismiss(held)

        return serve

    async def _admit(self, context: Context) -> _Held:
        if self._calls >= self._bounds.calls:
            text = f"{self._calls} calls are under way at this server, as many as it takes; retry a moment later"
            await _refuse(context, _too_many(text))
        self._calls += 1
        return _Held(context.peer())

    def _dismiss(self, held: _Held) -> None:
        self._calls -= 1
        if held.bytes:
            self._release(held)

    def _release(self, held: _Held) -> None:
        self._held.give(held.connection, held.bytes)
        held.bytes = 0

    async def _message(self, parse: Any, context: Context, held: _Held) -> Any:
        body = await self._read(context, held, of_stream=False)
        if body is grpc.aio.EOF:
            raise InvalidRequest("the call has no message; send a request", reason="NO_MESSAGE")
        return body if parse is None else _parsed(parse, body)

    async def _messages(self, parse: Any, context: Context, held: _Held) -> AsyncIterator[Any]:
        while (body := await self._read(context, held, of_stream=True)) is not grpc.aio.EOF:
            yield body if parse is None else _parsed(parse, body)
            if held.bytes:
                self._release(held)  # whoever asks for the next message is done with the last one

    async def _read(self, context: Context, held: _Held, *, of_stream: bool) -> Any:
        """Return the next message, or grpc.aio.EOF.

        Raises:
            TooManyRequests: There is no room for it, or it did not come in time.
        """
        if not self._arriving.take(held.connection, 1):
            await self._wait(self._arriving, held.connection, 1)
        reading = _Reading(held.connection, of_stream, self._arriving)
        try:
            body = await self._arrived(context, reading)
            if body is grpc.aio.EOF or not body:
                return body
            if not self._held.take(held.connection, len(body)):
                await self._wait(self._held, held.connection, len(body))
            held.bytes = len(body)
            return body
        finally:
            reading.pool.give(reading.connection, 1)

    async def _arrived(self, context: Context, reading: _Reading) -> Any:
        self._reading.add(reading)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(self._bounds.tick_s, self._tick)
        try:
            return await context.read()
        except asyncio.CancelledError:
            if not reading.refusal:
                raise
            raise reading.refused() from None
        finally:
            self._reading.discard(reading)

    async def _wait(self, pool: Pool, connection: str, amount: int) -> None:
        wait_s = self._bounds.wait_s
        if not await pool.wait(connection, amount, wait_s):
            text = f"too many requests were sent at once: there was no room for this one for {wait_s:g} s"
            raise _too_many(f"{text}; send fewer or smaller ones at the same time")

    def _tick(self) -> None:
        """Look at what has not arrived yet; a busy loop ticks later, so that what waits for the loop is not slow."""
        for reading in tuple(self._reading):
            reading.ticks += 1
            if reading.pool is self._arriving and reading.ticks >= _SLOW_TICKS:
                self._make_slow(reading)
            elif reading.ticks * self._bounds.tick_s > self._bounds.arrive_s:
                reading.refuse(f"the request did not arrive within {self._bounds.arrive_s:g} s; send it whole at once")
        self._ticking = bool(self._reading)
        if self._ticking:
            asyncio.get_running_loop().call_later(self._bounds.tick_s, self._tick)

    def _make_slow(self, reading: _Reading) -> None:
        if reading.of_stream:
            self._reading.discard(reading)  # its next message may come whenever it likes
            if not reading.move(self._idle):
                reading.refuse("too many request streams wait for their next message; end some of them first")
        elif not reading.move(self._slow):
            reading.refuse("too many requests arrive slowly or are large; send fewer of them at the same time")


def _too_many(text: str) -> TooManyRequests:
    return TooManyRequests(text, retry_after_s=_RETRY_AFTER_S)


class _Limited(grpc.GenericRpcHandler):
    def __init__(self, limits: RequestLimits, handlers: grpc.GenericRpcHandler) -> None:
        self._limits, self._handlers = limits, handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        handler = self._handlers.service(handler_call_details)
        return None if handler is None else self._limits.limited(handler)


async def _refuse(context: Context, error: CloudspanError) -> NoReturn:
    metadata = dict(context.invocation_metadata() or ())
    message, trailers = errors.ending(error, str(metadata.get("x-request-id", "")))
    await context.abort(error.code, message, trailers)


def _parsed(parse: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parse(body)
    except DecodeError:
        text = "the request's bytes are not a message of the method's type; generate the client anew from the protos"
        raise InvalidRequest(text, reason="MALFORMED_MESSAGE") from None


def _awaited(function: Any) -> Answer:
    """Return a handler's function, of whichever form, as one to be awaited."""
    if inspect.iscoroutinefunction(function):
        return function

    async def write_all(request: Any, context: Context) -> None:
        async for message in function(request, context):
            await context.write(message)

    async def run_in_thread(request: Any, context: Context) -> Any:
        # A blocking servicer, as channelz has: gRPC would have given it a thread too.
        answer = await asyncio.to_thread(function, request, context)
        return await answer if inspect.isawaitable(answer) else answer

    return write_all if inspect.isasyncgenfunction(function) else run_in_thread
