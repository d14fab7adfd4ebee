"""What tests of events below the services share: an empty database with numbers, and events in it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.tests.inventory_writer import InventoryWriter
from gateway.tests.observed_servers import opened

from cloudspan.v1 import server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.events.log import EventLog
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.storage.engine import Database

EAST = "platforms/openstack/clusters/east"


class EventLab:
    """A database, and what reads its events; time passes as the test says."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.log = EventLog(database, clock)
        self.inventory = InventoryWriter(database)

    async def happens(self, *subjects: object, time: float = 1000.0, tenant: str = "acme") -> None:
        """Keep ends of operations, in one transaction."""
        happened = [OutboxEvent("operation.succeeded", time, f"s{one}", tenant=tenant) for one in subjects]
        await self.database.transact(lambda conn: outbox.append(conn, self.database, happened))

    async def changes(self, *keys: object) -> None:
        """Keep servers in one transaction."""
        found = [server_pb2.Server(name=f"{EAST}/servers/{key}") for key in keys]
        await self.inventory.put_together("servers", *found)

    async def place(self, sequence: int = 0) -> Place:
        return Place(sequence, (await self.log.head()).epoch)


@asynccontextmanager
async def event_lab(kind: str = "sqlite") -> AsyncIterator[EventLab]:
    """Open an empty database of a kind whose numbers have begun."""
    clock = FakeClock()
    async with opened(kind, clock) as database:
        await database.transact(outbox.begin)
        yield EventLab(database, clock)


def subjects(events) -> list[str]:
    """What events are about, by their last part."""
    return [
        each.event.subject if hasattr(each, "event") else each.seen_by("").subject.rpartition("/")[2] for each in events
    ]
