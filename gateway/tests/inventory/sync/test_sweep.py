"""One sweep of a collection: what is written, what goes and what stays, and what is known afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, name_of, opened, server

from cloudspan_common.errors import PlatformFault, Unsupported
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.model import CollectionState, Completeness, Origin
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.sync.source import Page, PageRequest
from cloudspan_gateway.inventory.sync.sweep import CollectionSweep, Swept
from cloudspan_gateway.outbox import outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.inventory.sync.source import Source

COMPLETE, PARTIAL, FAILED = Completeness.COMPLETE, Completeness.PARTIAL, Completeness.FAILED


@dataclass
class Sweeping:
    """A cloud, the store, and sweeps of one over the other."""

    cloud: ListedCloud
    store: InventoryStore
    clock: FakeClock
    sweep_: CollectionSweep
    state: CollectionState = field(default_factory=lambda: CollectionState(CLUSTER, "servers"))

    async def sweep(self, *, released: bool = False) -> Swept:
        await self.clock.advance(10.0)
        swept = await self.sweep_.sweep(self.state, None, released=released)
        self.state = swept.state
        await self.store.save_state(swept.state)
        return swept

    async def look(self) -> Swept:
        await self.clock.advance(10.0)
        swept = await self.sweep_.look(self.state, None)
        self.state = swept.state
        return swept

    async def kept(self) -> set[str]:
        return {name.rpartition("/")[2] for name in await self.store.known(CLUSTER, "servers")}

    def cloud_is(self, source: Source) -> None:
        self.sweep_ = CollectionSweep(self.store, source, self.clock, brake=0.3)


@pytest.fixture
async def swept() -> AsyncIterator[Sweeping]:
    clock = FakeClock()
    async with opened("sqlite", clock) as database:
        store, cloud = InventoryStore(database, clock), ListedCloud()
        yield Sweeping(cloud, store, clock, CollectionSweep(store, cloud, clock, brake=0.3))


def hold(cloud: ListedCloud, count: int) -> None:
    cloud.servers = {f"s{n:03}": f"server {n}" for n in range(count)}


async def test_a_sweep_keeps_what_the_cloud_lists_and_knows_it_whole(swept: Sweeping) -> None:
    """As of when it began."""
    hold(swept.cloud, 7)
    found = await swept.sweep()
    assert await swept.kept() == set(swept.cloud.servers)
    assert (found.pages, found.written.added) == (3, 7)
    assert (found.state.completeness, found.state.row_count, found.state.reason) == (COMPLETE, 7, "")
    assert found.state.observe_time == found.state.attempt_time == swept.clock.now()


async def test_pages_that_have_not_changed_are_not_compared_again(swept: Sweeping) -> None:
    """Neither sent, nor read from the database, nor written; a changed one alone is."""
    hold(swept.cloud, 9)
    await swept.sweep()
    assert (await swept.sweep()).unchanged_pages == 0  # the first sweep's own changes: it is compared once more
    found = await swept.sweep()
    assert (found.unchanged_pages, found.pages, found.state.completeness) == (3, 3, COMPLETE)
    swept.cloud.servers["s004"] = "renamed"
    found = await swept.sweep()
    assert (found.unchanged_pages, found.written.updated, found.written.unchanged) == (2, 1, 2)


async def test_a_sweep_that_knows_no_page_yet_does_not_go_through_what_has_changed(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a start that would be all changes that are kept, for each collection."""
    hold(swept.cloud, 3)
    asked: list[int | None] = []
    changed_names = swept.store.changed_names

    async def noted(cluster: str, collection: str, after: int | None) -> tuple[int, frozenset[str] | None]:
        asked.append(after)
        return await changed_names(cluster, collection, after)

    monkeypatch.setattr(swept.store, "changed_names", noted)
    for _ in range(2):
        await swept.sweep()
    assert asked == [None, 0]


async def test_a_row_that_somebody_else_wrote_is_compared_though_its_page_is_the_same(swept: Sweeping) -> None:
    """An operation's end said one thing, and the cloud went back to what it was before."""
    hold(swept.cloud, 6)
    for _ in range(3):
        await swept.sweep()
    await swept.store.apply("servers", [server("s001", "of an operation")], swept.clock.now(), Origin.OPERATION)
    found = await swept.sweep()
    assert (found.unchanged_pages, found.written.updated) == (1, 1)


async def test_all_is_compared_where_what_was_written_meanwhile_is_no_longer_known(swept: Sweeping) -> None:
    """A collection could not be listed for longer than changes are kept."""
    hold(swept.cloud, 6)
    for _ in range(3):
        await swept.sweep()
    await swept.store.apply("servers", [server("s001", "of an operation")], swept.clock.now(), Origin.OPERATION)
    later = swept.clock.now() + 1.0
    await swept.store._database.transact(lambda conn: outbox.purge(conn, later, 1_000))
    found = await swept.sweep()
    assert (found.unchanged_pages, found.written.updated) == (0, 1)
    assert (await swept.sweep()).written.updated == 0


