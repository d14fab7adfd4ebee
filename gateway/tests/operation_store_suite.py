"""What every `OperationStore` must do, whatever it keeps operations in; a store's test module inherits it.

`class TestMyStore(OperationStoreSuite)` with a fixture `store`, and `lapse` where a lease does not go by the clock.
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

from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_common.errors import AlreadyExists, Busy, NotFound, PreconditionFailed
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Intent, Phase, Progress, Row
from cloudspan_gateway.operations.store import Claim, Fenced, OperationStore, Wanted

LEASE_S = 60.0
DONE = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
CANCELLED = status_pb2.Status(code=1, message="cancelled")
CLUSTER = ClusterRef("p", "c")
SERVER, VOLUME = CLUSTER.resource("servers", "1"), CLUSTER.resource("volumes", "2")
PROGRESS = Progress(
    cursor=b"\x00cursor",
    phase=Phase.PHASE_RECONCILING,
    stage="server",
    percent=40,
    resource=SERVER,
    native_ids={"server": "1"},
    left_overs=(operation_pb2.LeftOver(name="platforms/p/clusters/c/ports/2", reason="why", removed=True),),
)


def intent(word: str = "CreateServer", **fields: Any) -> Intent:
    """Return a new intent; its method is one of ServerService unless it names another service."""
    made = Intent(
        id=str(uuid.uuid4()),
        method=f"cloudspan.v1.{word}" if "/" in word else f"cloudspan.v1.ServerService/{word}",
        request=b"\x01\xff",
        cluster=CLUSTER,
        request_id=str(uuid.uuid4()),
        digest=b"d\x00",
        traceparent="00-1-2-01",
        tenant="t",
    )
    return dataclasses.replace(made, **fields)


def on_server(word: str, **fields: Any) -> Intent:
    """Return a new intent that changes the one server."""
    return intent(word, target=SERVER, **fields)


def twin(first: Intent, **fields: Any) -> Intent:
    """Return the same request sent once more."""
    return dataclasses.replace(first, id=str(uuid.uuid4()), **fields)


async def claimed(store: OperationStore, operation_id: str = "") -> Claim:
    """Claim whatever is free; return the claim of one operation."""
    claims = [claim for claim, _ in await store.claim(100)]
    (found,) = [claim for claim in claims if claim.id == operation_id] if operation_id else claims
    return found


async def ended(store: OperationStore, outcome: Any = DONE) -> Row:
    """Accept an operation and end it."""
    row = await store.accept(intent())
    return await store.finish(await claimed(store, row.intent.id), PROGRESS, outcome)


class OperationStoreSuite:
    """Inherit, and give a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    async def store(self, clock: FakeClock) -> OperationStore:
        raise NotImplementedError

    async def lapse(self, store: OperationStore, clock: FakeClock, seconds: float = LEASE_S + 1) -> None:
        """Let this time pass for leases."""
        await clock.advance(seconds)

    # -------------------------------------------------------------- accepting

    async def test_what_was_accepted_is_read_as_it_was(self, store: OperationStore, clock: FakeClock) -> None:
        """Intent, times, and that nothing was done yet."""
        wanted = intent(target=SERVER, also=(VOLUME, "x"))
        row = await store.accept(wanted)
        assert await store.get(wanted.id) == row
        assert (row.intent, row.done, row.attempt, row.progress) == (wanted, False, 0, Progress())
        assert row.create_time == pytest.approx(clock.now(), abs=0.001)
        assert await store.find(["none", wanted.id]) == [row]

    async def test_the_same_request_id_is_the_same_operation(self, store: OperationStore) -> None:
        """Known before and after; another request under it is refused."""
        first = intent()
        assert await store.known(first) is None
        row = await store.accept(first)
        again = twin(first)
        assert (await store.accept(again)).intent.id == row.intent.id
        assert await store.known(again) == row
        for other in ({"digest": b"other"}, {"method": "cloudspan.v1.ServerService/DeleteServer"}):
            with pytest.raises(AlreadyExists) as caught:
                await store.accept(twin(first, **other))
            assert caught.value.reason == "REQUEST_ID_REUSED"
            with pytest.raises(AlreadyExists):
                await store.known(twin(first, **other))

    async def test_fifty_at_once_become_one(self, store: OperationStore) -> None:
        """Nothing lies between looking and keeping."""
        first = intent()
        rows = await asyncio.gather(*(store.accept(twin(first)) for _ in range(50)))
        assert len({(row.intent.id, row.sequence) for row in rows}) == 1
        assert await store.page(100) == [rows[0]]

    # -------------------------------------------------------------- rivals on one resource

    async def test_what_does_not_get_on_with_another_is_refused(self, store: OperationStore) -> None:
        """The refusal names the one that stands in the way; its end makes room, on whatever learnt its resource."""
        stopping = await store.accept(on_server("StopServer"))
        with pytest.raises(Busy, match=stopping.name):
            await store.accept(on_server("StartServer"))
        assert len(await store.page(10)) == 1
        claim = await claimed(store, stopping.intent.id)
        await store.finish(claim, PROGRESS, DONE)
        starting = await store.accept(on_server("StartServer"))
        assert starting.waits_for == ""
        creating = await store.accept(intent())
        await store.advance(
            await claimed(store, creating.intent.id), dataclasses.replace(PROGRESS, resource=SERVER + "b")
        )
        with pytest.raises(Busy, match=creating.name):
            await store.accept(intent("StopServer", target=SERVER + "b"))

    async def test_one_of_many_at_once_is_accepted(self, store: OperationStore) -> None:
        """Each judges what the one before it left."""
        answers = await asyncio.gather(
            *(store.accept(on_server("StopServer")) for _ in range(20)), return_exceptions=True
        )
        assert sum(isinstance(answer, Busy) for answer in answers) == 19
        assert len(await store.page(100)) == 1

    async def test_what_queues_is_claimed_once_the_one_before_it_has_ended(self, store: OperationStore) -> None:
        """Freed in the same write, and its runners and watchers are woken."""
        first = await store.accept(on_server("DeleteServer"))
        second = await store.accept(on_server("DeleteServer"))
        third = await store.accept(on_server("DeleteServer"))
        assert (second.waits_for, third.waits_for) == (first.intent.id, second.intent.id)
        claim = await claimed(store)
        assert claim.id == first.intent.id
        watching = asyncio.create_task(store.changed(second.intent.id, second.revision))
        working = asyncio.create_task(store.work())
        await store.finish(claim, PROGRESS, DONE)
        assert (await asyncio.wait_for(watching, 5)).waits_for == ""
        await asyncio.wait_for(working, 5)
        assert (await claimed(store)).id == second.intent.id

    async def test_a_queued_one_that_is_cancelled_or_ended_leaves_the_queue(self, store: OperationStore) -> None:
        """Those behind it stay behind it until its own end."""
        first, second, third, fourth = [await store.accept(on_server("DeleteServer")) for _ in range(4)]
        await store.end(second.intent.id, PROGRESS, CANCELLED)
        assert (await store.get(third.intent.id)).waits_for == ""
        await store.request_cancel(fourth.intent.id)
        claims = [claim.id for claim, _ in await store.claim(10)]
        assert claims == [first.intent.id, third.intent.id, fourth.intent.id]

    async def test_a_delete_ends_what_works_on_its_resource(self, store: OperationStore) -> None:
        """Cancelled in the same write, told by whom; those that only name the resource are left alone."""
        stopping = await store.accept(on_server("StopServer"))
        other = await store.accept(intent("StopServer", target=SERVER + "other"))
        deleting = await store.accept(on_server("DeleteServer"))
        given_way = await store.get(stopping.intent.id)
        assert (given_way.cancel_requested, given_way.preempted_by) == (True, deleting.intent.id)
        assert given_way.revision > stopping.revision
        assert await store.preempted_by(deleting.intent.id) == [given_way]
        assert await store.get(other.intent.id) == other
        await store.end(stopping.intent.id, PROGRESS, CANCELLED)
        assert await store.preempted_by(deleting.intent.id) == []

    async def test_what_is_named_beside_counts_as_long_as_the_operation_goes_on(self, store: OperationStore) -> None:
        """Attaching a volume stands in the way of what changes that volume, until its end."""
        attaching = await store.accept(on_server("AttachVolume", also=(VOLUME,)))
        again = await store.accept(intent("AttachVolume", target=SERVER + "b", also=(VOLUME,)))
        assert again.waits_for == attaching.intent.id
        for one in (attaching, again):
            await store.end(one.intent.id, PROGRESS, CANCELLED)
        assert (await store.accept(intent("AttachVolume", target=SERVER + "b", also=(VOLUME,)))).waits_for == ""

    # -------------------------------------------------------------- claims

    async def test_a_claim_is_one_runners_until_its_lease_ends(self, store: OperationStore, clock: FakeClock) -> None:
        """The oldest first, at most as many as asked for, again after the lease."""
        ids = [(await store.accept(intent())).intent.id for _ in range(3)]
        assert [claim.id for claim, _ in await store.claim(2)] == ids[:2]
        assert [claim.id for claim, _ in await store.claim(2)] == ids[2:]
        assert list(await store.claim(2)) == []
        await self.lapse(store, clock)
        again = await store.claim(10)
        assert [claim.id for claim, _ in again] == ids
        assert {row.epoch for _, row in again} == {claim.epoch for claim, _ in again} == {2}

    async def test_a_heartbeat_keeps_every_claim(self, store: OperationStore, clock: FakeClock) -> None:
        """Renewed at 50 s they hold at 100 s and have ended at 111 s."""
        for _ in range(3):
            await store.accept(intent())
        await store.claim(10)
        await self.lapse(store, clock, 50)
        await store.heartbeat()
        await self.lapse(store, clock, 50)
        assert list(await store.claim(10)) == []
        await self.lapse(store, clock, 11)
        assert len(await store.claim(10)) == 3

    async def test_a_heartbeat_brings_no_lost_claim_back(self, store: OperationStore, clock: FakeClock) -> None:
        """After the lease the operations are free, also for the one that had them."""
        await store.accept(intent())
        await store.claim(1)
        await self.lapse(store, clock)
        await store.heartbeat()
        assert len(await store.claim(1)) == 1

    async def test_a_step_of_the_wall_clock_changes_no_claim(self, store: OperationStore, clock: FakeClock) -> None:
        """An hour forward or back."""
        await store.accept(intent())
        await store.claim(1)
        for seconds in (3600, -7200, 3600):
            clock.step_wall(seconds)
            assert list(await store.claim(1)) == []
        await store.heartbeat()
        await self.lapse(store, clock)
        assert len(await store.claim(1)) == 1

    async def test_released_claims_are_free_at_once(self, store: OperationStore) -> None:
        """And waiting runners wake; a lost claim releases nothing."""
        for _ in range(2):
            await store.accept(intent())
        claims = [claim for claim, _ in await store.claim(10)]
        await store.release(claims)
        await asyncio.wait_for(store.work(), 5)
        assert len(await store.claim(10)) == 2
        await store.release(claims)
        assert list(await store.claim(10)) == []

    async def test_every_write_of_a_lost_claim_is_refused(self, store: OperationStore, clock: FakeClock) -> None:
        """Two runners on one store: only the later one writes, also when both do at once."""
        row = await store.accept(intent())
        old = await claimed(store)
        await self.lapse(store, clock)
        new = await claimed(store)
        writes: list[Callable[[], Any]] = [
            lambda: store.begin_attempt(old),
            lambda: store.advance(old, PROGRESS, b"told"),
            lambda: store.note(old, PROGRESS),
            lambda: store.finish(old, PROGRESS, DONE),
        ]
        for write in writes:
            with pytest.raises(Fenced):
                await write()
        assert (await store.get(row.intent.id)).progress == Progress()
        assert await store.explained(row.intent.id) == b""
        lost, kept = await asyncio.gather(
            store.advance(old, Progress()), store.advance(new, PROGRESS), return_exceptions=True
        )
        assert isinstance(lost, Fenced)
        assert kept.progress == PROGRESS

    # -------------------------------------------------------------- a runner's writes

    async def test_attempts_count_until_the_cursor_changes(self, store: OperationStore) -> None:
        """A note is no answer: what was sent stays counted, what surely was not does not."""
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

    async def test_what_it_took_is_told_as_last_kept(self, store: OperationStore) -> None:
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

    async def test_secrets_of_an_outcome_are_told_once(self, store: OperationStore) -> None:
        """Of many that ask at once one gets them; afterwards the outcome is there without them."""
        outcome = any_pb2.Any()
        outcome.Pack(server_pb2.Server(name="http://c", admin_password="hidden"))
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
