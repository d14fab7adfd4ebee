"""What every driver of locks and groups must do; a test module imports all of it beside a fixture `place`."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from common.base.tests.registry.coordination.place import LEASE_S

from cloudspan_common.errors import AlreadyExists, InvalidRequest, Unreachable

NAMES = [
    "a",
    "A",
    "a/b",
    "a//b",
    "..",
    ".",
    "a b",
    "a%2Fb",
    "a=2Fb",
    "%",
    "?x=1#y",
    "é",
    "東",
    "a*",
    "inventory/os-east",
]


async def _first(members):
    async with asyncio.timeout(5):
        return await anext(members)


class Follower:
    """What a follower of a group has seen so far."""

    def __init__(self, coordinator, group):
        self.seen = []
        self.task = asyncio.create_task(self._follow(coordinator, group))

    async def _follow(self, coordinator, group):
        async for members in coordinator.members(group):
            self.seen.append(members)

    @property
    def last(self):
        return self.seen[-1] if self.seen else None


@contextlib.asynccontextmanager
async def _followed(coordinator, group):
    follower = Follower(coordinator, group)
    yield follower
    follower.task.cancel()
    await asyncio.wait({follower.task})


# ---------------------------------------------------------------- locks


async def test_a_lock_has_one_holder_at_a_time(place) -> None:
    """The second process gets it after the first has released it, under a greater fence."""
    one, two = place.open(), place.open()
    first = await one.lock("x")
    assert not first.lost.is_set()
    assert await two.lock("x") is None
    await first.release()
    await first.release()
    assert first.lost.is_set()
    second = await two.lock("x")
    assert second.fence > first.fence
    assert second.name == "x"


async def test_a_lock_is_not_had_twice_by_one_process(place) -> None:
    """Two tasks of one gateway are to each other as two gateways are."""
    one = place.open()
    async with await one.lock("x") as held:
        assert await one.lock("x") is None
        waiting = asyncio.create_task(one.lock("x", timeout_s=None))
        await place.settle()
        assert not waiting.done()
    await place.until(waiting.done)
    assert waiting.result().fence > held.fence


async def test_who_waits_has_a_lock_once_it_is_released(place) -> None:
    """Without any lease that must end first."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    waiting = asyncio.create_task(two.leader("x", timeout_s=None))
    await place.until(waiting.done)  # a leader is no lock
    waiting = asyncio.create_task(two.lock("x", timeout_s=60))
    await place.settle()
    began = place.clock.monotonic()
    await held.release()
    await place.until(waiting.done)
    assert waiting.result().fence > held.fence
    assert place.clock.monotonic() - began < LEASE_S / 2


async def test_who_waits_for_too_long_has_nothing(place) -> None:
    """Nor is anything left behind."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    waiting = asyncio.create_task(two.lock("x", timeout_s=LEASE_S * 2))
    await place.pass_time(LEASE_S * 1.5)
    assert not waiting.done()
    await place.pass_time(LEASE_S)
    await place.until(waiting.done)
    assert waiting.result() is None
    assert not held.lost.is_set()


async def test_a_lock_is_held_as_long_as_its_process_lives(place) -> None:
    """Renewals go on by themselves, with the same fence."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    fence = held.fence
    for _ in range(3):
        await place.pass_time(LEASE_S)
        assert await two.lock("x") is None
    assert not held.lost.is_set()
    assert held.fence == fence


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_only_itself(place, name) -> None:
    """Whatever it looks like to a path, a pattern or a parser; and a leader is no lock."""
    one, two = place.open(), place.open()
    held = await one.lock(name)
    assert await two.leader(name, timeout_s=0) is not None
    for other in ("b", *NAMES):
        if other != name:
            assert await two.lock(other) is not None
    assert await two.lock(name) is None
    await place.pass_time(LEASE_S / 2)
    assert not held.lost.is_set()
    await held.release()
    assert await two.lock(name) is not None


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "\ud800", "x" * 256])
async def test_a_name_that_no_store_could_keep_is_refused(place, name) -> None:
    one = place.open()
    for refused in (one.lock(name), one.leader(name), one.join(name, "m"), one.join("g", name)):
        with pytest.raises(InvalidRequest, match="expected 1 to 255 printable characters"):
            await refused


