"""What is written into the inventory, on either database: newest reading wins, changes are numbered, locks fence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from gateway.tests.observed_servers import CLUSTER, DATABASES, OTHER, name_of, opened, server
from sqlalchemy import select

from cloudspan.v1 import server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.columns import MAX_TEXT_CHARS, NUL_AS
from cloudspan_gateway.inventory.model import (
    Brake,
    CollectionState,
    Completeness,
    Fence,
    LockLost,
    Observed,
    Origin,
    Written,
)
from cloudspan_gateway.inventory.store import BATCH_ROWS, InventoryStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import resource_changes, resource_values, resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.storage.engine import Database

NAMES = {"a": name_of("a"), "b": name_of("b"), "c": name_of("c")}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=500.0)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Database]:
    async with opened(request.param, clock) as database:
        yield database


@pytest.fixture
def store(database: Database, clock: FakeClock) -> InventoryStore:
    return InventoryStore(database, clock)


async def put(store: InventoryStore, at: float, *rows: Observed, fence: Fence | None = None) -> Written:
    return await store.apply("servers", rows, at, Origin.SWEEP, fence)


async def names(store: InventoryStore, cluster: str = CLUSTER) -> set[str]:
    return {name.rpartition("/")[2] for name in await store.known(cluster, "servers")}


async def kept(database: Database, name: str) -> Any:
    asked = select(resources).where(resources.c.name == name)
    return await database.read(lambda conn: conn.execute(asked).first())


async def values(database: Database) -> set[tuple[str, str]]:
    asked = select(resource_values.c.path, resource_values.c.value)
    return await database.read(lambda conn: {tuple(row) for row in conn.execute(asked)})


async def changes(database: Database) -> list[tuple[int, str, str, str | None]]:
    """What changed: sequence, what, the server's id, and the name for people that it had before."""
    asked = select(resource_changes).order_by(resource_changes.c.sequence)
    found = await database.read(lambda conn: conn.execute(asked).all())
    return [
        (
            row.sequence,
            row.what,
            row.name.rpartition("/")[2],
            None if row.previous is None else server_pb2.Server.FromString(row.previous).display_name,
        )
        for row in found
    ]


async def test_what_was_read_is_kept_and_what_is_the_same_costs_no_change(
    store: InventoryStore, database: Database
) -> None:
    """A second reading of the same rows numbers nothing and leaves their time."""
    rows = [server("a", labels={"team": "x"}), server("b")]
    assert await put(store, 10.0, *rows) == Written(added=2)
    assert await put(store, 20.0, *rows) == Written(unchanged=2)
    row = await kept(database, NAMES["a"])
    assert (row.cluster, row.collection, row.observe_time, row.source) == (CLUSTER, "servers", 10.0, "sweep")
    assert await values(database) == {("labels.team", "x"), ("text", "a"), ("text", "b")}
    assert [change[1:] for change in await changes(database)] == [("added", "a", None), ("added", "b", None)]


async def test_a_change_is_numbered_with_what_was_before(store: InventoryStore, database: Database) -> None:
    """Labels that went are gone, those that stayed are not written again."""
    await put(store, 10.0, server("a", "old", labels={"team": "x", "tier": "1"}))
    assert await put(store, 20.0, server("a", "new", labels={"team": "x", "tier": "2"})) == Written(updated=1)
    labels = {("labels.team", "x"), ("labels.tier", "2")}
    assert await values(database) == {*labels, ("text", "a"), ("text", "new")}
    assert await changes(database) == [(1, "added", "a", None), (2, "updated", "a", "old")]


async def test_what_was_read_earlier_never_replaces_what_was_read_later(
    store: InventoryStore, database: Database
) -> None:
    """Neither a row, nor what a complete sweep has confirmed since, nor what it did not list."""
    await put(store, 20.0, server("a", "new"))
    assert await put(store, 19.0, server("a", "old")) == Written(outdated=1)
    await store.save_state(CollectionState(CLUSTER, "servers", Completeness.COMPLETE, observe_time=30.0))
    assert await put(store, 29.0, server("a", "old"), server("b")) == Written(outdated=2)
    assert await names(store) == {"a"}
    assert (await kept(database, NAMES["a"])).display_name == "new"
    assert await put(store, 31.0, server("a", "newest"), server("b", cluster=OTHER)) == Written(added=1, updated=1)


