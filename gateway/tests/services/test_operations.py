"""Operations through a real gateway and memory adapters: accepted, awaited, watched, cancelled, carried over."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway.tests.calls import call
from gateway.tests.operation_store_suite import intent
from gateway.tests.operations_for_stores import DONE, claimed
from google.longrunning import operations_pb2
from google.protobuf import struct_pb2
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment, metadata_of

from cloudspan.client import errors, result_of, waiting
from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_gateway.operations.model import Progress
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.services.operations import OperationService
from cloudspan_memory.cluster import MemoryCluster

Phase = operation_pb2.OperationMetadata.Phase
Get, Cancel = operations_pb2.GetOperationRequest, operations_pb2.CancelOperationRequest


@pytest.fixture
def cluster() -> MemoryCluster:
    return memory_cluster()


@pytest.fixture
async def running(cluster: MemoryCluster) -> AsyncIterator[Deployment]:
    async with deployment(cluster) as opened:
        yield opened


def slow(cluster: MemoryCluster) -> None:
    """Changes begun from now on do not end by themselves."""
    cluster.store._delay_s = 60.0


def hurry(cluster: MemoryCluster) -> None:
    """What is under way ends now."""
    for name, (_, change) in list(cluster.store._due.items()):
        cluster.store._due[name] = (0.0, change)


async def until_phase(running: Deployment, name: str, **expected: Any) -> Any:
    """Return the metadata as soon as its fields are as expected."""
    async with asyncio.timeout(5):
        async for operation in running.client.operation(name, server_pb2.Server).changes():
            metadata = metadata_of(operation)
            if all(getattr(metadata, key) == value for key, value in expected.items()):
                return metadata
    raise AssertionError(f"{name} ended otherwise")


async def test_a_cast_answers_at_once_and_ends_later(running: Deployment, cluster: MemoryCluster) -> None:
    """Without x-wait the operation comes back unfinished, and Wait brings the server."""
    operation = await running.client.servers.CreateServer(create_request())
    assert not operation.done
    assert metadata_of(operation).phase == Phase.PHASE_QUEUED
    server = await operation.result(5)
    assert (server.display_name, server.state) == ("web", server_pb2.Server.STATE_RUNNING)
    ended = await running.client.operations.GetOperation(Get(name=operation.name))
    metadata = metadata_of(ended)
    assert (metadata.resource, metadata.percent, metadata.phase) == (server.name, 100, Phase.PHASE_DONE)
    assert metadata.native_ids["server"] == server.name.rpartition("/")[2]
    assert metadata.end_time.ToNanoseconds() >= metadata.create_time.ToNanoseconds()


async def test_a_call_that_waits_gets_the_result(running: Deployment) -> None:
    """x-wait long enough: the operation is done."""
    operation = await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    assert operation.done
    assert result_of(operation).state == server_pb2.Server.STATE_RUNNING


async def test_a_call_that_waits_too_short_gets_the_operation(running: Deployment, cluster: MemoryCluster) -> None:
    """At the end of x-wait, or before the deadline if that comes first, the operation as it is."""
    slow(cluster)
    for kwargs in ({"metadata": waiting(0.05)}, {"metadata": waiting(30), "timeout": 0.5}):
        operation = await running.client.servers.CreateServer(create_request(), **kwargs)
        assert not operation.done
        assert metadata_of(operation).resource


@pytest.mark.parametrize("text", ["soon", "-1s", "1h", "1 s s", "1e3"])
async def test_a_wait_that_is_not_a_time_is_refused(running: Deployment, text: str) -> None:
    """Before anything is accepted."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await running.client.servers.CreateServer(create_request(), metadata=(("x-wait", text),))
    assert caught.value.reason == "MALFORMED_WAIT"
    assert not (await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest())).operations


async def test_the_same_request_id_is_the_same_operation(running: Deployment, cluster: MemoryCluster) -> None:
    """Fifty at once, one server; another request under it is refused."""
    request = create_request(request_id=str(uuid.uuid4()))
    request.server.labels.update({f"k{n}": "v" for n in range(20)})
    found = await asyncio.gather(*(running.client.servers.CreateServer(request) for _ in range(50)))
    assert len({operation.name for operation in found}) == 1
    await found[0].result(5)
    assert len(cluster.store.all("servers")) == 1
    assert (await running.client.servers.CreateServer(request)).done
    request.server.display_name = "other"
    with pytest.raises(errors.AlreadyExists, match=found[0].name) as caught:
        await running.client.servers.CreateServer(request)
    assert caught.value.reason == "REQUEST_ID_REUSED"


