"""Any history of writes, reads and reconnects leaves a client with what matches and what it may see, nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from gateway.tests.inventory_writer import InventoryWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudspan.v1 import inventory_pb2, server_pb2
from cloudspan_common.errors import Resync
from cloudspan_common.names import ClusterRef, parse_cluster
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.inventory.watch import change_log, feed, watch
from cloudspan_gateway.inventory.watch.change_log import ChangeLog
from cloudspan_gateway.inventory.watch.feed import Feed
from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
from cloudspan_gateway.inventory.watch.selection import Sight, Wanted
from cloudspan_gateway.inventory.watch.watch import Watch
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database

EAST, WEST = ClusterRef("openstack", "east"), ClusterRef("openstack", "west")
Type = inventory_pb2.WatchResponse.Change.Type
LAST = "web-last"

keys = st.integers(0, 5)
clusters = st.sampled_from([EAST, WEST])
rows = st.tuples(clusters, keys, st.sampled_from(["p1", "p2"]), st.sampled_from("abc"), st.booleans())
puts = st.tuples(st.just("put"), st.lists(rows, min_size=1, max_size=4))
removes = st.tuples(st.just("remove"), st.lists(st.tuples(clusters, keys), min_size=1, max_size=3))
reads = st.tuples(st.just("read"), st.integers(1, 4))
others = st.tuples(st.sampled_from(["leave", "purge", "read all"]), st.none())
begins = st.lists(rows, min_size=4, max_size=8).map(lambda some: [("put", some), ("read", 1)])
histories = st.builds(
    lambda begin, rest: begin + rest,
    begins,
    st.lists(st.one_of(puts, reads, removes, puts, reads, others), max_size=20),
)
filters = st.sampled_from(["", 'display_name = "web*"', 'NOT display_name = "web-b"'])


class OfOneProject(OpenAccess):
    """Sees all of one cluster, and one project of the other."""

    def project(self, ref: ClusterRef) -> str:
        return "p1" if ref == WEST else ""


class OfOneCluster(OfOneProject):
    """Sees one project of one cluster."""

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        return ref == WEST


def is_seen(access: Any, resource: Any) -> bool:
    """Whether that caller sees a server, or a StoredResource."""
    ref = parse_cluster(resource.name)
    return access.sees("", ref) and (not access.project(ref) or resource.project.endswith(access.project(ref)))


def server(ref: ClusterRef, key: object, project: str, word: str, web: bool) -> server_pb2.Server:
    display_name = f"{'web' if web else 'db'}-{word}"
    name, of = ref.resource("servers", str(key)), ref.resource("projects", project)
    return server_pb2.Server(name=name, display_name=display_name, project=of)


@dataclass
class Client:
    """Applies what it is sent and checks that it makes sense."""

    feed: Feed
    tokens: ResumeTokens
    wanted: Wanted
    access: Any
    held: dict[str, str] = field(default_factory=dict)
    token: str = ""
    complete: bool = False
    repeats: bool = False
    """Whether it goes on within a snapshot: then something may come twice."""
    _messages: Any = None
    _next: asyncio.Future[Any] | None = None

    async def _stream(self):
        following = Watch(self.feed, self.wanted, Sight(self.wanted.clusters, "Watch", lambda: self.access))
        async with self.feed.joined():
            if self.token:
                found = following.resumed(*self.tokens.read(self.token, self.wanted.query))
            else:
                found = following.begun(with_existing=True)
            async for message in found:
                yield inventory_pb2.WatchResponse.FromString(message.SerializeToString())

    async def read(self, timeout_s: float) -> bool:
        """Take the next message if there is one by then."""
        if self._messages is None:
            self.repeats = bool(self.token) and not self.complete
            self._messages = self._stream()
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._messages))
        await asyncio.wait([self._next], timeout=timeout_s)
        if not self._next.done():
            return False
        message, self._next = self._next, None
        try:
            self._apply(message.result())
        except Resync:
            await self.leave()
            self.held.clear()
            self.token, self.complete = "", False
        return True

    async def read_some(self, count: int, timeout_s: float) -> None:
        """Take so many messages, or as many as there are."""
        for _ in range(count):
            if not await self.read(timeout_s):
                return

    def _apply(self, message: inventory_pb2.WatchResponse) -> None:
        for change in message.changes:
            name, is_held = change.resource.name, change.resource.name in self.held
            assert is_seen(self.access, change.resource)
            if not self.repeats:
                assert is_held == (change.type in (Type.TYPE_UPDATED, Type.TYPE_REMOVED)), change
            if change.type == Type.TYPE_REMOVED:
                self.held.pop(name, None)
            else:
                self.held[name] = change.resource.display_name
        self.token = message.resume_token
        if message.snapshot_complete:
            self.complete, self.repeats = True, False

    async def leave(self) -> None:
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError, Resync):
                await self._next
            self._next = None
        if self._messages is not None:
            await self._messages.aclose()
            self._messages = None

    async def until(self, name: str) -> None:
        async with asyncio.timeout(5):
            while name not in self.held or not self.complete:
                await self.read(1.0)


def expected(model: dict[str, Any], client: Client) -> dict[str, str]:
    """Return what of the rows there are a client is to hold in the end."""
    test = client.wanted.test or (lambda _: True)
    seen = [one for one in model.values() if is_seen(client.access, one)]
    return {one.name: one.display_name for one in seen if test(one)}


async def lived(history: list[tuple[str, Any]], text: str, access: Any) -> None:
    """Let a history happen, with a client that reads where the history says so, and compare in the end."""
    database = await open_database("memory:")
    writer, tokens = InventoryWriter(database), ResumeTokens(Cipher.new())
    following = Feed(ChangeLog(database), writer.store.subscribe, tokens)
    client = Client(following, tokens, Wanted(ClusterRef("-", "-"), frozenset({"servers"}), text, b"q" * 16), access)
    running = asyncio.create_task(following.run())
    model: dict[str, Any] = {}
    try:
        for step, what in history:
            await _done(step, what, writer, client, model)
        last = replace_name(server(WEST, "last", "p1", "x", True), LAST)
        await writer.put("servers", last)
        model[last.name] = last
        await client.until(last.name)
        assert client.held == expected(model, client)
    finally:
        await client.leave()
        running.cancel()
        await asyncio.wait([running])
        await database.close()


def replace_name(one: server_pb2.Server, display_name: str) -> server_pb2.Server:
    one.display_name = display_name
    return one


async def _done(step: str, what: Any, writer: InventoryWriter, client: Client, model: dict[str, Any]) -> None:
    match step:
        case "put":
            found = [server(*row) for row in what]
            model.update({one.name: one for one in found})
            await writer.put("servers", *found)
        case "remove":
            names = [ref.resource("servers", str(key)) for ref, key in what]
            for name in names:
                model.pop(name, None)
            await writer.remove(*names)
        case "purge":
            await writer.purge()
        case "leave":
            await client.leave()
        case "read":
            await client.read_some(what, 0.005)
        case "read all":
            await client.read_some(1000, 0.01)


@pytest.mark.parametrize("resumes", [False, True])
async def test_no_message_is_sent_once_its_caller_sees_less(resumes, monkeypatch):
    """Though it was read before: a caller may take the one in front of it slowly."""
    monkeypatch.setattr(watch, "MAX_CHANGES", 1)
    database = await open_database("memory:")
    writer, tokens = InventoryWriter(database), ResumeTokens(Cipher.new())
    following = Feed(ChangeLog(database), writer.store.subscribe, tokens)
    wanted = Wanted(ClusterRef("-", "-"), frozenset({"servers"}), "", b"q" * 16)
    client = Client(following, tokens, wanted, OpenAccess())
    try:
        if resumes:
            await writer.put("servers", *(server(ref, "0", "p1", "x", True) for ref in (EAST, WEST)))
            await client.read_some(3, 1.0)
            assert client.complete
            await client.leave()
        await writer.put("servers", *(server(EAST, str(number), "p1", "y", True) for number in range(3)))
        assert await client.read(1.0)
        client.access = OfOneCluster()
        assert await client.read(1.0)
        assert (client.held, client.token) == ({}, "")  # it was told to begin anew
    finally:
        await client.leave()
        await database.close()


@settings(max_examples=80, deadline=None)
@given(histories, filters, st.sampled_from([OpenAccess, OfOneProject, OfOneCluster]), st.integers(1, 3))
def test_a_client_holds_in_the_end_what_matches(history, text, kind, size):
    """Whatever comes in between; small pages, so that each part of a watch is met."""
    before = change_log.PAGE, feed.PAGE, feed.KEPT_CHANGES, watch.MAX_CHANGES
    change_log.PAGE = feed.PAGE = size
    feed.KEPT_CHANGES, watch.MAX_CHANGES = 3, 2
    for statement in (change_log._each, change_log._first_of_each):
        statement.cache_clear()
    try:
        asyncio.run(lived(history, text, kind()))
    finally:
        change_log.PAGE, feed.PAGE, feed.KEPT_CHANGES, watch.MAX_CHANGES = before
        for statement in (change_log._each, change_log._first_of_each):
            statement.cache_clear()