async def test_rows_go_by_the_listing_of_their_own_project(store: InventoryStore) -> None:
    """Where that is listed by itself, also before the first time; else by what the credentials list."""
    project = f"{CLUSTER}/projects/p"
    await store.save_state(CollectionState(CLUSTER, "servers", Completeness.COMPLETE, observe_time=40.0))
    await store.save_state(CollectionState(CLUSTER, "servers", project=project))
    mine, other = server("a", project=project), server("b", project=f"{CLUSTER}/projects/other")
    assert await put(store, 30.0, mine, other) == Written(added=1, outdated=1)
    listed = CollectionState(CLUSTER, "servers", Completeness.COMPLETE, observe_time=35.0, project=project)
    await store.save_state(listed)
    assert await put(store, 34.0, server("a", "late", project=project)) == Written(outdated=1)
    assert await store.remove([NAMES["a"]], 34.0) == Written(outdated=1)
    assert await store.remove([NAMES["a"]], 36.0) == Written(removed=1)
    assert [(each.project, each.observe_time) for each in await store.states()] == [("", 40.0), (project, 35.0)]
    assert listed in await store.states_of("servers", [CLUSTER])
    assert listed in await store.states_of("servers", [CLUSTER], [project, "none"])
    assert listed not in await store.states_of("servers", [CLUSTER], ["none"])


async def test_a_row_is_the_credentials_once_they_list_it(store: InventoryStore, database: Database) -> None:
    """Whichever listing had it first, though nothing of it changes."""

    async def sources() -> list[str]:
        asked = select(resources.c.source).order_by(resources.c.name)
        return await database.read(lambda conn: list(conn.execute(asked).scalars()))

    for origin, then in (
        (Origin.OPERATION, "operation"), (Origin.PROJECT, "project"), (Origin.PROJECT, "project"),
        (Origin.SWEEP, "sweep"), (Origin.PROJECT, "sweep"), (Origin.READ, "sweep"),
    ):  # fmt: skip
        await store.apply("servers", [server("a")], 10.0, origin)
        assert await sources() == [then]


async def test_what_is_known_is_of_one_project_or_of_all_but_some(store: InventoryStore) -> None:
    one, two = (f"{CLUSTER}/projects/{name}" for name in ("one", "two"))
    await put(store, 10.0, server("a", project=one), server("b", project=two), server("c"))
    found = [await store.known(CLUSTER, "servers", *of) for of in ((), (one,), ("", [one]), ("", [one, two]))]
    assert [{name.rpartition("/")[2] for name in each} for each in found] == [{*"abc"}, {"a"}, {"b", "c"}, {"c"}]


async def test_a_deleted_resource_is_not_brought_back_by_an_older_reading(
    store: InventoryStore, database: Database
) -> None:
    """A later reading of the name is a new resource; nothing of the old one shows."""
    await put(store, 10.0, server("a", "first", labels={"team": "x"}))
    assert await store.remove([NAMES["a"], NAMES["b"]], 20.0) == Written(removed=1, unchanged=1)
    assert await names(store) == set()
    assert await values(database) == set()
    assert await put(store, 15.0, server("a", "late")) == Written(outdated=1)
    assert await put(store, 25.0, server("a", "second")) == Written(added=1)
    assert await names(store) == {"a"}
    assert await changes(database) == [
        (1, "added", "a", None),
        (2, "removed", "a", "first"),
        (3, "added", "a", None),
    ]


async def test_a_resource_that_was_seen_after_the_proof_is_not_deleted(store: InventoryStore) -> None:
    """By its own reading, or by a complete sweep that began later."""
    await put(store, 20.0, server("a"))
    assert await store.remove([NAMES["a"]], 19.0) == Written(outdated=1)
    await store.save_state(CollectionState(CLUSTER, "servers", Completeness.COMPLETE, observe_time=40.0))
    assert await store.remove([NAMES["a"]], 30.0) == Written(outdated=1)
    assert await store.remove([NAMES["a"]], 41.0) == Written(removed=1)


async def test_a_name_twice_in_one_write_is_one_row(store: InventoryStore, database: Database) -> None:
    """The last one stands."""
    assert await put(store, 10.0, server("a", "one"), server("a", "two")) == Written(added=1)
    assert (await kept(database, NAMES["a"])).display_name == "two"