async def test_what_is_deleted_goes_after_the_platform_said_so_of_each(swept: Sweeping) -> None:
    """Asked by name; the rest is not asked for."""
    hold(swept.cloud, 8)
    await swept.sweep()
    del swept.cloud.servers["s003"], swept.cloud.servers["s007"]
    found = await swept.sweep()
    assert swept.cloud.got == [name_of("s003"), name_of("s007")]
    assert (found.written.removed, found.state.row_count, found.state.completeness) == (2, 6, COMPLETE)
    assert await swept.kept() == set(swept.cloud.servers)


async def test_what_a_listing_leaves_out_and_the_platform_has_stays(swept: Sweeping) -> None:
    """The listing was not whole, then; where the platform never lists it, that is its way."""
    hold(swept.cloud, 8)
    await swept.sweep()
    swept.cloud.hidden = {"s003"}
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason) == (PARTIAL, "LISTING_NOT_PROVEN")
    assert "s003" in found.state.message
    assert found.state.observe_time < found.state.attempt_time
    found = await swept.sweep()
    assert (found.state.completeness, found.written.removed) == (COMPLETE, 0)
    assert await swept.kept() == set(swept.cloud.servers)


async def test_what_no_listing_ever_had_is_no_loss_of_one(swept: Sweeping) -> None:
    """Operations work on what a platform lists to nobody but its owner; its listing is whole without that."""
    hold(swept.cloud, 24)
    swept.cloud.hidden = {f"s{n:03}" for n in range(12)}
    await swept.sweep()
    worked_on = [server(one, f"server {int(one[1:])}") for one in sorted(swept.cloud.hidden)]
    await swept.store.apply("servers", worked_on, swept.clock.now(), Origin.OPERATION)
    found = await swept.sweep()
    assert (found.state.completeness, found.state.brake) == (COMPLETE, None)
    assert len(await swept.kept()) == 24
    del swept.cloud.servers["s001"]
    await swept.sweep()
    assert len(await swept.kept()) == 23


async def test_what_an_operation_wrote_is_a_loss_once_a_listing_had_it(swept: Sweeping) -> None:
    """Whether or not something has worked on it since."""
    hold(swept.cloud, 24)
    made = [server(one, name) for one, name in swept.cloud.servers.items()]
    await swept.store.apply("servers", made, swept.clock.now(), Origin.OPERATION)
    found = await swept.sweep()
    assert (found.written.unchanged, found.has_changes) == (24, False)
    await swept.store.apply("servers", [server("s001", "worked on")], swept.clock.now(), Origin.OPERATION)
    swept.cloud.servers = {one: name for one, name in swept.cloud.servers.items() if one >= "s012"}
    found = await swept.sweep()
    assert (found.state.reason, found.state.brake.missing, found.state.brake.total) == ("BRAKED", 12, 24)


async def test_nothing_goes_while_the_platform_can_not_be_asked(swept: Sweeping) -> None:
    """It is said, and tried again with the next sweep."""
    hold(swept.cloud, 8)
    await swept.sweep()
    del swept.cloud.servers["s003"]
    swept.cloud.get_fails = True
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason) == (PARTIAL, "UNREACHABLE")
    assert "1 are no longer listed" in found.state.message
    assert "s003" in await swept.kept()
    swept.cloud.get_fails = False
    assert (await swept.sweep()).state.completeness is COMPLETE
    assert "s003" not in await swept.kept()


@pytest.mark.parametrize(("partial", "unread"), [("a cell is down", []), ("", ["s001: its flavor is a number"])])
async def test_nothing_goes_after_a_listing_that_is_not_proven(
    swept: Sweeping, partial: str, unread: list[str]
) -> None:
    """What it did list is kept."""
    hold(swept.cloud, 8)
    await swept.sweep()
    del swept.cloud.servers["s003"]
    swept.cloud.servers["s100"] = "new"
    swept.cloud.partial, swept.cloud.unread = partial, unread
    found = await swept.sweep()
    assert found.state.completeness is PARTIAL
    assert (partial or unread[0]) in found.state.message
    assert {"s003", "s100"} <= await swept.kept()
    assert swept.cloud.got == []


async def test_a_listing_that_breaks_off_keeps_what_it_brought_and_deletes_nothing(swept: Sweeping) -> None:
    """What is kept stays as old as it was."""
    hold(swept.cloud, 8)
    before = (await swept.sweep()).state
    swept.cloud.servers |= {"s000": "renamed", "s007": "renamed"}
    del swept.cloud.servers["s001"]
    swept.cloud.fails_at = 1
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason) == (FAILED, "UNREACHABLE")
    assert (found.state.observe_time, found.written.updated) == (before.observe_time, 1)
    assert "s001" in await swept.kept()


