"""The feed: what is done once for all watches, and what becomes of them while the database is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from gateway.tests.inventory_writer import InventoryWriter

from cloudspan.v1 import inventory_pb2, server_pb2
from cloudspan_common.errors import Resync, Unreachable
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.watch import change, feed
from cloudspan_gateway.inventory.watch.change_log import ChangeLog
from cloudspan_gateway.inventory.watch.feed import LOOK_AGAIN_S, Feed
from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
from cloudspan_gateway.inventory.watch.selection import Wanted
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database

EAST = "platforms/openstack/clusters/east"
FILTER = 'display_name = "web*"'


@pytest.fixture
async def writer():
    database = await open_database("memory:")
    yield InventoryWriter(database)
    await database.close()


@pytest.fixture
def following(writer):
    return Feed(ChangeLog(writer.database), writer.store.subscribe, ResumeTokens(Cipher.new()))


@asynccontextmanager
async def running(following: Feed):
    task = asyncio.create_task(following.run())
    try:
        async with following.joined():
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def server(key: object, display_name: str = "web", project: str = "p1") -> server_pb2.Server:
    name, of = f"{EAST}/servers/{key}", f"{EAST}/projects/{project}"
    return server_pb2.Server(name=name, display_name=display_name, project=of)


def wanted(whose: bytes = b"q", text: str = FILTER) -> Wanted:
    return Wanted(ClusterRef("-", "-"), frozenset({"servers"}), text, whose * 16)


async def test_equal_watches_get_the_same_message(writer, following):
    """Made once, token and all, as long as they are equally far; another one's view makes another message."""
    one, same = (following.batches(wanted(), {EAST: ""}) for _ in range(2))
    other = following.batches(wanted(), {EAST: f"{EAST}/projects/p2"})
    async with running(following):
        await writer.put("servers", server(1))
        await following.moved(0, following.bookmarks)
        assert one is same
        assert one.after(0) is same.after(0)
        assert one.after(0).message is not None
        assert other.after(0).message is None


async def test_a_filter_is_evaluated_and_a_change_encoded_once_for_all_tenants(writer, following, monkeypatch):
    """However many have the same filter and see the resource."""
    encoded, entry = [], change.entry

    def noted(*arguments):
        encoded.append(1)
        return entry(*arguments)

    monkeypatch.setattr(change, "entry", noted)
    tenants = [following.batches(wanted(bytes([number])), {EAST: ""}) for number in range(1, 6)]
    async with running(following):
        await writer.put("servers", server(1))
        await following.moved(0, following.bookmarks)
        messages = [tenant.after(0).message.SerializeToString() for tenant in tenants]
        (kept,) = following.kept(0)
    assert (len(encoded), len(kept.after._verdicts)) == (1, 1)
    found = [inventory_pb2.WatchResponse.FromString(message) for message in messages]
    assert [one.changes[0].resource.display_name for one in found] == ["web"] * 5
    assert len({one.resume_token for one in found}) == 5


async def test_what_is_kept_is_bounded(writer, following, monkeypatch):
    """By how many changes, and by how large they are; a place before it is not kept."""
    monkeypatch.setattr(feed, "KEPT_CHANGES", 3)
    async with running(following):
        for number in range(6):
            await writer.put("servers", server(number))
            await following.moved(number, following.bookmarks)
        assert [kept.sequence for kept in following.kept(0)] == [4, 5, 6]
        assert (following.keeps(2), following.keeps(3)) == (False, True)
        monkeypatch.setattr(feed, "KEPT_BYTES", 1000)
        await writer.put("servers", server(9, "x" * 900))
        await following.moved(6, following.bookmarks)
        assert [kept.sequence for kept in following.kept(0)] == [7]
        assert repr(following) == "<Feed 1 watches at change 7, 1 kept>"


async def test_watches_go_on_once_the_database_is_back(writer, monkeypatch):
    """They wait meanwhile; it is looked each second."""
    clock, log = FakeClock(), ChangeLog(writer.database)
    following = Feed(log, writer.store.subscribe, ResumeTokens(Cipher.new()), clock)
    read, away = log.after, [True]

    async def after(*bounds):
        if away:
            raise Unreachable("the database is away")
        return await read(*bounds)

    monkeypatch.setattr(log, "after", after)
    async with running(following):
        await clock.advance(LOOK_AGAIN_S)
        await writer.put("servers", server(1))
        waiting = asyncio.create_task(following.moved(0, following.bookmarks))
        await clock.advance(LOOK_AGAIN_S)
        assert not waiting.done()
        away.clear()
        await clock.advance(2 * LOOK_AGAIN_S)
        await asyncio.wait_for(waiting, 5)
        assert following.head.sequence == 1


async def test_nothing_is_read_on_for_nobody_after_a_long_stop(writer, following, monkeypatch):
    """The last watch left while the feed found that changes are no longer kept."""
    log, left = following.changes, asyncio.Event()
    head = log.head

    async def after(*_):
        raise Resync("no longer kept")

    async def slow_head():
        await left.wait()
        return await head()

    async with following.joined():
        monkeypatch.setattr(log, "after", after)
        monkeypatch.setattr(log, "head", slow_head)
        looking = asyncio.create_task(following._look())
        await asyncio.sleep(0)
    left.set()
    await looking
    assert not following.keeps(2**40)


async def test_a_join_without_a_database_is_refused(following, monkeypatch):
    """The caller hears that the database is away, and does not wait for nothing."""

    async def head():
        raise Unreachable("the database is away")

    monkeypatch.setattr(following.changes, "head", head)
    with pytest.raises(Unreachable, match="away"):
        async with following.joined():
            pass
    assert following.watches == 0
