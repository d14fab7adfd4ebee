"""The client against a small server of our own and against the memory adapter, on real sockets."""
# ruff: noqa: N802 - servicers' functions have the names and arguments of the rpcs

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from cloudspan.v1 import common_pb2, operation_pb2_grpc, server_pb2, server_pb2_grpc
from cloudspan_common import grpcs
from cloudspan_common.client import Client, waiting
from cloudspan_common.errors import DETAILS_KEY, NotFound, OutOfTime, QuotaExceeded, Unreachable, to_status
from cloudspan_common.names import ClusterRef
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_memory.driver import MemoryCluster

ALL = "platforms/-/clusters/-"
NAME = "operations/42"


class Servers(server_pb2_grpc.ServerServiceServicer):
    """Two pages of servers; the second one lacks a cluster. Remembers the metadata of its calls."""

    def __init__(self):
        self.metadata = {}
        self.remaining = None

    async def ListServers(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        self.remaining = context.time_remaining()
        if not request.page_token:
            answer = server_pb2.ListServersResponse(servers=[{"name": "a"}, {"name": "b"}], next_page_token="2")
            answer.cluster_status.add(cluster="one", state=common_pb2.ClusterStatus.STATE_OK)
            answer.cluster_status.add(cluster="two", state=common_pb2.ClusterStatus.STATE_OK)
            return answer
        answer = server_pb2.ListServersResponse(servers=[{"name": "c"}], unreachable=["two"])
        answer.cluster_status.add(cluster="two", state=common_pb2.ClusterStatus.STATE_UNREACHABLE)
        return answer

    async def GetServer(self, request, context):
        error = Unreachable("nobody there", metadata={"cluster": "two"}, retry_after_s=2.0)
        context.set_trailing_metadata(((DETAILS_KEY, to_status(error).SerializeToString()),))
        await context.abort(error.code, error.message)

    async def CreateServer(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        return operations_pb2.Operation(name=NAME)


class Operations(operations_pb2_grpc.OperationsServicer, operation_pb2_grpc.OperationServiceServicer):
    """One operation that ends as told after the second look."""

    def __init__(self):
        self.end = operations_pb2.Operation(name=NAME, done=True)
        self.looks = 0

    async def WaitOperation(self, request, context):
        self.looks += 1
        return self.end if self.looks > 1 else operations_pb2.Operation(name=request.name)

    async def WatchOperation(self, request, context):
        yield operations_pb2.Operation(name=request.name)
        if self.end.HasField("error"):
            error = NotFound("no such operation")
            context.set_trailing_metadata(((DETAILS_KEY, to_status(error).SerializeToString()),))
            await context.abort(error.code, error.message)
        yield self.end


@pytest.fixture
async def fake():
    """A started server of both services: `.servers`, `.operations`, `.address`."""
    server = grpcs.new_server()
    server.servers, server.operations = Servers(), Operations()
    server_pb2_grpc.add_ServerServiceServicer_to_server(server.servers, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(server.operations, server)
    operation_pb2_grpc.add_OperationServiceServicer_to_server(server.operations, server)
    server.address = f"127.0.0.1:{grpcs.listen(server, '127.0.0.1:0')}"
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture
async def cloud(fake):
    async with Client(fake.address, platform="openstack", cluster="alpha") as client:
        yield client


async def test_each_walks_all_pages_and_keeps_what_is_missing(cloud):
    """Two pages give three servers, and the listing names the cluster that dropped out in between."""
    servers = cloud.each(cloud.servers.ListServers, server_pb2.ListServersRequest(parent=ALL))
    assert [server.name async for server in servers] == ["a", "b", "c"]
    assert list(servers.unreachable) == ["two"]
    states = {status.cluster: status.state for status in servers.cluster_status}
    assert states == {"one": common_pb2.ClusterStatus.STATE_OK, "two": common_pb2.ClusterStatus.STATE_UNREACHABLE}
    assert repr(servers) == "<Listing ListServersRequest, without two>"


async def test_each_leaves_the_request_as_it_was(cloud):
    """The caller may list again with the same request: its page token is still empty."""
    request = server_pb2.ListServersRequest(parent=ALL)
    first = [server.name async for server in cloud.each(cloud.servers.ListServers, request)]
    assert not request.page_token
    assert first == [server.name async for server in cloud.each(cloud.servers.ListServers, request)]


async def test_tags_and_a_deadline_travel_with_each_call(cloud, fake):
    """A call without metadata or time-out of its own gets the client's."""
    await cloud.servers.ListServers(server_pb2.ListServersRequest())
    assert (fake.servers.metadata["x-platform"], fake.servers.metadata["x-cluster"]) == ("openstack", "alpha")
    assert 0 < fake.servers.remaining <= 60


async def test_the_caller_s_own_tag_and_time_out_win(cloud, fake):
    """Metadata and time-out of one call are not overwritten by the client's."""
    await cloud.servers.ListServers(server_pb2.ListServersRequest(), metadata=(("x-cluster", "beta"),), timeout=5)
    assert fake.servers.metadata["x-cluster"] == "beta"
    assert fake.servers.remaining <= 5


async def test_an_error_comes_as_one_of_ours(cloud):
    """Reason, metadata and retry time are those that the server raised."""
    with pytest.raises(Unreachable, match="nobody there") as raised:
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name="x"))
    assert raised.value.metadata == {"cluster": "two"}
    assert raised.value.retry_after_s == 2.0


async def test_nobody_at_the_address_is_unreachable():
    """A refused connection is the same kind of error as a cloud that does not answer."""
    async with Client("127.0.0.1:1") as cloud:
        with pytest.raises(Unreachable):
            await cloud.servers.GetServer(server_pb2.GetServerRequest(name="x"))


async def test_waiting_says_how_long(cloud, fake):
    """`waiting(30)` becomes the metadata that the gateway reads."""
    await cloud.servers.CreateServer(server_pb2.CreateServerRequest(), metadata=waiting(30))
    assert fake.servers.metadata["x-wait"] == "30s"


async def test_finished_returns_the_result_that_the_operation_holds(cloud, fake):
    """It asks until the operation is done and unpacks the server."""
    fake.operations.end.response.Pack(server_pb2.Server(name="made"))
    operation = await cloud.servers.CreateServer(server_pb2.CreateServerRequest())
    assert await cloud.finished(operation, 5) == server_pb2.Server(name="made")
    assert fake.operations.looks == 2


async def test_finished_raises_what_the_operation_ended_with(cloud, fake):
    """An operation's error is an error of the tree, as if the call itself had failed."""
    fake.operations.end.error.CopyFrom(to_status(QuotaExceeded("no cores left", reason="CORES")))
    with pytest.raises(QuotaExceeded, match="no cores left") as raised:
        await cloud.finished(operations_pb2.Operation(name=NAME), 5)
    assert raised.value.reason == "CORES"


async def test_finished_gives_up_but_says_that_the_operation_goes_on(cloud):
    """After its time it names the operation, and asks nothing more."""
    with pytest.raises(OutOfTime, match="operations/42 is not done after 0 s; it goes on"):
        await cloud.finished(operations_pb2.Operation(name=NAME), 0)


async def test_changes_ends_when_the_operation_is_done(cloud):
    """The stream gives each state once."""
    assert [operation.done async for operation in cloud.changes(NAME)] == [False, True]


async def test_a_stream_s_error_comes_as_one_of_ours(cloud, fake):
    """What breaks a stream in the middle is mapped as well."""
    fake.operations.end.error.code = 5
    with pytest.raises(NotFound, match="no such operation"):
        [operation async for operation in cloud.changes(operations_pb2.Operation(name=NAME))]


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server_too(cloud, fake):
    """Cancelling the caller's task ends the call under way."""
    ended = asyncio.get_running_loop().create_future()

    async def hang(_request, _context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(None)

    handlers = {"Hang": grpc.unary_unary_rpc_method_handler(hang)}
    fake.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Slow", handlers),))
    task = asyncio.ensure_future(_call(cloud, "/test.Slow/Hang"))
    await asyncio.sleep(0.05)
    assert not ended.done()
    task.cancel()
    await asyncio.wait_for(ended, 5)
    assert task.cancelled()


async def _call(cloud, path):
    return await cloud.channel.unary_unary(path)(b"")


async def test_an_adapter_is_spoken_to_as_a_gateway_is():
    """250 servers of a real adapter come over three pages, and a create ends with the server that runs."""
    cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=0.0)
    cluster.seed_servers(250)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = AdapterConfig(listen="127.0.0.1:0", drain_s=0.0)
    adapter = Adapter("memory", "Memory", "cloudspan-memory", [cluster])
    serving = asyncio.ensure_future(serve(adapter, config, stop, ready=bound.set_result))
    async with Client(await asyncio.wait_for(bound, 5)) as cloud:
        listed = cloud.each(cloud.servers.ListServers, server_pb2.ListServersRequest(parent=str(cluster.ref)))
        assert len([server async for server in listed]) == 250
        wanted = server_pb2.Server(display_name="web", flavor=cluster.ref.resource("flavors", "small"))
        request = server_pb2.CreateServerRequest(parent=str(cluster.ref), server=wanted)
        made = await cloud.finished(await cloud.servers.CreateServer(request, metadata=waiting(5)), 5)
        assert made.state == server_pb2.Server.STATE_RUNNING
    stop.set()
    await asyncio.wait_for(serving, 5)
