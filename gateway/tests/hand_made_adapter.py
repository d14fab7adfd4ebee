"""An adapter made by hand, without the kit: it does what a test scripts, misbehaviour included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf import descriptor_pb2, wrappers_pb2

from cloudspan.adapter.v1 import adapter_pb2
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common import grpcs
from cloudspan_common.registry import Instance

GET_SERVER = "/cloudspan.v1.ServerService/GetServer"
LIST_SERVERS = "/cloudspan.v1.ServerService/ListServers"
CREATE_SERVER = "/cloudspan.v1.ServerService/CreateServer"
TOOLS = "acme.v1.ToolService"
Say = wrappers_pb2.StringValue
Context = grpc.aio.ServicerContext
Answer = Callable[[bytes, Context], Awaitable[bytes]]


def tool_file(name: str = "acme/v1/tool.proto", *extra_fields: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of a service that no proto of this deployment knows."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package="acme.v1", syntax="proto3")
    word = file.message_type.add(name="Word")
    for number, field_name in enumerate(("value", *extra_fields), start=1):
        word.field.add(name=field_name, number=number, type="TYPE_STRING", label="LABEL_OPTIONAL")
    service = file.service.add(name="ToolService")
    for method, asks, tells in (("Echo", 0, 0), ("Count", 0, 1), ("Sum", 1, 0), ("Chat", 1, 1)):
        service.method.add(
            name=method,
            input_type=".acme.v1.Word",
            output_type=".acme.v1.Word",
            client_streaming=bool(asks),
            server_streaming=bool(tells),
        )
    return file


@dataclass
class HandMadeAdapter:
    """One instance; its fields may be changed while it runs."""

    instance_id: str = "os-1"
    platform: str = "openstack"
    clusters: tuple[str, ...] = ("east",)
    digest: str = "endpoint-1"
    stamped: bool = True
    build: str = "1.0"
    contract: tuple[int, int] = (1, 1)
    services: tuple[str, ...] = ("cloudspan.v1.ServerService", TOOLS)
    files: tuple[descriptor_pb2.FileDescriptorProto, ...] = field(default_factory=lambda: (tool_file(),))
    absent: dict[str, str] = field(default_factory=dict)
    project: str = ""
    """The id of the project that its clusters' credentials are of."""
    described_platform: str = ""
    describe_fails: grpc.StatusCode | None = None
    describe_bytes: bytes | None = None
    """What it answers to Describe instead of a description."""

    def __post_init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, Answer] = {}
        self.handlers: dict[str, grpc.RpcMethodHandler] = {}
        self.described = 0
        self.cancelled = asyncio.Event()
        self.reached = asyncio.Event()
        self.ended = asyncio.Event()
        self.port = 0

    async def start(self, port: int = 0) -> Instance:
        """Listen and return what is registered."""
        self.server = grpcs.new_server()
        self.server.add_generic_rpc_handlers((_Handler(self),))
        self.health = grpcs.add_health(self.server)
        self.port = grpcs.listen(self.server, f"127.0.0.1:{port}")
        await self.server.start()
        return Instance(self.instance_id, self.platform, f"127.0.0.1:{self.port}", self.contract, self.build)

    async def stop(self) -> None:
        await self.server.stop(None)

    def describe(self) -> adapter_pb2.DescribeResponse:
        platform = self.described_platform or self.platform
        names = [f"platforms/{platform}/clusters/{tag}" for tag in self.clusters]
        response = adapter_pb2.DescribeResponse(
            platform=platform,
            display_name=platform.title(),
            build=self.build,
            contract_min=self.contract[0],
            contract_max=self.contract[1],
            clusters=[cluster_pb2.Cluster(name=name, state=cluster_pb2.Cluster.STATE_READY) for name in names],
            cluster_digests=dict.fromkeys(names, self.digest),
            services=self.services,
            descriptors=descriptor_pb2.FileDescriptorSet(file=self.files),
        )
        for cluster in response.clusters if self.project else ():
            cluster.project = f"{cluster.name}/projects/{self.project}"
        for cluster in response.clusters if self.absent else ():
            served = {GET_SERVER[1:], LIST_SERVERS[1:], CREATE_SERVER[1:]} - self.absent.keys()
            native, absent = cluster_pb2.MethodCapability.LEVEL_NATIVE, cluster_pb2.MethodCapability.LEVEL_ABSENT
            cluster.capabilities.extend(cluster_pb2.MethodCapability(method=m, level=native) for m in served)
            for method, reason in self.absent.items():
                cluster.capabilities.add(method=method, level=absent, reason=reason)
        return response

    def stamp(self, context: Context, *more: tuple[str, str | bytes]) -> None:
        stamp = (("x-served-by", self.instance_id),) if self.stamped else ()
        context.set_trailing_metadata((*stamp, *more))


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, adapter: HandMadeAdapter) -> None:
        self._adapter = adapter

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        path = handler_call_details.method
        service, _, method = path[1:].rpartition("/")
        if path.endswith("AdapterService/Describe"):
            return grpc.unary_unary_rpc_method_handler(self._describe)
        if path in self._adapter.handlers:
            return self._adapter.handlers[path]
        if service == TOOLS and path not in self._adapter.answers:
            return _tool(self._adapter, method)
        if path in self._adapter.answers or path in (GET_SERVER, LIST_SERVERS):
            return grpc.unary_unary_rpc_method_handler(_noted(self._adapter, path))
        return None

    async def _describe(self, _body: bytes, context: Context) -> bytes:
        self._adapter.described += 1
        if self._adapter.describe_fails is not None:
            await context.abort(self._adapter.describe_fails, "told to fail")
        junk = self._adapter.describe_bytes
        return self._adapter.describe().SerializeToString() if junk is None else junk


