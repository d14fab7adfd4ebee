"""The part of the stores' suite about what a runner writes, and who reads it, waits for it and forgets it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from gateway.tests.operations_for_stores import (
    CANCELLED,
    CLUSTER,
    DONE,
    LEASE_S,
    PROGRESS,
    SERVER,
    claimed,
    ended,
    intent,
    on_server,
    twin,
)
from google.protobuf import any_pb2
from google.rpc import status_pb2

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Progress
from cloudspan_gateway.operations.stores.base import Fenced, OperationStore, Wanted


class WritesSuite:
    """Inherited by `OperationStoreSuite`."""

    async def lapse(self, store: OperationStore, clock: FakeClock, seconds: float = LEASE_S + 1) -> None:
        """Let this time pass for leases."""
        await clock.advance(seconds)

    # -------------------------------------------------------------- a runner's writes

    async def test_attempts_count_until_the_cursor_changes(self, store: OperationStore) -> None:
        """A note does not count as an answer: what was sent stays counted, what certainly was not does not."""
        row = await store.accept(intent())
        claim = await claimed(store)
        assert (await store.begin_attempt(claim)).attempt == 1
        assert (await store.begin_attempt(claim)).attempt == 2
        noted = await store.note(claim, dataclasses.replace(Progress(), stage="waits"))
        assert (noted.attempt, noted.progress.stage) == (2, "waits")
        assert (await store.note(claim, noted.progress, sent=False)).attempt == 1
        assert (await store.get(row.intent.id)).attempt == 1
        advanced = await store.advance(claim, PROGRESS)
        assert (advanced.attempt, advanced.progress) == (0, PROGRESS)
        assert await store.get(row.intent.id) == advanced
        assert advanced.revision > noted.revision > row.revision

    @pytest.mark.parametrize("outcome", [DONE, any_pb2.Any(), status_pb2.Status(code=5, message="gone")])
    async def test_a_finished_one_stays_as_it_ended(self, store: OperationStore, outcome: Any) -> None:
        """It is never claimed again, its claim is over, and what was asked is forgotten."""
        row = await store.accept(intent())
        claim = await claimed(store)
        done = await store.finish(claim, PROGRESS, outcome)
        assert (done.done, done.outcome, done.intent.request) == (True, outcome, b"")
        assert done.end_time is not None
        await store.release([claim])
        assert list(await store.claim(1)) == []
        with pytest.raises(Fenced):
            await store.advance(claim, Progress())
        assert await store.get(row.intent.id) == done
        assert (await store.request_cancel(row.intent.id)).cancel_requested is False
        assert await store.end(row.intent.id, Progress(), CANCELLED) == done
        assert await store.known(twin(row.intent)) == done

    async def test_an_operation_can_be_ended_whoever_holds_it(self, store: OperationStore) -> None:
        """Its runner finds out at its next write."""
        row = await store.accept(intent())
        claim = await claimed(store)
        assert (await store.end(row.intent.id, PROGRESS, CANCELLED)).outcome == CANCELLED
        with pytest.raises(Fenced):
            await store.begin_attempt(claim)
        with pytest.raises(NotFound):
            await store.end("none", PROGRESS, CANCELLED)

    async def test_a_cancel_is_noted_once_and_seen_by_the_next_attempt(self, store: OperationStore) -> None:
        """Whoever holds the claim."""
        row = await store.accept(intent())
        claim = await claimed(store)
        first = await store.request_cancel(row.intent.id)
        assert (await store.request_cancel(row.intent.id)).revision == first.revision
        assert (await store.begin_attempt(claim)).cancel_requested

    async def test_what_it_took_is_reported_as_last_kept(self, store: OperationStore) -> None:
        """An empty one keeps the one before, and it goes with the operation."""
        row = await store.accept(intent())
        claim = await claimed(store)
        assert await store.explained(row.intent.id) == b""
        await store.advance(claim, PROGRESS, b"one")
        await store.note(claim, Progress(), b"two")
        await store.advance(claim, PROGRESS)
        assert await store.explained(row.intent.id) == b"two"
        await store.finish(claim, PROGRESS, DONE, b"three")
        assert await store.explained(row.intent.id) == b"three"
        await store.delete(row.intent.id)
        with pytest.raises(NotFound):
            await store.explained(row.intent.id)

    async def test_secrets_of_an_outcome_are_reported_once(self, store: OperationStore) -> None:
        """Of many that ask at once one gets them; afterwards the outcome is there without them."""
        outcome = any_pb2.Any()
        outcome.Pack(server_pb2.Server(name="http://c", generated_password="hidden"))
        row = await ended(store, outcome)
        assert row.secret
        told = await asyncio.gather(*(store.reveal(row.intent.id) for _ in range(5)))
        assert [answer.secret for answer in told].count(True) == 1
        (first,) = [answer for answer in told if answer.secret]
        assert first.outcome == outcome
        kept = await store.get(row.intent.id)
        assert not kept.secret
        assert b"hidden" not in kept.outcome.SerializeToString()
        assert b"http://c" in kept.outcome.SerializeToString()
        with pytest.raises(NotFound):
            await store.reveal("none")

    # -------------------------------------------------------------- reading and forgetting

    async def test_pages_go_on_behind_rows_that_are_deleted(self, store: OperationStore) -> None:
        """Newest first; the row that a page ended with may be gone."""
        ids = [(await store.accept(intent())).intent.id for _ in range(7)][::-1]
        page = await store.page(3)
        assert [row.intent.id for row in page] == ids[:3]
        for claim, _ in await store.claim(10):
            await store.finish(claim, PROGRESS, DONE)
        await store.delete(ids[2])
        rest = await store.page(10, page[-1].sequence)
        assert [row.intent.id for row in rest] == ids[3:]
        assert list(await store.page(10, rest[-1].sequence)) == []

    async def test_pages_hold_what_is_wanted(self, store: OperationStore) -> None:
        """By cluster, method, resource and whether it has ended, each alone and together."""
        done = await ended(store)
        stopping = await store.accept(on_server("StopServer"))
        other = await store.accept(intent(cluster=ClusterRef("p", "other")))
        for wanted, rows in (
            (Wanted(), [other, stopping, done]),
            (Wanted(cluster=str(CLUSTER)), [stopping, done]),
            (Wanted(method=stopping.intent.method), [stopping]),
            (Wanted(resource=SERVER), [stopping, done]),
            (Wanted(done=True), [done]),
            (Wanted(done=False), [other, stopping]),
            (Wanted(cluster=str(CLUSTER), resource=SERVER, done=False), [stopping]),
        ):
            assert list(await store.page(10, wanted=wanted)) == rows
        assert list(await store.page(1, stopping.sequence, Wanted(resource=SERVER))) == [done]

    async def test_only_what_has_ended_can_be_deleted(self, store: OperationStore) -> None:
        """Afterwards nobody knows it, and its request_id is free."""
        wanted = intent()
        await store.accept(wanted)
        with pytest.raises(PreconditionFailed, match="cancel it first"):
            await store.delete(wanted.id)
        await store.finish(await claimed(store), PROGRESS, DONE)
        await store.delete(wanted.id)
        for lost in (store.get, store.delete, store.request_cancel):
            with pytest.raises(NotFound):
                await lost(wanted.id)
        assert await store.known(wanted) is None
        assert (await store.accept(wanted)).sequence > 1

    async def test_the_old_are_forgotten_a_few_at_a_time(self, store: OperationStore, clock: FakeClock) -> None:
        """Only those that ended before the time; what goes on stays however old."""
        going_on = await store.accept(intent())
        old = [await ended(store) for _ in range(3)]
        await clock.advance(10)
        young = await ended(store)
        before = clock.now() - 5
        assert [await store.purge(before, 2) for _ in range(3)] == [2, 1, 0]
        assert list(await store.page(10)) == [young, await store.get(going_on.intent.id)]
        assert await store.find([row.intent.id for row in old]) == []

    # -------------------------------------------------------------- waiting

    async def test_waiters_learn_of_changes_and_of_the_end_of_a_row(self, store: OperationStore) -> None:
        """At once when it changed before they came."""
        row = await store.accept(intent())
        claim = await claimed(store)
        waiters = [asyncio.create_task(store.changed(row.intent.id, row.revision)) for _ in range(50)]
        await asyncio.sleep(0)
        changed = await store.advance(claim, PROGRESS)
        assert await asyncio.wait_for(asyncio.gather(*waiters), 5) == [changed] * 50
        assert await asyncio.wait_for(store.changed(row.intent.id, row.revision), 5) == changed
        done = await store.finish(claim, PROGRESS, DONE)
        late = asyncio.create_task(store.changed(row.intent.id, done.revision))
        await asyncio.sleep(0)
        await store.delete(row.intent.id)
        with pytest.raises(NotFound):
            await asyncio.wait_for(late, 5)
        with pytest.raises(NotFound):
            await asyncio.wait_for(store.changed("none", 0), 5)

    async def test_runners_wake_for_new_work(self, store: OperationStore, clock: FakeClock) -> None:
        """Not before there is some; at once if more is left than was asked for."""
        await store.claim(1)
        waiting = asyncio.create_task(store.work())
        await clock.settle()
        assert not waiting.done()
        for _ in range(2):
            await store.accept(intent())
        await asyncio.wait_for(waiting, 5)
        assert len(await store.claim(1)) == 1
        await asyncio.wait_for(store.work(), 5)
        assert len(await store.claim(10)) == 1

    async def test_runners_wake_for_leases_that_end(self, store: OperationStore, clock: FakeClock) -> None:
        """Without polling the store."""
        await store.accept(intent())
        await store.claim(10)
        lapsing = asyncio.create_task(store.work())
        await clock.settle()
        await self.lapse(store, clock, LEASE_S - 1)
        assert not lapsing.done()
        await self.lapse(store, clock, 2)
        await asyncio.wait_for(lapsing, 5)
        assert len(await store.claim(10)) == 1