async def test_a_request_id_that_is_not_a_uuid_is_refused(running: Deployment) -> None:
    """With an example of one."""
    with pytest.raises(errors.InvalidRequest, match="expected a UUID"):
        await running.client.servers.CreateServer(create_request(request_id="mine"))


async def test_operations_are_listed_newest_first_filtered_and_in_pages(running: Deployment) -> None:
    """A page token survives the deletion of the row it ended with."""
    made = [await running.client.servers.CreateServer(create_request(f"s{n}"), metadata=waiting(5)) for n in range(5)]
    made.append(await running.client.servers.CreateServer(create_request("bad", options=_fail()), metadata=waiting(5)))
    names = [operation.name for operation in reversed(made)]
    request = operations_pb2.ListOperationsRequest(page_size=4)
    page = await running.client.operations.ListOperations(request)
    assert [operation.name for operation in page.operations] == names[:4]
    await running.client.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=names[3]))
    request.page_token = page.next_page_token
    rest = await running.client.operations.ListOperations(request)
    assert [operation.name for operation in rest.operations] == names[4:]
    assert not rest.next_page_token
    wanted = operations_pb2.ListOperationsRequest(filter='method = "cloudspan.v1.ServerService/DeleteServer"')
    assert not (await running.client.operations.ListOperations(wanted)).operations
    wanted.filter = "percent = 100"
    assert len((await running.client.operations.ListOperations(wanted)).operations) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"page_size": -1}, "NEGATIVE_PAGE_SIZE"),
        ({"page_token": "x"}, "PAGE_TOKEN_MALFORMED"),
        ({"filter": "colour = 1"}, ""),
        ({"name": "platforms/x"}, "MALFORMED_NAME"),
    ],
)
async def test_a_bad_list_of_operations_is_refused(running: Deployment, fields: dict[str, Any], reason: str) -> None:
    """The same manners as every list."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest(**fields))
    assert reason in ("", caught.value.reason)


async def test_unknown_and_malformed_operations_get_different_errors(running: Deployment) -> None:
    """NOT_FOUND for one that is not there, INVALID_ARGUMENT for what can't be one."""
    for method, request in (
        (running.client.operations.GetOperation, operations_pb2.GetOperationRequest),
        (running.client.operations.CancelOperation, operations_pb2.CancelOperationRequest),
        (running.client.operations.DeleteOperation, operations_pb2.DeleteOperationRequest),
        (running.client.operations.WaitOperation, operations_pb2.WaitOperationRequest),
    ):
        with pytest.raises(errors.NotFound):
            await method(request(name=f"operations/{uuid.uuid4()}"))
        with pytest.raises(errors.InvalidRequest, match=r"operations/\{uuid\}"):
            await method(request(name="servers/1"))


async def test_a_cancel_undoes_what_was_done(running: Deployment, cluster: MemoryCluster) -> None:
    """A server that is being built is deleted again, and the operation ends CANCELLED."""
    slow(cluster)
    operation = await running.client.servers.CreateServer(create_request())
    await until_phase(running, operation.name, stage="running")
    assert cluster.store.all("servers")
    await running.client.operations.CancelOperation(Cancel(name=operation.name))
    with pytest.raises(errors.Cancelled):
        await operation.result(5)
    assert not cluster.store.all("servers")
    metadata = metadata_of(await running.client.operations.GetOperation(Get(name=operation.name)))
    assert metadata.cancel_requested
    assert [left.removed for left in metadata.left_overs] == [True]


async def test_a_cancel_that_comes_too_late_changes_nothing(running: Deployment, cluster: MemoryCluster) -> None:
    """The server stays and so does the result."""
    operation = await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    await running.client.operations.CancelOperation(Cancel(name=operation.name))
    again = await running.client.operations.GetOperation(Get(name=operation.name))
    assert result_of(again).name == result_of(operation).name
    assert len(cluster.store.all("servers")) == 1