def _noted(adapter: HandMadeAdapter, path: str) -> Answer:
    async def answer(body: bytes, context: Context) -> bytes:
        adapter.calls.append((path, dict(context.invocation_metadata()), body))
        adapter.reached.set()
        adapter.stamp(context)
        try:
            return await adapter.answers.get(path, _answer)(body, context)
        except asyncio.CancelledError:
            adapter.cancelled.set()
            raise

    return answer


async def _answer(body: bytes, _context: Context) -> bytes:
    request = server_pb2.GetServerRequest.FromString(body)
    return server_pb2.Server(name=request.name, state=server_pb2.Server.STATE_RUNNING).SerializeToString()


def _tool(adapter: HandMadeAdapter, method: str) -> grpc.RpcMethodHandler:
    """Each shape does something with strings."""

    def note(context: Context) -> None:
        context.add_done_callback(lambda _context: adapter.ended.set())
        adapter.calls.append((f"/{TOOLS}/{method}", dict(context.invocation_metadata()), b""))

    async def echo(word: Say, context: Context) -> Say:
        note(context)
        adapter.stamp(context, ("x-tool", "hammer"))
        return Say(value=f"{adapter.instance_id}: {word.value}")

    async def count(word: Say, context: Context) -> AsyncIterator[Say]:
        note(context)
        await context.send_initial_metadata((("x-count", word.value),))
        adapter.stamp(context)
        for number in range(int(word.value)):
            yield Say(value=str(number))

    async def add(words: AsyncIterator[Say], context: Context) -> Say:
        note(context)
        adapter.stamp(context)
        return Say(value="".join([word.value async for word in words]))

    async def chat(words: AsyncIterator[Say], context: Context) -> AsyncIterator[Say]:
        note(context)
        adapter.stamp(context)
        async for word in words:
            yield Say(value=word.value.upper())

    codec = {"request_deserializer": Say.FromString, "response_serializer": Say.SerializeToString}
    return {
        "Echo": grpc.unary_unary_rpc_method_handler(echo, **codec),
        "Count": grpc.unary_stream_rpc_method_handler(count, **codec),
        "Sum": grpc.stream_unary_rpc_method_handler(add, **codec),
        "Chat": grpc.stream_stream_rpc_method_handler(chat, **codec),
    }[method]
