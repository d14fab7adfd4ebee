"""The policy in the database: changed together or not at all, and known to every gateway soon after."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway.tests import postgres_server
from gateway.tests.known_callers import EAST, WEST, binding, pool, role, tenant
from sqlalchemy import Connection, select

from cloudspan_common.errors import PreconditionFailed, Unreachable
from cloudspan_common.names import parse_cluster
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.policy import Policy
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.access.store import ANNOUNCEMENT, LOOK_AGAIN_S, Changes, PolicyStore, bindings_of, write
from cloudspan_gateway.storage.engine import Database, open_database
from cloudspan_gateway.storage.tables import policy_revision, tenants

ALICE = Principal("users/alice")
ROWS = (tenant("acme"), pool("acme", "prod", EAST), role("looks", "read"), binding("acme", "alice", "looks"))


@pytest.fixture
async def database():
    opened = await open_database("memory:")
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/gateway.db"
    return postgres_server.needed().new_database()


@asynccontextmanager
async def opened(url: str):
    database = await open_database(url)
    try:
        store = PolicyStore(database)
        await store.load()
        yield store
    finally:
        await database.close()


async def keep(store: PolicyStore, *rows, deleted=()) -> None:
    await store.change(lambda _policy, _conn: (None, Changes(rows, deleted)))


async def test_what_is_kept_is_read_again(url: str) -> None:
    """Rows of each kind, changed and deleted; whoever changed them has them at once."""
    async with opened(url) as store:
        await keep(store, *ROWS)
        assert set(store.policy.rows) == {row.name for row in ROWS}
        await keep(store, tenant("acme", display_name="Acme"), pool("acme", "prod", WEST))
        await keep(store, deleted=["tenants/acme/bindings/alice-looks-all", "roles/looks"])
        revision = store.policy.revision
        await store.load()
    assert store.policy.revision == revision == 3
    assert sorted(store.policy.rows) == ["tenants/acme", "tenants/acme/pools/prod"]
    assert store.policy.tenant("acme").display_name == "Acme"
    assert store.policy.pools["acme"]["prod"].project(parse_cluster(WEST)) == ""
    assert repr(store) == "<PolicyStore <Policy 3: 2 rows, 0 members>>"


async def test_a_tenant_goes_with_all_that_is_in_it(url: str) -> None:
    """In one transaction, whichever order it is named in."""
    async with opened(url) as store:
        await keep(store, *ROWS)
        await keep(store, deleted=["tenants/acme", "tenants/acme/pools/prod", "tenants/acme/bindings/alice-looks-all"])
        assert list(store.policy.rows) == ["roles/looks"]


async def test_a_change_that_is_refused_leaves_nothing(database: Database) -> None:
    """Neither rows nor a revision; what the decision raised is raised."""
    store = PolicyStore(database)
    await keep(store, *ROWS)

    def refuse(policy: Policy, conn: Connection) -> tuple[None, Changes]:
        raise PreconditionFailed("not today")

    with pytest.raises(PreconditionFailed, match="not today"):
        await store.change(refuse)
    assert await database.read(lambda conn: conn.execute(select(policy_revision.c.revision)).scalar()) == 1


async def test_the_last_administrator_of_the_installation_stays(database: Database) -> None:
    """Its binding, and what its role permits; within another store's transaction too."""
    store = PolicyStore(database)
    await keep(store, role("chief", "administer"), binding("-", "root", "chief"), binding("-", "eve", "viewer"))
    for rows, deleted in (((), ["tenants/-/bindings/root-chief-all"]), ((role("chief", "read"),), ())):
        with pytest.raises(PreconditionFailed) as refused:
            await keep(store, *rows, deleted=deleted)
        assert refused.value.reason == "LAST_ADMINISTRATOR"
        with pytest.raises(PreconditionFailed):
            await database.transact(
                lambda conn, rows=rows, deleted=deleted: write(conn, database, Changes(rows, deleted))
            )
    await keep(store, binding("-", "carol", "admin"))
    await keep(store, deleted=["tenants/-/bindings/root-chief-all"])
    assert store.policy.has_administrator


