"""Watch through a real gateway: what is there, what changes, for whom, and where it goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import grpc
import pytest
from gateway.tests.conftest import Deployment
from gateway.tests.watching import Follower, Watching

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.watch import change_log, feed

EAST, WEST = "platforms/openstack/clusters/east", "platforms/openstack/clusters/west"
CODE = grpc.StatusCode


def server(key: object, display_name: str, cluster: str = EAST, project: str = "", **fields) -> server_pb2.Server:
    named = f"{cluster}/projects/{project}" if project else ""
    return server_pb2.Server(name=f"{cluster}/servers/{key}", display_name=display_name, project=named, **fields)


@pytest.fixture
async def watched(deployment: Deployment) -> AsyncIterator[Deployment]:
    await deployment.plug_in()
    async with deployment.opened(Watching):
        yield deployment


@pytest.fixture
def writer(watched: Deployment):
    return watched.gateway.writer


async def refused(follower: Follower) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await follower.until(10_000)
    return caught.value


async def test_a_watch_sends_what_is_there_then_what_changes(watched, writer):
    """Each change as what it is, with the resource whole."""
    await writer.put("servers", server(1, "a"), server(2, "b"))
    follower = Follower(watched.channel)
    await follower.until_complete()
    assert follower.seen == [("EXISTING", "a"), ("EXISTING", "b")]
    await writer.put("servers", server(1, "A"), server(3, "c"))
    await writer.remove(server(2, "").name)
    assert (await follower.until(5))[2:] == [("UPDATED", "A"), ("ADDED", "c"), ("REMOVED", "b")]
    assert list(follower.held.values()) == ["A", "c"]


async def test_a_change_holds_the_resource_in_its_own_message(watched, writer):
    """And beside it what all kinds have."""
    follower = Follower(watched.channel, changes_only=True)
    assert (await follower.read()).snapshot_complete
    await writer.put("volumes", volume_pb2.Volume(name=f"{EAST}/volumes/1", size_bytes=7, labels={"team": "db"}))
    (change,) = (await follower.read()).changes
    stored, volume = change.resource, volume_pb2.Volume()
    assert (stored.collection, stored.cluster, stored.disk_bytes, dict(stored.labels)) == (
        "volumes", EAST, 7, {"team": "db"},
    )  # fmt: skip
    assert stored.observe_time.seconds == int(writer.now)
    assert stored.resource.Unpack(volume)
    assert volume.size_bytes == 7


async def test_an_empty_inventory_is_complete_at_once(watched):
    """Before anything was ever listed, too."""
    follower = Follower(watched.channel)
    await follower.until_complete()
    assert follower.seen == []


async def test_a_filter_makes_an_update_an_addition_or_a_removal(watched, writer):
    """By what the resource was and what it is; what never matches is not sent."""
    await writer.put("servers", server(1, "web-1"), server(2, "db-1"))
    follower = Follower(watched.channel, collections=["servers"], filter='display_name = "web*"')
    await follower.until_complete()
    await writer.put("servers", server(1, "old"), server(2, "web-2"), server(3, "db-2"), server(4, "web-4"))
    await writer.put("servers", server(2, "web-3"))
    await writer.remove(server(1, "").name, server(3, "").name)
    assert (await follower.until(5)) == [
        ("EXISTING", "web-1"), ("REMOVED", "web-1"), ("ADDED", "web-2"), ("ADDED", "web-4"), ("UPDATED", "web-3"),
    ]  # fmt: skip


async def test_changes_of_one_resource_at_once_are_each_what_they_were(watched, writer):
    """Though they are read together, after the last of them."""
    follower = Follower(watched.channel, collections=["servers"], filter='display_name = "web*"')
    await follower.until_complete()
    steps = [server(1, "web-1"), server(1, "db"), server(1, "web-2"), server(1, "web-3")]
    await writer.put("servers", *steps)
    assert await follower.until(4) == [
        ("ADDED", "web-1"), ("REMOVED", "web-1"), ("ADDED", "web-2"), ("UPDATED", "web-3"),
    ]  # fmt: skip


async def test_a_filter_over_all_kinds_is_over_what_they_have_in_common(watched, writer):
    """With no collection, or several."""
    follower = Follower(watched.channel, filter="labels.team = db")
    await follower.until_complete()
    await writer.put("servers", server(1, "a", labels={"team": "db"}), server(2, "b"))
    await writer.put("volumes", volume_pb2.Volume(name=f"{EAST}/volumes/1", display_name="v", labels={"team": "db"}))
    assert await follower.until(2) == [("ADDED", "a"), ("ADDED", "v")]


async def test_a_watch_of_one_cluster_hears_nothing_of_others(watched, writer):
    """One of a collection nothing of other collections."""
    await watched.plug_in(instance_id="w", clusters=("west",), digest="endpoint-2")
    await watched.until(lambda: "west" in watched.gateway.table.snapshot.platforms["openstack"].clusters)
    one = Follower(watched.channel, parent=WEST)
    some = Follower(watched.channel, parent="platforms/openstack/clusters/-", collections=["volumes"])
    await one.until_complete()
    await some.until_complete()
    await writer.put("servers", server(1, "east"), server(1, "west", WEST))
    await writer.put("volumes", volume_pb2.Volume(name=f"{EAST}/volumes/1", display_name="v"))
    assert await one.until(1) == [("ADDED", "west")]
    assert await some.until(1) == [("ADDED", "v")]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (
            {"collections": ["severs"]},
            CODE.INVALID_ARGUMENT,
            "'severs' is not a collection .*those are: .*servers",
        ),
        ({"filter": "shape = round"}, CODE.INVALID_ARGUMENT, "shape"),
        ({"collections": ["servers"], "filter": "collection = x"}, CODE.INVALID_ARGUMENT, "collection"),
        ({"parent": "platforms/x"}, CODE.INVALID_ARGUMENT, "expected the form"),
        ({"parent": f"{EAST}/servers/1"}, CODE.INVALID_ARGUMENT, "expected the form"),
        ({"parent": "platforms/openstack/clusters/none"}, CODE.NOT_FOUND, "no cluster 'none'"),
        ({"parent": "platforms/none/clusters/-"}, CODE.NOT_FOUND, "'none'"),
        ({"resume_token": "x"}, CODE.INVALID_ARGUMENT, "invalid resume_token"),
        ({"resume_token": "\u00fc"}, CODE.INVALID_ARGUMENT, "invalid resume_token"),
        ({"resume_token": "A" * 5000}, CODE.INVALID_ARGUMENT, "invalid resume_token"),
    ],
)
async def test_what_can_not_be_watched_is_refused(watched, request_, code, words):
    """With what was asked and what to do."""
    error = await refused(Follower(watched.channel, **request_))
    assert error.code() is code
    assert re.search(words, error.details())


async def test_a_watch_goes_on_behind_its_last_message(watched, writer):
    """Each resource that changed meanwhile once, as what it is now to who has seen what came before."""
    await writer.put("servers", server(1, "a"), server(2, "b"), server(3, "c"))
    follower = Follower(watched.channel)
    await follower.until_complete()
    follower.leave()
    await writer.put("servers", server(1, "x"), server(4, "short"))
    await writer.put("servers", server(1, "A"), server(5, "e"))
    await writer.remove(server(2, "").name, server(4, "").name)
    del follower.seen[:]
    assert await follower.until(3) == [("UPDATED", "A"), ("ADDED", "e"), ("REMOVED", "b")]
    await writer.put("servers", server(6, "f"))
    assert (await follower.until(4))[3:] == [("ADDED", "f")]


async def test_a_token_is_good_for_its_own_watch_alone(watched, writer):
    """Not for another filter, nor cut, nor with a changed letter."""
    await writer.put("servers", server(1, "a"))
    follower = Follower(watched.channel)
    await follower.until_complete()
    token = follower.request.resume_token
    other = await refused(Follower(watched.channel, filter="display_name = a", resume_token=token))
    assert "made for another request" in other.details()
    for wrong in (token[:-3], token[:30] + ("A" if token[30] != "A" else "B") + token[31:]):
        assert "invalid resume_token" in (await refused(Follower(watched.channel, resume_token=wrong))).details()


async def test_a_token_says_nothing_of_what_else_changes(watched, writer):
    """It is encrypted: no two look alike, and no number can be read in it."""
    await writer.put("servers", server(1, "a"))
    found = set()
    for _ in range(3):
        follower = Follower(watched.channel)
        await follower.until_complete()
        found.add(follower.request.resume_token)
    assert len(found) == 3
    assert len({len(token) for token in found}) == 1


async def test_changes_that_are_no_longer_kept_need_a_new_watch(watched, writer):
    """OUT_OF_RANGE with the reason RESYNC; also when the inventory was made anew."""
    await writer.put("servers", server(1, "a"))
    follower = Follower(watched.channel)
    await follower.until_complete()
    follower.leave()
    await writer.put("servers", server(2, "b"), server(3, "c"))
    await writer.purge()
    error = await refused(Follower(watched.channel, resume_token=follower.request.resume_token))
    assert (error.code(), "watch again without" in error.details()) == (CODE.OUT_OF_RANGE, True)
    anew = Follower(watched.channel)
    await anew.until_complete()
    assert sorted(anew.held.values()) == ["a", "b", "c"]
    anew.leave()
    await writer.begin_anew("epoch-2")
    error = await refused(Follower(watched.channel, resume_token=anew.request.resume_token))
    assert error.code() is CODE.OUT_OF_RANGE


async def test_a_watch_under_way_ends_when_the_inventory_is_made_anew(watched, writer):
    """What it was told belongs to the old one."""
    await writer.put("servers", server(1, "a"))
    follower = Follower(watched.channel)
    await follower.until_complete()
    await writer.begin_anew("epoch-2")
    await writer.put("servers", server(2, "b"))
    assert (await refused(follower)).code() is CODE.OUT_OF_RANGE


async def test_a_snapshot_goes_on_where_it_was_left(watched, writer, monkeypatch):
    """With what changed in the part that was sent; rows that were sent are not sent again."""
    monkeypatch.setattr("cloudspan_gateway.inventory.watch.watch.MAX_CHANGES", 2)
    await writer.put_together("servers", *(server(n, f"s{n}") for n in range(6)))
    follower = Follower(watched.channel)
    await follower.read()
    assert [name for _, name in follower.seen] == ["s0", "s1"]
    follower.leave()
    await writer.remove(server(0, "").name, server(5, "").name)
    await writer.put("servers", server(1, "new"), server(7, "s7"))
    await follower.until_complete()
    assert sorted(follower.held.values()) == ["new", "s2", "s3", "s4", "s7"]
    assert [kind for kind, _ in follower.seen].count("EXISTING") == 6


async def test_what_changes_during_the_snapshot_comes_once(watched, writer, monkeypatch):
    """As EXISTING where its page was read after the change, else behind the snapshot as what it is."""
    monkeypatch.setattr(change_log, "PAGE", 2)
    await writer.put_together("servers", *(server(n, f"s{n}") for n in range(6)))
    log = watched.gateway.feed.changes
    read = log.existing

    async def changing(selection, next_id):
        page = await read(selection, next_id)
        if page.rows and page.rows[0][2].stored.display_name == "s0":
            await writer.put("servers", server(1, "new"), server(4, "later"), server(8, "s8"))
            await writer.remove(server(0, "").name, server(5, "").name)
        return page

    monkeypatch.setattr(log, "existing", changing)
    follower = Follower(watched.channel)
    await follower.until_complete()
    assert follower.seen == [
        ("EXISTING", "s0"), ("EXISTING", "s1"), ("EXISTING", "s2"), ("EXISTING", "s3"), ("EXISTING", "later"),
        ("EXISTING", "s8"), ("UPDATED", "new"), ("REMOVED", "s0"),
    ]  # fmt: skip


async def test_a_message_holds_at_most_a_hundred_changes(watched, writer):
    """Of the snapshot as of what comes later."""
    await writer.put_together("servers", *(server(n, f"s{n}") for n in range(250)))
    follower = Follower(watched.channel)
    sizes = []
    while not follower.complete:
        sizes.append(len((await follower.read()).changes))
    assert sizes == [100, 100, 50, 0]
    await writer.put_together("servers", *(server(n, f"t{n}") for n in range(250)))
    sizes = []
    while sum(sizes) < 250:
        sizes.append(len((await follower.read()).changes))
    assert max(sizes) == 100


async def test_a_message_stays_below_what_clients_take(watched, writer, monkeypatch):
    """Large resources come in more messages."""
    monkeypatch.setattr(feed, "MAX_BYTES", 3000)
    monkeypatch.setattr("cloudspan_gateway.inventory.watch.watch.MAX_BYTES", 3000)
    large = {"labels": {"text": "x" * 500}}
    await writer.put_together("servers", *(server(n, "s", **large) for n in range(5)))
    follower = Follower(watched.channel)
    while not follower.complete:
        assert len((await follower.read()).changes) <= 3
    await writer.put_together("servers", *(server(n, "t", **large) for n in range(5)))
    while len(follower.seen) < 10:
        assert len((await follower.read()).changes) <= 3


async def put_much(writer):
    """More than a stream's buffers hold."""
    for number in range(60):
        large = (server(n, f"{number}-{n}", labels={"x": "y" * 20_000}) for n in range(10))
        await writer.put_together("servers", *large)


