"""Random histories of a cloud against what is kept of it: no wrong deletion, no claim that is not true, all in the end.

The cloud is read by sweeps, by looks for changes and by operations' ends, whose readings may arrive late; its listings
fail, break off, are partial, leave out half, shift while they are read; owners change and lose what they remember.
What it holds, and since when, is written down.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, name_of, opened
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select

from cloudspan_gateway.inventory.model import CollectionState, Completeness, Fence, LockLost, Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.source import Page, PageRequest
from cloudspan_gateway.inventory.sync.sweep import CollectionSweep
from cloudspan_gateway.storage.tables import resource_changes, resources

if TYPE_CHECKING:
    from cloudspan_gateway.inventory.model import Observed
    from cloudspan_gateway.storage.engine import Database

IDS = [f"s{n:02}" for n in range(16)]
P = f"{CLUSTER}/projects/p"
ids = st.one_of(st.sampled_from(IDS[:3]), st.sampled_from(IDS[:3]), st.sampled_from(IDS))
"""Few that much happens to, and as many as a brake needs."""
rarely = st.sampled_from([False, False, True])
mutations = st.one_of(
    st.tuples(st.sampled_from(["create", "delete", "rename", "reuse"]), ids),
    st.tuples(st.just("write through"), ids),
)
cloud_moods = st.one_of(
    st.tuples(st.just("hide"), st.sets(ids)),
    st.tuples(st.just("fail at"), st.sampled_from([None, None, None, 0, 1, 2])),
    st.tuples(st.sampled_from(["get fails", "partial", "unread", "etags", "offsets", "away and back"]), rarely),
    st.tuples(st.just("gone"), st.sets(ids, max_size=3)),
)
others = st.one_of(
    st.tuples(st.sampled_from(["read", "land"]), ids),
    st.tuples(st.just("land all"), st.none()),
    st.tuples(st.just("sweep"), st.dictionaries(st.integers(0, 5), st.lists(mutations, max_size=3), max_size=3)),
    st.tuples(st.sampled_from(["look", "take over", "late owner"]), st.booleans()),
    st.tuples(st.just("release"), st.booleans()),
)
steps = st.lists(st.one_of(mutations, mutations, cloud_moods, others, others), min_size=15, max_size=40)


class Clock:
    """Each look at it is a second later than the one before."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> float:
        self.at += 1.0
        return self.at

    monotonic = now

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Cloud(ListedCloud):
    """Writes down what it held when; pages by markers, or by offsets, which shift under a reader."""

    clock: Clock = field(default_factory=Clock)
    by_offset: bool = False
    log: dict[str, list[tuple[float, str | None]]] = field(default_factory=dict)
    """id -> (since when, name for people or None where there is none)."""
    unlisted_log: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)

    def put(self, one: str, name: str | None) -> None:
        if name is None:
            self.servers.pop(one, None)
        else:
            self.servers[one] = name
        self.log.setdefault(one, [(0.0, None)]).append((self.clock.now(), name))

    def hide(self, hidden: set[str]) -> None:
        self.hidden = hidden
        for one in IDS:
            self.unlisted_log.setdefault(one, [(0.0, False)]).append((self.clock.now(), one in hidden))

    def was(self, one: str, name: str | None, since: float) -> bool:
        """Whether it held just that at some moment since then."""
        return _was(self.log.get(one, [(0.0, None)]), name, since)

    def was_hidden(self, one: str, since: float) -> bool:
        return _was(self.unlisted_log.get(one, [(0.0, False)]), True, since)

    async def page(self, request: PageRequest) -> Page:
        page = await super().page(request)
        self.clock.now()
        return page

    def _page(self, request: PageRequest, number: int) -> Page:
        if not self.by_offset:
            return super()._page(request, number)
        listed = sorted(one for one in self.listed_for(request.project) if one not in self.hidden)
        start = number * self.page_size
        rows = tuple(self.row(one) for one in listed[start : start + self.page_size])
        more = f"{number + 1}:" if start + self.page_size < len(listed) else ""
        ignored = request.since is not None
        return Page(rows, (), more, "", False, self.partial, tuple(self.unread), ignored)


def _was(log: list[tuple[float, Any]], value: Any, since: float) -> bool:
    ends = [time for time, _ in log[1:]] + [float("inf")]
    return any(held == value and end > since for (_, held), end in zip(log, ends, strict=True))