async def test_events_are_kept_with_the_change_or_not_at_all(database: Database) -> None:
    """By what the store was handed, in the same transaction."""
    kept = []

    def keep_events(conn: Connection, events) -> None:
        if "boom" in events:
            raise RuntimeError("the audit can't be written")
        kept.extend(events)

    store = PolicyStore(database, keep_events)
    assert await store.change(lambda _p, _c: ("done", Changes(ROWS)), ["created"]) == ("done", True)
    with pytest.raises(RuntimeError):
        await store.change(lambda _p, _c: (None, Changes(deleted=["roles/looks"])), ["boom"])
    assert kept == ["created"]
    await store.load()
    assert "roles/looks" in store.policy.rows
    assert await PolicyStore(database).change(lambda _p, _c: (None, Changes()), ["other"]) == (None, False)


async def test_another_gateway_knows_a_change_without_waiting(database: Database) -> None:
    """It is announced; no clock needs to move."""
    here, there = PolicyStore(database), PolicyStore(database, clock=FakeClock())
    async with running(there):
        await keep(here, *ROWS)
        await until(lambda: there.policy.revision == 1)
        assert there.access(ALICE, "").roles == ("looks",)
        await keep(here, deleted=["tenants/acme/bindings/alice-looks-all"])
        await until(lambda: there.policy.revision == 2)
        assert there.access(ALICE, "").roles == ()


async def test_two_gateways_on_one_postgresql_change_it_one_after_the_other() -> None:
    """No change is lost, and each decides over what the one before left."""
    url = postgres_server.needed().new_database()
    async with opened(url) as one, opened(url) as other, running(other):
        stores = [one, other] * 5
        seen: list[int] = []

        def counted(number: int):
            def decide(policy: Policy, conn: Connection) -> tuple[None, Changes]:
                seen.append(len(policy.rows))
                return None, Changes([tenant(f"t{number}")])

            return decide

        await asyncio.gather(*(store.change(counted(number)) for number, store in enumerate(stores)))
        await until(lambda: other.policy.revision == 10)
        assert sorted(set(seen)) == list(range(10))
        assert len(other.policy.rows) == 10


async def test_a_lost_announcement_costs_half_a_second(database: Database) -> None:
    """The revision is looked at, whatever was heard."""
    clock = FakeClock()
    store = PolicyStore(database, clock=clock)
    async with running(store):
        await until(lambda: clock.sleepers)
        await database.transact(quiet_change)
        assert store.policy.revision == 0
        await clock.advance(LOOK_AGAIN_S)
        await until(lambda: store.policy.revision == 7)


async def test_a_database_that_is_away_leaves_the_last_policy(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once in the log, and once more when it is back."""
    clock, away = FakeClock(), Away(database)
    store = PolicyStore(away, clock=clock)
    await keep(store, *ROWS)
    async with running(store):
        await until(lambda: clock.sleepers)
        away.gone = True
        for _ in range(4):
            await clock.advance(LOOK_AGAIN_S)
        assert "database away" in repr(store)
        assert store.access(ALICE, "").roles == ("looks",)
        away.gone = False
        await clock.advance(LOOK_AGAIN_S)
    said = capsys.readouterr().out
    assert said.count("policy can't be read; the last one goes on") == 1
    assert said.count("policy can be read again") == 1


async def test_announcements_have_the_form_of_the_operations_store() -> None:
    """A gateway of the version before splits what it hears in three, and has no operation of an empty name."""
    owner, work, ids = ANNOUNCEMENT.split("|")
    assert (owner, work, ids) == ("policy", "", "")


async def test_the_bindings_of_a_member_are_found_for_its_deletion(database: Database) -> None:
    """By whoever deletes it, in its own transaction."""
    await keep(PolicyStore(database), *ROWS, binding("-", "alice", "viewer"), binding("-", "root", "admin"))
    found = await database.read(lambda conn: bindings_of(conn, "users/alice"))
    assert sorted(found) == ["tenants/-/bindings/alice-viewer-all", "tenants/acme/bindings/alice-looks-all"]


# ---------------------------------------------------------------- what they share


class Away:
    """A database that can be unplugged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gone = False

    def __getattr__(self, name: str):
        return getattr(self._database, name)

    async def read(self, ask, *, long=False):
        if self.gone:
            raise Unreachable("it is unplugged")
        return await self._database.read(ask, long=long)


def quiet_change(conn: Connection) -> None:
    conn.execute(tenants.insert().values(tenant="quiet", row=tenant("quiet").SerializeToString()))
    conn.execute(policy_revision.insert().values(only=1, revision=7))


@asynccontextmanager
async def running(store: PolicyStore):
    task = asyncio.create_task(store.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a store tells its policy, and no change of it
            await asyncio.sleep(0.002)
