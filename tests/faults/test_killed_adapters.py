"""An adapter killed without a word around a create leaves exactly one resource, made by the one that comes after it.

Gateway and adapters are processes; the cloud runs beside the test, which kills at the very request that it means.
"""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections import Counter
from dataclasses import dataclass

import pytest
from tests.harness import clouds
from tests.harness.fleet import Fleet, until
from tests.harness.mutations import KINDS, call

from cloudspan_common.clock import SystemClock

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]

NAME = "only-one"
SETTLE_S = 3.0
HELD_S = 3600.0
LIMIT_S = 45.0


@dataclass(frozen=True)
class Create:
    """One native create that an adapter is killed around."""

    kind: str
    """What the caller asks for."""
    native: dict[str, str]
    """Which native request makes it, as the fake's faults and journal take it."""
    rows: dict[str, int]
    """What there is more of in the cloud when it was made once: anything else is a duplicate or an orphan."""
    by_key: bool = True
    """Whether the cloud refuses a second one; else the adapter waits for a sent one to appear, up to `SETTLE_S`."""


def _post(service, path):
    return {"service": service, "method": "POST", "path": path}


class Held(SystemClock):
    """Real time for the cloud, but what it holds for `HELD_S` it holds until it is let go."""

    def __init__(self):
        self.let_go = asyncio.Event()

    async def sleep(self, seconds):
        await (self.let_go.wait() if seconds == HELD_S else super().sleep(seconds))


class OpenStack(clouds.OpenStack):
    """The OpenStack adapter and its fake."""

    creates = {  # noqa: RUF012 - never changed
        "server": Create("server", _post("compute", r"^/v2\.1/servers$"), {"servers": 1, "ports": 1}, by_key=False),
        "volume": Create("volume", _post("volume", "/volumes$"), {"volumes": 1}, by_key=False),
        "network": Create("network", _post("network", "/networks$"), {"networks": 1}, by_key=False),
        "subnet": Create("subnet", _post("network", "/subnets$"), {"subnets": 1}),
        "key pair": Create("key pair", _post("compute", "/os-keypairs$"), {"key_pairs": 1}),
    }


class ZStack(clouds.ZStack):
    """The ZStack adapter and its fake."""

    creates = {  # noqa: RUF012 - never changed
        "server": Create(
            "server", {"call": "CreateVmInstance"}, {"VmInstanceVO": 1, "VolumeVO": 1, "VmNicVO": 1, "UsedIpVO": 1}
        ),
        "volume": Create("volume", {"call": "CreateDataVolume"}, {"VolumeVO": 1}),
        "network": Create("network", {"call": "CreateL3Network"}, {"L2NetworkVO": 1, "L3NetworkVO": 1}),
        "network below": Create("network", {"call": "CreateL2VlanNetwork"}, {"L2NetworkVO": 1, "L3NetworkVO": 1}),
        "subnet": Create("subnet", {"call": "AddIpRangeByNetworkCidr"}, {"IpRangeVO": 1}),
        "key pair": Create("key pair", {"call": "CreateSshKeyPair"}, {"SshKeyPairVO": 1}),
    }


async def _cast_for(site, client, kind):
    """Return how to cast a create of one kind, the same one each time."""
    wanted = KINDS[kind]
    there = [await (await call(client, make(site, "below", 1))).result(LIMIT_S) for make in wanted.before]
    request = wanted.request(site, NAME, 0, *(made.name for made in there))
    request.request_id = str(uuid.uuid4())
    return lambda: call(client, request)


# ------------------------------------------------------------------ when it is killed


class Trap:
    """Kills a process from within the fake, at a request that it has just carried out and not yet answered."""

    def __init__(self, site, create, pid, skip):
        self._journal, self._native, self._pid, self._left = site.cloud.control, create.native, pid, skip
        self.sprung = asyncio.Event()
        self._note, site.cloud.control.journal.note = site.cloud.control.journal.note, self._noted

    def _noted(self, *request):
        self._note(*request)
        if self.sprung.is_set() or not self._journal.requests(**self._native):
            return
        if self._left:
            self._left -= 1
            return
        os.kill(self._pid, signal.SIGKILL)
        self.sprung.set()


