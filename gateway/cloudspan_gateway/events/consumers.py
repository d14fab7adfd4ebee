"""Named consumers of events: how far each has come is kept, and one stream at a time reads as it.

`services.events` begins, reads, acknowledges and forgets them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update

from cloudspan_common.errors import Busy, NotFound, PreconditionFailed, Unreachable
from cloudspan_gateway.events.log import lost
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.storage.tables import change_sequence, event_consumers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import Row

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.coordination import Coordinator, Held
    from cloudspan_gateway.storage.engine import Database

LOOK_S = 1.0
"""How often a stream looks whether its consumer is still there."""
MOST_OF_A_TENANT = 100
_RETRY_S = 2.0

c = event_consumers.c


@dataclass(frozen=True, slots=True)
class Consumer:
    """One consumer; times are Unix seconds."""

    tenant: str
    consumer: str
    place: Place
    create_time: float
    acknowledge_time: float | None

    @property
    def name(self) -> str:
        """Its resource name."""
        return name_of(self.tenant, self.consumer)


def name_of(tenant: str, consumer: str) -> str:
    """Return the resource name of a consumer."""
    return f"tenants/{tenant}/eventConsumers/{consumer}"


class Reading:
    """One stream that reads as a consumer."""

    def __init__(self, consumers: Consumers, held: Held, tenant: str, consumer: str) -> None:
        self._consumers = consumers
        self._held = held
        self._ids = (tenant, consumer)
        self._looked = consumers.clock.monotonic()

    def __repr__(self) -> str:
        return f"<Reading as {name_of(*self._ids)}>"

    async def check(self) -> None:
        """Return if the stream may go on. To be asked often: it looks into the database once a second.

        Raises:
            Unreachable: The lock was lost: another stream may read as the consumer.
            NotFound: The consumer was deleted.
        """
        name = name_of(*self._ids)
        if self._held.lost.is_set():
            text = f"this gateway may no longer read events as {name}; watch again with the last resume_token"
            raise Unreachable(text)
        now = self._consumers.clock.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        if await self._consumers.get(*self._ids) is None:
            text = f"{name} was deleted, and the stream that read as it ends; watch again to begin it anew"
            raise NotFound(text, resource=name)


class Consumers:
    """The consumers of one database."""

    def __init__(self, database: Database, coordinator: Coordinator, clock: Clock) -> None:
        self._database = database
        self._coordinator = coordinator
        self.clock = clock

    def __repr__(self) -> str:
        return f"<Consumers in {self._database!r}>"

    @asynccontextmanager
    async def reading(self, tenant: str, consumer: str) -> AsyncIterator[Reading]:
        """Read as a consumer inside the `with` block, as long as what it yields lets.

        Raises:
            Busy: CONSUMER_IN_USE: another stream does, at this gateway or another one.
            CloudspanError: Who keeps locks is away.
        """
        held = await self._coordinator.lock(f"event-consumer/{tenant}/{consumer}")
        if held is None:
            name = name_of(tenant, consumer)
            text = (
                f"another stream reads events as {name}; try again to take over once it ends, or use another consumer"
            )
            raise Busy(text, reason="CONSUMER_IN_USE", retry_after_s=_RETRY_S, resource=name)
        async with held:
            yield Reading(self, held, tenant, consumer)

    async def begun(self, tenant: str, consumer: str, first: Place) -> Consumer:
        """Return a consumer; one that is new begins behind `first`.

        Raises:
            PreconditionFailed: TOO_MANY_FOLLOWERS: it would be new, and its tenant has as many as it may have.
        """

        def begin(conn: Connection) -> Consumer:
            found = conn.execute(select(event_consumers).where(_is(tenant, consumer))).first()
            if found is not None:
                return _consumer(found)
            # Locked, so that another gateway begins one before this is counted, or behind it.
            conn.execute(select(c.consumer).where(c.tenant == tenant).with_for_update()).all()
            count = conn.execute(select(func.count()).select_from(event_consumers).where(c.tenant == tenant)).scalar()
            if (count or 0) >= MOST_OF_A_TENANT:
                raise _too_many(tenant)
            made = Consumer(tenant, consumer, first, self.clock.now(), None)
            conn.execute(insert(event_consumers).values(_values(made)))
            return made

        return await self._database.transact(begin)

    async def acknowledge(self, tenant: str, consumer: str, place: Place) -> Consumer | None:
        """Move a consumer forward to a place, and return it; None if there is none.

        Raises:
            Resync: EVENTS_LOST: the place is one of numbers that began anew since.
        """

        def move(conn: Connection) -> Consumer | None:
            if place.epoch != conn.execute(select(change_sequence.c.epoch)).scalar():
                raise lost()
            here = _is(tenant, consumer)
            conn.execute(update(event_consumers).where(here).values(acknowledge_time=self.clock.now()))
            behind = (c.sequence < place.sequence) | (c.epoch != place.epoch)
            conn.execute(update(event_consumers).where(here, behind).values(place._asdict()))
            found = conn.execute(select(event_consumers).where(here)).first()
            return _consumer(found) if found is not None else None

        return await self._database.transact(move)

    async def get(self, tenant: str, consumer: str) -> Consumer | None:
        """Return a consumer, or None."""
        asked = select(event_consumers).where(_is(tenant, consumer))
        found = await self._database.read(lambda conn: conn.execute(asked).first())
        return _consumer(found) if found is not None else None

    async def of(self, tenant: str | None = None) -> Sequence[Consumer]:
        """Return the consumers of a tenant, or of all, by name."""
        asked = select(event_consumers).order_by(c.tenant, c.consumer)
        if tenant is not None:
            asked = asked.where(c.tenant == tenant)
        return await self._database.read(lambda conn: [_consumer(row) for row in conn.execute(asked)])

    async def forget(self, tenant: str, consumer: str) -> bool:
        """Delete a consumer; return whether there was one."""
        gone = delete(event_consumers).where(_is(tenant, consumer))
        return bool(await self._database.transact(lambda conn: conn.execute(gone).rowcount))


def _is(tenant: str, consumer: str) -> Any:
    return and_(c.tenant == tenant, c.consumer == consumer)


def _consumer(row: Row[Any]) -> Consumer:
    place = Place(row.sequence, row.epoch)
    return Consumer(row.tenant, row.consumer, place, row.create_time, row.acknowledge_time)


def _values(made: Consumer) -> dict[str, Any]:
    kept = {"tenant": made.tenant, "consumer": made.consumer, "create_time": made.create_time}
    return {**kept, **made.place._asdict()}


def _too_many(tenant: str) -> PreconditionFailed:
    text = (
        f"tenants/{tenant} has {MOST_OF_A_TENANT} event consumers, as many as it may have; delete those that nobody "
        "reads as (ListEventConsumers shows when each acknowledged last)"
    )
    return PreconditionFailed(text, reason="TOO_MANY_FOLLOWERS", resource=f"tenants/{tenant}")
