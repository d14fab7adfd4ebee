"""Which gateway sweeps which cluster and when, and what may be asked of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, OTHER, name_of, opened, server
from sqlalchemy import func, select

from cloudspan_common.errors import OutOfTime
from cloudspan_gateway.inventory.model import Completeness, Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.config import SyncSettings
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.storage.engine import Database

from gateway.tests.swept_installation import Installation, kept, state_of, within


async def test_a_cluster_of_the_table_is_swept_at_once_and_said_by_whom(
    installation: Installation, database: Database
) -> None:
    """Each collection by itself: what the cluster does not have spoils nothing."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], deadline=within())
        state = await state_of(database)
        assert (state.completeness, state.owner, state.row_count) == (Completeness.COMPLETE, "gateway-1", 1)
        assert (await state_of(database, collection="images")).completeness is Completeness.UNSUPPORTED
        assert await kept(database) == {"a"}


async def test_a_cluster_that_appears_is_swept_when_the_table_tells_of_it(
    installation: Installation, database: Database
) -> None:
    """And one that is gone no longer."""
    async with installation.gateway(database, "gateway-1") as sync:
        await installation.until(lambda: CLUSTER in installation.clouds.listed)
        installation.clusters.append(OTHER)
        sync.wake()
        await installation.until(lambda: OTHER in installation.clouds.listed)
        installation.clusters.remove(CLUSTER)
        sync.wake()
        await installation.until(lambda: list(sync._swept) == [OTHER])
        async with asyncio.timeout(10):
            while await kept(database, OTHER) != set(installation.clouds.clouds[OTHER].servers):
                await installation.passes(5.0)
        assert list(sync._swept) == [OTHER]
        assert await kept(database, OTHER) == set(installation.clouds.clouds[OTHER].servers)


async def test_the_pause_between_two_sweeps_follows_how_much_changes(
    installation: Installation, database: Database
) -> None:
    """Half as long after a change, half as long again after none, within the bounds."""
    async with installation.gateway(database, "gateway-1") as sync:
        intervals = []
        for n in range(6):
            if n == 4:
                installation.clouds.clouds[CLUSTER].servers["a"] = "renamed"
            await sync.now([CLUSTER], ["servers"], deadline=within())
            intervals.append((await state_of(database)).interval_s)
    grown = [15.0 * 1.5**n for n in range(len(intervals))]
    first = grown.index(pytest.approx(intervals[0]))
    assert intervals[:4] == pytest.approx(grown[first : first + 4])
    assert intervals[4] == pytest.approx(max(intervals[3] / 2, 15.0))
    assert intervals[5] == pytest.approx(intervals[4] * 1.5)


async def test_a_collection_is_swept_again_when_it_is_due(installation: Installation, database: Database) -> None:
    """Not before, and by itself."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        listed = len(installation.clouds.listed)
        await installation.passes(10.0)
        assert len(installation.clouds.listed) == listed
        await installation.until(lambda: len(installation.clouds.listed) > listed, each_s=1.0)


async def test_an_early_sweep_is_made_soon_and_not_for_each_that_asks(
    installation: Installation, database: Database
) -> None:
    """Many operations end in one second."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        listed = len(installation.clouds.listed)
        for _ in range(20):
            sync.soon(CLUSTER, ["servers", "nothing of that name"])
        await installation.until(lambda: len(installation.clouds.listed) > listed, each_s=0.5)
        await installation.passes(10.0)
        assert len(installation.clouds.listed) == listed + 1


async def test_all_who_ask_before_a_sweep_begins_share_it(installation: Installation, database: Database) -> None:
    """A sweep that had begun before is not theirs: it may have read already what they ask about."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        installation.clouds.held = asyncio.Event()
        listed = len(installation.clouds.listed)
        first = asyncio.create_task(sync.now([CLUSTER], ["servers"], deadline=within()))
        await installation.until(lambda: len(installation.clouds.listed) == listed + 1)
        others = [asyncio.create_task(sync.now([CLUSTER], ["servers"], deadline=within())) for _ in range(20)]
        await installation.clock.settle()
        installation.clouds.held.set()
        await asyncio.gather(first, *others)
        assert len(installation.clouds.listed) == listed + 2


async def test_a_sweep_that_is_waited_for_too_long_goes_on(installation: Installation, database: Database) -> None:
    """Who asked hears that its time is over."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        installation.clouds.held = asyncio.Event()
        installation.clouds.clouds[CLUSTER].servers["b"] = "b"
        with pytest.raises(OutOfTime):
            await sync.now([CLUSTER], ["servers"], deadline=within(0.05))
        installation.clouds.held.set()
        await installation.until(lambda: sync._swept[CLUSTER]["servers"][0].state.row_count == 2)


