"""One operation under a runner: what it shows while it waits, what it ends with when the outcome is unknown."""

from __future__ import annotations

import pytest
from gateway.tests.operation_store_suite import intent
from gateway.tests.scripted_adapter import CONFIG, DONE, Adapter, ended, running, waits
from google.rpc import code_pb2, status_pb2
from structlog.testing import capture_logs

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.polling import MAX_UNSEEN_S
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.execution import MAKE_WAY_S
from cloudspan_gateway.operations.model import Phase, metadata_of
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.routing.forward import INSTANCE_AWAY

SERVER = "platforms/p/clusters/c/servers/1"
AWAY = errors.Unreachable("connection refused", reason=INSTANCE_AWAY)
GONE = errors.NotFound("platform 'p' has no cluster 'c'", reason="CLUSTER_UNKNOWN")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


def transit(native_id: str) -> step_pb2.StepResponse:
    answer = waits(resource=SERVER)
    answer.retry_after.FromMilliseconds(100)
    answer.transit.collection, answer.transit.native_id = "servers", native_id
    return answer


async def test_an_operation_past_its_deadline_is_stalled_and_goes_on(store: MemoryStore, clock: FakeClock) -> None:
    """It ends as if nothing had been; the time of an adapter's last report shows that it is slow, not dead."""
    adapter = Adapter(*[waits(str(n).encode(), retry_s=60) for n in range(64)])
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(3_500)
        assert (await store.get(row.intent.id)).progress.phase == Phase.PHASE_RUNNING
        await clock.advance(200)
        stalled = metadata_of(await store.get(row.intent.id))
        assert stalled.phase == Phase.PHASE_STALLED
        assert stalled.deadline_time.ToSeconds() - stalled.create_time.ToSeconds() == 3600
        assert clock.now() - stalled.contact_time.ToSeconds() < 62
        assert not (await ended(store, clock, row.intent.id)).failed


async def test_a_step_that_was_not_sent_is_not_an_attempt(store: MemoryStore, clock: FakeClock) -> None:
    """A refused connection proves it; one that broke proves nothing."""
    adapter = Adapter(AWAY, AWAY, errors.Unreachable("broken"))
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await ended(store, clock, row.intent.id)
    assert [step.attempt for step in adapter.steps] == [1, 1, 1, 2]


async def test_operations_that_wait_for_an_adapter_wake_with_it(store: MemoryStore, clock: FakeClock) -> None:
    """The pauses between tries are not waited out."""
    adapter = Adapter()
    adapter.away = errors.Unreachable("no instance serves it")
    row = await store.accept(intent())
    async with running(store, adapter, clock) as runner:
        await clock.advance(60)
        assert "no instance" in (await store.get(row.intent.id)).progress.stage
        adapter.away = None
        runner.wake_signal.send()
        await clock.settle()
        assert (await store.get(row.intent.id)).done


async def test_operations_that_wait_for_an_adapter_log_one_line_a_minute_and_write_once(
    store: MemoryStore, clock: FakeClock
) -> None:
    """However many they are, and however often each looks."""
    adapter = Adapter()
    adapter.away = errors.Unreachable("no instance serves it")
    rows = [await store.accept(intent()) for _ in range(50)]
    with capture_logs() as logs:
        async with running(store, adapter, clock):
            await clock.advance(5)
            revisions = [(await store.get(row.intent.id)).revision for row in rows]
            await clock.advance(121)
            assert [(await store.get(row.intent.id)).revision for row in rows] == revisions
    lines = [entry for entry in logs if entry["event"] == "operations wait"]
    assert len(lines) <= 4
    assert lines[-1]["count"] == 50


async def test_why_an_operation_is_retried_is_in_its_metadata_until_it_goes_on(
    store: MemoryStore, clock: FakeClock
) -> None:
    """With the time at which that began, however often it was tried since; gone once a step is answered."""
    adapter = Adapter()
    adapter.away = errors.Unreachable("no instance serves it")
    row = await store.accept(intent())
    async with running(store, adapter, clock) as runner:
        await clock.advance(5)
        summary = metadata_of(await store.get(row.intent.id)).error_summary
        await clock.advance(60)
        assert metadata_of(await store.get(row.intent.id)).error_summary == summary
        adapter.away = None
        runner.wake_signal.send()
        await clock.settle()
        ended = metadata_of(await store.get(row.intent.id))
    assert (summary.code, summary.reason, summary.message) == ("UNAVAILABLE", "UNREACHABLE", "no instance serves it")
    assert (ended.outcome, ended.HasField("error_summary")) == ("OK", False)