async def test_an_older_holder_of_the_lock_writes_nothing(store: InventoryStore, database: Database) -> None:
    """Not rows, deletions or states, nor does it forget the cluster; the same holder and newer ones write."""
    await put(store, 10.0, server("a"), fence=Fence(CLUSTER, 7))
    old = Fence(CLUSTER, 6)
    with pytest.raises(LockLost, match="number 6"):
        await put(store, 20.0, server("b"), fence=old)
    with pytest.raises(LockLost):
        await store.remove([NAMES["a"]], 20.0, old)
    with pytest.raises(LockLost):
        await store.save_state(CollectionState(CLUSTER, "servers"), old)
    with pytest.raises(LockLost):
        await store.forget(CLUSTER, fence=old)
    assert await names(store) == {"a"}
    assert await store.states() == []
    await put(store, 20.0, server("b"), fence=Fence(CLUSTER, 7))
    await put(store, 20.0, server("c"), fence=Fence(CLUSTER, 8))
    assert await names(store) == {"a", "b", "c"}


async def test_numbers_of_locks_of_an_earlier_process_count_where_others_may_still_run(
    store: InventoryStore, database: Database
) -> None:
    """A file has one process at a time, whose locks may begin at 1 again."""
    await put(store, 10.0, server("a"), fence=Fence(CLUSTER, 7))
    await store.begin_alone()
    if database.shared:
        with pytest.raises(LockLost):
            await put(store, 20.0, server("b"), fence=Fence(CLUSTER, 1))
    else:
        assert await put(store, 20.0, server("b"), fence=Fence(CLUSTER, 1)) == Written(added=1)


async def test_changes_are_numbered_without_gaps_however_many_write_at_once(
    store: InventoryStore, database: Database, clock: FakeClock
) -> None:
    """Two stores, as of two gateways: each change once, in the order of commits."""
    second = InventoryStore(database, clock)
    writers = [
        (store if n % 2 else second).apply("servers", [server(f"s{n}-{m}") for m in range(5)], 10.0, Origin.SWEEP)
        for n in range(10)
    ]
    await asyncio.gather(*writers)
    found = await changes(database)
    assert [change[0] for change in found] == list(range(1, 51))
    assert len({change[2] for change in found}) == 50


async def test_two_gateways_that_read_the_same_new_rows_keep_them_once() -> None:
    """On a shared database, over two connections that write at the same time."""
    async with opened("postgresql") as first:
        second = await open_database(first._url)
        try:
            stores = [InventoryStore(first), InventoryStore(second)]
            rows = [server(f"s{n}") for n in range(300)]
            written = await asyncio.gather(*(put(store, 10.0 + n, *rows) for n, store in enumerate(stores)))
            assert sum(each.added for each in written) == 300
            assert [change[0] for change in await changes(first)] == list(range(1, 301))
        finally:
            await second.close()


async def test_more_rows_than_one_transaction_takes_are_all_written(store: InventoryStore) -> None:
    """Each portion by itself, so that others get their turn."""
    rows = [server(f"s{n}") for n in range(2 * BATCH_ROWS + 1)]
    assert await put(store, 10.0, *rows) == Written(added=len(rows))
    assert len(await store.known(CLUSTER, "servers")) == len(rows)
    assert await store.remove([row.name for row in rows], 20.0) == Written(removed=len(rows))


async def test_what_a_name_does_not_say_is_left_out_and_the_others_are_kept(store: InventoryStore) -> None:
    """Bytes that are no server, and a server that calls itself another."""
    odd = Observed(NAMES["b"], b"\xff\xff", b"0" * 16)
    liar = Observed(NAMES["c"], server("a").payload, b"1" * 16)
    assert await put(store, 10.0, server("a"), odd, liar) == Written(added=1, unreadable=(NAMES["b"], NAMES["c"]))
    assert await names(store) == {"a"}


async def test_texts_and_numbers_of_any_size_are_kept(store: InventoryStore, database: Database) -> None:
    """NUL, which PostgreSQL refuses, texts beyond what its indices take, and sizes beyond 64 bits in bytes."""
    hostile = server("a", "n\0ul" + "é" * 5_000, labels={"k" * 5_000: "v\0" * 5_000}, memory_mib=2**62)
    assert await put(store, 10.0, hostile) == Written(added=1)
    row = await kept(database, NAMES["a"])
    assert row.display_name.startswith(f"n{NUL_AS}ul")
    assert len(row.display_name) <= MAX_TEXT_CHARS
    assert row.memory_bytes == 2**63 - 1
    assert row.payload == hostile.payload


