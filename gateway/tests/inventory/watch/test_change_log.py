"""Changes as they are read: in order, each with what its resource was and what it became, however late it is read."""

from __future__ import annotations

import pytest
from gateway.tests import postgres_server
from gateway.tests.inventory_writer import InventoryWriter

from cloudspan.v1 import network_pb2, server_pb2
from cloudspan_common.errors import Resync
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.inventory.model import CollectionState, Completeness
from cloudspan_gateway.inventory.watch import change_log
from cloudspan_gateway.inventory.watch.change_log import ChangeLog, Head
from cloudspan_gateway.inventory.watch.selection import Selection, Wanted
from cloudspan_gateway.storage.engine import open_database

EAST, WEST = "platforms/openstack/clusters/east", "platforms/openstack/clusters/west"


@pytest.fixture(params=["sqlite", "postgresql"])
async def writer(request: pytest.FixtureRequest):
    url = "memory:" if request.param == "sqlite" else postgres_server.needed().new_database()
    database = await open_database(url)
    yield InventoryWriter(database)
    await database.close()


@pytest.fixture
def log(writer: InventoryWriter) -> ChangeLog:
    return ChangeLog(writer.database)


def server(key: str, display_name: str, cluster: str = EAST) -> server_pb2.Server:
    return server_pb2.Server(name=f"{cluster}/servers/{key}", display_name=display_name)


def selection(cluster: str, *collections: str, text: str = "") -> Selection:
    return Selection(Wanted(ClusterRef("-", "-"), frozenset(collections), text, b""), {cluster: ""})


def states(changes) -> list[tuple[int, str, str]]:
    return [(c.sequence, _shown(c.before), _shown(c.after)) for c in changes]


def _shown(state) -> str:
    return state.stored.display_name if state else "-"


async def test_an_empty_inventory_has_no_changes(log):
    """Nor rows, nor clusters."""
    assert await log.head() == Head(0, 0, "")
    assert await log.after(0) == ([], Head(0, 0, ""))
    assert (await log.existing(selection("x"), 0)).rows == []
    assert await log.clusters() == []


async def test_each_change_has_the_states_around_it(writer, log):
    """Though what it made of the resource was changed, deleted and made again since."""
    await writer.put("servers", server("1", "a"))
    await writer.put("servers", server("1", "b"), server("2", "x"))
    await writer.remove(server("1", "").name)
    await writer.put("servers", server("1", "c"))
    changes, head = await log.after(0)
    assert states(changes) == [(1, "-", "a"), (2, "a", "b"), (3, "-", "x"), (4, "b", "-"), (5, "-", "c")]
    assert head.sequence == 5
    assert states((await log.after(2, upto=4))[0]) == [(3, "-", "x"), (4, "b", "-")]


async def test_a_while_of_changes_has_each_resource_once(writer, log):
    """From what it was at the beginning to what it was at the end, whatever came later."""
    await writer.put("servers", server("1", "a"), server("2", "x"), server("3", "y"))
    await writer.put("servers", server("1", "b"))
    await writer.put("servers", server("1", "c"), server("4", "new"))
    await writer.remove(server("2", "").name, server("4", "").name)
    await writer.put("servers", server("1", "later"))
    assert states((await log.since(3, 8, 3))[0]) == [(4, "a", "c"), (6, "-", "-"), (7, "x", "-")]
    assert states((await log.since(3, 8, 4))[0]) == [(6, "-", "-"), (7, "x", "-")]
    assert states((await log.since(3, 5, 3))[0]) == [(4, "a", "c")]


async def test_pages_go_on_where_the_one_before_ended(writer, log):
    """With the states of changes that lie on the next page."""
    for name in "abcde":
        await writer.put("servers", server("1", name))
    first = (await log.after(0))[0][:2]
    rest, _ = await log.after(first[-1].sequence)
    assert states([*first, *rest]) == [(1, "-", "a"), (2, "a", "b"), (3, "b", "c"), (4, "c", "d"), (5, "d", "e")]