async def test_only_what_has_ended_can_be_deleted(running: Deployment, cluster: MemoryCluster) -> None:
    """The resource that it made stays."""
    slow(cluster)
    operation = await running.client.servers.CreateServer(create_request())
    delete = operations_pb2.DeleteOperationRequest(name=operation.name)
    with pytest.raises(errors.PreconditionFailed):
        await running.client.operations.DeleteOperation(delete)
    await until_phase(running, operation.name, stage="running")
    hurry(cluster)
    await operation.result(5)
    await running.client.operations.DeleteOperation(delete)
    with pytest.raises(errors.NotFound):
        await running.client.operations.GetOperation(Get(name=operation.name))
    assert len(cluster.store.all("servers")) == 1


async def test_a_wait_ends_at_its_time_out(running: Deployment, cluster: MemoryCluster) -> None:
    """With the operation as it is then."""
    slow(cluster)
    operation = await running.client.servers.CreateServer(create_request())
    request = operations_pb2.WaitOperationRequest(name=operation.name)
    request.timeout.FromMilliseconds(40)
    assert not (await running.client.operations.WaitOperation(request)).done
    request.ClearField("timeout")
    assert not (await running.client.operations.WaitOperation(request, timeout=0.5)).done


async def test_a_watch_reports_each_change_and_ends_with_the_operation(running: Deployment) -> None:
    """From accepted to done, in order."""
    operation = await running.client.servers.CreateServer(create_request())
    async with asyncio.timeout(5):
        seen = [change async for change in operation.changes()]
    assert [change.done for change in seen].count(True) == 1
    assert seen[-1].done
    percents = [metadata_of(change).percent for change in seen]
    assert percents == sorted(percents)
    async with asyncio.timeout(5):
        assert len([change async for change in operation.changes()]) == 1


async def test_a_watch_reports_nothing_that_can_not_be_seen() -> None:
    """An adapter that looks again and again while a cloud builds is no news; stage and percent are of one row."""
    store = MemoryStore()
    row = await store.accept(intent())
    claim = await claimed(store)
    watch = OperationService(store, None).watch_operation(
        operation_pb2.WatchOperationRequest(name=row.name), call("/watch")
    )
    seen = [metadata_of(await anext(watch))]
    following = asyncio.ensure_future(_rest(watch))
    for stage, percent in (("server", 0), ("server", 0), ("active", 60), ("active", 100), ("ready", 99)):
        await store.advance(claim, Progress(stage=stage, percent=percent, cursor=b"x"), b"")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await store.finish(claim, Progress(stage="done"), DONE, b"")
    seen += [metadata_of(change) for change in await following]
    assert [(each.stage, each.percent) for each in seen] == [
        ("", 0), ("server", 0), ("active", 60), ("active", 99), ("ready", 99), ("done", 100),
    ]  # fmt: skip


async def _rest(watch: AsyncIterator[operations_pb2.Operation]) -> list[operations_pb2.Operation]:
    return [change async for change in watch]


async def test_a_failed_state_is_the_operations_error(running: Deployment, cluster: MemoryCluster) -> None:
    """What was made is undone; the error is the platform's."""
    operation = await running.client.servers.CreateServer(create_request(options=_fail()), metadata=waiting(5))
    with pytest.raises(errors.CloudspanError, match="ended in ERROR") as caught:
        result_of(operation)
    assert caught.value.reason == "SERVER_IN_ERROR"
    assert not cluster.store.all("servers")


async def test_what_can_never_succeed_is_the_calls_own_error(running: Deployment) -> None:
    """A flavor or a server that does not exist, an option of the wrong type: nothing is accepted."""
    request = create_request()
    request.server.flavor = f"{MAIN}/flavors/none"
    options = struct_pb2.Struct()
    options.update({"fail": "yes"})
    missing = server_pb2.DeleteServerRequest(name=f"{MAIN}/servers/none")
    for refused, reason in (
        (running.client.servers.CreateServer(request), "NOT_FOUND"),
        (running.client.servers.DeleteServer(missing), "NOT_FOUND"),
        (running.client.servers.CreateServer(create_request(options=options)), "BAD_OPTION"),
    ):
        with pytest.raises(errors.CloudspanError) as caught:
            await refused
        assert caught.value.reason == reason
    assert not (await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest())).operations


