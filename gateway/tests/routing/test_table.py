"""The table trusts no one: who is called is decided by what each instance says and does, minute by minute."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from gateway.tests.hand_made_adapter import HandMadeAdapter

from cloudspan_common import grpcs
from cloudspan_common.registry import Instance
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.routing.table import REMEMBER_S, Table


class Watched:
    """A table over a memory registry, run in the background."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.registry = MemoryRegistry()
        self.table = Table(self.registry, self.clock)
        self.adapters: list[HandMadeAdapter] = []
        self._changed = asyncio.Event()
        self.table.subscribe(lambda _snapshot: self._changed.set())

    async def plug_in(self, **fields: object) -> HandMadeAdapter:
        adapter = HandMadeAdapter(**fields)
        self.registry.put(await adapter.start())
        self.adapters.append(adapter)
        return adapter

    async def until(self, *words: str) -> str:
        """Wait until the instances' repr holds all the words; return it."""
        async with asyncio.timeout(10):
            while not all(word in self.shown for word in words):
                self._changed.clear()
                await self._changed.wait()
        return self.shown

    @property
    def serving(self) -> list[str]:
        """The instances that calls to the cluster would go to."""
        return [
            endpoint.instance_id for endpoint in self.table.snapshot.platforms["openstack"].clusters["east"].endpoints
        ]

    @property
    def shown(self) -> str:
        return repr([seen for platform in self.table.snapshot.platforms.values() for seen in platform.instances])


@pytest.fixture
async def watched():
    made = Watched()
    running = asyncio.ensure_future(made.table.run())
    yield made
    running.cancel()
    await asyncio.wait({running})
    for adapter in made.adapters:
        await adapter.stop()


async def test_an_instance_is_ready_once_it_has_described_itself(watched):
    """It is CONNECTING first; the snapshot says how many of each platform are up."""
    adapter = await watched.plug_in()
    await watched.until("<os-1 CONNECTING: it has not described itself yet>")
    await watched.until("<os-1 READY>")
    assert repr(watched.table) == "<Table <Snapshot openstack 1 of 1 up>>"
    assert adapter.described == 1


async def test_an_unreachable_instance_is_ejected_and_probed_until_it_answers(watched):
    """Each probe after a longer pause; the first answer makes it READY."""
    adapter = HandMadeAdapter()
    instance = await adapter.start()
    adapter.describe_fails = grpc.StatusCode.UNAVAILABLE
    watched.adapters.append(adapter)
    watched.registry.put(instance)
    await watched.until("EJECTED: its probe failed: UNAVAILABLE, told to fail")
    adapter.describe_fails = None
    before = adapter.described
    await watched.clock.advance(0.1)
    await watched.until("<os-1 READY>")
    assert adapter.described == before + 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"contract": (2, 3)}, "it speaks contract versions 2 to 3, this gateway 1"),
        ({"described_platform": "zstack"}, "registered as platform 'openstack' but describes itself as 'zstack'"),
        ({"services": ("cloudspan.v1.PiracyService",)}, "it claims cloudspan.v1.PiracyService"),
        ({"services": ("google.storage.v1.Storage",)}, "it claims google.storage.v1.Storage"),
        ({"clusters": ("East Wing",)}, "expected the form platforms/{platform}/clusters/{cluster}"),
    ],
)
async def test_an_instance_whose_description_is_unfit_is_quarantined(watched, fields, why):
    """The reason says what is wrong and what to do."""
    await watched.plug_in(**fields)
    shown = await watched.until("QUARANTINED")
    assert why in shown
    assert not watched.table.snapshot.platforms["openstack"].serving


async def test_an_adapter_of_a_later_contract_is_accepted_while_it_speaks_the_gateways(watched):
    """What it serves beyond this contract is not a claim then: the gateway is the one to be upgraded."""
    await watched.plug_in(contract=(1, 2), services=("cloudspan.v1.LaterService",))
    await watched.until("<os-1 READY>")
    assert watched.serving == ["os-1"]


async def test_a_server_that_is_not_an_adapter_is_quarantined(watched):
    """One that does not know Describe is not asked every tenth of a second whether it is dead."""
    server = grpcs.new_server()
    port = grpcs.listen(server, "127.0.0.1:0")
    await server.start()
    watched.registry.put(Instance("what-1", "openstack", f"127.0.0.1:{port}"))
    assert "is it an adapter?" in await watched.until("<what-1 QUARANTINED")
    await server.stop(None)