async def test_a_brake_is_released_by_who_asks_for_it(installation: Installation, database: Database) -> None:
    """The next sweep accepts what is proven."""
    cloud = installation.clouds.clouds[CLUSTER]
    cloud.servers = {f"s{n:02}": "x" for n in range(20)}
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        cloud.servers = {"s00": "x"}
        await installation.clock.advance(1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert (await state_of(database)).reason == "BRAKED"
        await sync.now([CLUSTER], ["servers"], release_brake=True, deadline=within())
        assert (await state_of(database)).brake is None
        assert await kept(database) == {"s00"}


async def test_changes_are_asked_for_between_sweeps_where_the_cloud_tells_them(
    installation: Installation, database: Database
) -> None:
    """A deletion that it tells is a reason to sweep."""
    cloud = installation.clouds.clouds[CLUSTER]
    cloud.tells_changes = True
    installation.settings = SyncSettings(fastest_s=15.0, slowest_s=600.0)
    async with installation.gateway(database, "gateway-1") as sync:
        for _ in range(6):  # the pause between two sweeps grows
            await sync.now([CLUSTER], ["servers"], deadline=within())
        swept = sync._swept[CLUSTER]["servers"][0]
        listed = len(installation.clouds.listed)
        cloud.servers["b"] = "b"
        await installation.passes(20.0)
        await installation.until(lambda: swept.state.changes_time != swept.state.observe_time)
        assert (len(installation.clouds.listed), await kept(database)) == (listed, {"a", "b"})
        del cloud.servers["a"]
        cloud.gone = ["a"]
        await installation.until(lambda: swept.state.row_count == 1, each_s=1.0)
        assert await kept(database) == {"b"}
        assert len(installation.clouds.listed) == listed + 1


async def test_a_collection_that_fails_is_tried_again_with_growing_pauses_and_spoils_no_other(
    installation: Installation, database: Database
) -> None:
    """What is kept stays."""
    cloud = installation.clouds.clouds[CLUSTER]
    installation.clusters.append(OTHER)
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER, OTHER], deadline=within())
        cloud.fails_at = 0
        intervals = []
        for _ in range(4):
            await sync.now([CLUSTER, OTHER], ["servers"], deadline=within())
            intervals.append((await state_of(database)).interval_s)
        assert intervals == [15.0, 30.0, 60.0, 120.0]
        assert (await state_of(database)).completeness is Completeness.FAILED
        assert (await state_of(database, OTHER)).completeness is Completeness.COMPLETE
        assert await kept(database) == {"a"}


async def test_a_cluster_that_no_adapter_has_for_long_is_forgotten(
    installation: Installation, database: Database
) -> None:
    """Its rows, and what was known of them."""
    installation.clusters.append(OTHER)
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER, OTHER], deadline=within())
        installation.clusters.remove(OTHER)
        sync.wake()
        await installation.passes(50.0)
        assert await kept(database, OTHER) == {"a"}
        async with asyncio.timeout(10):
            while await kept(database, OTHER):
                await installation.passes(60.0)
        assert await InventoryStore(database).states([OTHER]) == []
        assert await kept(database) == {"a"}


async def test_rows_that_were_deleted_long_ago_are_purged(installation: Installation, database: Database) -> None:
    """By one of the members of the group."""
    rows = select(func.count()).select_from(resources)
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], deadline=within())
        installation.clouds.clouds[CLUSTER].servers.clear()
        await InventoryStore(database).remove([name_of("a")], installation.clock.now())
        assert await kept(database) == set()
        assert await database.read(lambda conn: conn.execute(rows).scalar()) == 1
        async with asyncio.timeout(10):
            while await database.read(lambda conn: conn.execute(rows).scalar()):
                await installation.clock.advance(600.0)
                await asyncio.sleep(0.005)


@asynccontextmanager
async def two_databases() -> AsyncIterator[tuple[Database, Database]]:
    """One PostgreSQL database as two gateways have it."""
    async with opened("postgresql") as first:
        second = await open_database(first._url)
        try:
            yield first, second
        finally:
            await second.close()


async def test_clusters_are_spread_over_gateways_and_go_to_the_one_that_is_left(installation: Installation) -> None:
    """Each is swept by one at a time."""
    installation.clusters = [f"platforms/memory/clusters/c{n}" for n in range(8)]
    installation.clouds.clouds = {each: ListedCloud({"a": "a"}, cluster=each) for each in installation.clusters}
    async with two_databases() as (one, two), installation.gateway(one, "gateway-1") as first:
        await installation.until(lambda: len(first._swept) == 8)
        async with installation.gateway(two, "gateway-2") as second:
            await installation.until(
                lambda: len(first._swept) + len(second._swept) == 8 and len(second._swept) > 0, each_s=0.5
            )
            assert not first._swept.keys() & second._swept.keys()
            assert len(first._swept) > 0
        await installation.until(lambda: len(first._swept) == 8, each_s=0.5)


async def test_a_sweep_is_asked_of_the_gateway_that_has_the_cluster(installation: Installation) -> None:
    """Now or soon; the answer comes when it has ended."""
    async with (
        two_databases() as (one, two),
        installation.gateway(one, "gateway-1") as first,
        installation.gateway(two, "gateway-2") as second,
    ):
        await installation.until(lambda: bool(first._swept) != bool(second._swept), each_s=0.5)
        await installation.passes(5.0)
        other = second if first._swept else first
        owner = first if first._swept else second
        installation.clouds.clouds[CLUSTER].servers["b"] = "b"
        await other.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(one) == {"a", "b"}
        listed = len(installation.clouds.listed)
        other.soon(CLUSTER, ["servers"])
        await installation.until(lambda: len(installation.clouds.listed) > listed, each_s=0.5)
        assert owner._swept.keys() == {CLUSTER}


async def test_what_an_owner_writes_after_it_lost_the_cluster_is_refused(
    installation: Installation, database: Database
) -> None:
    """It lets go of it, and takes it again by a new number."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        fence = sync._swept[CLUSTER]["servers"][0]._fence
        newer = type(fence)(CLUSTER, fence.number + 1)
        store = InventoryStore(database, installation.clock)
        await store.apply("servers", [server("z")], installation.clock.now() + 1, Origin.SWEEP, newer)
        installation.clouds.clouds[CLUSTER].servers["b"] = "b"
        asked = asyncio.create_task(sync.now([CLUSTER], ["servers"], deadline=within()))
        await installation.until(asked.done, each_s=0.5)
        await asked
        assert sync._swept[CLUSTER]["servers"][0]._fence.number > fence.number
        assert "b" in await kept(database)
