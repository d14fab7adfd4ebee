"""What every `OperationStore` must do, whatever it keeps operations in; a store's test module inherits it.

`class TestMyStore(OperationStoreSuite)` with a fixture `store`, and `lapse` where a lease does not go by the clock.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from gateway.tests.operation_store_writes import WritesSuite
from gateway.tests.operations_for_stores import (
    CANCELLED,
    CLUSTER,
    DONE,
    LEASE_S,
    PROGRESS,
    SERVER,
    VOLUME,
    claimed,
    ended,
    intent,
    on_server,
    twin,
)

from cloudspan.v1.tenant_pb2 import Limits
from cloudspan_common.errors import AlreadyExists, Busy
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.access import OPEN, OpenAccess
from cloudspan_gateway.access.limits import OperationLimit, TenantLimit, operation_limits
from cloudspan_gateway.operations.model import Progress
from cloudspan_gateway.operations.stores.base import Fenced, OperationStore

__all__ = [
    "CANCELLED",
    "CLUSTER",
    "DONE",
    "LEASE_S",
    "PROGRESS",
    "SERVER",
    "VOLUME",
    "OperationStoreSuite",
    "claimed",
    "ended",
    "intent",
    "on_server",
    "twin",
]


class OperationStoreSuite(WritesSuite):
    """Inherit, and give a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    async def store(self, clock: FakeClock) -> OperationStore:
        raise NotImplementedError

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

    # -------------------------------------------------------------- limits

    async def test_as_many_are_accepted_at_once_as_may_be_under_way(self, store: OperationStore) -> None:
        """Other tenants' don't count; an end makes room; what was accepted is answered as before."""
        limits = [OperationLimit("tenants/t", 3, OPEN)]
        await store.accept(intent(tenant="other"))
        wanted = [intent() for _ in range(10)]
        answers = await asyncio.gather(*(store.accept(one, limits=limits) for one in wanted), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, TenantLimit)]
        assert [error.metadata["used"] for error in refused] == ["3"] * 7
        assert await store.under_way("t") == {str(CLUSTER): 3}
        assert (await store.accept(twin(wanted[0]), limits=limits)).intent.id == wanted[0].id
        claims = [claim for claim, row in await store.claim(100) if row.intent.tenant == "t"]
        await store.finish(claims[0], PROGRESS, DONE)
        await store.accept(intent(), limits=limits)
        assert await store.under_way("t") == {str(CLUSTER): 3}
        assert await store.under_way("nobody") == {}

    async def test_a_pools_limit_counts_its_clusters_alone(self, store: OperationStore) -> None:
        """Of the same tenant, whoever asked."""

        class TwoClusters(OpenAccess):
            def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
                return [("tenants/t/pools/prod", Limits(operations=1))] if ref == CLUSTER else []

        limits = operation_limits(TwoClusters("t"), CLUSTER)
        await store.accept(intent(cluster=ClusterRef("p", "another")))
        await store.accept(intent(), limits=limits)
        with pytest.raises(TenantLimit, match="tenants/t/pools/prod may have 1 unfinished operation"):
            await store.accept(intent(), limits=limits)
        await store.accept(intent(cluster=ClusterRef("p", "another")))

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
        """Cancelled in the same write, by the delete; those that only name the resource are left alone."""
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

    async def test_what_has_ended_since_a_time_is_told_by_tenant_the_last_first(
        self, store: OperationStore, clock: FakeClock
    ) -> None:
        """With what it worked on and named beside, and whether it succeeded; those under way are not among them."""
        await ended(store)
        await clock.advance(10)
        since = clock.now()
        attach = await store.accept(on_server("AttachVolume", also=(VOLUME,)))
        await store.finish(await claimed(store, attach.intent.id), Progress(), DONE)
        await clock.advance(1)
        await ended(store, CANCELLED)
        other = await store.accept(intent(tenant="other"))
        await store.finish(await claimed(store, other.intent.id), Progress(), DONE)
        await store.accept(intent())
        found = await store.ended("t", since, 10)
        assert [(one.method.rpartition("/")[2], one.resource, one.also, one.succeeded) for one in found] == [
            ("CreateServer", SERVER, (), False),
            ("AttachVolume", SERVER, (VOLUME,), True),
        ]
        assert [(one.cluster, one.end_time) for one in found] == [(str(CLUSTER), since + 1), (str(CLUSTER), since)]
        assert list(await store.ended("t", since, 1)) == found[:1]
        assert len(await store.ended(None, since, 10)) == 3
        assert list(await store.ended("t", since + 2, 10)) == []
