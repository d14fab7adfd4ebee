"""The services that gRPC has beside the contract, health, reflection and channelz, and what of them a caller sees.

No request of theirs is dispatched, but who asks is found out by the same stages as for every other call. A gateway that
asks nobody serves them as they are.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloudspan_common import grpcs
from cloudspan_common.contract import Permission
from cloudspan_common.reflection import V1, ReflectionServicer
from cloudspan_gateway.access.access import EVERY_TENANT, OPEN
from cloudspan_gateway.doors.grpc_call import UNARY, call_of
from cloudspan_gateway.metadata import X_TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from grpc_health.v1.health import aio
    from grpc_reflection.v1alpha import reflection_pb2

    from cloudspan_common.reflection import DescriptorSource
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.pipeline import Pipeline
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.snapshot import Snapshot

    Context = grpc.aio.ServicerContext[Any, Any]
    Method = Callable[[Any, Context], Awaitable[Any]]

SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
PLATFORMS, PARTS = "platforms/", "gateway/"
"""What health knows beside the gateway as a whole, which is ""."""
_HEALTH = "/grpc.health.v1.Health"
_REFLECTION = f"/{V1}/ServerReflectionInfo"
_CHANNELZ = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"]


class SideServices:
    """All three, for one gateway."""

    def __init__(
        self, pipeline: Pipeline, descriptors: Callable[[Access], DescriptorSource], snapshot: Callable[[], Snapshot]
    ) -> None:
        """Take what returns the descriptors that a caller may read, and the table of platforms at the moment."""
        self._pipeline, self._descriptors, self._snapshot = pipeline, descriptors, snapshot
        self._identify = pipeline.identified(_nothing_more)
        self._require = pipeline.identified(_administers_installation)
        self.health = grpcs.new_health()

    def __repr__(self) -> str:
        return f"<SideServices {'for everybody' if self._pipeline.is_open else 'by what a caller sees'}>"

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add them to a server that is to be started."""
        if self._pipeline.is_open:
            grpcs.add_health(server, self.health)
            grpcs.add_reflection(server, self._descriptors(OPEN))
            grpcs.add_channelz(server)
            return
        health_pb2_grpc.add_HealthServicer_to_server(_Health(self.health, self), server)
        server.add_generic_rpc_handlers(_Reflection(self).handlers())
        functions = channelz.aio.ChannelzServicer()
        guarded = {
            each.name: self._for_administrators(getattr(functions, each.name), each) for each in _CHANNELZ.methods
        }
        channelz_pb2_grpc.add_ChannelzServicer_to_server(SimpleNamespace(**guarded), server)

    async def access(self, path: str, context: Context) -> Access:
        """Return what the caller may see just now; nothing for one without a credential. Aborts for a bad one."""
        return (await _passed(self._identify, call_of(path, b"", context, UNARY), context)).access

    async def sees(self, service: str, path: str, context: Context) -> bool:
        """Whether a caller may know the health of `service`: the gateway's is everybody's, a platform's is not."""
        if not service or service.startswith(PARTS):
            return True
        access = await self.access(path, context)
        return service.startswith(PLATFORMS) and service[len(PLATFORMS) :] in access.view(self._snapshot()).platforms

    async def descriptors(self, context: Context) -> DescriptorSource:
        """Return what the caller may read just now."""
        return self._descriptors(await self.access(_REFLECTION, context))

    def _for_administrators(self, function: Method, method: Any) -> Method:
        """Sockets and channels of everybody: for those who administer the installation."""
        path = f"/{_CHANNELZ.full_name}/{method.name}"

        async def guarded(request: Any, context: Context) -> Any:
            call = call_of(path, b"", context, UNARY)
            call.metadata = ((X_TENANT, EVERY_TENANT), *call.metadata)  # the first one counts
            await _passed(self._require, call, context)
            return await function(request, context)

        return guarded


async def _passed(stages: Proceed, call: Call, context: Context) -> Call:
    await stages(call)
    if call.ending is not None:
        await context.abort(*call.ending)
    return call


async def _nothing_more(_call: Call) -> Answer:
    return None


async def _administers_installation(call: Call) -> Answer:
    call.access.require(Permission.PERMISSION_ADMINISTER, call.path[1:])
    return None


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # the package ships no types
    """A platform that its caller does not see is as one that never was."""

    def __init__(self, health: aio.HealthServicer, services: SideServices) -> None:
        self._health, self._services = health, services

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:  # noqa: N802 - gRPC's name
        if not await self._services.sees(request.service, f"{_HEALTH}/Check", context):
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return await self._health.Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802 - as above
        async def sees() -> bool:
            return await self._services.sees(request.service, f"{_HEALTH}/Watch", context)

        await self._health.Watch(request, _Watched(context, sees))


class _Watched:
    """The context of a Watch: what its caller may not know is SERVICE_UNKNOWN, once, however often it changes."""

    def __init__(self, context: Context, sees: Callable[[], Awaitable[bool]]) -> None:
        self._context, self._sees = context, sees
        self._last: int | None = None

    async def write(self, response: health_pb2.HealthCheckResponse) -> None:
        # Asked each time: what a caller may see changes while it watches.
        status = response.status if await self._sees() else SERVICE_UNKNOWN
        if status != self._last:
            self._last = status
            await self._context.write(health_pb2.HealthCheckResponse(status=status))


class _Reflection(ReflectionServicer):
    """The contract for everybody, adapters' own services for those who see their platform."""

    def __init__(self, services: SideServices) -> None:
        self._services = services

    async def answer_all(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Any
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        async for request in requests:
            yield ReflectionServicer(await self._services.descriptors(context)).answer(request)
