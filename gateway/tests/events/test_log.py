"""Events are read in their order out of two tables, once for all who are equally far, and never with a gap."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests.events.event_lab import EventLab, event_lab, subjects
from gateway.tests.observed_servers import DATABASES

from cloudspan_common.errors import Resync
from cloudspan_gateway.events import log as event_log
from cloudspan_gateway.inventory.watch.change_log import PAGE
from cloudspan_gateway.outbox import outbox


@pytest.fixture(params=DATABASES)
async def lab(request: pytest.FixtureRequest):
    async with event_lab(request.param) as opened:
        yield opened


async def forwards(lab: EventLab, sequence: int = 0) -> list[str]:
    found, place = [], await lab.place(sequence)
    while (page := await lab.log.after(place.sequence, place.epoch)).events:
        found += subjects(page.events)
        place = place._replace(sequence=page.upto)
    return found


async def backwards(lab: EventLab, sequence: int) -> list[str]:
    found, place = [], await lab.place(sequence)
    while place.sequence:
        page = await lab.log.before(place.sequence, place.epoch)
        found += subjects(page.events)[::-1]
        place = place._replace(sequence=page.upto)
    return found


async def test_pages_hold_both_tables_in_one_order(lab: EventLab) -> None:
    """Forwards and backwards, whichever table has more, from any place."""
    operations, servers = [f"s{number}" for number in range(PAGE + 1)], [f"v{number}" for number in range(2 * PAGE)]
    await lab.happens("begin")
    await lab.changes(*servers)
    await lab.happens(*(one[1:] for one in operations))
    await lab.changes("end")
    order = await forwards(lab)
    assert sorted(order) == sorted(["sbegin", *servers, *operations, "end"])
    assert (order[0], order[-1], order[2 * PAGE + 1 : -1]) == ("sbegin", "end", operations)
    assert await forwards(lab, PAGE) == order[PAGE:]
    assert await backwards(lab, len(order) + 1) == order[::-1]
    assert await backwards(lab, PAGE + 1) == order[PAGE - 1 :: -1]


async def test_those_who_are_equally_far_read_together(lab: EventLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """And who comes later finds the page; nothing is kept of a place behind which nothing has happened."""
    reads, read = [], lab.database.read

    def counted(ask, **options):
        reads.append(ask)
        return read(ask, **options)

    await lab.happens(1)
    place = await lab.place()
    monkeypatch.setattr(lab.database, "read", counted)
    pages = await asyncio.gather(*(lab.log.after(0, place.epoch) for _ in range(50)))
    once = len(reads)
    assert {id(page) for page in pages} == {id(pages[0])}
    await lab.log.after(0, place.epoch)
    assert len(reads) == once <= 3
    assert not (await lab.log.after(1, place.epoch)).events
    await lab.happens(2)
    assert subjects((await lab.log.after(1, place.epoch)).events) == ["s2"]


async def test_a_place_of_numbers_that_began_anew_is_lost(lab: EventLab) -> None:
    await lab.happens(1)
    with pytest.raises(Resync) as lost:
        await lab.log.after(0, "0" * 32)
    assert lost.value.reason == "EVENTS_LOST"


async def test_a_place_behind_the_last_event_is_lost(lab: EventLab) -> None:
    """Of a database that was restored: its numbers will be given again, to something else."""
    await lab.happens(1)
    place = await lab.place()
    with pytest.raises(Resync):
        await lab.log.after(2, place.epoch)


async def test_what_is_no_longer_kept_is_lost_not_passed_over(lab: EventLab) -> None:
    await lab.happens(1, 2, 3)
    place = await lab.place()
    await lab.database.transact(lambda conn: outbox.purge(conn, 2000.0, 2))
    with pytest.raises(Resync):
        await lab.log.after(1, place.epoch)
    assert await forwards(lab, 2) == ["s3"]


async def test_events_are_found_by_their_time(lab: EventLab) -> None:
    """The number in front of the first one since then, and how old the next one behind a number is."""
    await lab.happens(1, time=100.0)
    await lab.changes("a")  # recorded now
    await lab.happens(2, time=9e9)
    assert [await lab.log.first_since(time) for time in (0.0, 100.0, 101.0, 8e9, 9.1e9)] == [0, 0, 1, 2, 3]
    first, now, last, none = [await lab.log.time_behind(number) for number in range(4)]
    assert (first, last, none) == (100.0, 9e9, None)
    assert now is not None
    assert 1.7e9 < now < 8e9


async def test_who_waits_is_woken_by_what_happens(lab: EventLab) -> None:
    """By either table; what came between the look and the wait counts too, and nobody waits for ever."""
    running = asyncio.create_task(lab.log.run())
    await asyncio.sleep(0)
    try:
        for happens in (lambda: lab.happens(1), lambda: lab.changes("a")):
            announced = lab.log.announced
            waiting = asyncio.create_task(lab.log.moved(announced, 60.0))
            await happens()
            async with asyncio.timeout(5):
                while not waiting.done():
                    await lab.clock.advance(event_log.BATCH_S)
            assert lab.log.announced > announced
            await asyncio.wait_for(lab.log.moved(announced, 60.0), 1)
        announced = lab.log.announced
        patient = asyncio.create_task(lab.log.moved(announced, 1.0))
        await lab.clock.advance(0.5)
        assert not patient.done()
        await lab.clock.advance(0.5)
        await asyncio.wait_for(patient, 1)
        assert lab.log.announced == announced
    finally:
        running.cancel()
        await asyncio.wait([running])
