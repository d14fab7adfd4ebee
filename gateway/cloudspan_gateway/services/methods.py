"""Services that the gateway answers itself: plain objects with a function per rpc, in snake case.

`async def get_platform(self, request, call) -> Platform`, and for a stream
`def watch_operation(self, request, call) -> AsyncIterator[Operation]`; errors are raised as CloudspanErrors. They are
answered through the same stages as everything else.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory

from cloudspan_common import contract
from cloudspan_common.logs import bound
from cloudspan_common.requests import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from cloudspan_gateway.call import Answer, Call


@dataclass(frozen=True, slots=True)
class ServiceMethod:
    """One rpc of a service that the gateway answers itself."""

    path: str
    request: type[Message]
    function: Callable[[Any, Call], Any]
    streams: bool

    async def answer(self, call: Call) -> Answer:
        """Return the answer's bytes, or write the messages of a stream and return None.

        Raises:
            CloudspanError: What the service's function raises.
        """
        request = call.target.message
        with bound(request_id=call.request_id, method=call.path[1:]):
            if self.streams:
                # No time-out of ours: a watch lasts until its caller leaves or its caller's deadline ends it.
                await self._write_all(request, call)
                return None
            async with call.deadline.scope(call.path[1:]):
                message: Message = await self.function(request, call)
        return message.SerializeToString()

    def parse(self, body: bytes) -> Message:
        """Return the request.

        Raises:
            InvalidRequest: Another message, or a REQUIRED field is empty.
        """
        request = parsed(self.request, self.path[1:], body)
        contract.check_required(request)
        return request

    async def _write_all(self, request: Message, call: Call) -> None:
        await call.begin()
        # Closed before this returns, whatever ends it: what the function holds is let go of then.
        async with aclosing(self.function(request, call)) as messages:
            async for message in messages:
                await call.writer.write(message.SerializeToString())


def service_methods(service: str, servicer: object) -> Iterator[ServiceMethod]:
    """Return the rpcs of `service` (its full name) that `servicer` has a function for."""
    descriptor = descriptor_pool.Default().FindServiceByName(service)
    for method in descriptor.methods:
        function = getattr(servicer, contract.snake_case(method.name), None)
        if function is not None:
            yield _method(method, function)


def _method(method: MethodDescriptor, function: Callable[[Any, Call], Any]) -> ServiceMethod:
    return ServiceMethod(
        path=f"/{method.containing_service.full_name}/{method.name}",
        request=message_factory.GetMessageClass(method.input_type),
        function=function,
        streams=method.server_streaming,
    )