async def test_a_watch_that_fell_behind_reads_on_from_the_database(watched, writer, monkeypatch):
    """Each resource once, with its present state."""
    monkeypatch.setattr(feed, "KEPT_CHANGES", 10)
    follower = Follower(watched.channel)
    await follower.until_complete()
    await put_much(writer)
    while follower.held.get(server(9, "").name) != "59-9":
        await follower.read()
    assert sorted(follower.held.values()) == [f"59-{n}" for n in range(10)]
    assert len(watched.gateway.feed._kept) <= 10


async def test_a_watch_that_was_too_slow_is_told_so(watched, writer, monkeypatch):
    """OUT_OF_RANGE with the reason WATCH_TOO_SLOW, when what it has not taken is no longer kept."""
    monkeypatch.setattr(feed, "KEPT_CHANGES", 10)
    follower = Follower(watched.channel)
    await follower.until_complete()
    await put_much(writer)
    await writer.purge()
    error = await refused(follower)
    assert (error.code(), "more slowly" in error.details()) == (CODE.OUT_OF_RANGE, True)


async def test_a_drain_ends_watches_with_unavailable(watched, writer):
    """So that clients go on at another gateway; one that comes then is refused alike."""
    follower = Follower(watched.channel)
    await follower.until_complete()
    watched.gateway.feed.stop()
    assert (await refused(follower)).code() is CODE.UNAVAILABLE
    assert (await refused(Follower(watched.channel))).code() is CODE.UNAVAILABLE


