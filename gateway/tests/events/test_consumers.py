"""Named consumers in their table: how far each is, how many a tenant may have, and who reads as one."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests import postgres_server
from gateway.tests.events.event_lab import EventLab, event_lab
from gateway.tests.observed_servers import DATABASES

from cloudspan_common.errors import Busy, NotFound, PreconditionFailed, Resync, Unreachable
from cloudspan_common.registry.coordination.memory import World
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.events import consumers
from cloudspan_gateway.events.consumers import Consumers
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.engine import open_database

LEASE_S = 10.0


@pytest.fixture(params=DATABASES)
async def lab(request: pytest.FixtureRequest):
    async with event_lab(request.param) as opened:
        yield opened


@pytest.fixture
async def kept(lab: EventLab):
    coordinator = World(lab.clock).coordinator(LEASE_S)
    yield Consumers(lab.database, coordinator, lab.clock)
    await coordinator.close()


async def test_a_consumer_begins_once(lab: EventLab, kept: Consumers) -> None:
    """Where its first stream said; later ones find it there."""
    place = await lab.place(0)
    begun = await kept.begun("acme", "billing", place._replace(sequence=7))
    await lab.clock.advance(5.0)
    assert await kept.begun("acme", "billing", place) == begun
    assert (begun.name, begun.place.sequence) == ("tenants/acme/eventConsumers/billing", 7)
    assert begun.create_time == lab.clock.now() - 5.0
    assert await kept.of("acme") == await kept.of() == [begun]
    assert await kept.of("other") == []


async def test_a_place_moves_forward_alone(lab: EventLab, kept: Consumers) -> None:
    """When it acknowledged last is kept all the same."""
    place = await lab.place(5)
    await kept.begun("acme", "billing", place)
    for sequence, then in ((9, 9), (7, 9), (9, 9), (12, 12)):
        await lab.clock.advance(1.0)
        found = await kept.acknowledge("acme", "billing", place._replace(sequence=sequence))
        assert found is not None
        assert (found.place.sequence, found.acknowledge_time) == (then, lab.clock.now())
    assert await kept.acknowledge("acme", "nobody", place) is None


async def test_after_numbers_began_anew_a_place_may_be_a_lower_one(lab: EventLab, kept: Consumers) -> None:
    """Of the new numbers; one of the old ones is refused."""
    place = await lab.place(0)
    await kept.begun("acme", "billing", Place(90, "0" * 32))
    with pytest.raises(Resync):
        await kept.acknowledge("acme", "billing", Place(91, "0" * 32))
    found = await kept.acknowledge("acme", "billing", place._replace(sequence=3))
    assert found is not None
    assert found.place == place._replace(sequence=3)


async def test_one_reads_as_a_consumer_until_it_leaves_or_its_lease_ends(lab: EventLab, kept: Consumers) -> None:
    async with kept.reading("acme", "billing") as reading:
        await reading.check()
        with pytest.raises(Busy) as busy:
            await kept.reading("acme", "billing").__aenter__()
        assert busy.value.reason == "CONSUMER_IN_USE"
        async with kept.reading("other", "billing"):
            pass  # another tenant's
    async with kept.reading("acme", "billing") as reading:
        await kept._coordinator.close()
        with pytest.raises(Unreachable, match="may no longer read"):
            await reading.check()


async def test_a_reader_notices_that_its_consumer_is_deleted(lab: EventLab, kept: Consumers) -> None:
    """Within a second, and without a look into the database for each page."""
    await kept.begun("acme", "billing", await lab.place())
    async with kept.reading("acme", "billing") as reading:
        await lab.clock.advance(consumers.LOOK_S)
        await reading.check()
        assert await kept.forget("acme", "billing")
        await reading.check()
        await lab.clock.advance(consumers.LOOK_S)
        with pytest.raises(NotFound, match="was deleted"):
            await reading.check()
    assert not await kept.forget("acme", "billing")


async def test_gateways_that_begin_consumers_at_once_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them waits for the other."""
    monkeypatch.setattr(consumers, "MOST_OF_A_TENANT", 2)
    url, clock = postgres_server.needed().new_database(), FakeClock()
    databases = [await open_database(url) for _ in range(3)]
    try:
        await databases[0].transact(outbox.begin)
        gateways = [Consumers(database, World(clock).coordinator(LEASE_S), clock) for database in databases]
        place = Place(0, "e")
        await gateways[0].begun("acme", "first", place)
        for _ in range(5):
            asked = (one.begun("acme", f"c{number}", place) for number, one in enumerate(gateways))
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in found].count(PreconditionFailed) == 2, found
            (made,) = [one for one in await gateways[0].of("acme") if one.consumer != "first"]
            await gateways[0].forget("acme", made.consumer)
    finally:
        for database in databases:
            await database.close()
