"""What a caller may do wrong, through the gateway: the right code, a stable reason, where, and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common import errors, grpcs
from cloudspan_memory.cluster import MemoryCluster
from cloudspan_memory.compute.servers import SERVERS

Code = grpc.StatusCode
Lists, Gets, Deletes = server_pb2.ListServersRequest, server_pb2.GetServerRequest, server_pb2.DeleteServerRequest
ALL = "platforms/-/clusters/-"
EAST_TAG, WEST_TAG = (("x-cluster", "main"),), (("x-cluster", "west"),)


# The others are refused for their form, before it is known whom they concern.
_LOCATED = ("PLATFORM_UNKNOWN", "CLUSTER_UNKNOWN", "NOT_FOUND", "UNKNOWN_OPTION")


@pytest.fixture
def cluster() -> MemoryCluster:
    made = memory_cluster()
    made.seed_servers(5)
    return made


@pytest.fixture
async def running(cluster: MemoryCluster) -> AsyncIterator[Deployment]:
    async with deployment(cluster) as opened:
        yield opened


@pytest.fixture
async def servers(running: Deployment) -> AsyncIterator[Any]:
    """The generated stub over a plain channel: what any gRPC client has."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.gateway.server.port}") as channel:
        yield server_pb2_grpc.ServerServiceStub(channel)


async def refused(call: Any) -> tuple[Code, errors.CloudspanError]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailers = sum(len(key) + len(value) for key, value in caught.value.trailing_metadata() or ())
    assert trailers + len((caught.value.details() or "").encode()) < 4096
    return caught.value.code(), errors.from_status(errors.status_of(caught.value))


async def code_of(call: Any) -> Code:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


def options(**values: Any) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