async def test_a_step_that_says_neither_when_nor_anything_new_is_not_asked_without_end(
    store: MemoryStore, clock: FakeClock
) -> None:
    """The same cursor and no retry_after: a tenth of a second passes before the next."""
    adapter = Adapter(*[waits(b"same", retry_s=0) for _ in range(1000)])
    await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(2)
        assert len(adapter.steps) <= 25


@pytest.mark.parametrize(("seconds", "nanos"), [(1 << 62, 0), (-(1 << 62), 0), (0, -5), (1, 1 << 30)])
async def test_an_impossible_pause_of_an_adapter_costs_no_operation(
    store: MemoryStore, clock: FakeClock, seconds: int, nanos: int
) -> None:
    odd = waits(b"odd")
    odd.retry_after.seconds, odd.retry_after.nanos = seconds, nanos
    row = await store.accept(intent())
    async with running(store, Adapter(odd), clock):
        await clock.advance(3_700)
        assert not (await ended(store, clock, row.intent.id)).failed


async def test_an_unknown_platform_is_waited_for(store: MemoryStore, clock: FakeClock) -> None:
    """After a restart the gateway has operations before it has adapters."""
    adapter = Adapter()
    adapter.away = errors.NotFound("platform 'p' is not plugged in", reason="PLATFORM_UNKNOWN")
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(3_000)
        assert not (await store.get(row.intent.id)).done
        adapter.away = None
        assert not (await ended(store, clock, row.intent.id)).failed


@pytest.mark.parametrize(("begun", "code"), [(True, code_pb2.UNKNOWN), (False, code_pb2.NOT_FOUND)])
async def test_the_operations_of_a_removed_cluster_end(
    store: MemoryStore, clock: FakeClock, begun: bool, code: int
) -> None:
    """Once its adapters have served without it for ten minutes: with what may be there, or with nothing done."""
    adapter = Adapter(waits(retry_s=5, resource=SERVER, native_ids={"server": "1"}))
    adapter.away = None if begun else GONE
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(1)
        adapter.away = GONE
        await clock.advance(CONFIG.removed_after_s - 10)
        assert not (await store.get(row.intent.id)).done
        await clock.advance(30)
        row = await store.get(row.intent.id)
    assert isinstance(row.outcome, status_pb2.Status)
    assert row.outcome.code == code
    if begun:
        assert errors.from_status(row.outcome).reason == "OUTCOME_UNKNOWN"
        assert [left.name for left in row.progress.left_overs] == [SERVER, ""]
        assert row.intent.id.replace("-", "") in row.outcome.message


async def test_a_cluster_that_comes_back_was_not_removed(store: MemoryStore, clock: FakeClock) -> None:
    """Each step that is answered begins the count anew."""
    adapter = Adapter(waits(b"1"), waits(b"2", retry_s=1))
    adapter.away = GONE
    row = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(CONFIG.removed_after_s - 10)
        adapter.away = None
        assert not (await ended(store, clock, row.intent.id)).failed


async def test_a_shared_wait_ends_with_a_step(store: MemoryStore, clock: FakeClock) -> None:
    """Ten operations that wait cost one question a look, and a step each at the end."""
    ids = [str(n) for n in range(10)]
    adapter = Adapter(*[transit(i) for i in ids])
    adapter.in_transit = set(ids)
    rows = [await store.accept(intent()) for _ in ids]
    async with running(store, adapter, clock):
        await clock.advance(20)
        assert len(adapter.steps) == 10
        assert all(len(look) == 10 for look in adapter.looks)
        adapter.in_transit.clear()
        await clock.advance(6)
        assert all([(await store.get(row.intent.id)).done for row in rows])
    assert len(adapter.steps) == 20


async def test_an_operation_looks_for_itself_in_the_end(store: MemoryStore, clock: FakeClock) -> None:
    """However long a shared wait reports its resource in transit."""
    ids = [str(n) for n in range(10)]
    adapter = Adapter(*[transit(i) for i in ids])
    adapter.in_transit = set(ids)
    rows = [await store.accept(intent()) for _ in ids]
    async with running(store, adapter, clock):
        await clock.advance(MAX_UNSEEN_S - 1)
        assert len(adapter.steps) == 10
        await clock.advance(2)
        assert all([(await store.get(row.intent.id)).done for row in rows])