async def _kill_queued(site, create, adapter, cast):
    """The adapter is frozen: it is handed the operation, and does nothing for it before it is killed."""
    os.kill(adapter.pid, signal.SIGSTOP)
    operation = await cast()
    adapter.kill()
    assert site.cloud.control.requests(**create.native) == []
    return operation


async def _kill_received(site, create, adapter, cast):
    """The cloud has the request and does nothing about it until the next adapter has looked, or sent it again."""
    held = site.cloud.control.fault("latency", count=1, seconds=HELD_S, **create.native)
    operation = await cast()
    await until(lambda: _met(held))
    adapter.kill()
    assert site.cloud.control.requests(**create.native) == []
    return operation


def _met(fault):
    return fault.hits == 1


async def _kill_carried_out(site, create, adapter, cast):
    """The cloud has carried it out, or begun its job, and its answer finds nobody."""
    return await _kill_at_note(site, create, adapter, cast, skip=0)


async def _kill_answered(site, create, adapter, cast):
    """The adapter has the answer, for it has asked the next thing."""
    return await _kill_at_note(site, create, adapter, cast, skip=1)


async def _kill_at_note(site, create, adapter, cast, *, skip):
    trap = Trap(site, create, adapter.pid, skip)
    operation = await cast()
    async with asyncio.timeout(20):
        await trap.sprung.wait()
    adapter.kill()
    assert len(site.cloud.control.requests(**create.native)) == 1
    return operation


POINTS = {
    "queued": _kill_queued,
    "received": _kill_received,
    "carried out": _kill_carried_out,
    "answered": _kill_answered,
}
SITES = {"openstack": OpenStack, "zstack": ZStack}
CASES = [(tag, name, point) for tag, site in SITES.items() for name in site.creates for point in POINTS]


# ------------------------------------------------------------------ what is left


async def _killed_and_followed(nursery, site, name, point, directory):
    """Kill the adapter at a point of a create, start the next one, and see what became of it all."""
    create = site.creates[name]
    async with Fleet(nursery, site, directory) as fleet:
        await fleet.gateway()
        first = await fleet.adapter("first")
        await fleet.listed("key pair")
        cast = await _cast_for(site, fleet.client, create.kind)
        before = site.census()
        site.cloud.control.clear_requests()
        seen = site.cloud.control.fault("latency", **create.native)
        operation = await POINTS[point](site, create, first, cast)
        assert not operation.done
        noted = len(site.cloud.control.requests(**create.native))
        site.cloud.control.clear_requests()
        await fleet.adapter("second")
        if point == "received":
            await until(lambda: _looked(site, create, seen))
            site.cloud.store.clock.let_go.set()
        made = await operation.result(LIMIT_S)
        await until(lambda: _all_noted(site, create, seen, noted))
        assert made.display_name == NAME
        assert site.named(create.kind, NAME) == 1
        assert site.census() - before == Counter(create.rows)
        assert before - site.census() == Counter()
        assert await _left_overs(operation) == []
        again = await cast()
        assert (again.name, again.done) == (operation.name, True)
        return seen.hits


def _looked(site, create, seen):
    """Whether the next adapter has looked for what was sent; where a second one is refused, whether it has sent it."""
    if create.by_key:
        return seen.hits == 2
    return bool(site.cloud.control.requests(create.native["service"], "GET"))


def _all_noted(site, create, seen, before):
    """Whether the cloud has answered every create that it ever received, `before` the kill and since."""
    return before + len(site.cloud.control.requests(**create.native)) == seen.hits


async def _left_overs(operation):
    async for change in operation.changes():
        metadata = change.metadata
    return list(metadata.left_overs)


@pytest.mark.parametrize(("tag", "name", "point"), CASES)
async def test_an_adapter_killed_around_a_create_leaves_exactly_one(nursery, tmp_path, tag, name, point):
    """Each create of each kind, killed at four points: one resource, nothing beside it, the operation ends well."""
    sent = await _killed_and_followed(nursery, SITES[tag](Held(), SETTLE_S), name, point, tmp_path)
    # Sent again is only what nobody could see yet and the cloud refuses to make twice.
    assert sent == (2 if point == "received" and SITES[tag].creates[name].by_key else 1)
