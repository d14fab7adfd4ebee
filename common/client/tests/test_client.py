"""The client against a small server of our own and against the memory adapter, on real sockets."""
# ruff: noqa: N802 - servicers' functions have the names and arguments of the rpcs

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from cloudspan.client import (
    AsyncClient,
    Client,
    CloudspanError,
    InvalidRequest,
    NotFound,
    OutOfTime,
    QuotaExceeded,
    Recovery,
    Unreachable,
    Violation,
    errors,
    waiting,
)
from cloudspan.v1 import common_pb2, operation_pb2_grpc, server_pb2, server_pb2_grpc
from cloudspan_common import errors as server_errors
from cloudspan_common import grpcs
from cloudspan_common.errors import DETAILS_KEY, to_status
from cloudspan_common.names import ClusterRef
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_memory.cluster import MemoryCluster

ALL = "platforms/-/clusters/-"
NAME = "operations/42"


class Servers(server_pb2_grpc.ServerServiceServicer):
    """Two pages of servers; the second one lacks a cluster. Remembers the metadata of its calls."""

    def __init__(self):
        self.metadata = {}
        self.remaining = None
        self.attempts = 0
        self.unavailable = 0
        self.refusal = server_errors.Unreachable("nobody there", metadata={"cluster": "two"}, retry_after_s=2.0)

    async def _answer_or_fail(self, context):
        """Fail the first `unavailable` attempts as a connection that breaks does: without details."""
        self.attempts += 1
        if self.attempts <= self.unavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")

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
        await self._answer_or_fail(context)
        if request.name == "there":
            return server_pb2.Server(name="there")
        message, trailers = server_errors.ending(self.refusal, "call-1")
        context.set_trailing_metadata(trailers)
        return await context.abort(self.refusal.code, message)

    async def CreateServer(self, request, context):
        await self._answer_or_fail(context)
        self.metadata = dict(context.invocation_metadata())
        return operations_pb2.Operation(name=NAME)


class Operations(operations_pb2_grpc.OperationsServicer, operation_pb2_grpc.OperationServiceServicer):
    """One operation that ends as scripted after the second read."""

    def __init__(self):
        self.end = operations_pb2.Operation(name=NAME, done=True)
        self.looks = 0

    async def WaitOperation(self, request, context):
        self.looks += 1
        return self.end if self.looks > 1 else operations_pb2.Operation(name=request.name)

    async def WatchOperation(self, request, context):
        yield operations_pb2.Operation(name=request.name)
        if self.end.HasField("error"):
            error = server_errors.NotFound("no such operation")
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
    async with AsyncClient(fake.address, platform="openstack", cluster="alpha", retries=False) as client:
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
    assert fake.servers.remaining == pytest.approx(60, abs=1)


async def test_the_caller_s_own_tag_and_time_out_win(cloud, fake):
    """Metadata and time-out of one call are not overwritten by the client's."""
    await cloud.servers.ListServers(server_pb2.ListServersRequest(), metadata=(("x-cluster", "beta"),), timeout=5)
    assert fake.servers.metadata["x-cluster"] == "beta"
    assert fake.servers.remaining == pytest.approx(5, abs=1)


async def test_an_error_is_raised_as_the_clients_own_class(cloud):
    """Reason, metadata and retry time are those that the server raised."""
    with pytest.raises(Unreachable, match="nobody there") as raised:
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name="x"))
    assert raised.value.metadata == {"cluster": "two"}
    assert raised.value.retry_after_s == 2.0


async def test_an_address_without_a_server_is_unreachable():
    """A refused connection is the same kind of error as a cloud that does not answer."""
    async with AsyncClient("127.0.0.1:1") as cloud:
        with pytest.raises(Unreachable):
            await cloud.servers.GetServer(server_pb2.GetServerRequest(name="x"))


async def test_waiting_says_how_long(cloud, fake):
    """`waiting(30)` becomes the metadata that the gateway reads."""
    await cloud.servers.CreateServer(server_pb2.CreateServerRequest(), metadata=waiting(30))
    assert fake.servers.metadata["x-wait"] == "30s"


