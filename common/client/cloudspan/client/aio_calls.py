"""The calls of `AsyncClient`: each method of a service is one of these, and they return answers, pages, operations."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from cloudspan.client import answers
from cloudspan.client.answers import DEFAULT_RESULT_TIMEOUT_S, ItemT, ResultT
from cloudspan.client.errors import Cancelled, CloudspanError, Resync, Unauthenticated, Unreachable, from_call
from cloudspan.v1 import event_pb2, inventory_pb2, operation_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from google.protobuf.message import Message

    from cloudspan.client.aio_credentials import CallMetadata
    from cloudspan.client.connection import CallDefaults, Metadata

RequestT = TypeVar("RequestT", bound="Message")
AnswerT = TypeVar("AnswerT", bound="Message")


class Unary(Generic[RequestT, AnswerT]):
    """A method with one answer."""

    def __init__(self, call: Any, defaults: CallDefaults, metadata: CallMetadata) -> None:
        self._call = call
        self._defaults = defaults
        self._metadata = metadata

    async def __call__(
        self,
        request: RequestT,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's
    ) -> AnswerT:
        """Send the request; `timeout` in seconds."""
        timeout_s = self._defaults.timeout_s if timeout is None else timeout
        give_up = time.monotonic() + timeout_s
        sent = await self._metadata.of(metadata)
        try:
            return await self._answer(request, sent, timeout_s)
        except Unauthenticated:  # before anything was done: a change may be sent again as well
            renewed = await self._metadata.after_refusal(sent, metadata)
            if renewed is None:
                raise
            return await self._answer(request, renewed, max(give_up - time.monotonic(), 0.0))

    async def _answer(self, request: RequestT, metadata: Metadata, timeout_s: float) -> AnswerT:
        try:
            return await self._call(request, metadata=metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error


class Paged(Unary[RequestT, AnswerT], Generic[RequestT, AnswerT, ItemT]):
    """A method that answers with a page; `AsyncClient.each` walks them all."""


class Mutation(Generic[RequestT, ResultT]):
    """A method that changes something, and answers with its operation."""

    def __init__(self, calls: Calls, path: str, request: type[RequestT]) -> None:
        self._calls = calls
        self._send: Unary[RequestT, Any] = calls.unary(path, request, operations_pb2.Operation)

    async def __call__(
        self,
        request: RequestT,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's
    ) -> AsyncOperation[ResultT]:
        """Send the request; again when nobody answered and it has a `request_id`. `timeout` in seconds, for all."""
        left = self._calls.defaults.timeout_s if timeout is None else timeout
        give_up, attempt = time.monotonic() + left, 1
        while True:
            try:
                proto = await self._send(request, metadata=metadata, timeout=left)
            except (Unreachable, Cancelled):  # the latter by a gateway whose server ended
                pause_s = self._calls.defaults.pause_s(attempt, request)
                left = give_up - time.monotonic() - (pause_s or 0.0)
                if pause_s is None or left <= 0:
                    raise
                await asyncio.sleep(pause_s)
                attempt += 1
            else:
                return AsyncOperation(self._calls, proto)


class Stream(Generic[RequestT, AnswerT]):
    """A method that answers with a stream. It has no deadline unless it is given one."""

    def __init__(self, call: Any, defaults: CallDefaults, metadata: CallMetadata) -> None:
        self._call = call
        self._defaults = defaults
        self._metadata = metadata

    async def __call__(
        self,
        request: RequestT,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's
    ) -> AsyncIterator[AnswerT]:
        """Yield the answers; leaving the loop early cancels the call."""
        sent: Metadata | None = await self._metadata.of(metadata)
        renewable = True
        while sent is not None:
            call = self._call(request, metadata=sent, timeout=timeout)
            try:
                async for answer in call:
                    renewable = False
                    yield answer
                return
            except grpc.aio.AioRpcError as error:
                failure = from_call(error)
                refused = renewable and isinstance(failure, Unauthenticated)
                sent = await self._metadata.after_refusal(sent, metadata) if refused else None
                if sent is None:
                    raise failure from error
                renewable = False
            finally:
                call.cancel()


class AsyncListing(answers.Pages[ItemT]):
    """The resources of a list, page after page, and how each cluster took part."""

    def __init__(self, method: Paged[Any, Any, ItemT], request: Message) -> None:
        super().__init__(request)
        self._method = method

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        request: Any = type(self._request)()
        request.CopyFrom(self._request)
        while True:
            answer = await self._method(request)
            for item in self._note(answer):
                yield item
            request.page_token = getattr(answer, "next_page_token", "")
            if not request.page_token:
                return


class AsyncOperation(answers.OperationState[ResultT]):
    """An operation: what came of a change, or is still to come."""

    def __init__(self, calls: Calls, proto: operations_pb2.Operation) -> None:
        super().__init__(proto)
        self._calls = calls

    async def result(self, timeout_s: float = DEFAULT_RESULT_TIMEOUT_S) -> ResultT:
        """Wait until it is done and return what it made.

        Raises:
            OutOfTime: It is not done after `timeout_s`; it goes on, and can be waited for again.
            CloudspanError: It failed.
        """
        give_up = time.monotonic() + timeout_s
        while not self.done:
            left = give_up - time.monotonic()
            if left <= 0:
                raise self._not_done(timeout_s)
            seconds = min(left, answers.WAIT_ROUND_S)
            request = answers.wait_request(self.name, seconds)
            self.proto = await self._calls.wait_operation(request, timeout=seconds + answers.WAIT_MARGIN_S)
        return answers.result_of(self)

    async def changes(self) -> AsyncIterator[AsyncOperation[ResultT]]:
        """Yield it as it is now, then at each change, until it is done."""
        async for proto in self._calls.watch_operation(operation_pb2.WatchOperationRequest(name=self.name)):
            self.proto = proto
            yield AsyncOperation(self._calls, proto)

    async def cancel(self) -> None:
        """Cancel it; `result` returns or raises how it ended."""
        await self._calls.cancel_operation(operations_pb2.CancelOperationRequest(name=self.name))


class _Followed(Generic[ItemT]):
    """A stream that goes on by itself when it is cut off; says what is taken of it, and where it goes on."""

    _calls: Calls

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        has_begun, failures = False, 0
        while True:
            has_come = False
            try:
                async for answer in self._stream():
                    has_begun = has_come = True
                    for item in self._taken(answer):
                        yield item
                    await self._done(answer)
                error: CloudspanError = Unreachable("the gateway ended the stream")
            except Resync as refusal:
                if not self._begin_anew():
                    raise
                error = refusal
            except CloudspanError as failure:
                if not (has_begun and self._calls.defaults.retries and answers.goes_on(failure, has_come=has_come)):
                    raise
                error = failure
            failures = 0 if has_come else failures + 1
            await asyncio.sleep(answers.watch_pause_s(failures, error))

    def _stream(self) -> AsyncIterator[Any]:
        raise NotImplementedError

    def _taken(self, answer: Any) -> Iterable[ItemT]:
        raise NotImplementedError

    async def _done(self, answer: Any) -> None:
        """See to what follows once all of a message was taken."""

    def _begin_anew(self) -> bool:
        return False


class AsyncWatch(answers.WatchState, _Followed["inventory_pb2.WatchResponse.Change"]):
    """Resources and their changes, for ever; it goes on by itself when it is cut off."""

    def __init__(self, calls: Calls, request: inventory_pb2.WatchRequest) -> None:
        super().__init__(request)
        self._calls = calls

    def _stream(self) -> AsyncIterator[inventory_pb2.WatchResponse]:
        return self._calls.watch(self._request)


class AsyncEvents(_Followed["event_pb2.Event"]):
    """Events, for ever; it goes on by itself when it is cut off."""

    def __init__(self, calls: Calls, request: event_pb2.WatchEventsRequest) -> None:
        self._calls = calls
        self._request = event_pb2.WatchEventsRequest()
        self._request.CopyFrom(request)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} as {self._request.consumer or 'no consumer'}>"

    @property
    def resume_token(self) -> str:
        """Where another stream goes on behind the events that were taken."""
        return self._request.resume_token

    def _stream(self) -> AsyncIterator[event_pb2.WatchEventsResponse]:
        return self._calls.watch_events(self._request)

    def _taken(self, answer: event_pb2.WatchEventsResponse) -> Iterable[event_pb2.Event]:
        return answer.events

    async def _done(self, answer: event_pb2.WatchEventsResponse) -> None:
        self._request.resume_token = answer.resume_token
        if answer.consumer and answer.events:
            request = event_pb2.AcknowledgeEventsRequest(name=answer.consumer, resume_token=answer.resume_token)
            await self._calls.acknowledge_events(request)


class Channel:
    """A channel for generated stubs: their calls get the client's tags, deadline and errors too."""

    def __init__(self, channel: grpc.aio.Channel, defaults: CallDefaults, metadata: CallMetadata) -> None:
        self._channel = channel
        self._defaults = defaults
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        # What it does not change itself: calls that stream requests, the state of the connection, close.
        return getattr(self._channel, name)

    def unary_unary(self, *arguments: Any, **named: Any) -> Unary[Any, Any]:
        """Return a call with one answer."""
        return Unary(self._channel.unary_unary(*arguments, **named), self._defaults, self._metadata)

    def unary_stream(self, *arguments: Any, **named: Any) -> Stream[Any, Any]:
        """Return a call that streams its answers."""
        return Stream(self._channel.unary_stream(*arguments, **named), self._defaults, self._metadata)


