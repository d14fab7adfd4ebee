"""Which gateway sweeps which cluster and when, and what may be asked of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, OTHER, name_of, opened, server
from sqlalchemy import func, select

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import OutOfTime, Unsupported
from cloudspan_common.registry.coordination.memory import World
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.model import CollectionState, Completeness, Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.collection import Environment
from cloudspan_gateway.inventory.sync.config import SyncSettings
from cloudspan_gateway.inventory.sync.metrics import SyncMetrics
from cloudspan_gateway.inventory.sync.source import Page, PageRequest
from cloudspan_gateway.inventory.sync.sync import Sync
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cloudspan_gateway.inventory.model import Observed
    from cloudspan_gateway.storage.engine import Database

LEASE_S = 10.0


@dataclass
class Clouds:
    """Several clusters with servers, and nothing else."""

    clouds: dict[str, ListedCloud] = field(
        default_factory=lambda: {each: ListedCloud({"a": "a"}, cluster=each) for each in (CLUSTER, OTHER)}
    )
    listed: list[str] = field(default_factory=list)
    """The clusters whose servers were listed, in order."""
    held: asyncio.Event | None = None
    """Until it is set no page is answered."""

    async def page(self, request: PageRequest) -> Page:
        if request.collection != "servers":
            raise Unsupported("there are servers alone here", reason="METHOD_ABSENT")
        if request.since is None and not request.cursor:
            self.listed.append(request.project or request.cluster)
        if self.held is not None:
            await self.held.wait()
        return await self.clouds[request.cluster].page(request)

    async def get(self, name: str) -> Observed | None:
        cluster = next(each for each in self.clouds if name.startswith(f"{each}/"))
        return await self.clouds[cluster].get(name)


class Installation:
    """Clouds, a clock, the coordination and the table that gateways share."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.world = World(self.clock)
        self.clouds = Clouds()
        self.clusters: list[str] = [CLUSTER]
        self.projects: dict[str, frozenset[str] | None] = {}
        self.settings = SyncSettings(fastest_s=15.0, slowest_s=600.0, removed_after_s=60.0)
        self.databases: list[Database] = []

    @asynccontextmanager
    async def gateway(self, database: Database, name: str) -> AsyncIterator[Sync]:
        """Run the sweeps of one gateway."""
        store = InventoryStore(database, self.clock)
        environment = Environment(store, self.clouds, self.clock, self.settings, SyncMetrics(clock=self.clock), name)
        coordinator = self.world.coordinator(LEASE_S)
        sync = Sync(environment, database, coordinator, lambda: list(self.clusters), self._projects)
        running = asyncio.create_task(sync.run())
        try:
            yield sync
        finally:
            running.cancel()
            await asyncio.wait([running])
            await coordinator.close()

    def _projects(self, cluster: str) -> frozenset[str] | None:
        return self.projects.get(cluster, frozenset())

    async def until(self, condition: Callable[[], object], *, each_s: float = 0.0) -> None:
        """Wait until a condition is true; let time pass meanwhile, if asked to."""
        async with asyncio.timeout(10):
            while not condition():
                if each_s:
                    await self.clock.advance(each_s)
                await asyncio.sleep(0.002)

    async def passes(self, seconds: float) -> None:
        """Let time pass, and whatever begins then come to its end: the database has threads."""
        for _ in range(int(seconds / 5.0)):
            await self.clock.advance(5.0)
            for _ in range(3):
                await asyncio.sleep(0.002)


@pytest.fixture
def installation() -> Installation:
    return Installation()


@pytest.fixture
async def database(installation: Installation) -> AsyncIterator[Database]:
    async with opened("sqlite", installation.clock) as database:
        yield database


async def state_of(
    database: Database, cluster: str = CLUSTER, collection: str = "servers", project: str = ""
) -> CollectionState:
    states = await InventoryStore(database).states([cluster])
    of_collection = (state for state in states if (state.collection, state.project) == (collection, project))
    return next(of_collection, CollectionState(cluster, collection, project=project))


async def kept(database: Database, cluster: str = CLUSTER) -> set[str]:
    return {name.rpartition("/")[2] for name in await InventoryStore(database).known(cluster, "servers")}


P, Q = f"{CLUSTER}/projects/p", f"{CLUSTER}/projects/q"


def within(seconds: float = 5.0) -> Deadline:
    return Deadline.after(seconds)


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


@pytest.fixture
def of_pools(installation: Installation) -> ListedCloud:
    """A cloud with servers of the credentials' own project and of two that pools have."""
    cloud = installation.clouds.clouds[CLUSTER]
    cloud.servers = {one: one for one in ("a", "b", "p1", "p2", "q1")}
    cloud.projects = {"p1": P, "p2": P, "q1": Q}
    installation.projects[CLUSTER] = frozenset({P, Q})
    return cloud


async def test_projects_that_pools_have_are_each_listed_by_themselves(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """One that fails, or loses something, is nothing to the others."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == set(of_pools.servers)
        for project, count in (("", 2), (P, 2), (Q, 1)):
            state = await state_of(database, project=project)
            assert (state.completeness, state.row_count) == (Completeness.COMPLETE, count)
        got = list(of_pools.got)
        del of_pools.servers["p2"]
        await installation.clock.advance(1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "q1"}
        assert of_pools.got == [*got, name_of("p2")]  # what others' listings leave out is asked for by nobody


async def test_kinds_without_projects_are_listed_once(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], deadline=within())
    states = await InventoryStore(database).states([CLUSTER])
    listed = {project: {s.collection for s in states if s.project == project} for project in ("", P)}
    assert listed[""] - listed[P] == {"flavors", "volumeTypes", "zones"}


async def test_a_project_that_a_pool_gets_is_listed_and_one_that_none_has_is_forgotten(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """Within some seconds; not while it is not known which project the credentials have."""
    installation.projects[CLUSTER] = frozenset({Q})
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "q1"}
        installation.projects[CLUSTER] = frozenset({P})
        await installation.until(lambda: P in installation.clouds.listed, each_s=1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "p2"}
        assert (await state_of(database, project=Q)).completeness is Completeness.NEVER
        installation.projects[CLUSTER] = None
        await installation.passes(30.0)
    async with installation.gateway(database, "gateway-2") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "p2"}
        assert (await state_of(database, project=P)).owner == "gateway-2"


async def test_a_brake_is_of_one_projects_listing(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """And is let go for all of them at once."""
    many = {f"p{number:02}": "x" for number in range(20)}
    of_pools.servers = {"a": "a", **many}
    of_pools.projects = dict.fromkeys(many, P)
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        of_pools.servers = {"a": "a"}
        await installation.clock.advance(1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        braked, own = await state_of(database, project=P), await state_of(database)
        assert (braked.reason, braked.brake and braked.brake.missing) == ("BRAKED", 20)
        assert (own.completeness, own.row_count) == (Completeness.COMPLETE, 1)
        await sync.now([CLUSTER], ["servers"], release_brake=True, deadline=within())
        assert await kept(database) == {"a"}