async def test_result_returns_what_the_operation_holds(cloud, fake):
    """It asks until the operation is done and unpacks the server."""
    fake.operations.end.response.Pack(server_pb2.Server(name="made"))
    operation = await cloud.servers.CreateServer(server_pb2.CreateServerRequest())
    assert not operation.done
    assert await operation.result(5) == server_pb2.Server(name="made")
    assert operation.done
    assert fake.operations.looks == 2


async def test_result_raises_what_the_operation_ended_with(cloud, fake):
    """An operation's error is an error of the tree, as if the call itself had failed."""
    fake.operations.end.error.CopyFrom(to_status(server_errors.QuotaExceeded("no cores left", reason="CORES")))
    with pytest.raises(QuotaExceeded, match="no cores left") as raised:
        await cloud.operation(NAME, server_pb2.Server).result(5)
    assert raised.value.reason == "CORES"


async def test_result_gives_up_but_says_that_the_operation_goes_on(cloud):
    """After its time it names the operation, and asks nothing more."""
    with pytest.raises(OutOfTime, match="operations/42 is not done after 0 s; it goes on"):
        await cloud.operation(NAME, server_pb2.Server).result(0)


async def test_changes_ends_when_the_operation_is_done(cloud):
    """The stream gives each state once."""
    assert [operation.done async for operation in cloud.operation(NAME, server_pb2.Server).changes()] == [False, True]


async def test_a_streams_error_is_raised_as_the_clients_own_class(cloud, fake):
    """What breaks a stream in the middle is mapped as well."""
    fake.operations.end.error.code = 5
    with pytest.raises(NotFound, match="no such operation"):
        [operation async for operation in cloud.operation(NAME, server_pb2.Server).changes()]


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


async def test_an_error_has_everything_that_its_details_hold(cloud, fake):
    """Reason, violations, resource, what to do, and the request id under which the log has it."""
    fake.servers.refusal = server_errors.InvalidRequest(
        "page_size is -1",
        reason="BAD_PAGE_SIZE",
        violations=[server_errors.Violation("page_size", "is below 0")],
        resource="platforms/a",
    )
    with pytest.raises(InvalidRequest) as raised:
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name="x"))
    error = raised.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_PAGE_SIZE")
    assert error.violations == (Violation("page_size", "is below 0"),)
    assert (error.resource, error.recovery, error.request_id) == ("platforms/a", Recovery.FIX_REQUEST, "call-1")
    assert {type(detail).__name__ for detail in error.details} == {
        "ErrorInfo",
        "BadRequest",
        "ResourceInfo",
        "RequestInfo",
    }
    assert repr(error) == "<InvalidRequest BAD_PAGE_SIZE: page_size is -1>"


def test_each_error_of_the_client_means_what_the_server_s_of_that_name_means():
    """Same code and same recovery; and each code of the server's tree has a class here."""
    ours = {cls.__name__: cls for cls in CloudspanError.__subclasses__()}
    theirs = {cls.__name__: cls for cls in server_errors.CloudspanError.__subclasses__()}
    assert set(ours) <= set(theirs)
    for name, cls in ours.items():
        assert (cls.default_code, cls.default_recovery) == (theirs[name].code, theirs[name].recovery), name
    assert {cls.code for cls in theirs.values()} == {cls.default_code for cls in ours.values()}
    assert {word.value for word in errors.Recovery} == {word.value for word in server_errors.Recovery}


async def test_a_read_is_sent_again_when_there_was_no_answer(fake):
    """Two broken connections and then an answer: the caller sees the answer."""
    fake.servers.unavailable = 2
    async with AsyncClient(fake.address) as cloud:
        assert (await cloud.servers.GetServer(server_pb2.GetServerRequest(name="there"))).name == "there"
    assert fake.servers.attempts == 3


async def test_without_retries_a_read_is_sent_once(cloud, fake):
    """`retries=False` leaves sending again to the caller."""
    fake.servers.unavailable = 1
    with pytest.raises(Unreachable, match="connection reset"):
        await cloud.servers.GetServer(server_pb2.GetServerRequest(name="there"))
    assert fake.servers.attempts == 1


