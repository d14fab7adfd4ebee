"""The engine of locks and groups under histories of faults, in memory and on a clock of the test's own."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from common.base.tests.registry.coordination.place import LEASE_S, InMemory
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_common.registry.coordination.claims import OwnerEnded

PROCESSES, NAMES = range(3), ("x", "y")
EVENTS = st.one_of(
    st.tuples(st.just("lock"), st.sampled_from(PROCESSES), st.sampled_from(NAMES)),
    st.tuples(st.just("release"), st.sampled_from(PROCESSES), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["cut", "mend", "restart"]), st.sampled_from(PROCESSES), st.just("")),
    st.tuples(st.just("wait"), st.integers(1, 15), st.just("")),
    st.tuples(st.just("leap"), st.integers(1, 24), st.just("")),
    st.tuples(st.just("erase"), st.just(0), st.just("")),
)


class History:
    """Processes that take and release locks while they are cut off, restarted and held up; and what must hold."""

    def __init__(self):
        self.place = InMemory()
        self.processes = [self.place.open() for _ in PROCESSES]
        self.held = {}
        self.fences = dict.fromkeys(NAMES, 0)

    async def run(self, events):
        """Return by how much the fence of each lock has grown when all can be had again."""
        for what, which, name in events:
            await getattr(self, what)(which, name)
            self.check()
        for process in PROCESSES:
            await self.mend(process, "")
        for key in tuple(self.held):
            await self.release(*key)
        await self.place.pass_time(LEASE_S * 2)
        free = [await self.processes[0].lock(name) for name in NAMES]
        await self.place.close()
        return {held.name: held.fence - self.fences[held.name] for held in free}

    def check(self):
        for name in NAMES:
            believe = [key for key, held in self.held.items() if key[1] == name and not held.lost.is_set()]
            assert len(believe) <= 1, self.place.world

    async def lock(self, process, name):
        with contextlib.suppress(Unreachable):
            held = await self.processes[process].lock(name)
            if held is not None:
                assert held.fence > self.fences[name]
                self.fences[name] = held.fence
                self.held[process, name] = held

    async def release(self, process, name):
        if held := self.held.pop((process, name), None):
            await held.release()

    async def cut(self, process, _):
        self.place.link(self.processes[process]).cut()

    async def mend(self, process, _):
        self.place.link(self.processes[process]).mend()

    async def restart(self, process, _):
        killed = self.processes[process]
        if killed._tasks:
            await self.place.kill(killed)
        self.held = {key: held for key, held in self.held.items() if key[0] != process}
        self.processes[process] = self.place.open()

    async def wait(self, twelfths, _):
        for _ in range(twelfths):
            await self.place.pass_time(LEASE_S / 12)
            self.check()

    async def leap(self, twelfths, _):
        """All are held up for a while: time has passed, and no timer has run."""
        self.place.clock._monotonic += twelfths * LEASE_S / 12
        self.check()
        await self.place.settle()

    async def erase(self, *_):
        """An operator takes all locks away; who is cut off does not hear of it, and is fenced alone."""
        await self.place.erase()
        await self.place.settle()
        cut = [process for process in PROCESSES if self.place.link(self.processes[process]).is_cut]
        self.held = {key: held for key, held in self.held.items() if key[0] not in cut}


@settings(deadline=None, max_examples=300)
@given(st.lists(EVENTS, max_size=30))
def test_in_every_history_one_process_has_a_lock_at_a_time_and_fences_grow(events) -> None:
    """And at the end, with everybody in reach, every lock can be had."""
    grown = asyncio.run(History().run(events))
    assert sorted(grown) == sorted(NAMES)
    assert min(grown.values()) > 0


@pytest.fixture
async def place():
    made = InMemory()
    yield made
    await made.close()


async def test_a_renewal_that_is_answered_after_the_lease_brings_nothing_back(place) -> None:
    """Whoever looked meanwhile has seen it lost."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    place.link(one).cut()
    await place.pass_time(LEASE_S * 5 / 6)
    place.link(one).mend()
    late = place.link(one).late["renew"] = asyncio.Event()
    renewing = asyncio.create_task(one._renew())
    await place.settle()
    place.clock._monotonic += LEASE_S / 12  # and no timer runs
    assert held.lost.is_set()
    late.set()
    await renewing
    await place.pass_time(LEASE_S / 2)
    assert held.lost.is_set()
    assert "0 held" in repr(one)
    assert (await two.lock("x")).fence > held.fence  # what the store renewed was given up


async def test_a_lease_is_counted_from_when_its_renewal_was_sent(place) -> None:
    """The store may have counted from then, however late its answer came."""
    one = place.open()
    held = await one.lock("x")
    late = place.link(one).late["renew"] = asyncio.Event()
    await place.pass_time(LEASE_S / 3)  # sent
    await place.pass_time(LEASE_S / 3)
    late.set()
    await place.settle()
    place.link(one).cut()
    await place.pass_time(LEASE_S / 2)
    assert not held.lost.is_set()
    await place.pass_time(LEASE_S / 12)
    assert held.lost.is_set()


