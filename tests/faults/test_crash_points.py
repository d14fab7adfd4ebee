"""A process killed before or after each store write, native call and step of a mutation: one effect, nothing beside it.

A first run without a crash tells which points there are; then there is one run for each of them. What dies is started
again at once, and a caller who asks again with the same `request_id` sees one operation end. Several fleets work at the
same time, since a crash is mostly waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.faults.crashing_fleet import CrashingFleet
from tests.harness.clouds import OpenStack, ZStack
from tests.harness.fleet import Run
from tests.harness.mutations import KINDS
from tests.harness.nursery import Nursery

SITES = {"openstack": OpenStack, "zstack": ZStack}
SETTLE_S = 1.0
FLEETS = 4
POINTS = {
    "gateway": ("store before", "store after"),
    "adapter": ("native before", "native after", "step before", "step after", "step sent"),
}
# Kinds with a hundred points and more are shared between tests, so that each of them stays short.
PARTS = {"server with all": 3, "server refused": 3, "network with all": 3, "network": 2, "deleted server": 2}
CASES = [(tag, kind, part) for tag in SITES for kind in KINDS for part in range(PARTS.get(kind, 1))]
# What is crashed in `make test`: each side of each kind of point, in the middle of a create.
SLICE = {
    "openstack": [
        "gateway store before 3", "gateway store after 3", "adapter native before 1", "adapter native after 2",
        "adapter step after 2",
    ],
    "zstack": [
        "gateway store before 4", "gateway store after 1", "adapter native before 2", "adapter native after 1",
        "adapter step after 1",
    ],
}  # fmt: skip


@dataclass
class Tally:
    """What the runs of one test came to."""

    runs: int = 0
    crashes: int = 0
    undone: int = 0
    duplicates: int = 0
    orphans: int = 0
    stuck: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, point: str, faults: list[str]) -> None:
        """Count a run, and what was wrong with it."""
        self.runs += 1
        self.wrong += [f"{point}: {fault}" for fault in faults]


class Case:
    """One kind of mutation on one platform, with the fleets that it is crashed in."""

    def __init__(self, tag: str, kind: str, fleets: list[CrashingFleet]) -> None:
        self.tag, self.kind, self.fleets = tag, KINDS[kind], fleets
        self.tally = Tally()
        self._rows: Counter[str] = Counter()
        self._ids: set[str] = set()
        self._number = 0

    async def points(self) -> list[str]:
        """Run it without a crash; return every point that it passed."""
        fleet = self.fleets[0]
        before = fleet.site.census()
        run = await self._run(fleet, "")
        assert (run.error is not None) == self.kind.undone, run.error
        self._rows, self._ids = _difference(fleet, before), set(run.metadata.native_ids)
        found = {who: Counter(fleet.trail(who)) for who in POINTS}
        fleet.plan()
        return [
            f"{who} {point} {number}"
            for who, points in POINTS.items()
            for point in points
            for number in range(1, found[who][point] + 1)
        ]

    async def crash_at(self, points: list[str]) -> None:
        """Crash once at each of the points, in all fleets at the same time."""
        left = list(reversed(points))

        async def work(fleet: CrashingFleet) -> None:
            while left:
                await self._crash(fleet, left.pop())

        async with asyncio.TaskGroup() as group:
            for fleet in self.fleets:
                group.create_task(work(fleet))

    async def _crash(self, fleet: CrashingFleet, point: str) -> None:
        before, deaths = fleet.site.census(), fleet.deaths
        try:
            run = await self._run(fleet, point)
        except TimeoutError:
            self.tally.stuck += 1
            self.tally.add(point, ["did not end"])
            return
        self.tally.crashes += fleet.deaths - deaths
        self.tally.add(point, await self._faults(fleet, run, _difference(fleet, before)))

    async def _run(self, fleet: CrashingFleet, point: str) -> Run:
        self._number += 1
        who, _, where = point.partition(" ")
        return await fleet.run(self.kind, f"one-{self._number}", self._number, (who, where))

    async def _faults(self, fleet: CrashingFleet, run: Run, rows: Counter[str]) -> list[str]:
        """Say what is wrong with what a run left."""
        if run.error is not None and not self.kind.undone:
            return [f"failed: {run.error!r}"]
        if run.error is None and self.kind.undone:
            return ["was to be refused and was not"]
        faults = []
        self.tally.undone += run.error is not None
        if rows != self._rows:
            self.tally.orphans += (rows - self._rows).total()
            faults.append(f"the cloud has {dict(rows)} more and not {dict(self._rows)}")
        if left := [f"{left.name} {left.reason}" for left in run.metadata.left_overs if not left.removed]:
            faults.append(f"left over: {left}")
        if run.error is None and set(run.metadata.native_ids) != self._ids:
            faults.append(f"made {set(run.metadata.native_ids)} and not {self._ids}")
        again = await fleet.ask(run.request)
        if again.operation.name != run.operation.name:
            faults.append("asked again it was another operation")
        return faults + (await self._miscounted(fleet, run) if self.kind.made else [])

    async def _miscounted(self, fleet: CrashingFleet, run: Run) -> list[str]:
        """Say what is wrong with how many there are of what was created."""
        expected = 0 if run.error else 1
        there = fleet.site.named(self.kind.made, run.name)
        shown = (await fleet.listed(self.kind.made)).count(run.name)
        self.tally.duplicates += max(there - expected, 0)
        ids = run.metadata.native_ids.values()
        wrong = [] if expected == there == shown else [f"{there} in the cloud, {shown} listed, not {expected}"]
        if run.result is not None and run.result.name.rpartition("/")[2] not in ids:
            wrong.append(f"{run.result.name} is none of {list(ids)}")
        return wrong


def _difference(fleet: CrashingFleet, before: Counter[str]) -> Counter[str]:
    """Return what the cloud has more than before; what it has less is negative."""
    now = fleet.site.census()
    return Counter({kind: now[kind] - before[kind] for kind in now.keys() | before.keys() if now[kind] != before[kind]})


@asynccontextmanager
async def _case(nursery: Nursery, tag: str, kind: str, directory: Path, fleets: int) -> AsyncIterator[Case]:
    async with AsyncExitStack() as stack:
        opened = []
        for number in range(fleets):
            (directory / str(number)).mkdir()
            site = SITES[tag](settle_s=SETTLE_S, build_s=0.02)
            if KINDS[kind].undone:
                site.refuse_floating_ips()
            opened.append(CrashingFleet(nursery, site, directory / str(number)))
        await asyncio.gather(*(stack.enter_async_context(fleet) for fleet in opened))
        yield Case(tag, kind, opened)


@pytest.mark.faults
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("tag", "kind", "part"), CASES)
async def test_a_process_killed_at_any_point_of_a_mutation_leaves_one_effect(
    nursery, tmp_path, crash_table, tag, kind, part
):
    """Every commit, native call and step, before and after, of one kind of mutation on one platform."""
    async with _case(nursery, tag, kind, tmp_path, FLEETS) as case:
        await case.crash_at((await case.points())[part :: PARTS.get(kind, 1)])
    crash_table(tag, kind, case.tally)
    assert case.tally.wrong == []


@pytest.mark.timeout(120)  # six seconds on a machine at rest
@pytest.mark.parametrize("tag", SITES)
async def test_a_process_killed_in_the_middle_of_a_create_leaves_one_server(nursery, tmp_path, tag):
    """A slice of the crash points: a commit, a native call, a step; before and after."""
    async with _case(nursery, tag, "server", tmp_path, fleets=2) as case:
        known = await case.points()
        assert set(SLICE[tag]) <= set(known)
        await case.crash_at(SLICE[tag])
    assert case.tally.wrong == []
    assert case.tally.crashes == len(SLICE[tag])