class Calls:
    """Makes the methods of services over one channel."""

    def __init__(self, channel: grpc.aio.Channel, defaults: CallDefaults, metadata: CallMetadata) -> None:
        self._channel = channel
        self.defaults = defaults
        self._metadata = metadata
        operation: Any = operations_pb2.Operation
        longrunning = "/google.longrunning.Operations"
        self.wait_operation = self.unary(f"{longrunning}/WaitOperation", operations_pb2.WaitOperationRequest, operation)
        self.cancel_operation = self.unary(
            f"{longrunning}/CancelOperation", operations_pb2.CancelOperationRequest, empty_pb2.Empty
        )
        self.watch_operation = self.stream(
            "/cloudspan.v1.OperationService/WatchOperation", operation_pb2.WatchOperationRequest, operation
        )
        self.watch = self.stream(
            "/cloudspan.v1.InventoryService/Watch", inventory_pb2.WatchRequest, inventory_pb2.WatchResponse
        )

        events = "/cloudspan.v1.EventService"
        self.watch_events = self.stream(
            f"{events}/WatchEvents", event_pb2.WatchEventsRequest, event_pb2.WatchEventsResponse
        )
        self.acknowledge_events = self.unary(
            f"{events}/AcknowledgeEvents", event_pb2.AcknowledgeEventsRequest, event_pb2.EventConsumer
        )

    def unary(self, path: str, _request: type[RequestT], answer: type[AnswerT]) -> Unary[RequestT, AnswerT]:
        """Return a method with one answer."""
        return Unary(self._channel.unary_unary(path, _serialized, answer.FromString), self.defaults, self._metadata)

    def pages(
        self, path: str, _request: type[RequestT], answer: type[AnswerT], _item: type[ItemT]
    ) -> Paged[RequestT, AnswerT, ItemT]:
        """Return a method that answers with a page of items."""
        return Paged(self._channel.unary_unary(path, _serialized, answer.FromString), self.defaults, self._metadata)

    def mutation(self, path: str, request: type[RequestT], _result: type[ResultT]) -> Mutation[RequestT, ResultT]:
        """Return a method whose operation has that result."""
        return Mutation(self, path, request)

    def stream(self, path: str, _request: type[RequestT], answer: type[AnswerT]) -> Stream[RequestT, AnswerT]:
        """Return a method that streams its answers."""
        return Stream(self._channel.unary_stream(path, _serialized, answer.FromString), self.defaults, self._metadata)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
