"""Adapters that freeze, clocks that jump, adapters replaced by the next version: each operation ends once and well."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter

import pytest
from tests.harness import mutations
from tests.harness.clouds import OpenStack, ZStack
from tests.harness.fleet import Fleet, together, until
from tests.harness.mutations import KINDS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]

SITES = {"openstack": OpenStack, "zstack": ZStack}
LEASE_S = 4.5  # a step gets 3 s of it, and a write is not begun with less than 2
SETTLE_S = 3.0
HOUR_S = 3600.0

# Where an adapter stops: with its write not yet sent, and with the write carried out.
STOPS = ("write before 1 stop", "native after 2 stop")


def _planned(directory, name, plan):
    place = directory / f"{name}-points"
    place.mkdir()
    (place / "plan").write_text(plan)
    return place


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize(("tag", "kind"), [("openstack", "server"), ("openstack", "network"), ("zstack", "volume")])
async def test_an_adapter_frozen_past_the_lease_does_nothing_twice(nursery, tmp_path, tag, kind, stop):
    """Another one goes on with its step; thawed, it must not send what it was about to send."""
    site = SITES[tag](settle_s=SETTLE_S, build_s=0.02)
    place = _planned(tmp_path, "frozen", stop)
    async with Fleet(nursery, site, tmp_path, "--lease", str(LEASE_S)) as fleet:
        await fleet.gateway()
        frozen = await fleet.adapter("frozen", prepare=("in_adapter", str(place)))
        await fleet.listed("key pair")
        before = site.census()
        asked = asyncio.ensure_future(fleet.ask(KINDS[kind].request(site, "one", 1)))
        await until(lambda: frozen.stopped)
        await fleet.adapter("other")
        run = await asked
        await asyncio.sleep(LEASE_S)
        (place / "plan").write_text("nowhere")
        frozen.signal(signal.SIGCONT)
        await fleet.listed(kind)
        await asyncio.sleep(1)  # for what it may have been about to do
        assert run.error is None
        assert site.named(kind, "one") == 1
        assert (site.census() - before)[_table(tag, kind)] == 1
        assert (await fleet.listed(kind)).count("one") == 1


def _table(tag, kind):
    return {"openstack": f"{kind}s", "zstack": {"volume": "VolumeVO"}.get(kind, "")}[tag]


@pytest.mark.parametrize("hours", [1, -1])
async def test_clocks_that_jump_an_hour_change_nothing(nursery, tmp_path, hours):
    """Wall clocks of gateway and adapter jump while a server builds, and while a lost volume is waited for."""
    site = OpenStack(settle_s=SETTLE_S, build_s=3.0)
    clock = tmp_path / "clock"
    clock.write_text("0")
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway(prepare=("on_moved_clock", str(clock)))
        await fleet.adapter(prepare=("on_moved_clock", str(clock)))
        await fleet.listed("key pair")
        late = site.cloud.control.fault(
            "late_commit", service="volume", method="POST", path="/volumes$", count=1, seconds=SETTLE_S - 1
        )
        asked = together(*(fleet.ask(KINDS[kind].request(site, "one", 1)) for kind in ("server", "volume")))
        asking = asyncio.ensure_future(asked)
        await until(lambda: late.hits == 1 and site.named("server", "one") == 1)
        clock.write_text(str(hours * HOUR_S))
        runs = await asking
        assert [run.error for run in runs] == [None, None]
        assert (site.named("server", "one"), site.named("volume", "one")) == (1, 1)
        # What came 2 s late was not sent again before its time, though an hour seemed to have passed.
        assert late.hits == 1
        assert len(site.cloud.control.requests("volume", "POST", "/volumes$")) == 1
        clock.write_text("0")
        assert (await fleet.ask(KINDS["network"].request(site, "one", 1))).error is None


async def test_adapters_are_replaced_under_load_without_a_failed_call_or_a_lost_operation(nursery, tmp_path):
    """Six times: the next one starts, the one before is told to stop; reads and creates go on all the time."""
    site = OpenStack(settle_s=SETTLE_S, build_s=0.5)
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter("0")
        await fleet.listed("key pair")
        done, numbers, tally = asyncio.Event(), itertools.count(), Counter()

        async def create():
            while not done.is_set():
                name = f"one-{next(numbers)}"
                kind = ("server", "volume", "network")[tally["made"] % 3]
                run = await fleet.ask(KINDS[kind].request(site, name, 1))
                tally["made"] += run.error is None and site.named(kind, name) == 1
                tally["failed"] += run.error is not None

        async def read():
            while not done.is_set():
                await mutations.listed(fleet.client, site, "key pair")  # raises what fails
                tally["read"] += 1
                await asyncio.sleep(0.01)

        async def replace():
            for number in range(1, 7):
                await fleet.adapter(str(number))
                await asyncio.sleep(0.7)
                await asyncio.to_thread(fleet.children[str(number - 1)].stop)
            done.set()

        await together(replace(), *(create() for _ in range(4)), *(read() for _ in range(2)))
        assert tally["failed"] == 0
        assert tally["made"] == next(numbers)
        assert tally["read"] > 50
        assert sum(len(table) for table in (site.cloud.store.servers, site.cloud.store.volumes)) > 6


async def test_operations_go_on_from_their_cursor_in_both_directions_between_two_versions(nursery, tmp_path):
    """The next version's cursors hold a field that this one does not know: it keeps it, and both finish the work."""
    site = OpenStack(settle_s=SETTLE_S, build_s=0.5)
    place = _planned(tmp_path, "next", "nowhere")
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter("this")
        await fleet.adapter("next", prepare=("as_next_version", str(place)))
        await fleet.listed("key pair")
        requests = [KINDS["server with all"].request(site, f"one-{number}", number) for number in range(12)]
        runs = await together(*(fleet.ask(request) for request in requests))
        assert [run.error for run in runs] == [None] * 12
        assert [site.named("server", f"one-{number}") for number in range(12)] == [1] * 12
        trail = Counter((place / "trail").read_text().splitlines())
        assert trail["field kept"] > 12  # more than the next version could see of its own by chance alone