async def test_a_delete_waits_until_the_others_have_given_way(store: MemoryStore, clock: FakeClock) -> None:
    """What works on the resource is undone first."""
    adapter = Adapter(waits(b"made", retry_s=500, resource=SERVER), waits(b"undoing", retry_s=20))
    create = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(1)
        delete = await store.accept(intent(method="cloudspan.v1.ServerService/DeleteServer", target=SERVER))
        await clock.advance(10)
        assert [(step.operation_id, step.undo) for step in adapter.steps] == [
            (create.intent.id, False),
            (create.intent.id, True),
        ]
        assert metadata_of(await store.get(create.intent.id)).preempted_by == delete.name
        await ended(store, clock, delete.intent.id)
    assert [step.operation_id for step in adapter.steps[2:]] == [create.intent.id, delete.intent.id]


async def test_a_delete_does_not_wait_for_ever(store: MemoryStore, clock: FakeClock) -> None:
    """What could not be undone by then is ended as it is, and says so."""
    made = waits(b"made", retry_s=500, resource=SERVER, native_ids={"server": "1", "boot-volume": "2"})
    adapter = Adapter(made, waits(b"stuck", retry_s=500, resource=SERVER, native_ids=made.native_ids))
    create = await store.accept(intent())
    async with running(store, adapter, clock):
        await clock.advance(1)
        delete = await store.accept(intent(method="cloudspan.v1.ServerService/DeleteServer", target=SERVER))
        await clock.advance(MAKE_WAY_S + 2)
        assert (await store.get(delete.intent.id)).done
    row = await store.get(create.intent.id)
    assert isinstance(row.outcome, status_pb2.Status)
    assert (row.outcome.code, errors.from_status(row.outcome).reason) == (code_pb2.ABORTED, "PREEMPTED")
    assert sorted(left.reason.split(" was")[0] for left in row.progress.left_overs) == [
        "boot-volume 2",
        "it",
        "server 1",
    ]


async def test_what_queues_runs_when_its_turn_comes(store: MemoryStore, clock: FakeClock) -> None:
    """The same volume is detached once it is attached."""
    volume = "platforms/p/clusters/c/volumes/1"
    adapter = Adapter(waits(retry_s=30))
    attach = await store.accept(intent(method="cloudspan.v1.ServerService/AttachVolume", target=SERVER, also=(volume,)))
    detach = await store.accept(intent(method="cloudspan.v1.ServerService/DetachVolume", target=SERVER, also=(volume,)))
    assert metadata_of(detach).waits_for == attach.name
    async with running(store, adapter, clock):
        await clock.advance(29)
        assert len(adapter.steps) == 1
        await ended(store, clock, detach.intent.id)
    assert [step.operation_id for step in adapter.steps] == [attach.intent.id, attach.intent.id, detach.intent.id]


async def test_an_operation_is_explained_by_its_stages(store: MemoryStore, clock: FakeClock) -> None:
    """Equal calls are counted, steps without an answer too; the next runner goes on with the trace."""
    looks = [operation_pb2.NativeCall(service="compute", method="GET", template="/servers/{id}", status=200)]
    create = [operation_pb2.NativeCall(service="compute", method="POST", template="/servers", status=202)]
    adapter = Adapter(
        waits(b"1", stage="server", calls=create),
        *[waits(str(n).encode(), 1, stage="active", calls=looks) for n in range(5)],
        errors.Unreachable("lost"),
        waits(b"9", 500, stage="active", calls=looks),
    )
    row = await store.accept(intent())
    async with running(store, adapter, clock) as runner:
        await clock.advance(10)
        told = operation_pb2.OperationExplanation.FromString(runner.trace(row.intent.id))
        assert [(s.stage, s.steps, s.failures, s.instance) for s in told.stages] == [
            ("server", 1, 0, "adapter-1"),
            ("active", 6, 1, "adapter-1"),
        ]
        assert sum(call.count for stage in told.stages for call in stage.calls) == 7
    async with running(store, Adapter(DONE), clock):
        await ended(store, clock, row.intent.id)
    told = operation_pb2.OperationExplanation.FromString(await store.explained(row.intent.id))
    assert (told.stages[0].stage, told.stages[-1].stage) == ("server", "done")