class History:
    """One cloud, what is kept of it, and who reads it: what the credentials list, and perhaps a project by itself."""

    def __init__(self, database: Database, others: tuple[str, ...]) -> None:
        self.database = database
        self.clock = Clock()
        self.cloud = Cloud(clock=self.clock, projects=dict.fromkeys(IDS[1::2], P) if others else {})
        self.store = InventoryStore(database, self.clock)
        self.others = others
        self.states = {one: CollectionState(CLUSTER, "servers", project=one) for one in ("", *others)}
        self.number = 1
        self.sweepers = {one: self._sweeper(one) for one in self.states}
        self.readings: list[tuple[str, float, Observed | None]] = []
        self.renames = 0
        self.times: dict[str, float] = {}
        """When each row was read, or deleted."""
        self.torn_since = 0.0
        """When a listing by offsets was read last: it may leave out what it never held before."""
        self.between: dict[int, list[tuple[str, Any]]] = {}
        self.cloud.between_pages = self._between

    def _sweeper(self, project: str) -> CollectionSweep:
        others = () if project else self.others
        return CollectionSweep(self.store, self.cloud, self.clock, brake=0.3, others=others)

    async def do(self, what: str, argument: Any) -> None:
        await getattr(self, f"_do_{what.replace(' ', '_')}")(argument)
        await self.check()

    # -------------------------------------------------------------- what the cloud does

    def _new_name(self) -> str:
        self.renames += 1
        return f"name {self.renames % 2}"  # so that it may be as it was before

    async def _do_create(self, one: str) -> None:
        if one not in self.cloud.servers:
            self.cloud.put(one, self._new_name())

    async def _do_delete(self, one: str) -> None:
        self.cloud.put(one, None)

    async def _do_rename(self, one: str) -> None:
        if one in self.cloud.servers:
            self.cloud.put(one, self._new_name())

    async def _do_reuse(self, one: str) -> None:
        self.cloud.put(one, None)
        self.cloud.put(one, self._new_name())

    async def _do_hide(self, hidden: set[str]) -> None:
        self.cloud.hide(set(hidden))

    async def _do_away_and_back(self, half: bool) -> None:
        """It lists nothing for a while, and half of it then."""
        self.cloud.hide(set(IDS))
        await self._do_sweep({})
        self.cloud.hide(set(IDS[::2]) if half else set())

    async def _do_fail_at(self, page: int | None) -> None:
        self.cloud.fails_at = page

    async def _do_get_fails(self, fails: bool) -> None:
        self.cloud.get_fails = fails

    async def _do_partial(self, partial: bool) -> None:
        self.cloud.partial = "a cell is down" if partial else ""

    async def _do_unread(self, unread: bool) -> None:
        self.cloud.unread = ["one can't be read"] if unread else []

    async def _do_etags(self, etags: bool) -> None:
        self.cloud.etags = etags

    async def _do_offsets(self, by_offset: bool) -> None:
        self.cloud.by_offset = by_offset

    async def _do_gone(self, gone: set[str]) -> None:
        self.cloud.gone = sorted(gone)

    # -------------------------------------------------------------- what gateways do

    async def _do_read(self, one: str) -> None:
        """Read one, as an operation's end does; what came arrives with `land`."""
        at = self.clock.now()
        self.readings.append((one, at, self.cloud.row(one) if one in self.cloud.servers else None))

    async def _do_land(self, wanted: str) -> None:
        """What was read arrives, the latest first."""
        arriving = [reading for reading in self.readings if reading[0] == wanted]
        self.readings = [reading for reading in self.readings if reading[0] != wanted]
        for one, at, found in reversed(arriving):
            if found is not None:
                await self.store.apply("servers", [found], at, Origin.OPERATION)
            else:
                await self.store.remove([name_of(one)], at)

    async def _do_land_all(self, _: None) -> None:
        for one in dict.fromkeys(one for one, _, _ in self.readings):
            await self._do_land(one)

    async def _do_write_through(self, one: str) -> None:
        at = self.clock.now()
        if one in self.cloud.servers:
            await self.store.apply("servers", [self.cloud.row(one)], at, Origin.OPERATION)
        else:
            await self.store.remove([name_of(one)], at)

    async def _between(self, page: int) -> None:
        for what, argument in self.between.pop(page, []):
            await getattr(self, f"_do_{what.replace(' ', '_')}")(argument)

    async def _do_sweep(self, between: dict[int, list[tuple[str, Any]]], *, released: bool = False) -> None:
        self.between = dict(between)
        if self.cloud.by_offset:
            self.torn_since = self.clock.now()
        for project in sorted(self.states, reverse=len(between) % 2 == 1):
            swept = await self.sweepers[project].sweep(self.states[project], self.fence, released=released)
            self.between = {}
            await self.store.save_state(swept.state, self.fence)
            self.states[project] = swept.state

    async def _do_release(self, _: bool) -> None:
        await self._do_sweep({}, released=True)

    async def _do_look(self, tells: bool) -> None:
        self.cloud.tells_changes = tells
        if self.cloud.fails_at == 0:
            return
        fails_at, self.cloud.fails_at = self.cloud.fails_at, None
        for project, state in self.states.items():
            known = replace(state, changes_time=state.observe_time)
            self.states[project] = (await self.sweepers[project].look(known, self.fence)).state
        self.cloud.fails_at = fails_at

    async def _do_take_over(self, _: bool) -> None:
        """Another gateway: it remembers nothing but what was saved."""
        self.number += 1
        self.sweepers = {one: self._sweeper(one) for one in self.states}
        kept = {state.project: state for state in await self.store.states([CLUSTER])}
        self.states = {one: kept.get(one) or CollectionState(CLUSTER, "servers", project=one) for one in self.states}

    async def _do_late_owner(self, _: bool) -> None:
        """One that lost the cluster without noticing reads once more: what it has to write is refused."""
        old, fence = self._sweeper(""), self.fence
        await self._do_take_over(True)
        await self._do_sweep({})
        before = len(await self.changes())
        try:
            swept = await old.sweep(self.states[""], fence)
            await self.store.save_state(swept.state, fence)
            raise AssertionError("an owner of before saved what it read")
        except LockLost:
            assert len(await self.changes()) == before

    @property
    def fence(self) -> Fence:
        return Fence(CLUSTER, self.number)

    # -------------------------------------------------------------- what must be so

    async def changes(self) -> list[Any]:
        asked = select(resource_changes).order_by(resource_changes.c.sequence)
        return await self.database.read(lambda conn: list(conn.execute(asked)))

    async def check(self) -> None:
        found = await self.database.read(lambda conn: conn.execute(select(resources)).all())
        complete = {one: self.states[self.cloud.projects.get(one, "")].observe_time or 0.0 for one in IDS}
        rows = {row.name.rpartition("/")[2]: row for row in found}
        times = {one: max(row.observe_time, row.deleted_time or 0.0) for one, row in rows.items()}
        assert all(times[one] >= time for one, time in self.times.items()), "what was read earlier replaced a later one"
        self.times = times
        for one, row in rows.items():
            if row.deleted_time is None:
                since = max(row.observe_time, complete[one])
                assert self.cloud.was(one, row.display_name, since), f"{one} was never like that since {since}"
            else:
                assert self.cloud.was(one, None, row.deleted_time), f"{one} was there all the time since it went"
        for one in IDS:
            is_kept = one in rows and rows[one].deleted_time is None
            since = complete[one]
            if since and not is_kept and self.torn_since < since and not self.cloud.was_hidden(one, since):
                assert self.cloud.was(one, None, since), f"{one} is missing, and was there since {since}"

    async def check_quiet(self) -> None:
        """All is kept once the cloud is honest and nothing moves, and the changes tell the same."""
        self.cloud.hide(set())
        self.cloud.fails_at, self.cloud.get_fails = None, False
        self.cloud.partial, self.cloud.unread, self.cloud.by_offset = "", [], False
        await self._do_sweep({}, released=True)
        await self.check()
        assert {state.completeness for state in self.states.values()} == {Completeness.COMPLETE}, self.states
        kept = select(resources.c.name, resources.c.digest).where(resources.c.deleted_time.is_(None))
        digests = dict(await self.database.read(lambda conn: conn.execute(kept).all()))
        assert digests == {name_of(one): self.cloud.row(one).digest for one in self.cloud.servers}
        assert sum(state.row_count for state in self.states.values()) == len(digests)
        self._check_changes(await self.changes(), set(digests))

    def _check_changes(self, changes: list[Any], known: set[str]) -> None:
        assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))
        there: set[str] = set()
        for change in changes:
            assert (change.what == "added") == (change.name not in there), change
            (there.discard if change.what == "removed" else there.add)(change.name)
            assert (change.previous is None) == (change.what == "added")
        assert there == known


