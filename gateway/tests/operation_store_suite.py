"""What every `OperationStore` must do, whatever it keeps operations in; a store's test module inherits it.

`class TestMyStore(OperationStoreSuite)` with a fixture `new_store(clock)` that returns a factory.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common.errors import AlreadyExists, NotFound, PreconditionFailed
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Intent, Phase, Progress
from cloudspan_gateway.operations.store import Fenced, OperationStore

LEASE_S = 60.0
DONE = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
PROGRESS = Progress(
    cursor=b"\x00cursor",
    phase=Phase.PHASE_RECONCILING,
    stage="server",
    percent=40,
    resource="platforms/p/clusters/c/servers/1",
    native_ids={"server": "1"},
    left_overs=(operation_pb2.LeftOver(name="platforms/p/clusters/c/ports/2", reason="why", removed=True),),
)


def intent(**fields: Any) -> Intent:
    made = Intent(
        id=str(uuid.uuid4()),
        method="cloudspan.v1.ServerService/CreateServer",
        request=b"\x01\xff",
        cluster=ClusterRef("p", "c"),
        request_id=str(uuid.uuid4()),
        traceparent="00-1-2-01",
    )
    return dataclasses.replace(made, **fields)


class OperationStoreSuite:
    """Inherit, and give a fixture `store` and `clock`."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> OperationStore:
        raise NotImplementedError

    async def test_what_was_accepted_is_read_as_it_was(self, store: OperationStore, clock: FakeClock) -> None:
        """Intent, times, and that nothing was done yet."""
        wanted = intent()
        row = await store.accept(wanted)
        assert await store.get(wanted.id) == row
        assert (row.intent, row.done, row.attempt, row.progress) == (wanted, False, 0, Progress())
        assert row.create_time == pytest.approx(clock.now(), abs=0.001)

    async def test_the_same_request_id_is_the_same_operation(self, store: OperationStore) -> None:
        """Known before and after; another request under it is refused."""
        first = intent()
        assert await store.known(first) is None
        row = await store.accept(first)
        again = dataclasses.replace(first, id=str(uuid.uuid4()))
        assert (await store.accept(again)).intent.id == row.intent.id
        known = await store.known(again)
        assert known is not None
        assert known.intent.id == row.intent.id
        for other in ({"request": b"other"}, {"method": "cloudspan.v1.ServerService/DeleteServer"}):
            with pytest.raises(AlreadyExists) as caught:
                await store.accept(dataclasses.replace(again, **other))
            assert caught.value.reason == "REQUEST_ID_REUSED"
            with pytest.raises(AlreadyExists):
                await store.known(dataclasses.replace(again, **other))

    async def test_fifty_at_once_become_one(self, store: OperationStore) -> None:
        """Nothing lies between looking and keeping."""
        first = intent()
        twins = [dataclasses.replace(first, id=str(uuid.uuid4())) for _ in range(50)]
        rows = await asyncio.gather(*(store.accept(twin) for twin in twins))
        assert len({row.intent.id for row in rows}) == 1
        assert len(await store.page(100)) == 1

    async def test_a_claim_is_one_runners_until_its_lease_ends(self, store: OperationStore, clock: FakeClock) -> None:
        """The oldest first, at most as many as asked for, again after the lease."""
        ids = [(await store.accept(intent())).intent.id for _ in range(3)]
        assert [claim.id for claim, _ in await store.claim(LEASE_S, 2)] == ids[:2]
        assert [claim.id for claim, _ in await store.claim(LEASE_S, 2)] == ids[2:]
        assert list(await store.claim(LEASE_S, 2)) == []
        await clock.advance(LEASE_S + 1)
        again = await store.claim(LEASE_S, 10)
        assert [claim.id for claim, _ in again] == ids
        assert {row.epoch for _, row in again} == {2}

    async def test_a_renewed_lease_does_not_end(self, store: OperationStore, clock: FakeClock) -> None:
        """Renewed at 50 s it holds at 100 s and has ended at 111 s."""
        await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        await clock.advance(50)
        await store.renew(claim, LEASE_S)
        await clock.advance(50)
        assert list(await store.claim(LEASE_S, 1)) == []
        await clock.advance(11)
        assert len(await store.claim(LEASE_S, 1)) == 1

    async def test_a_released_claim_is_free_at_once(self, store: OperationStore) -> None:
        """And waiting runners wake."""
        await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        await store.release(claim)
        await asyncio.wait_for(store.work(), 1)
        assert len(await store.claim(LEASE_S, 1)) == 1
        await store.release(claim)
        assert list(await store.claim(LEASE_S, 1)) == []

    async def test_every_write_of_a_lost_claim_is_refused(self, store: OperationStore, clock: FakeClock) -> None:
        """Two runners on one store: only the later one writes."""
        row = await store.accept(intent())
        ((old, _),) = await store.claim(LEASE_S, 1)
        await clock.advance(LEASE_S + 1)
        ((new, _),) = await store.claim(LEASE_S, 1)
        writes: list[Callable[[], Any]] = [
            lambda: store.renew(old, LEASE_S),
            lambda: store.begin_attempt(old),
            lambda: store.advance(old, PROGRESS),
            lambda: store.note(old, PROGRESS),
            lambda: store.finish(old, PROGRESS, DONE),
        ]
        for write in writes:
            with pytest.raises(Fenced):
                await write()
        assert (await store.get(row.intent.id)).progress == Progress()
        assert (await store.advance(new, PROGRESS)).progress == PROGRESS

    async def test_attempts_count_until_the_cursor_changes(self, store: OperationStore) -> None:
        """A note is no answer: what was sent stays counted."""
        row = await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        assert (await store.begin_attempt(claim)).attempt == 1
        assert (await store.begin_attempt(claim)).attempt == 2
        noted = await store.note(claim, dataclasses.replace(Progress(), stage="waits"))
        assert (noted.attempt, noted.progress.stage) == (2, "waits")
        advanced = await store.advance(claim, PROGRESS)
        assert (advanced.attempt, advanced.progress) == (0, PROGRESS)
        assert (await store.get(row.intent.id)) == advanced
        assert advanced.revision > noted.revision > row.revision

    @pytest.mark.parametrize("outcome", [DONE, status_pb2.Status(code=5, message="gone")])
    async def test_a_finished_one_stays_as_it_ended(self, store: OperationStore, outcome: Any) -> None:
        """It is never claimed again, and its claim is over."""
        row = await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        done = await store.finish(claim, PROGRESS, outcome)
        assert (done.done, done.outcome) == (True, outcome)
        assert done.end_time is not None
        await store.release(claim)
        assert list(await store.claim(LEASE_S, 1)) == []
        with pytest.raises(Fenced):
            await store.advance(claim, Progress())
        assert await store.get(row.intent.id) == done
        assert (await store.request_cancel(row.intent.id)).cancel_requested is False

    async def test_a_cancel_is_noted_once_and_seen_by_the_next_attempt(self, store: OperationStore) -> None:
        """Whoever holds the claim."""
        row = await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        first = await store.request_cancel(row.intent.id)
        assert (await store.request_cancel(row.intent.id)).revision == first.revision
        assert (await store.begin_attempt(claim)).cancel_requested

    async def test_pages_go_on_behind_rows_that_are_deleted(self, store: OperationStore) -> None:
        """Newest first; the row that a page ended with may be gone."""
        ids = [(await store.accept(intent())).intent.id for _ in range(7)][::-1]
        page = await store.page(3)
        assert [row.intent.id for row in page] == ids[:3]
        for claim, _ in await store.claim(LEASE_S, 10):
            await store.finish(claim, PROGRESS, DONE)
        await store.delete(ids[2])
        rest = await store.page(10, page[-1].sequence)
        assert [row.intent.id for row in rest] == ids[3:]
        assert list(await store.page(10, rest[-1].sequence)) == []

    async def test_only_what_has_ended_can_be_deleted(self, store: OperationStore) -> None:
        """Afterwards nobody knows it, and its request_id is free."""
        wanted = intent()
        await store.accept(wanted)
        with pytest.raises(PreconditionFailed, match="cancel it first"):
            await store.delete(wanted.id)
        ((claim, _),) = await store.claim(LEASE_S, 1)
        await store.finish(claim, PROGRESS, DONE)
        await store.delete(wanted.id)
        for lost in (store.get, store.delete, store.request_cancel):
            with pytest.raises(NotFound):
                await lost(wanted.id)
        assert await store.known(wanted) is None

    async def test_waiters_learn_of_changes_and_of_the_end_of_a_row(self, store: OperationStore) -> None:
        """At once when it changed before they came."""
        row = await store.accept(intent())
        ((claim, _),) = await store.claim(LEASE_S, 1)
        waiter = asyncio.create_task(store.changed(row.intent.id, row.revision))
        await asyncio.sleep(0)
        changed = await store.advance(claim, PROGRESS)
        assert await asyncio.wait_for(waiter, 1) == changed
        assert await asyncio.wait_for(store.changed(row.intent.id, row.revision), 1) == changed
        done = await store.finish(claim, PROGRESS, DONE)
        late = asyncio.create_task(store.changed(row.intent.id, done.revision))
        await asyncio.sleep(0)
        await store.delete(row.intent.id)
        with pytest.raises(NotFound):
            await asyncio.wait_for(late, 1)

    async def test_runners_wake_for_new_work_and_for_leases_that_end(
        self, store: OperationStore, clock: FakeClock
    ) -> None:
        """Without polling the store."""
        waiting = asyncio.create_task(store.work())
        await clock.settle()
        assert not waiting.done()
        await store.accept(intent())
        await asyncio.wait_for(waiting, 1)
        await store.claim(LEASE_S, 1)
        lapsing = asyncio.create_task(store.work())
        await clock.advance(LEASE_S - 1)
        assert not lapsing.done()
        await clock.advance(2)
        await asyncio.wait_for(lapsing, 1)
