"""Waiters of one operation share one event; what others wrote is read once for all of them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest
from gateway.tests.operations_for_stores import intent

from cloudspan_common.errors import NotFound, Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.stores.notifier import Notifier


class Table:
    """The rows of a store, and how often they were read."""

    def __init__(self) -> None:
        self.row = Row(intent(), create_time=1.0, update_time=1.0, revision=1)
        self.reads: list[Sequence[str]] = []
        self.away = 0

    @property
    def id(self) -> str:
        return self.row.intent.id

    async def find(self, ids: Sequence[str]) -> Sequence[Row]:
        self.reads.append(ids)
        if self.away:
            self.away -= 1
            raise Unreachable("the database is away")
        return [self.row] if self.id in ids else []

    def changed(self) -> Row:
        self.row = dataclasses.replace(self.row, revision=self.row.revision + 1)
        return self.row


@pytest.fixture
def table() -> Table:
    return Table()


async def test_many_waiters_take_one_read_and_wake_together(table: Table) -> None:
    notifier = Notifier(table.find, FakeClock())
    waiters = [asyncio.create_task(notifier.changed(table.id, 1)) for _ in range(100)]
    await asyncio.sleep(0.01)
    assert (len(table.reads), repr(notifier)) == (1, "<Notifier 100 waiting for 1 operations>")
    notifier.tell([table.changed()], [])
    assert {row.revision for row in await asyncio.gather(*waiters)} == {2}
    assert (len(table.reads), repr(notifier)) == (1, "<Notifier 0 waiting for 0 operations>")


async def test_an_older_row_that_comes_late_wakes_nobody(table: Table) -> None:
    notifier = Notifier(table.find, FakeClock())
    old = table.row
    table.changed()
    waiter = asyncio.create_task(notifier.changed(table.id, 2))
    await asyncio.sleep(0.01)
    notifier.tell([old], [])
    await asyncio.sleep(0.01)
    assert not waiter.done()
    notifier.tell([table.changed()], [])
    assert (await waiter).revision == 3


async def test_an_operation_that_is_deleted_ends_its_waits(table: Table) -> None:
    """One that never was ends them at once."""
    notifier = Notifier(table.find, FakeClock())
    waiter = asyncio.create_task(notifier.changed(table.id, 1))
    await asyncio.sleep(0.01)
    notifier.tell([], [table.id])
    with pytest.raises(NotFound):
        await waiter
    with pytest.raises(NotFound):
        await notifier.changed("00000000-0000-4000-8000-000000000000", 0)


async def test_what_others_wrote_is_read_again_and_a_database_that_is_away_is_asked_until_it_answers(
    table: Table,
) -> None:
    clock = FakeClock()
    notifier = Notifier(table.find, clock)
    waiter = asyncio.create_task(notifier.changed(table.id, 1))
    await clock.settle()
    table.away = 2
    table.changed()
    notifier.reread()
    for _ in range(2):
        await clock.settle()
        assert not waiter.done()
        await clock.advance(0.5)
    assert (await waiter).revision == 2
    await notifier.close()