async def test_a_delete_of_what_may_be_missing_succeeds(running: Deployment) -> None:
    """`allow_missing` says so; the same request id gives the same operation, and no second look."""
    delete = server_pb2.DeleteServerRequest(
        name=f"{MAIN}/servers/none", allow_missing=True, request_id=str(uuid.uuid4())
    )
    first = await running.client.servers.DeleteServer(delete, metadata=waiting(5))
    result_of(first)
    assert (await running.client.servers.DeleteServer(delete)).name == first.name


async def test_what_can_be_refused_is_refused_before_anything_is_kept(running: Deployment) -> None:
    """An unknown option, a name of another kind, a cluster nobody serves."""
    options = struct_pb2.Struct()
    options.update({"colour": "red"})
    delete = server_pb2.DeleteServerRequest(name=f"{MAIN}/volumes/1")
    for refused, reason in (
        (running.client.servers.CreateServer(create_request(options=options)), "UNKNOWN_OPTION"),
        (running.client.servers.DeleteServer(delete), "MALFORMED_NAME"),
        (running.client.servers.CreateServer(create_request(parent="platforms/memory/clusters/x")), "CLUSTER_UNKNOWN"),
    ):
        with pytest.raises(errors.CloudspanError) as caught:
            await refused
        assert caught.value.reason == reason
    assert not (await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest())).operations


async def test_a_check_answers_what_the_result_would_be(running: Deployment) -> None:
    """Of the declared type: a create's resource as asked, of another change the resource as it is now."""
    request = create_request(validate_only=True)
    planned = result_of(await running.client.servers.CreateServer(request))
    assert (planned.name, planned.display_name, planned.flavor) == ("", "web", request.server.flavor)
    made = result_of(await running.client.servers.CreateServer(create_request(), metadata=waiting(5)))
    stop = server_pb2.StopServerRequest(name=made.name, validate_only=True)
    checked = result_of(await running.client.servers.StopServer(stop))
    assert (checked.name, checked.state) == (made.name, server_pb2.Server.STATE_RUNNING)


async def test_a_change_of_what_changed_meanwhile_is_refused(running: Deployment) -> None:
    """A delete with an old etag; with the one that a Get gives it goes through."""
    made = result_of(await running.client.servers.CreateServer(create_request(), metadata=waiting(5)))
    seen = await running.client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))
    result_of(
        await running.client.servers.StopServer(server_pb2.StopServerRequest(name=made.name), metadata=waiting(5))
    )
    delete = server_pb2.DeleteServerRequest(name=made.name, etag=seen.etag)
    with pytest.raises(errors.Busy, match="has changed") as caught:
        await running.client.servers.DeleteServer(delete)
    assert caught.value.reason == "ETAG_MISMATCH"
    delete.etag = (await running.client.servers.GetServer(server_pb2.GetServerRequest(name=made.name))).etag
    result_of(await running.client.servers.DeleteServer(delete, metadata=waiting(5)))


async def test_an_operation_outlives_its_adapter(running: Deployment, cluster: MemoryCluster) -> None:
    """Killed while the server is built; the next instance goes on from the cursor, with the same server."""
    slow(cluster)
    operation = await running.client.servers.CreateServer(create_request())
    metadata = await until_phase(running, operation.name, stage="running")
    await running.kill()
    running.forget()
    await running.plug([cluster], "memory-2")
    hurry(cluster)
    server = await operation.result(10)
    assert server.name == metadata.resource
    assert len(cluster.store.all("servers")) == 1


async def test_an_operation_waits_for_an_adapter_that_is_away(running: Deployment, cluster: MemoryCluster) -> None:
    """It says that it waits; its request_id still answers; a new mutation is refused."""
    slow(cluster)
    request = create_request(request_id=str(uuid.uuid4()))
    operation = await running.client.servers.CreateServer(request)
    await until_phase(running, operation.name, stage="running")
    await running.kill()
    running.forget()
    async with asyncio.timeout(5):
        async for change in operation.changes():
            if "no instance serves" in metadata_of(change).stage:
                break
    assert (await running.client.servers.CreateServer(request)).name == operation.name
    with pytest.raises(errors.Unreachable):
        await running.client.servers.CreateServer(create_request("second"))
    hurry(cluster)
    await running.plug([cluster], "memory-2")
    assert (await operation.result(10)).display_name == "web"


def _fail() -> struct_pb2.Struct:
    options = struct_pb2.Struct()
    options.update({"fail": True})
    return options