async def test_a_killed_holder_is_followed_within_two_leases(place) -> None:
    one, two = place.open(), place.open()
    held = await one.lock("x")
    waiting = asyncio.create_task(two.lock("x", timeout_s=None))
    await place.settle()
    await place.kill(one)
    await place.pass_time(LEASE_S * 0.8)
    assert not waiting.done()
    await place.pass_time(LEASE_S * 1.2)
    await place.until(waiting.done)
    assert waiting.result().fence > held.fence


async def test_a_frozen_holder_sees_that_it_has_lost_before_anything_runs(place) -> None:
    """Its timers are late, the clock is not; and its lock is another's under a greater fence."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    await place.kill(one)  # nothing of it runs
    place.clock._monotonic += LEASE_S
    assert held.lost.is_set()
    assert repr(held) == "<HeldLock x: lost>"
    await place.pass_time(LEASE_S * 2)
    assert (await two.lock("x", timeout_s=0)).fence > held.fence


async def test_a_holder_that_is_cut_off_has_lost_before_another_has_it(place) -> None:
    """And hears of it while it waits; connected again it may ask anew."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    hearing = asyncio.create_task(held.lost.wait())
    waiting = asyncio.create_task(two.lock("x", timeout_s=None))
    place.link(one).cut()
    for _ in range(24):
        await place.pass_time(LEASE_S / 12)
        assert held.lost.is_set() or not waiting.done()
        assert not held.lost.is_set() or hearing.done()
    await place.until(waiting.done)
    place.link(one).mend()
    await place.pass_time(LEASE_S / 2)
    assert held.lost.is_set()
    assert await one.lock("x") is None
    await waiting.result().release()
    assert (await one.lock("x")).fence > waiting.result().fence > held.fence


async def test_a_lock_that_was_lost_stays_lost(place) -> None:
    """Though nobody else has taken it: whoever has seen it lost has stopped its work."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    place.link(one).cut()
    await place.pass_time(LEASE_S)
    place.link(one).mend()
    await place.pass_time(LEASE_S)
    assert held.lost.is_set()
    other = await two.lock("x")
    assert other.fence > held.fence  # the cut process has given it up meanwhile
    await held.release()
    assert not other.lost.is_set()


async def test_who_asks_while_the_store_is_away_hears_of_it(place) -> None:
    """At once, or when its time is over; who waits for ever goes on."""
    one = place.open()
    place.link(one).cut()
    with pytest.raises(Unreachable):
        await one.lock("x")
    waiting, patient = (asyncio.create_task(one.lock("x", timeout_s=limit)) for limit in (LEASE_S, None))
    await place.pass_time(LEASE_S * 1.2)
    with pytest.raises(Unreachable):
        await waiting
    place.link(one).mend()
    await place.until(patient.done)
    assert patient.result().fence


async def test_a_release_that_can_not_be_sent_is_made_good(place) -> None:
    """The process lives on and renews: its lock must not stay taken for nobody."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    place.link(one).cut()
    await held.release()
    assert held.lost.is_set()
    place.link(one).mend()
    await place.pass_time(LEASE_S)
    assert (await two.lock("x")).fence > held.fence


