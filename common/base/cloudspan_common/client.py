"""A typed client of the API, for the command line, the examples, tests, and whoever calls from Python.

    async with Client("127.0.0.1:7070") as cloud:
        async for server in cloud.each(cloud.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-")):
            print(server.name)

The stubs are the generated ones; the client adds the tags that a call is routed by, a deadline, pages, finished
operations, and errors of `cloudspan_common.errors` instead of grpc's. It speaks to a gateway or straight to an adapter.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import symbol_database

from cloudspan.v1 import (
    cluster_pb2_grpc,
    flavor_pb2_grpc,
    floating_ip_pb2_grpc,
    image_pb2_grpc,
    key_pair_pb2_grpc,
    network_pb2_grpc,
    operation_pb2_grpc,
    orphan_pb2_grpc,
    platform_pb2_grpc,
    port_pb2_grpc,
    project_pb2_grpc,
    quota_pb2_grpc,
    router_pb2_grpc,
    security_group_pb2_grpc,
    server_pb2_grpc,
    snapshot_pb2_grpc,
    subnet_pb2_grpc,
    volume_pb2_grpc,
    volume_type_pb2_grpc,
    zone_pb2_grpc,
)
from cloudspan_common import grpcs
from cloudspan_common.errors import OutOfTime, from_status, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from google.protobuf.message import Message

    from cloudspan.v1 import common_pb2

M = TypeVar("M", bound="Message")

DEFAULT_ADDRESS = "127.0.0.1:7070"
DEFAULT_TIMEOUT_S = 60.0
# A wait is renewed this often: a proxy on the way may cut what is silent for longer.
_WAIT_ROUND_S = 20.0
# Room for the answer of a wait that used up its time.
_WAIT_MARGIN_S = 5.0

Metadata = tuple[tuple[str, str], ...]


def waiting(seconds: float) -> Metadata:
    """Return the metadata that asks for a finished operation, if it takes at most `seconds`.

    `await cloud.servers.CreateServer(request, metadata=waiting(30))`
    """
    return (("x-wait", f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"),)


class Client:
    """One channel and a stub for each service of the contract.

    Args:
        address: host:port of a gateway, or of one adapter.
        platform: Tag sent with each call, for requests that leave their parent empty.
        cluster: Tag of a cluster, the same way.
        tls: Certificates; none for plain text.
        timeout_s: Deadline of each call that brings none. Streams have none.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        platform: str = "",
        cluster: str = "",
        tls: grpcs.Tls | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.address = address
        tags = tuple((key, tag) for key, tag in (("x-platform", platform), ("x-cluster", cluster)) if tag)
        self._channel = channel = grpcs.new_channel(
            address, tls, interceptors=(_Unary(tags, timeout_s), _Stream(tags, timeout_s))
        )
        self.platforms = platform_pb2_grpc.PlatformServiceStub(channel)
        self.clusters = cluster_pb2_grpc.ClusterServiceStub(channel)
        self.servers = server_pb2_grpc.ServerServiceStub(channel)
        self.flavors = flavor_pb2_grpc.FlavorServiceStub(channel)
        self.images = image_pb2_grpc.ImageServiceStub(channel)
        self.key_pairs = key_pair_pb2_grpc.KeyPairServiceStub(channel)
        self.volumes = volume_pb2_grpc.VolumeServiceStub(channel)
        self.volume_types = volume_type_pb2_grpc.VolumeTypeServiceStub(channel)
        self.snapshots = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        self.networks = network_pb2_grpc.NetworkServiceStub(channel)
        self.subnets = subnet_pb2_grpc.SubnetServiceStub(channel)
        self.ports = port_pb2_grpc.PortServiceStub(channel)
        self.routers = router_pb2_grpc.RouterServiceStub(channel)
        self.floating_ips = floating_ip_pb2_grpc.FloatingIpServiceStub(channel)
        self.security_groups = security_group_pb2_grpc.SecurityGroupServiceStub(channel)
        self.zones = zone_pb2_grpc.ZoneServiceStub(channel)
        self.projects = project_pb2_grpc.ProjectServiceStub(channel)
        self.quotas = quota_pb2_grpc.QuotaServiceStub(channel)
        self.operations = operations_pb2_grpc.OperationsStub(channel)
        self.operation_changes = operation_pb2_grpc.OperationServiceStub(channel)
        self.orphans = orphan_pb2_grpc.OrphanServiceStub(channel)

    def __repr__(self) -> str:
        return f"<Client of {self.address}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for stubs of services beyond the contract."""
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close()

    def each(self, method: Callable[..., Any], request: Message) -> Listing:
        """Return the resources of all pages of a list, from the page that `request` asks for.

        The listing tells afterwards what is missing: `unreachable`, `cluster_status`.
        """
        return Listing(method, request)

    async def finished(self, operation: operations_pb2.Operation, timeout_s: float = 600.0) -> Any:
        """Wait until an operation is done and return its result, the message that its method promises.

        Raises:
            OutOfTime: It is not done after `timeout_s`; it goes on, and can be waited for again.
            CloudspanError: It failed: what its `error` says.
        """
        give_up = time.monotonic() + timeout_s
        while not operation.done:
            left = give_up - time.monotonic()
            if left <= 0:
                text = f"{operation.name} is not done after {timeout_s:g} s; it goes on, wait again or watch it"
                raise OutOfTime(text, reason="OPERATION_NOT_DONE", resource=operation.name)
            operation = await self._wait(operation.name, min(left, _WAIT_ROUND_S))
        return result_of(operation)

    def changes(self, operation: operations_pb2.Operation | str) -> AsyncIterator[operations_pb2.Operation]:
        """Yield an operation as it is, then at each change, until it is done."""
        from cloudspan.v1.operation_pb2 import WatchOperationRequest  # noqa: PLC0415 - its only use

        name = operation if isinstance(operation, str) else operation.name
        return aiter(self.operation_changes.WatchOperation(WatchOperationRequest(name=name)))

    async def _wait(self, name: str, seconds: float) -> operations_pb2.Operation:
        request = operations_pb2.WaitOperationRequest(name=name)
        request.timeout.FromNanoseconds(int(seconds * 1e9))
        return await self.operations.WaitOperation(request, timeout=seconds + _WAIT_MARGIN_S)


