"""Creates whose reply is lost, that are carried out up to half a minute later, or never arrive: each is there once.

At full scale: a settle time of 36 s, and natives that come 1, 10 and 30 s after the connection broke. All creates go at
the same time, so each fault meets another one of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tests.faults.doubling import Doubling
from tests.harness.clouds import OpenStack, ZStack
from tests.harness.fleet import Fleet, together
from tests.harness.mutations import KINDS
from tests.harness.processes import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SETTLE_S = 36.0
LATEST_S = 30.0
LIMIT_S = 180.0
SITES = {"openstack": OpenStack, "zstack": ZStack}
NATIVES = {
    "openstack": [
        {"service": "compute", "path": r"^/v2\.1/servers$"},
        {"service": "compute", "path": "/os-keypairs$"},
        {"service": "volume", "path": "/volumes$"},
        *({"service": "network", "path": f"/{kind}$"} for kind in (
            "ports", "floatingips", "networks", "subnets", "routers"
        )),
    ],
    "zstack": [
        {"call": call} for call in (
            "CreateVmInstance", "CreateDataVolume", "CreateVip", "CreateEip", "CreateL2VlanNetwork", "CreateL3Network",
            "AddIpRangeByNetworkCidr", "CreateSshKeyPair",
        )
    ],
}  # fmt: skip
FAULTS = [
    {"kind": "lost_reply"},
    {"kind": "late_commit", "seconds": 1.0},
    {"kind": "late_commit", "seconds": 10.0},
    {"kind": "late_commit", "seconds": LATEST_S},
    {"kind": "close"},
]
# More of each than there are faults, so that every fault finds one that it meets first.
ASKED = {"server with all": 24, "network with all": 20, "key pair": 6}


@pytest.mark.parametrize("tag", SITES)
async def test_a_create_without_a_reply_is_there_once_however_late_it_comes(nursery, tmp_path, tag):
    """Every native create of every kind, through every fault."""
    site = SITES[tag](settle_s=SETTLE_S, build_s=0.1)
    async with Fleet(nursery, site, tmp_path) as fleet:
        await fleet.gateway()
        await fleet.adapter()
        await fleet.listed("key pair")
        rows = {kind: await _rows_of_one(fleet, kind) for kind in ASKED}
        before = site.census()
        post = {} if tag == "zstack" else {"method": "POST"}
        faults = [
            site.cloud.control.fault(count=1, **post, **native, **rule) for native in NATIVES[tag] for rule in FAULTS
        ]
        asked = [(kind, f"{kind} {number}") for kind, count in ASKED.items() for number in range(count)]
        last = asyncio.ensure_future(asyncio.sleep(2 * LATEST_S))  # whatever is late has come by then
        runs = await together(*(_insisted(fleet, kind, name, at) for at, (kind, name) in enumerate(asked, 1)))
        await last
        assert [run.error for run in runs] == [None] * len(asked)
        assert [fault for fault in faults if not fault.hits] == []
        wanted = sum((Counter({k: n * ASKED[kind] for k, n in rows[kind].items()}) for kind in ASKED), Counter())
        assert site.census() - before == wanted
        assert [site.named(KINDS[kind].made, name) for kind, name in asked] == [1] * len(asked)
        kept = [left for run in runs for left in run.metadata.left_overs if not left.removed]
        assert kept == []


async def _insisted(fleet, kind, name, number):
    """Ask anew what was refused before it began: so many broken connections open the adapter's breaker for a while."""
    while True:
        run = await fleet.ask(KINDS[kind].request(fleet.site, name, number), limit_s=LIMIT_S)
        if run.error is None or run.error.reason != "BREAKER_OPEN":
            return run
        await asyncio.sleep(0.05)


async def _rows_of_one(fleet, kind):
    """Return what the cloud holds more after one of it was made without a fault."""
    before = fleet.site.census()
    run = await fleet.ask(KINDS[kind].request(fleet.site, f"{kind} before", 0))
    assert run.error is None
    return fleet.site.census() - before


async def test_a_reply_that_comes_twice_is_taken_once(nursery, tmp_path):
    """No call is answered by another one's reply; each create ends well and is there once."""
    port = free_port()
    async with Doubling("127.0.0.1", port) as relay:
        site = OpenStack(settle_s=3.0, build_s=0.1, port=port, advertise=f"http://127.0.0.1:{relay.port}")
        async with Fleet(nursery, site, tmp_path) as fleet:
            await fleet.gateway()
            await fleet.adapter()
            await fleet.listed("key pair")
            kinds = ("server with all", "network with all", "volume", "key pair")
            asked = [(kind, f"{kind} {number}") for number in range(5) for kind in kinds]
            runs = await together(
                *(fleet.ask(KINDS[kind].request(site, name, at)) for at, (kind, name) in enumerate(asked))
            )
            assert [run.error for run in runs] == [None] * len(asked)
            assert [site.named(KINDS[kind].made, name) for kind, name in asked] == [1] * len(asked)
            assert relay.doubled > len(asked)
