"""The suite of locks and groups on SQLite and on PostgreSQL, and what only a database can do to them."""

from __future__ import annotations

import functools

import pytest
from common.base.tests.registry.coordination.place import LEASE_S, Place
from common.base.tests.registry.coordination.suite import *  # noqa: F403 - the suite
from gateway.tests.postgres_server import needed

from cloudspan_common.errors import Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.storage.coordination import DatabaseClaims, coordinator_in
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import group_members, locks

TABLES = (locks, group_members)


class InSqlite(Place):
    """One file is one gateway's: its coordinators are to each other as several gateways' are."""

    def __init__(self, database, clock):
        super().__init__(clock)
        self.database = database

    def store(self):
        return DatabaseClaims(self.database, self.clock, LEASE_S)

    async def erase(self):
        await self.database.transact(lambda conn: [conn.execute(table.delete()) for table in TABLES])

    async def forget(self):
        await self.erase()

    async def close(self):
        await super().close()
        await self.database.close()


class InPostgres(InSqlite):
    """Each coordinator has a database object of its own, as each gateway has; leases go by the server's clock."""

    def __init__(self, gateways, clock):
        super().__init__(gateways[0], clock)
        self._gateways = gateways
        self._unused = gateways[1:]

    def store(self):
        return DatabaseClaims(self._unused.pop(), self.clock, LEASE_S)

    async def expire(self, seconds):
        aged = [table.update().values(lease_until=table.c.lease_until - seconds) for table in TABLES]
        await self.database.transact(lambda conn: [conn.execute(each) for each in aged])

    async def close(self):
        await super().close()
        for database in self._gateways[1:]:
            await database.close()


@functools.cache
def _url() -> str:
    return needed().new_database()


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest):
    """Each database in turn."""
    clock = FakeClock()
    if request.param == "sqlite":
        made = InSqlite(await open_database("memory:", clock), clock)
    else:
        made = InPostgres([await open_database(_url()) for _ in range(5)], clock)
        await made.erase()
    yield made
    await made.close()


async def test_a_lock_of_an_earlier_process_is_free_and_its_fence_is_not_forgotten(tmp_path) -> None:
    """On SQLite leases go by a clock that begins anew with the machine: what was held before it is nobody's."""
    clock, file = FakeClock(), f"sqlite:{tmp_path / 'gateway.db'}"
    before = await open_database(file, clock)
    place = InSqlite(before, clock)
    earlier = place.open()
    held = [await earlier.lock(f"x{number}") for number in range(3)]
    await earlier.join("g", "m")
    await place.kill(earlier)
    await before.close()
    later_clock = FakeClock(now=1.0)  # and its wall clock is wrong
    later_clock._monotonic = 1.0
    database = await open_database(file, later_clock)
    later = coordinator_in(database, later_clock)
    assert await anext(later.members("g")) == {}
    assert (await later.lock("x0")).fence > held[-1].fence
    await later.close()
    await database.close()


async def test_a_commit_that_takes_longer_than_is_waited_for_is_an_error_and_gives_nothing(monkeypatch) -> None:
    """A database that hangs holds nobody up who asks for a lock."""
    monkeypatch.setattr("cloudspan_gateway.storage.coordination._CALL_S", 0.05)
    database = await open_database("memory:")
    coordinator = coordinator_in(database)
    async with database._turn:
        with pytest.raises(Unreachable, match="does not answer"):
            await coordinator.lock("x")
    assert await coordinator.lock("x") is not None
    await coordinator.close()
    await database.close()


async def test_rows_of_the_dead_are_cleared_away_by_those_who_claim(place) -> None:
    """Names of processes are new each time; their rows would only become more."""
    one, two = place.open(), place.open()
    await one.lock("x")
    await one.join("g", "dead")
    await place.kill(one)
    await place.pass_time(LEASE_S * 2)
    await two.lock("y")
    await two.join("g", "alive")
    rows = await place.database.read(lambda conn: [conn.execute(table.select()).all() for table in TABLES])
    assert sorted(row.name for row in rows[0]) == ["fences", "lock/y"]
    assert [row.member for row in rows[1]] == ["alive"]


async def test_who_asks_in_vain_writes_nothing(place) -> None:
    """Gateways ask again and again for what another has."""
    one, two = place.open(), place.open()
    await one.lock("x")
    await two.lock("y")
    before = await place.database.read(lambda conn: conn.execute(locks.select()).all())
    for _ in range(5):
        assert await two.lock("x") is None
    assert await place.database.read(lambda conn: conn.execute(locks.select()).all()) == before
