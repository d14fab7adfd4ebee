"""Reads events in their order: the outbox and the changes of the inventory, which share their numbers.

A follower holds a place and no queue. Those that are equally far read a page once, together (`EventLog.after`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, desc, func, select, union_all

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import Resync
from cloudspan_gateway.events.happened import Happened, ResourceChanged
from cloudspan_gateway.inventory.batch import ANNOUNCEMENT as INVENTORY_ANNOUNCEMENT
from cloudspan_gateway.inventory.watch.change_log import PAGE, ChangeLog
from cloudspan_gateway.outbox.outbox import ANNOUNCEMENT
from cloudspan_gateway.storage.tables import events, resource_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from cloudspan_gateway.inventory.watch.change import Change
    from cloudspan_gateway.inventory.watch.change_log import Head
    from cloudspan_gateway.storage.engine import Database

BATCH_S = 0.005
"""What comes within this is read together."""
_PAGES = 8
_AFTER = (
    select(events)
    .where(events.c.sequence > bindparam("at"), events.c.sequence <= bindparam("upto"))
    .order_by(events.c.sequence)
    .limit(PAGE)
)
_R = resource_changes.c
# Of each table its own part first: over the union no index would serve.
_BEFORE = union_all(*(
    select(column).where(column < bindparam("at")).order_by(column.desc()).limit(PAGE).subquery().select()
    for column in (events.c.sequence, _R.sequence)
)).order_by(desc("sequence")).limit(PAGE)  # fmt: skip
_SINCE = select(func.min(union_all(*(
    select(func.min(table.c.sequence).label("sequence")).where(table.c.time >= bindparam("time"))
    for table in (events, resource_changes)
)).subquery().c.sequence))  # fmt: skip
_NEXT_TIME = union_all(*(
    select(table.c.sequence, table.c.time).where(table.c.sequence > bindparam("at")).order_by(table.c.sequence).limit(1)
    .subquery().select()
    for table in (events, resource_changes)
)).order_by("sequence").limit(1)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """Events behind a place, at most `2 * PAGE`."""

    events: Sequence[Happened | ResourceChanged]
    upto: int
    """Everything up to this number is in it, or before it."""
    epoch: str


class EventLog:
    """The events of one database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._changes = ChangeLog(database)
        self._pages: OrderedDict[tuple[str, int], Page] = OrderedDict()
        self._reading = asyncio.Lock()
        self.announced = 0
        """Grows whenever there may be more events; to be looked at before they are read."""
        self._announced = asyncio.Event()
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<EventLog of {self._database!r}>"

    async def head(self) -> Head:
        """Return how far events go. Raises Unreachable as `Database.read` does, which all of these do."""
        return await self._changes.head()

    async def after(self, sequence: int, epoch: str) -> Page:
        """Return the next events behind a place; an empty page where there are none.

        Raises:
            Resync: EVENTS_LOST: some of them are no longer kept, or the numbers began anew.
        """
        async with self._reading:  # one reads, and who waited finds the page
            found = self._pages.get((epoch, sequence))
            if found is None:
                found = await self._read(sequence, epoch)
                if found.events:
                    self._pages[epoch, sequence] = found
                    while len(self._pages) > _PAGES:
                        self._pages.popitem(last=False)
        return found

    async def _read(self, sequence: int, epoch: str) -> Page:
        head = await self._changes.head()
        if epoch != head.epoch or sequence > head.sequence:
            raise lost()
        return await self._between(sequence, head.sequence, epoch)

    async def _between(self, sequence: int, upto: int, epoch: str) -> Page:
        bounds = {"at": sequence, "upto": upto}
        rows = await self._database.read(lambda conn: conn.execute(_AFTER, bounds).all())
        try:  # last: it is this that looks whether what was read had begun to be deleted
            changes, _ = await self._changes.after(sequence, upto)
        except Resync as error:
            raise lost() from error
        full = [page[-1].sequence for page in (rows, changes) if len(page) == PAGE]
        reached = min(full, default=upto)
        return Page(_merged(rows, changes, reached, epoch), reached, epoch)

    async def before(self, sequence: int, epoch: str) -> Page:
        """Return the events in front of a place, in their order; `upto` is where those in front of them end, 0 at last.

        Raises:
            Resync: EVENTS_LOST: the numbers began anew.
        """
        values = {"at": sequence}
        found = await self._database.read(lambda conn: conn.execute(_BEFORE, values).scalars().all())
        if not found:
            return Page((), 0, epoch)
        page = await self._between(found[-1] - 1, sequence - 1, epoch)
        return Page(page.events, found[-1] if len(found) == PAGE else 0, epoch)

    async def first_since(self, time: float) -> int:
        """Return the number in front of the first event that was recorded at a time, Unix seconds, or later."""
        values = {"time": time}
        found = await self._database.read(lambda conn: conn.execute(_SINCE, values).scalar())
        return (await self.head()).sequence if found is None else int(found) - 1

    async def time_behind(self, sequence: int) -> float | None:
        """Return when the next event behind a number was recorded, Unix seconds; None where there is none."""
        values = {"at": sequence}
        found = await self._database.read(lambda conn: conn.execute(_NEXT_TIME, values).first())
        return None if found is None else float(found.time)

    async def moved(self, announced: int, timeout_s: float) -> None:
        """Return once there may be more events than when `announced` was so many, or after a while."""
        if self.announced != announced:
            return
        waiting = asyncio.ensure_future(self._moved.wait())
        try:
            await finished(self._clock, waiting, timeout_s)
        finally:
            waiting.cancel()

    async def run(self) -> None:
        """Wake who waits whenever there are new events, until cancelled."""
        unsubscribe = self._database.subscribe(self._heard)
        try:
            while True:
                await self._announced.wait()
                await self._clock.sleep(BATCH_S)
                self._announced.clear()
                self.wake()
        finally:
            unsubscribe()

    def wake(self) -> None:
        """Wake who waits: there are events, or the gateway drains."""
        self.announced += 1
        self._moved.set()
        self._moved = asyncio.Event()

    def _heard(self, message: str | None) -> None:
        if message is None or message in (ANNOUNCEMENT, INVENTORY_ANNOUNCEMENT):
            self._announced.set()


def lost() -> Resync:
    """Return the error for who wants events that are no longer kept."""
    text = (
        "the events behind this place are no longer kept, or were begun anew; begin without resume_token, and read "
        "what may have changed meanwhile"
    )
    return Resync(text, reason="EVENTS_LOST")


def _merged(
    rows: Sequence[Row[Any]], changes: Sequence[Change], upto: int, epoch: str
) -> Sequence[Happened | ResourceChanged]:
    found: list[Happened | ResourceChanged] = [Happened(row, epoch) for row in rows if row.sequence <= upto]
    found += [ResourceChanged(change, epoch) for change in changes if change.sequence <= upto]
    return sorted(found, key=attrgetter("sequence"))