async def test_a_loss_beyond_the_share_is_held_back_until_it_is_released(swept: Sweeping) -> None:
    """Nothing is even asked for; and a part of it that comes back does not free the rest."""
    hold(swept.cloud, 40)
    await swept.sweep()
    whole = dict(swept.cloud.servers)
    hold(swept.cloud, 20)
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason, len(await swept.kept())) == (PARTIAL, "BRAKED", 40)
    brake = found.state.brake
    assert brake is not None
    assert (brake.missing, brake.total, brake.examples[0]) == (20, 40, name_of("s020"))
    swept.cloud.servers = {one: whole[one] for one in list(whole)[:30]}
    found = await swept.sweep()
    assert found.state.brake is not None
    assert (found.state.brake.missing, found.state.brake.since) == (10, brake.since)
    assert swept.cloud.got == []
    found = await swept.sweep(released=True)
    assert (found.state.completeness, found.state.brake, found.written.removed) == (COMPLETE, None, 10)
    assert await swept.kept() == set(swept.cloud.servers)


async def test_a_brake_ends_by_itself_when_the_cloud_lists_all_again(swept: Sweeping) -> None:
    """And nothing was lost."""
    hold(swept.cloud, 40)
    await swept.sweep()
    swept.cloud.hidden = set(list(swept.cloud.servers)[5:])
    assert (await swept.sweep()).state.reason == "BRAKED"
    swept.cloud.hidden = set()
    found = await swept.sweep()
    assert (found.state.completeness, found.state.brake) == (COMPLETE, None)
    assert len(await swept.kept()) == 40


async def test_of_a_small_collection_all_may_go(swept: Sweeping) -> None:
    """Nine of nine, each proven."""
    hold(swept.cloud, 9)
    await swept.sweep()
    swept.cloud.servers.clear()
    assert (await swept.sweep()).written.removed == 9


async def test_a_row_that_was_made_while_it_was_listed_stays(swept: Sweeping) -> None:
    """It can't be on pages that were read before; only what was read before the sweep can be missing."""
    hold(swept.cloud, 8)
    await swept.sweep()

    async def create(page: int) -> None:
        if page == 1:
            await swept.clock.advance(1.0)
            swept.cloud.servers["s000a"] = "made meanwhile"
            await swept.store.apply("servers", [swept.cloud.row("s000a")], swept.clock.now(), Origin.OPERATION)

    swept.cloud.between_pages = create
    found = await swept.sweep()
    assert (found.state.completeness, found.written.removed) == (COMPLETE, 0)
    assert swept.cloud.got == []
    assert "s000a" in await swept.kept()


class Pages(ListedCloud):
    """Answers what a test wrote down."""

    pages: dict[str, Page]

    async def page(self, request: PageRequest) -> Page:
        return self.pages[request.cursor]


async def test_a_name_on_two_pages_with_two_contents_changes_nothing_each_time(swept: Sweeping) -> None:
    """The first one stands: two rows of one name would take turns for ever."""
    source = Pages(servers={"a": "x"})
    source.pages = {"": Page((server("a", "x"),), next_cursor="2"), "2": Page((server("a", "y"), server("b")))}
    swept.cloud_is(source)
    assert (await swept.sweep()).written.added == 2
    assert not (await swept.sweep()).has_changes


async def test_cursors_that_lead_back_are_no_complete_listing(swept: Sweeping) -> None:
    """However many resources there are on the way."""
    source = Pages()
    source.pages = {"": Page((server("a"),), next_cursor="2"), "2": Page((server("b"),), next_cursor="2")}
    swept.cloud_is(source)
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason) == (FAILED, "PAGING_LOOP")


async def test_a_cluster_without_such_a_list_is_said_to_have_none(swept: Sweeping) -> None:
    """It is neither empty nor failed."""

    class Without(ListedCloud):
        async def page(self, request: PageRequest) -> Page:
            raise Unsupported("this cloud has no object store", reason="METHOD_ABSENT")

    swept.cloud_is(Without())
    found = await swept.sweep()
    assert (found.state.completeness, found.state.reason) == (Completeness.UNSUPPORTED, "METHOD_ABSENT")


async def test_a_look_for_changes_writes_and_never_deletes(swept: Sweeping) -> None:
    """What the platform calls gone is a reason to sweep; what nobody keeps is none."""
    hold(swept.cloud, 4)
    await swept.sweep()
    swept.cloud.tells_changes = True
    swept.cloud.servers["s001"] = "renamed"
    swept.cloud.gone = ["s002", "s999"]
    found = await swept.look()
    assert (found.written.updated, found.reports_gone, found.state.changes_time) == (1, True, swept.clock.now())
    assert len(await swept.kept()) == 4
    swept.cloud.gone = ["s999"]
    assert not (await swept.look()).reports_gone


async def test_a_look_that_goes_in_circles_has_not_seen_all_changes(swept: Sweeping) -> None:
    """They are asked for again from where it began."""
    source = Pages()
    source.pages = {"": Page((server("a"),), next_cursor="2"), "2": Page((server("b"),), next_cursor="2")}
    swept.cloud_is(source)
    swept.state = replace(swept.state, changes_time=1.0)
    with pytest.raises(PlatformFault) as circle:
        await swept.look()
    assert circle.value.reason == "PAGING_LOOP"
    assert swept.state.changes_time == 1.0


async def test_a_collection_that_can_not_tell_changes_says_so(swept: Sweeping) -> None:
    """What it answered instead is kept all the same."""
    hold(swept.cloud, 2)
    found = await swept.look()
    assert (found.state.changes_time, found.written.added) == (None, 2)