async def test_nothing_is_read_for_nobody(watched, writer):
    """Once the last watch has left."""
    follower = Follower(watched.channel)
    await follower.until_complete()
    assert watched.gateway.feed.watches == 1
    follower.leave()
    async with asyncio.timeout(5):
        while watched.gateway.feed.watches:  # noqa: ASYNC110 - the feed tells how many watch, and no change of it
            await asyncio.sleep(0.001)
    await writer.put("servers", server(1, "a"))
    assert repr(watched.gateway.feed) == "<Feed 0 watches at change 0, 0 kept>"


class Clocked(Watching):
    """A gateway whose feed goes by a clock of the test's."""

    def _services(self):
        self.feed_clock = FakeClock()
        return super()._services()


async def test_a_bookmark_comes_when_nothing_else_does(deployment):
    """With a token that goes on behind what did not match meanwhile."""
    await deployment.plug_in()
    async with deployment.opened(Clocked):
        gateway = deployment.gateway
        follower = Follower(deployment.channel, collections=["volumes"])
        await follower.until_complete()
        first = follower.request.resume_token
        await gateway.writer.put("servers", server(1, "a"))
        for _ in range(12):
            await gateway.feed_clock.advance(1.0)
        message = await follower.read()
        assert (len(message.changes), message.snapshot_complete) == (0, False)
        follower.leave()
        await gateway.writer.purge()
        error = await refused(Follower(deployment.channel, collections=["volumes"], resume_token=first))
        assert error.code() is CODE.OUT_OF_RANGE
        again = Follower(deployment.channel, collections=["volumes"], resume_token=message.resume_token)
        await gateway.writer.put("volumes", volume_pb2.Volume(name=f"{EAST}/volumes/1", display_name="v"))
        assert await again.until(1) == [("ADDED", "v")]