async def test_a_lock_that_is_asked_for_and_given_up_in_the_middle_is_free(place) -> None:
    """Whether or not the request had arrived."""
    one, two = place.open(), place.open()
    await one.lock("other")
    for turns in range(12):
        asking = asyncio.create_task(one.lock("x"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if (held := await asking) is not None:
                await held.release()
    await place.pass_time(LEASE_S)
    assert await two.lock("x") is not None


async def test_a_claim_that_is_deleted_where_it_is_kept_is_lost(place) -> None:
    """Its holder hears of it, and the next one has a greater fence all the same."""
    one, two = place.open(), place.open()
    held, apart = await one.lock("x"), await one.lock("y")
    member = await one.join("g", "m")
    await place.settle()
    await place.erase()
    await place.pass_time(LEASE_S / 2)
    await place.until(held.lost.is_set)
    await place.until(lambda: member.fence > apart.fence)  # it has joined again
    assert not member.lost.is_set()
    assert (await two.lock("x")).fence > held.fence
    assert (await two.lock("y")).fence > apart.fence


async def test_fences_grow_in_a_store_that_has_forgotten_everything(place) -> None:
    """What is fenced by them keeps the last one for longer than the store may live."""
    one = place.open()
    fences = [(await one.lock(f"x{number}")).fence for number in range(5)]
    assert fences == sorted(set(fences))
    await place.forget()
    await place.pass_time(LEASE_S)
    two = place.open()
    held = []
    await place.until(lambda: held or asyncio.ensure_future(_try(two, held)))
    await place.until(lambda: held)
    assert held[0].fence > fences[-1]


async def _try(coordinator, held):
    with contextlib.suppress(Unreachable):
        held.append(await coordinator.lock("x0"))


async def test_many_that_race_have_it_one_after_the_other_with_growing_fences(place) -> None:
    """Twenty tasks of four processes."""
    coordinators = [place.open() for _ in range(4)]
    inside, order = 0, []

    async def work(coordinator):
        nonlocal inside
        async with await coordinator.lock("x", timeout_s=None) as held:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(held.fence)
            assert not held.lost.is_set()
            inside -= 1

    working = [asyncio.create_task(work(coordinator)) for coordinator in coordinators for _ in range(5)]
    await place.until(lambda: all(task.done() for task in working))
    await asyncio.gather(*working)
    assert order == sorted(set(order))
    assert len(order) == 20


# ---------------------------------------------------------------- groups


async def test_members_are_followed_as_they_join_and_leave(place) -> None:
    """With what each says of itself; another group's are not among them."""
    one, two = place.open(), place.open()
    async with _followed(place.open(), "g") as follower:
        await place.until(lambda: follower.last == {})
        text = '{"address": "[::1]:7070", "é": "東\\n"}'
        first = await one.join("g", "one", text)
        await one.join("h", "one", "elsewhere")
        await place.until(lambda: follower.last == {"one": text})
        second = await two.join("g", "a/two")
        await place.until(lambda: follower.last == {"a/two": "", "one": text})
        assert second.fence > first.fence > 0
        assert not first.lost.is_set()
        await first.leave()
        await first.leave()
        assert first.lost.is_set()
        await place.until(lambda: follower.last == {"a/two": ""})
        assert await _first(two.members("g")) == {"a/two": ""}


async def test_nothing_is_told_of_members_without_a_change(place) -> None:
    """Renewals are none, nor are locks."""
    one = place.open()
    async with _followed(place.open(), "g") as follower:
        async with await one.join("g", "one"):
            await place.until(lambda: follower.last == {"one": ""})
            told = len(follower.seen)
            await one.lock("x")
            await place.pass_time(LEASE_S * 2)
            assert len(follower.seen) == told
        await place.until(lambda: follower.last == {})


async def test_a_killed_member_is_gone_within_two_leases(place) -> None:
    """And the next process of its name joins as soon as it is."""
    one, two = place.open(), place.open()
    before = await one.join("g", "gateway-0", "before")
    async with _followed(two, "g") as follower:
        await place.until(lambda: follower.last == {"gateway-0": "before"})
        await place.kill(one)
        successor = await two.join("g", "gateway-0", "after")
        assert successor.lost.is_set()
        assert "lost" in repr(successor)
        await place.pass_time(LEASE_S * 2)
        await place.until(lambda: follower.last == {"gateway-0": "after"})
        assert not successor.lost.is_set()
        assert successor.fence > before.fence


async def test_a_member_that_was_cut_off_joins_again(place) -> None:
    """It knows meanwhile that others may not count it; what it saw last of the others stands."""
    one, two = place.open(), place.open()
    member = await one.join("g", "one")
    await two.join("g", "two")
    fence = member.fence
    async with _followed(one, "g") as own, _followed(two, "g") as others:
        await place.until(lambda: own.last == others.last == {"one": "", "two": ""})
        place.link(one).cut()
        await place.pass_time(LEASE_S * 2)
        assert member.lost.is_set()
        await place.until(lambda: others.last == {"two": ""})
        assert own.last == {"one": "", "two": ""}
        place.link(one).mend()
        await place.pass_time(LEASE_S)
        await place.until(lambda: others.last == {"one": "", "two": ""})
        await place.until(lambda: not member.lost.is_set())
        assert member.fence > fence


async def test_who_joins_while_the_store_is_away_joins_later(place) -> None:
    """A gateway starts all the same; one that leaves before never joins."""
    one, two = place.open(), place.open()
    place.link(one).cut()
    member, leaves = await one.join("g", "one"), await one.join("g", "leaves")
    assert member.lost.is_set()
    await leaves.leave()
    async with _followed(two, "g") as follower:
        await place.until(lambda: follower.last == {})
        place.link(one).mend()
        await place.pass_time(LEASE_S / 2)
        await place.until(lambda: follower.last == {"one": ""})
        assert not member.lost.is_set()


async def test_a_process_is_a_member_once(place) -> None:
    one = place.open()
    async with await one.join("g", "m"):
        with pytest.raises(AlreadyExists, match="member 'm' of 'g' already; leave first"):
            await one.join("g", "m")
    async with await one.join("g", "m") as again:
        assert not again.lost.is_set()


@pytest.mark.parametrize("data", ["x" * 4097, "é" * 2049, "a\0b", "\udc80"])
async def test_what_no_store_could_keep_of_a_member_is_refused(place, data) -> None:
    one = place.open()
    with pytest.raises(InvalidRequest, match="data of a member"):
        await one.join("g", "m", data)
    assert (await one.join("g", "m", "x" * 4096)).fence


# ---------------------------------------------------------------- the end


async def test_closing_gives_everything_up_at_once(place) -> None:
    """Locks and memberships are others' without any lease that must end; followers and those who wait go on."""
    one, two = place.open(), place.open()
    held, member = await one.lock("x"), await one.join("g", "one")
    await two.lock("taken")
    waiting = asyncio.create_task(one.lock("taken", timeout_s=None))
    own, others = Follower(one, "g"), Follower(two, "g")
    await place.until(lambda: own.last == others.last == {"one": ""})
    await one.close()
    await one.close()
    assert held.lost.is_set()
    assert member.lost.is_set()
    assert await waiting is None
    assert await one.lock("y") is None
    await own.task
    assert (await two.lock("x")).fence > held.fence
    await place.until(lambda: others.last == {})
    await two.close()
    await others.task
    assert "closed" in repr(two)


async def test_closing_while_the_store_is_away_raises_nothing(place) -> None:
    """The leases end what could not be released."""
    one, two = place.open(), place.open()
    held = await one.lock("x")
    place.link(one).cut()
    await one.close()
    assert held.lost.is_set()
    await place.pass_time(LEASE_S * 2)
    assert (await two.lock("x")).fence > held.fence


async def test_what_is_held_shows_in_its_repr(place) -> None:
    one = place.open()
    held = await one.lock("x")
    assert repr(held) == f"<HeldLock x: held, fence {held.fence}>"
    assert "1 held, 0 memberships, in reach" in repr(one)