CASES: dict[str, tuple[str, Any, tuple[tuple[str, str], ...], Code, str, str]] = {
    "an unknown platform": (
        "GetServer", Gets(name="platforms/nope/clusters/main/servers/1"), (),
        Code.NOT_FOUND, "PLATFORM_UNKNOWN", "known now: memory",
    ),
    "an unknown cluster": (
        "GetServer", Gets(name="platforms/memory/clusters/nope/servers/1"), (),
        Code.NOT_FOUND, "CLUSTER_UNKNOWN", "its clusters are: main",
    ),
    "an unknown id": ("GetServer", Gets(name=f"{MAIN}/servers/nope"), (), Code.NOT_FOUND, "NOT_FOUND", "list its coll"),
    "a malformed name": ("GetServer", Gets(name="servers/1"), (), Code.INVALID_ARGUMENT, "MALFORMED_NAME", "expected"),
    "another kind's name": (
        "GetServer", Gets(name=f"{MAIN}/volumes/1"), (), Code.INVALID_ARGUMENT, "MALFORMED_NAME", "servers/{id}",
    ),
    "a name to delete that is none": (
        "DeleteServer", Deletes(name=f"{MAIN}/volumes/1"), (), Code.INVALID_ARGUMENT, "MALFORMED_NAME", "servers/{id}",
    ),
    "a wildcard where one is meant": (
        "GetServer", Gets(name="platforms/-/clusters/-/servers/1"), (),
        Code.INVALID_ARGUMENT, "MALFORMED_NAME", "only lists",
    ),
    "a field and a tag that disagree": (
        "ListServers", Lists(parent=MAIN), WEST_TAG, Code.INVALID_ARGUMENT, "TAG_DISAGREES", "leave one out",
    ),
    "a wrong page token": (
        "ListServers", Lists(parent=MAIN, page_token="abc"), (), Code.INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED", "leave",
    ),
    "a wrong page token over clusters": (
        "ListServers", Lists(parent=ALL, page_token="abc"), (), Code.INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED", "leave",
    ),
    "a negative page size": (
        "ListServers", Lists(parent=MAIN, page_size=-1), (), Code.INVALID_ARGUMENT, "NEGATIVE_PAGE_SIZE", "give 1 to",
    ),
    "a negative page size over clusters": (
        "ListServers", Lists(parent=ALL, page_size=-1), (), Code.INVALID_ARGUMENT, "NEGATIVE_PAGE_SIZE", "give 1 to",
    ),
    "an unknown filter field": (
        "ListServers", Lists(parent=MAIN, filter="colour = 1"), (), Code.INVALID_ARGUMENT, "", "display_name",
    ),
    "an unknown filter field over clusters": (
        "ListServers", Lists(parent=ALL, filter="colour = 1"), (), Code.INVALID_ARGUMENT, "", "display_name",
    ),
    "an order over clusters": (
        "ListServers", Lists(parent=ALL, order_by="name"), (),
        Code.INVALID_ARGUMENT, "ORDER_ACROSS_CLUSTERS", "name one",
    ),
    "an unknown option": (
        "CreateServer", create_request(options=options(colour="red")), (),
        Code.INVALID_ARGUMENT, "UNKNOWN_OPTION", "it has: fail",
    ),
    "a missing required field": (
        "CreateServer", server_pb2.CreateServerRequest(parent=MAIN), (),
        Code.INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING", "server",
    ),
    "no parent at all": (
        "ListServers", Lists(), (), Code.INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING", "parent",
    ),
    "a malformed request_id": (
        "CreateServer", create_request(request_id="1"), (), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "expected a UUID",
    ),
    "a wait that is no time": (
        "CreateServer", create_request(), (("x-wait", "soon"),), Code.INVALID_ARGUMENT, "MALFORMED_WAIT", "such as 30s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_it_is_refused_with_what_to_do_next(running: Deployment, servers: Any, case: Any) -> None:
    """Code, reason and advice of each; nothing was begun by any of them."""
    method, request, metadata, code, reason, advice = case
    got, error = await refused(getattr(servers, method)(request, metadata=metadata, timeout=5))
    assert got is code, error
    assert error.reason == reason or (not reason and error.reason)
    assert advice in error.message
    if reason in _LOCATED:
        assert error.metadata["platform"] == ("nope" if reason == "PLATFORM_UNKNOWN" else "memory")
        assert reason == "PLATFORM_UNKNOWN" or error.metadata["cluster"] in ("main", "nope")
    assert repr(running.gateway.store) == "<MemoryStore 0 open, 0 done>"


async def test_a_page_token_of_another_query_is_refused(servers: Any) -> None:
    """Within one cluster and over many."""
    for parent in (MAIN, ALL):
        page = await servers.ListServers(Lists(parent=parent, page_size=2))
        again = Lists(parent=parent, page_size=2, page_token=page.next_page_token, filter='display_name = "x"')
        code, error = await refused(servers.ListServers(again))
        assert (code, error.reason) == (Code.INVALID_ARGUMENT, "PAGE_TOKEN_OTHER_QUERY")
        assert "start again" in error.message


async def test_a_message_of_ten_megabytes_is_refused_and_the_gateway_lives_on(servers: Any) -> None:
    """By gRPC itself, before any code of the gateway runs."""
    request = create_request()
    request.user_data = b"x" * 10 * 2**20
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await servers.CreateServer(request)
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert "larger than max" in (caught.value.details() or "")
    assert (await servers.ListServers(Lists(parent=MAIN))).servers


async def test_bytes_that_are_not_a_message_are_refused(running: Deployment) -> None:
    """For a read, a list and a mutation alike."""
    async with grpcs.new_channel(f"127.0.0.1:{running.gateway.server.port}") as channel:
        for method in ("GetServer", "ListServers", "CreateServer"):
            raw = channel.unary_unary(f"/cloudspan.v1.ServerService/{method}")
            code, error = await refused(raw(b"\xff\xff\xff", timeout=5))
            assert (code, error.reason) == (Code.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


async def test_a_call_with_a_millisecond_succeeds_or_is_out_of_time(running: Deployment, servers: Any) -> None:
    """Never another error, for reads, lists over clusters and mutations; and nothing is left running."""
    for request, method in ((Gets(name=f"{MAIN}/servers/seed-000000"), servers.GetServer),
                            (Lists(parent=ALL), servers.ListServers),
                            (create_request(), servers.CreateServer)):  # fmt: skip
        for timeout in (0.001, 0.0001):
            assert await code_of(method(request, timeout=timeout)) in (Code.OK, Code.DEADLINE_EXCEEDED)
    assert (await servers.ListServers(Lists(parent=ALL), timeout=5)).servers


async def test_without_a_deadline_a_call_is_served(servers: Any) -> None:
    """It gets the running's own."""
    assert (await servers.GetServer(Gets(name=f"{MAIN}/servers/seed-000001"))).display_name == "server-00001"


async def test_a_call_that_is_cancelled_midway_ends_at_the_adapter(
    running: Deployment, servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is gone: so is its call, down to the driver; the next one is served."""
    begun, ended = asyncio.Event(), asyncio.Event()
    source = type(SERVERS.source)
    real = source.one

    async def hanging(self: Any, call: Any, kind: Any, native_id: str) -> Any:
        if native_id != "seed-000000":
            return await real(self, call, kind, native_id)
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    monkeypatch.setattr(source, "one", hanging)
    async with (
        deployment(memory_cluster("main", platform="fresh")) as fresh,
        grpcs.new_channel(f"127.0.0.1:{fresh.gateway.server.port}") as channel,
    ):
        stub = server_pb2_grpc.ServerServiceStub(channel)
        call = stub.GetServer(Gets(name="platforms/fresh/clusters/main/servers/seed-000000"), timeout=5)
        waiting = asyncio.ensure_future(call)
        await asyncio.wait_for(begun.wait(), 2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(ended.wait(), 2)
        page = await stub.ListServers(Lists(parent="platforms/fresh/clusters/main"), timeout=5)
        assert page.cluster_status