class Listing:
    """The resources of a list, page after page, and how each cluster took part."""

    def __init__(self, method: Callable[..., Any], request: Message) -> None:
        self._method = method
        self._request = request
        self.unreachable: Sequence[str] = ()
        self.cluster_status: Sequence[common_pb2.ClusterStatus] = ()

    def __repr__(self) -> str:
        missing = f", without {', '.join(self.unreachable)}" if self.unreachable else ""
        return f"<Listing {self._request.DESCRIPTOR.name}{missing}>"

    async def __aiter__(self) -> AsyncIterator[Any]:
        request: Any = type(self._request)()
        request.CopyFrom(self._request)
        while True:
            answer = await self._method(request)
            self._note(answer)
            for resource in _resources(answer):
                yield resource
            token = getattr(answer, "next_page_token", "")
            if not token:
                return
            request.page_token = token

    def _note(self, answer: Any) -> None:
        """Keep the last word on each cluster: a later page knows of those that failed since."""
        self.unreachable = tuple(getattr(answer, "unreachable", ()))
        known = {status.cluster: status for status in self.cluster_status}
        known |= {status.cluster: status for status in getattr(answer, "cluster_status", ())}
        self.cluster_status = tuple(known.values())


def result_of(operation: operations_pb2.Operation) -> Any:
    """Return the result of an operation that is done.

    Raises:
        CloudspanError: It failed.
    """
    if operation.HasField("error"):
        raise from_status(operation.error)
    kind = symbol_database.Default().GetSymbol(operation.response.TypeName())
    result = kind()
    operation.response.Unpack(result)
    return result


def _resources(answer: Any) -> Sequence[Any]:
    """The first field of every list's answer (AIP-158)."""
    field = answer.DESCRIPTOR.fields_by_number[1]
    resources: Sequence[Any] = getattr(answer, field.name)
    return resources


class _Interceptor:
    """What both kinds of calls share: tags, deadline."""

    def __init__(self, tags: Metadata, timeout_s: float) -> None:
        self._tags, self._timeout_s = tags, timeout_s

    def _completed(self, details: Any, timeout_s: float | None) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        given = set(metadata.keys())
        for key, tag in self._tags:
            if key not in given:
                metadata.add(key, tag)
        timeout = details.timeout if details.timeout is not None else timeout_s
        return details._replace(metadata=metadata, timeout=timeout)


class _Unary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(self._completed(client_call_details, self._timeout_s), request)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise from_status(status_of(error)) from error
        return call


class _Stream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return _mapped(await continuation(self._completed(client_call_details, None), request))


async def _mapped(call: Any) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise from_status(status_of(error)) from error
    finally:
        call.cancel()
