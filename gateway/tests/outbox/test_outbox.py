"""Events within transactions: there exactly if the rest is, numbered with the inventory's changes, purged together."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests.inventory_writer import InventoryWriter
from gateway.tests.observed_servers import DATABASES, name_of, opened, server
from sqlalchemy import func, select

from cloudspan.v1 import server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.events.log import EventLog
from cloudspan_gateway.inventory.model import Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.storage.engine import Database, open_database
from cloudspan_gateway.storage.tables import change_sequence, events, resource_changes


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest):
    async with opened(request.param, FakeClock()) as found:
        await found.transact(outbox.begin)
        yield found


def event(number: int, time: float = 0.0) -> OutboxEvent:
    return OutboxEvent("operation.succeeded", time or float(number), subject=f"s{number}")


async def keep(database: Database, *happened: OutboxEvent) -> None:
    await database.transact(lambda conn: outbox.append(conn, database, happened))


async def numbers(database: Database) -> list[tuple[int, str]]:
    asked = select(events.c.sequence, events.c.subject).order_by(events.c.sequence)
    return await database.read(lambda conn: [tuple(row) for row in conn.execute(asked)])


async def oldest(database: Database) -> int:
    return await database.read(lambda conn: conn.execute(select(change_sequence.c.oldest)).scalar_one())


async def test_an_event_is_there_exactly_if_its_transaction_is(database: Database) -> None:
    """And takes no number where it is not."""

    def fails(conn) -> None:
        outbox.append(conn, database, [event(1)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.transact(fails)
    assert await numbers(database) == []
    await keep(database, event(2), event(3))
    assert await numbers(database) == [(1, "s2"), (2, "s3")]


async def test_whoever_subscribed_hears_of_events(database: Database) -> None:
    heard = asyncio.Event()
    end = database.subscribe(lambda message: heard.set() if message == outbox.ANNOUNCEMENT else None)
    await keep(database, event(1))
    async with asyncio.timeout(5):
        await heard.wait()
    end()


async def test_the_numbers_begin_once(database: Database) -> None:
    """Another gateway that starts leaves the epoch as it is."""
    asked = select(change_sequence)
    before = await database.read(lambda conn: conn.execute(asked).all())
    await database.transact(outbox.begin)
    assert await database.read(lambda conn: conn.execute(asked).all()) == before


async def test_events_and_changes_are_purged_together(database: Database) -> None:
    """The oldest first, some at a time; from when on they are kept is known afterwards."""
    writer = InventoryWriter(database)
    await keep(database, event(1, 10.0), event(2, 20.0))
    await writer.put("servers", *(server_pb2.Server(name=name_of(one)) for one in "ab"))
    await keep(database, event(3, 1e12))
    assert await database.transact(lambda conn: outbox.purge(conn, 1e11, 3)) == 3
    assert await oldest(database) == 3
    assert await database.transact(lambda conn: outbox.purge(conn, 1e11, 3)) == 1
    assert await database.transact(lambda conn: outbox.purge(conn, 1e11, 3)) == 0
    assert (await numbers(database), await oldest(database)) == ([(5, "s3")], 4)
    count = select(func.count()).select_from(resource_changes)
    assert await database.read(lambda conn: conn.execute(count).scalar()) == 0


async def test_what_another_gateway_has_purged_does_not_seem_to_be_kept(database: Database) -> None:
    """It was further when this one came to write down how far it is."""
    await keep(database, event(1))
    await database.transact(lambda conn: conn.execute(change_sequence.update().values(oldest=9)))
    await database.transact(lambda conn: outbox.purge(conn, 1e12, 100))
    assert await oldest(database) == 9


@pytest.mark.timeout(120)
async def test_who_reads_while_many_write_skips_nothing(database: Database) -> None:
    """Several gateways on PostgreSQL, sweeps and operations: whoever has read a number has read all below it."""
    shared = database.shared
    writers = [await open_database(database._url) for _ in range(3)] if shared else [database] * 3
    log, seen, done = EventLog(database), list[int](), asyncio.Event()
    head = await log.head()

    async def write(number: int) -> None:
        for round_ in range(30):
            mine = writers[number]
            await keep(mine, *(event(each) for each in range(round_ % 3 + 1)))
            row = server(f"s{number}-{round_}")
            await InventoryStore(mine).apply("servers", [row], float(round_), Origin.SWEEP)

    async def read() -> None:
        place = head.sequence
        while not (done.is_set() and place == (await log.head()).sequence):
            page = await log.after(place, head.epoch)
            seen.extend(each.sequence for each in page.events)
            place = page.upto
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(3)))
    done.set()
    await reading
    assert seen == list(range(1, 3 * (30 + 60) + 1))
    for writer in writers if shared else ():
        await writer.close()
