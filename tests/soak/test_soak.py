"""Thousands of operations on three platforms while gateway and adapters are killed at random: all end, each once.

    make soak COUNT=24000 SEED=1

What was accepted is finished; every repeated request was the same operation; what was made and kept is there once, and
what was removed is gone.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import nullcontext

import pytest
from google.longrunning import operations_pb2
from tests.harness import mutations
from tests.harness.clouds import OpenStack, ZStack
from tests.harness.fleet import Fleet
from tests.soak.workers import Score, Worker

from cloudspan.client import CloudspanError

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

WORKERS = {"memory": 16, "openstack": 12, "zstack": 12}
KILLED = ("gateway", "openstack", "zstack")  # the memory platform's cloud would die with its adapter
EVERY_S = (2.0, 8.0)
TIMES = {"build_s": 0.05, "power_s": 0.02, "delete_s": 0.02}


class Memory:
    """The platform that needs no cloud; its adapter is not killed."""

    ref, module = "platforms/memory/clusters/main", "cloudspan_memory"
    flavor, image = f"{ref}/flavors/small", ""

    def __init__(self):
        self.cloud = nullcontext()

    def adapter(self, directory):
        return ("--delay", "0.02")

    def census(self):
        return Counter()


async def _kill(fleet, sites, dice, done, kills):
    """Kill somebody, start it again, and so on."""
    while not done.is_set():
        await asyncio.sleep(dice.uniform(*EVERY_S))
        who = dice.choice(KILLED)
        fleet.children[who].kill()
        kills[who] += 1
        await (fleet.gateway() if who == "gateway" else fleet.adapter(who, site=sites[who]))


async def _stored(fleet):
    """Return the names of all operations that the gateway keeps, and how many of them have not ended."""
    names, open_, token = set(), 0, ""
    while True:
        request = operations_pb2.ListOperationsRequest(name="operations", page_size=1000, page_token=token)
        page = await fleet.client.operations.ListOperations(request, timeout=60)
        names |= {operation.name for operation in page.operations}
        open_ += sum(not operation.done for operation in page.operations)
        token = page.next_page_token
        if not token:
            return names, open_


async def _wrong(fleet, sites, score):
    """Return what is there twice, or not at all, or though it was removed."""
    there = {
        (site.ref, kind): Counter(await _listed(fleet, site, kind))
        for site in sites.values()
        for kind in ("server", "volume")
    }
    return [
        (kind, name, there[site.ref, kind][name])
        for rows, wanted in ((score.kept, 1), (score.gone, 0))
        for site, kind, name in rows
        if there[site.ref, kind][name] != wanted
    ]


async def _listed(fleet, site, kind):
    while True:
        try:
            return await mutations.listed(fleet.client, site, kind)
        except CloudspanError:
            await asyncio.sleep(0.1)


async def test_operations_under_random_kills_all_end_and_none_twice(nursery, tmp_path, count, seed):
    """Accepted is finished; nothing is there twice; nothing that was removed is there."""
    dice, score, kills, done = random.Random(seed), Score(count), Counter(), asyncio.Event()  # noqa: S311 - dice
    sites = {tag: make(settle_s=2.0, **TIMES) for tag, make in (("openstack", OpenStack), ("zstack", ZStack))}
    sites["memory"] = Memory()
    async with sites["zstack"].cloud, Fleet(nursery, sites["openstack"], tmp_path) as fleet:
        await fleet.gateway()
        for name, site in sites.items():
            await fleet.adapter(name, site=site)
            await _listed(fleet, site, "server")
        before = {name: site.census() for name, site in sites.items()}
        workers = [
            Worker(number, fleet, sites[name], score, random.Random(dice.getrandbits(64)))  # noqa: S311 - same
            for name, many in WORKERS.items()
            for number in range(many)
        ]
        began = time.monotonic()
        killing = asyncio.ensure_future(_kill(fleet, sites, dice, done, kills))
        await asyncio.gather(*(worker.run() for worker in workers))
        done.set()
        await killing
        took_s = time.monotonic() - began
        names, open_ = await _stored(fleet)
        wrong = await _wrong(fleet, sites, score)
        grown = {name: dict(site.census() - before[name]) for name, site in sites.items()}
        _print(score, kills, took_s, grown)
    assert wrong == []
    assert (open_, score.other) == (0, 0)
    assert names == score.operations
    assert sum(score.finished.values()) == score.asked


def _print(score, kills, took_s, grown):
    print(f"\n{score.asked} operations in {took_s:.0f} s, {score.asked / took_s:.0f} a second")
    print(f"killed: {dict(kills)}; asked again: {score.repeated}")
    for rpc, many in sorted(score.finished.items()):
        print(f"  {rpc:<16}{many:>8}")
    print(f"failed, with nothing left: {dict(score.failed) or 'none'}")
    print(f"kept: {len(score.kept)}; the clouds grew by {grown}")