@pytest.mark.parametrize("junk", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x02\xff\xfe", b"<html>" * 1000])
async def test_an_instance_that_answers_describe_with_junk_is_quarantined(watched, junk):
    """The table goes on, and believes it as soon as it says something sensible."""
    adapter = await watched.plug_in(describe_bytes=junk)
    await watched.until("QUARANTINED", "is not a DescribeResponse")
    other = await watched.plug_in(instance_id="os-2")
    await watched.until("<os-2 READY>")
    adapter.describe_bytes = None
    await watched.clock.advance(5.0)
    await watched.until("<os-1 READY>")
    assert other.described


async def test_of_two_that_claim_one_cluster_with_different_endpoints_the_later_is_quarantined(watched):
    """The reason names the other; the end of the first releases the second."""
    await watched.plug_in()
    await watched.until("<os-1 READY>")
    await watched.plug_in(instance_id="os-2", digest="endpoint-2")
    shown = await watched.until("<os-1 READY>", "<os-2 QUARANTINED")
    assert "it claims the cluster 'east' with another endpoint or scope than os-1" in shown
    watched.registry.remove("os-1")
    await watched.until("[<os-2 READY>]")


async def test_the_claims_of_a_dead_instance_lapse_after_a_minute(watched):
    """Its registration may stay in a file for ever; whoever took its place is believed then."""
    dead = await watched.plug_in()
    await watched.until("<os-1 READY>")
    await watched.plug_in(instance_id="os-2", digest="endpoint-2")
    await watched.until("<os-2 QUARANTINED")
    await dead.stop()
    await watched.until("<os-1 EJECTED", "<os-2 QUARANTINED")
    await watched.clock.advance(65.0)  # the last of its probes comes at 63.4 at the earliest
    await watched.until("<os-1 EJECTED", "<os-2 READY>")
    assert watched.serving == ["os-2"]


async def test_replicas_of_one_cluster_are_both_called(watched):
    """The same digest is the same cluster, whatever the build."""
    await watched.plug_in()
    await watched.plug_in(instance_id="os-2", build="2.0")
    await watched.until("[<os-1 READY>, <os-2 READY>]")
    assert len(watched.table.snapshot.platforms["openstack"].clusters["east"].endpoints) == 2


async def test_draining_is_believed_from_the_registry_and_from_health(watched):
    """Either way it gets nothing new, and its return is believed too."""
    one, two = await watched.plug_in(), await watched.plug_in(instance_id="os-2")
    await watched.until("[<os-1 READY>, <os-2 READY>]")
    watched.registry.put(Instance("os-1", "openstack", f"127.0.0.1:{one.port}", draining=True))
    await watched.until("<os-1 DRAINING: it asked for no new calls>")
    assert watched.serving == ["os-2"]
    await two.health.set("", 2)
    await watched.until("<os-2 DRAINING: its health says NOT_SERVING>")
    assert watched.serving == []
    await two.health.set("", 1)
    await watched.until("<os-2 READY>")
    assert watched.serving == ["os-2"]


async def test_an_instance_is_not_ejected_on_the_registrys_doubt_alone(watched):
    """SUSPECT gets calls while the table's own probe succeeds."""
    adapter = await watched.plug_in()
    await watched.until("<os-1 READY>")
    watched.registry.put(Instance("os-1", "openstack", f"127.0.0.1:{adapter.port}", suspect=True))
    await watched.until("<os-1 SUSPECT: the registry doubts it")
    assert watched.table.snapshot.platforms["openstack"].serving


async def test_a_new_cluster_is_learned_at_the_next_description(watched):
    """Every five seconds; a cluster that the adapter dropped is gone at once."""
    adapter = await watched.plug_in()
    await watched.until("<os-1 READY>")
    adapter.clusters = ("west",)
    described = asyncio.ensure_future(_next_description(watched, adapter))
    await watched.clock.advance(5.0)
    await described
    assert list(watched.table.snapshot.platforms["openstack"].clusters) == ["west"]


async def _next_description(watched, adapter):
    async with asyncio.timeout(10):
        while "west" not in watched.table.snapshot.platforms["openstack"].clusters:
            watched._changed.clear()
            await watched._changed.wait()


async def test_a_platform_is_remembered_for_ten_minutes(watched):
    """Its clusters stay known, as unreachable; then it is forgotten."""
    await watched.plug_in()
    await watched.until("<os-1 READY>")
    watched.registry.remove("os-1")
    await watched.until("[]")
    cluster = watched.table.snapshot.platforms["openstack"].clusters["east"]
    assert cluster.cluster.state == cluster.cluster.STATE_UNREACHABLE
    await watched.clock.advance(REMEMBER_S - 1)
    assert list(watched.table.snapshot.platforms) == ["openstack"]
    await watched.clock.advance(REMEMBER_S / 10 + 2)
    assert list(watched.table.snapshot.platforms) == []


async def test_an_instance_at_a_new_address_is_a_new_instance(watched):
    """The old channel is closed once it is idle; calls go to the new address."""
    old = await watched.plug_in()
    await watched.until("<os-1 READY>")
    endpoint = watched.table.snapshot.platforms["openstack"].instances[0].endpoint
    link = watched.table.channels.pick([endpoint])
    new = HandMadeAdapter(clusters=("east", "west"))
    watched.adapters.append(new)
    watched.registry.put(await new.start())
    await watched.until("CONNECTING")
    await watched.until("<os-1 READY>")
    assert watched.table.snapshot.platforms["openstack"].instances[0].endpoint.address == f"127.0.0.1:{new.port}"
    assert watched.table.channels.in_flight(endpoint) == 0
    assert repr(link) == f"<Link os-1 at 127.0.0.1:{old.port}: 0 in flight>"
