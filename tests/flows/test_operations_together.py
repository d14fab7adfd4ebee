"""Operations on one resource through a real gateway and memory adapters: checked, queued, refused, given way, ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.longrunning import operations_pb2
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment, metadata_of

from cloudspan.client import errors, result_of, waiting
from cloudspan.v1 import operation_pb2, server_pb2, volume_pb2
from cloudspan_memory.cluster import MemoryCluster

Outcome = operation_pb2.OperationMetadata.CancelOutcome
Get = operations_pb2.GetOperationRequest


@pytest.fixture
def cluster() -> MemoryCluster:
    return memory_cluster()


@pytest.fixture
async def running(cluster: MemoryCluster) -> AsyncIterator[Deployment]:
    async with deployment(cluster) as opened:
        yield opened


async def server_of(running: Deployment, **fields: object) -> server_pb2.Server:
    return result_of(await running.client.servers.CreateServer(create_request(**fields), metadata=waiting(5)))


async def volume_of(running: Deployment, name: str) -> str:
    wanted = volume_pb2.Volume(display_name=name, size_bytes=1024**3)
    request = volume_pb2.CreateVolumeRequest(parent=MAIN, volume=wanted)
    return result_of(await running.client.volumes.CreateVolume(request, metadata=waiting(5))).name


async def until(running: Deployment, operation: operations_pb2.Operation, stage: str) -> None:
    async with asyncio.timeout(5):
        async for change in operation.changes():
            if metadata_of(change).stage == stage:
                return


async def test_a_request_can_be_checked_without_being_done(running: Deployment, cluster: MemoryCluster) -> None:
    """A finished operation without a name; what is wrong is the call's own error; nothing is kept."""
    checked = await running.client.servers.CreateServer(create_request(validate_only=True))
    assert (checked.done, checked.name) == (True, "")
    wrong = create_request(validate_only=True)
    wrong.server.flavor = f"{MAIN}/flavors/none"
    with pytest.raises(errors.NotFound, match="flavors/none"):
        await running.client.servers.CreateServer(wrong)
    assert not cluster.store.all("servers")
    assert not (await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest())).operations


async def test_two_changes_of_a_server_do_not_collide(running: Deployment, cluster: MemoryCluster) -> None:
    """The second is refused and names the first; it is accepted once that has ended."""
    server = await server_of(running)
    cluster.store._delay_s = 60.0
    stop = await running.client.servers.StopServer(server_pb2.StopServerRequest(name=server.name))
    with pytest.raises(errors.Busy, match=stop.name) as caught:
        await running.client.servers.RebootServer(server_pb2.RebootServerRequest(name=server.name))
    assert (caught.value.reason, caught.value.metadata["operation"]) == ("OPERATION_IN_PROGRESS", stop.name)
    for name, (_, change) in list(cluster.store._due.items()):
        cluster.store._due[name] = (0.0, change)
    await stop.result(5)
    cluster.store._delay_s = 0.02
    start = server_pb2.StartServerRequest(name=server.name)
    assert (await running.client.servers.StartServer(start, metadata=waiting(5))).done


async def test_five_volumes_are_attached_at_once(running: Deployment) -> None:
    """And the detachment of one of them follows its attachment."""
    server = await server_of(running)
    volumes = [await volume_of(running, f"v{n}") for n in range(5)]
    attach = [server_pb2.AttachVolumeRequest(name=server.name, volume=volume) for volume in volumes]
    begun = await asyncio.gather(*(running.client.servers.AttachVolume(request) for request in attach))
    detach = server_pb2.DetachVolumeRequest(name=server.name, volume=volumes[0])
    await (await running.client.servers.DetachVolume(detach)).result(5)
    for operation in begun:
        await operation.result(5)
    shown = await running.client.servers.GetServer(server_pb2.GetServerRequest(name=server.name))
    assert sorted(a.volume for a in shown.volume_attachments) == sorted(volumes[1:])


async def test_a_delete_stops_running_operations(running: Deployment, cluster: MemoryCluster) -> None:
    """A create that never ends gives way, and says to whom; nothing of it stays."""
    cluster.store._delay_s = 60.0
    create = await running.client.servers.CreateServer(create_request())
    await until(running, create, "running")
    name = metadata_of(await running.client.operations.GetOperation(Get(name=create.name))).resource
    cluster.store._delay_s = 0.02
    delete = await running.client.servers.DeleteServer(server_pb2.DeleteServerRequest(name=name))
    await delete.result(10)
    ended = await running.client.operations.GetOperation(Get(name=create.name))
    metadata = metadata_of(ended)
    assert ended.HasField("error")
    assert (metadata.preempted_by, metadata.cancel_outcome) == (delete.name, Outcome.CANCEL_OUTCOME_UNDONE)
    assert not cluster.store.all("servers")


async def test_a_cancel_says_what_came_of_it(running: Deployment, cluster: MemoryCluster) -> None:
    """Undone here; too late where it had succeeded before anybody saw it is shown by the store's tests."""
    cluster.store._delay_s = 60.0
    create = await running.client.servers.CreateServer(create_request())
    await until(running, create, "running")
    await running.client.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=create.name))
    with pytest.raises(errors.Cancelled):
        await create.result(5)
    ended = await running.client.operations.GetOperation(Get(name=create.name))
    assert metadata_of(ended).cancel_outcome == Outcome.CANCEL_OUTCOME_UNDONE


async def test_an_operation_is_abandoned_as_it_is(running: Deployment, cluster: MemoryCluster) -> None:
    """The reason is reported, and what stays: the orphan finder finds it, and cleans it up."""
    cluster.store._delay_s = 60.0
    create = await running.client.servers.CreateServer(create_request())
    await until(running, create, "running")
    changes = running.client.operations
    ended = await changes.AbandonOperation(
        operation_pb2.AbandonOperationRequest(name=create.name, reason="the cloud is being moved")
    )
    with pytest.raises(errors.OutcomeUnknown, match="the cloud is being moved"):
        result_of(ended)
    left = [left.name for left in metadata_of(ended).left_overs if left.name]
    assert left == [metadata_of(ended).resource]
    with pytest.raises(errors.PreconditionFailed, match="has ended"):
        await changes.AbandonOperation(operation_pb2.AbandonOperationRequest(name=create.name, reason="again"))


async def test_an_operation_is_explained(running: Deployment) -> None:
    """Its stages in order, who took them, and how often; of the memory platform there are no native calls."""
    operation = await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    request = operation_pb2.ExplainOperationRequest(name=operation.name)
    told = await running.client.operations.ExplainOperation(request)
    assert [stage.stage for stage in told.stages] == ["server", "running", "done"]
    assert {stage.instance for stage in told.stages} == {"memory-1"}
    assert told.metadata.phase == operation_pb2.OperationMetadata.PHASE_DONE