async def lived(history: list[tuple[str, Any]], others: tuple[str, ...] = ()) -> tuple[set[str], set[str]]:
    """Return what is kept in the end, and what the cloud has; what must hold in between is checked at each step."""
    async with opened("sqlite") as database:
        lives = History(database, others)
        for project in others:  # as whoever sweeps does before the first time
            await lives.store.save_state(lives.states[project], lives.fence)
        for one in IDS[:12]:
            lives.cloud.put(one, "name 0")
        for what, argument in history:
            await lives.do(what, argument)
        await lives.check_quiet()
        known = await lives.store.known(CLUSTER, "servers")
        return {name.rpartition("/")[2] for name in known}, set(lives.cloud.servers)


PARTS = 10


async def test_what_is_never_listed_goes_once_it_is_deleted() -> None:
    """What the platform has and leaves out of its list is asked for by every sweep."""
    hidden = {"s00", "s01", "s02", "s10"}
    again = ("release", False)
    kept, there = await lived([again, ("hide", hidden), again, again, ("delete", "s01"), again])
    assert kept == there
    assert hidden - kept == {"s01"}


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_a_cloud_does_no_row_goes_wrongly_and_all_is_right_in_the_end(part: int) -> None:
    """And no answer would have said that something is fresher, or gone, than the cloud can bear out."""
    assert _live_many(10, part) >= 10


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_histories(part: int) -> None:
    """The same, of others; HISTORIES=n makes n of them."""
    count = int(os.environ.get("HISTORIES", "1000")) // PARTS
    assert _live_many(count, PARTS + part) >= count


def _live_many(count: int, number: int) -> int:
    """Live histories, of every other number with a project by itself; return how many were right in the end."""
    right = 0

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(steps)
    def all_of(history: list[tuple[str, Any]]) -> None:
        nonlocal right
        kept, there = asyncio.run(lived(history, (P,) if number % 2 else ()))
        assert kept == there
        right += 1

    all_of()
    return right