async def test_changes_that_are_no_longer_kept_are_an_error(writer, log):
    """OUT_OF_RANGE; from where they are kept on all is well."""
    await writer.put("servers", server("1", "a"), server("2", "b"), server("3", "c"))
    await writer.purge_upto(2)
    with pytest.raises(Resync):
        await log.after(1)
    with pytest.raises(Resync):
        await log.since(1, 3, 2)
    assert states((await log.after(2))[0]) == [(3, "-", "c")]


async def test_the_row_of_a_reused_id_is_not_taken_for_the_old_one(writer, log):
    """SQLite gives the id of a purged row to the next new one."""
    await writer.put("servers", server("1", "a"))
    await writer.remove(server("1", "").name)
    await writer.database.transact(lambda conn: conn.exec_driver_sql("DELETE FROM resources"))
    await writer.put("servers", server("2", "b"))
    assert states((await log.after(0))[0]) == [(1, "-", "a"), (2, "a", "-"), (3, "-", "b")]
    assert states((await log.since(1, 3, 1))[0]) == [(2, "a", "-"), (3, "-", "b")]


async def test_rows_come_in_pages_with_the_sequence_that_they_are_as_of(writer, log, monkeypatch):
    """Of the clusters and collections that are asked for; deleted ones are not there."""
    monkeypatch.setattr(change_log, "PAGE", 2)
    await writer.put("servers", *(server(str(n), f"s{n}") for n in range(5)), server("9", "w", WEST))
    await writer.remove(server("1", "").name)
    found, next_id = [], 0
    while next_id is not None:
        page = await log.existing(selection(EAST, "servers"), next_id)
        assert page.sequence == 7
        found += [state.stored.display_name for _, _, state in page.rows]
        next_id = page.next_id
    assert found == ["s0", "s2", "s3", "s4"]
    assert (await log.existing(selection(EAST, "volumes"), 0)).rows == []


async def test_rows_that_can_not_match_are_not_read(writer, log):
    """As far as the database can tell."""
    await writer.put("servers", *(server(str(n), f"s{n}") for n in range(3)))
    page = await log.existing(selection(EAST, "servers", text="display_name = s1"), 0)
    assert [state.stored.display_name for _, _, state in page.rows] == ["s1"]


async def test_rows_of_other_projects_are_not_read(writer, log):
    """A project may have ten of a hundred thousand; what is shared by all is seen by it too."""
    mine, other = (f"{EAST}/projects/{name}" for name in ("mine", "other"))
    servers = [server_pb2.Server(name=f"{EAST}/servers/{n}", project=p) for n, p in enumerate((mine, other, mine))]
    shared = network_pb2.Network(name=f"{EAST}/networks/n", project=other, shared=True)
    await writer.put("servers", *servers)
    await writer.put("networks", shared, network_pb2.Network(name=f"{EAST}/networks/x", project=other))
    seen = Selection(Wanted(ClusterRef("-", "-"), frozenset(), "", b""), {EAST: mine, WEST: None})
    page = await log.existing(seen, 0)
    assert [state.stored.name.rpartition("/")[2] for _, _, state in page.rows] == ["0", "2", "n"]


async def test_an_unchanged_row_is_as_new_as_the_last_sweep(writer, log):
    """Which wrote nothing of it."""
    await writer.put("servers", server("1", "a"))
    swept = CollectionState(EAST, "servers", Completeness.COMPLETE, observe_time=writer.now + 60)
    await writer.store.save_state(swept)
    ((_, _, state),) = (await log.existing(selection(EAST), 0)).rows
    assert state.stored.observe_time.seconds == int(writer.now) + 60


async def test_the_clusters_are_those_that_have_rows(writer, log):
    """In the order of their names."""
    await writer.put("servers", server("1", "w", WEST), server("1", "e"), server("2", "e"))
    assert await log.clusters() == [EAST, WEST]
    await writer.remove(server("1", "", WEST).name)
    assert await log.clusters() == [EAST]