async def test_a_state_is_read_as_it_was_saved(store: InventoryStore) -> None:
    """With its brake; collections that were never listed are in none."""
    state = CollectionState(
        CLUSTER, "servers", Completeness.PARTIAL, "BRAKED", "half is gone", 3, 10.0, 20.5, 30.0, 1.5, 60.0, 19.0,
        Brake(2, 4, 20.25, (NAMES["a"],)), "gateway-1",
    )  # fmt: skip
    await store.save_state(state)
    other = CollectionState(OTHER, "images", Completeness.FAILED, "UNREACHABLE")
    await store.save_state(other)
    assert await store.states([CLUSTER]) == [state]
    assert await store.states() == [state, other]
    assert await store.states([]) == []
    assert await store.states_of("servers", [OTHER, CLUSTER]) == [state]
    assert await store.states_of("images", [CLUSTER]) == []


async def test_what_a_removed_cluster_had_is_removed_and_told(store: InventoryStore, database: Database) -> None:
    """Its states too; what another has stays."""
    await put(store, 10.0, *(server(f"s{n}") for n in range(BATCH_ROWS + 5)), server("a", cluster=OTHER))
    await store.remove([name_of("s0")], 20.0)
    await store.save_state(CollectionState(CLUSTER, "servers"))
    forgotten = await store.forget(CLUSTER)
    assert forgotten.removed == BATCH_ROWS + 4
    assert await store.known(CLUSTER, "servers") == {}
    assert await names(store, OTHER) == {"a"}
    assert await store.states() == []
    assert sum(change[1] == "removed" for change in await changes(database)) == BATCH_ROWS + 5


async def test_what_a_project_had_is_removed_alone(store: InventoryStore, database: Database) -> None:
    """Once no pool has it any more."""
    project = f"{CLUSTER}/projects/p"
    await put(store, 10.0, server("a", project=project), server("b"), server("c", cluster=OTHER, project=project))
    for each in ("", project):
        await store.save_state(CollectionState(CLUSTER, "servers", project=each))
    assert (await store.forget(CLUSTER, project)).removed == 1
    assert await names(store) == {"b"}
    assert [state.project for state in await store.states()] == [""]
    assert (await changes(database))[-1] == (4, "removed", "a", "a")


async def test_rows_that_were_deleted_long_ago_are_purged(
    store: InventoryStore, database: Database, clock: FakeClock
) -> None:
    await put(store, 10.0, server("a"), server("b"))
    await store.remove([NAMES["a"]], 400.0)
    await store.remove([NAMES["b"]], 600.0)
    assert await store.purge(550.0) == 1
    assert await kept(database, NAMES["a"]) is None
    assert await kept(database, NAMES["b"]) is not None
    assert await store.purge(550.0) == 0


async def test_whoever_subscribed_hears_of_changes_and_of_nothing_else(store: InventoryStore) -> None:
    """Until it ends the subscription."""
    heard: list[int] = []
    announced = asyncio.Event()
    end = store.subscribe(lambda: (heard.append(1), announced.set()))
    await put(store, 10.0, server("a"))
    async with asyncio.timeout(5):
        await announced.wait()
    await put(store, 20.0, server("a"))
    await store.save_state(CollectionState(CLUSTER, "servers"))
    end()
    await put(store, 30.0, server("b"))
    assert heard == [1]


async def test_names_that_changed_are_told_from_a_sequence_on(store: InventoryStore, database: Database) -> None:
    """Of one collection, whoever changed them."""
    await put(store, 10.0, server("a"), server("b"))
    last, _ = await store.changed_names(CLUSTER, "servers", 0)
    assert last == 2
    await put(store, 20.0, server("b", "new"), server("c", cluster=OTHER))
    assert await store.changed_names(CLUSTER, "servers", last) == (4, frozenset({NAMES["b"]}))
    assert await store.changed_names(CLUSTER, "servers", None) == (4, frozenset())
    await database.transact(lambda conn: outbox.purge(conn, 1e12, 100))
    assert await store.changed_names(CLUSTER, "servers", last) == (4, None)
    assert await store.changed_names(CLUSTER, "servers", 4) == (4, frozenset())