async def test_a_renewal_that_finds_nothing_left_loses_all(place) -> None:
    """Also where the listing does not come."""
    one = place.open()
    held, member = await one.lock("x"), await one.join("g", "m")
    fence = member.fence
    await place.settle()
    place.link(one).late["entries"] = asyncio.Event()
    await place.erase()
    await place.pass_time(LEASE_S / 3)
    assert held.lost.is_set()
    assert member.fence > fence


async def test_a_lock_that_is_granted_after_the_lease_is_not_had(place) -> None:
    """The answer was so long on its way that what it says is over."""
    one, two = place.open(), place.open()
    await one.lock("other")
    late = place.link(one).late["claim"] = asyncio.Event()
    asking = asyncio.create_task(one.lock("x"))
    await place.settle()
    place.link(one).late["renew"] = asyncio.Event()
    await place.pass_time(LEASE_S)
    late.set()
    assert await asking is None
    place.link(one).late.pop("renew").set()
    await place.pass_time(LEASE_S)
    assert await two.lock("x") is not None


async def test_a_lock_that_is_granted_while_all_is_closed_is_given_up(place) -> None:
    """Nobody would renew it, or release it before its lease is over."""
    one, two = place.open(), place.open()
    late = place.link(one).late["claim"] = asyncio.Event()
    asking = asyncio.create_task(one.lock("x"))
    await place.settle()
    closing = asyncio.create_task(one.close())
    await place.settle()
    late.set()
    await closing
    assert await asking is None
    assert await two.lock("x") is not None


async def test_many_that_wait_ask_again_only_when_theirs_looks_free(place) -> None:
    """A change of one lock costs the store nothing for those who wait for others."""
    one, two = place.open(), place.open()
    for number in range(20):
        await one.lock(f"x{number}")
    waiting = [asyncio.create_task(two.lock(f"x{number}", timeout_s=None)) for number in range(20)]
    await place.pass_time(LEASE_S / 12)
    asked = []
    claim = place.link(two).store.claim
    place.link(two).store.claim = lambda key, data: asked.append(key) or claim(key, data)
    for _ in range(10):
        await (await one.lock("another")).release()
        await place.settle()
    assert asked == []
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_what_is_being_claimed_is_renewed_with_all_that_is_held(place) -> None:
    """Some stores have nothing to renew for who holds nothing; a claim granted meanwhile would end before its lease."""
    one = place.open()
    late = place.link(one).late["claim"] = asyncio.Event()
    renewed = []
    renew = place.link(one).store.renew
    place.link(one).store.renew = lambda held: renewed.append({key.name for key in held}) or renew(held)
    asking = asyncio.create_task(one.lock("x"))
    await place.settle()
    await place.pass_time(LEASE_S / 3)
    late.set()
    assert await asking is not None
    assert renewed[-1] == {"x"}


async def test_a_claim_whose_owner_ends_again_and_again_is_an_error_and_is_tried_later(place) -> None:
    """It ends neither the renewals nor the listings of all the rest."""
    one = place.open()
    link, left = place.link(one), 4
    claim = link.store.claim

    async def ended(key, data):
        nonlocal left
        left -= 1
        if left >= 0:
            raise OwnerEnded("the session is ended as soon as it is made; look at Consul")
        return await claim(key, data)

    link.store.claim = ended
    with pytest.raises(CloudspanError):
        await one.lock("x")
    member = await one.join("g", "m")
    assert member.lost.is_set()
    await place.pass_time(LEASE_S)
    assert not member.lost.is_set()
    assert await one.lock("x") is not None


@pytest.mark.parametrize("what", ["renew", "entries"])
async def test_renewals_and_listings_go_on_after_a_defect_of_the_store(place, what) -> None:
    """Databases have errors that nobody has foreseen; a gateway must not lose its locks for good by one of them."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    await place.settle()
    work, broken = getattr(place.link(one).store, what), True

    async def broke(*args, **more):
        nonlocal broken
        if broken:
            broken = False
            raise RuntimeError("out of memory")
        return await work(*args, **more)

    setattr(place.link(one).store, what, broke)
    await two.lock("y")  # a change, to be listed
    await place.pass_time(LEASE_S * 2)
    assert not broken
    assert not held.lost.is_set()
    await two.join("g", "other")
    await place.pass_time(LEASE_S / 12)
    assert await anext(one.members("g")) == {"other": ""}


async def test_who_is_cancelled_while_joining_is_no_member(place) -> None:
    """Nobody would have what leaves again."""
    one, two = place.open(), place.open()
    late = place.link(one).late["claim"] = asyncio.Event()
    joining = asyncio.create_task(one.join("g", "m"))
    await place.settle()
    joining.cancel()
    await asyncio.wait([joining])
    late.set()
    await place.pass_time(LEASE_S * 2)
    assert await anext(two.members("g")) == {}
    async with await one.join("g", "m") as member:
        assert not member.lost.is_set()
