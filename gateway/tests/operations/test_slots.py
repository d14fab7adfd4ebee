"""How many steps run at once: a limit a cluster, a fair share a tenant."""

from __future__ import annotations

import asyncio

from cloudspan_common.names import ClusterRef
from cloudspan_gateway.operations.slots import Slots

EAST, WEST = ClusterRef("p", "east"), ClusterRef("p", "west")


class Crowd:
    """Takes slots in tasks, and notes who has one."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.inside: list[str] = []
        self.served: list[str] = []
        self.leave = asyncio.Semaphore(0)
        self.tasks: list[asyncio.Task[None]] = []

    async def joins(self, ref: ClusterRef, *tenants: str) -> None:
        self.tasks += [asyncio.create_task(self._one(ref, tenant)) for tenant in tenants]
        await asyncio.sleep(0.01)

    async def _one(self, ref: ClusterRef, tenant: str) -> None:
        async with self.slots.taken(ref, tenant):
            self.inside.append(tenant)
            self.served.append(tenant)
            try:
                await self.leave.acquire()
            finally:
                self.inside.remove(tenant)

    async def leaves(self, count: int) -> None:
        for _ in range(count):
            self.leave.release()
        await asyncio.sleep(0.01)


async def test_a_cluster_has_so_many_slots_and_no_more() -> None:
    """The third waits for the first two; another cluster has its own."""
    crowd = Crowd(Slots(per_cluster=2))
    await crowd.joins(EAST, "a", "a", "a")
    await crowd.joins(WEST, "w")
    assert sorted(crowd.inside) == ["a", "a", "w"]
    assert repr(crowd.slots) == (
        "<Slots platforms/p/clusters/east: 2 of 2, 1 wait, platforms/p/clusters/west: 1 of 2, 0 wait>"
    )
    await crowd.leaves(4)
    assert (len(crowd.served), crowd.inside) == (4, [])
    assert repr(crowd.slots) == "<Slots all free>"


async def test_a_tenant_with_a_hundred_does_not_keep_another_waiting() -> None:
    """Free slots go round robin over those who wait."""
    crowd = Crowd(Slots(per_cluster=1))
    await crowd.joins(EAST, *["many"] * 100)
    await crowd.joins(EAST, "few", "few")
    await crowd.leaves(5)
    assert crowd.served[:5].count("few") == 2
    await crowd.leaves(100)
    assert len(crowd.served) == 102


async def test_a_tenant_has_a_limit_of_its_own() -> None:
    """What it may not take stays free for others."""
    crowd = Crowd(Slots(per_cluster=4, per_tenant=2))
    await crowd.joins(EAST, "a", "a", "a", "b")
    assert sorted(crowd.inside) == ["a", "a", "b"]
    await crowd.leaves(4)
    assert len(crowd.served) == 4


async def test_an_operation_that_gives_up_waiting_takes_no_slot() -> None:
    """Cancelled while it waits, and in the moment in which it is its turn."""
    crowd = Crowd(Slots(per_cluster=1))
    await crowd.joins(EAST, "first", "gone", "last")
    crowd.tasks[1].cancel()
    await asyncio.sleep(0)
    crowd.leave.release()
    await asyncio.wait({crowd.tasks[0]})
    crowd.tasks[2].cancel()  # it has just been given the slot
    await asyncio.gather(*crowd.tasks, return_exceptions=True)
    await crowd.joins(EAST, "next")
    assert crowd.inside == ["next"]
    await crowd.leaves(1)