async def test_a_change_is_sent_again_only_with_a_request_id(fake):
    """Without one a second effect could not be ruled out."""
    fake.servers.unavailable = 1
    async with AsyncClient(fake.address) as cloud:
        with pytest.raises(Unreachable):
            await cloud.servers.CreateServer(server_pb2.CreateServerRequest())
        assert fake.servers.attempts == 1
        fake.servers.attempts = 0
        request = server_pb2.CreateServerRequest(request_id="6f1c4b0a-38a5-4a0e-9c0f-1d9a3a1b2c3d")
        assert (await cloud.servers.CreateServer(request)).name == NAME
        assert fake.servers.attempts == 2


async def test_a_change_with_a_request_id_gives_up_with_the_last_error(fake):
    """After four attempts, or when the call's time is used up."""
    fake.servers.unavailable = 9
    request = server_pb2.CreateServerRequest(request_id="6f1c4b0a-38a5-4a0e-9c0f-1d9a3a1b2c3d")
    async with AsyncClient(fake.address) as cloud:
        with pytest.raises(Unreachable):
            await cloud.servers.CreateServer(request, timeout=0.05)
        assert fake.servers.attempts == 1
        with pytest.raises(Unreachable):
            await cloud.servers.CreateServer(request)
    assert fake.servers.attempts == 5


async def test_the_blocking_client_does_the_same_from_a_thread(fake):
    """Pages, missing clusters, an operation's result and changes, errors, and retries."""
    fake.operations.end.response.Pack(server_pb2.Server(name="made"))
    fake.servers.unavailable = 1

    def block():
        with Client(fake.address, platform="openstack", pool="blue") as client:
            assert client.servers.GetServer(server_pb2.GetServerRequest(name="there")).name == "there"
            listing = client.each(client.servers.ListServers, server_pb2.ListServersRequest(parent=ALL))
            names = [server.name for server in listing]
            operation = client.servers.CreateServer(server_pb2.CreateServerRequest(), metadata=waiting(1))
            made = operation.result(5)
            changes = [change.done for change in operation.changes()]
            with pytest.raises(OutOfTime):
                client.operation(NAME, server_pb2.Server).result(0)
            fake.servers.refusal = server_errors.NotFound("gone")
            with pytest.raises(NotFound):
                client.servers.GetServer(server_pb2.GetServerRequest(name="x"))
            return names, listing.unreachable, made, changes

    names, unreachable, made, changes = await asyncio.to_thread(block)
    assert (names, list(unreachable)) == (["a", "b", "c"], ["two"])
    assert made == server_pb2.Server(name="made")
    assert changes == [False, True]
    assert (fake.servers.metadata["x-platform"], fake.servers.metadata["x-pool"]) == ("openstack", "blue")
    assert fake.servers.metadata["x-wait"] == "1s"


async def test_an_adapter_is_spoken_to_as_a_gateway_is():
    """250 servers of a real adapter come over three pages, and a create ends with the server that runs."""
    cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=0.0)
    cluster.seed_servers(250)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = AdapterConfig(listen="127.0.0.1:0", drain_s=0.0)
    adapter = Adapter("memory", "Memory", "cloudspan-memory", [cluster])
    serving = asyncio.ensure_future(serve(adapter, config, stop, ready=bound.set_result))
    async with AsyncClient(await asyncio.wait_for(bound, 5)) as cloud:
        listed = cloud.each(cloud.servers.ListServers, server_pb2.ListServersRequest(parent=str(cluster.ref)))
        assert len([server async for server in listed]) == 250
        wanted = server_pb2.Server(display_name="web", flavor=cluster.ref.resource("flavors", "small"))
        request = server_pb2.CreateServerRequest(parent=str(cluster.ref), server=wanted)
        made = await (await cloud.servers.CreateServer(request, metadata=waiting(5))).result(5)
        assert made.state == server_pb2.Server.STATE_RUNNING
    stop.set()
    await asyncio.wait_for(serving, 5)
