"""SweepService over real sockets: what a page holds, where it goes on, and what a cloud that lies makes of it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from common.kit.tests.acme import EAST, PARENT, AcmeCluster, serving
from common.kit.tests.owned_resources import Drivers
from google.protobuf import timestamp_pb2
from tests.harness.callers import acting_for

from cloudspan.adapter.v1 import sweep_pb2, sweep_pb2_grpc
from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import server_pb2
from cloudspan_common import errors
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES, checksum
from cloudspan_kit import Call, Page, Query
from cloudspan_kit.serve.sweep import CHANGES_MARGIN_S, ROWS_ASKED

Server = server_pb2.Server
Request, Response = sweep_pb2.SweepPageRequest, sweep_pb2.SweepPageResponse


def server(native_id: str, **fields: Any) -> Server:
    return Server(name=EAST.resource("servers", native_id), **fields)


@dataclass
class Servers:
    """A driver that lists its rows, a few a page, or whatever a test has it answer."""

    rows: list[Server] = field(default_factory=lambda: [server(f"s{i}", vcpus=i) for i in range(5)])
    size: int = 2
    answer: Callable[[Query], Page[Server]] | None = None
    fault: errors.CloudspanError | None = None
    calls: list[Call] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    capabilities: Any = field(default_factory=dict)

    async def list_servers(self, call: Call, query: Query) -> Page[Server]:
        self.calls.append(call)
        self.queries.append(query)
        if self.fault is not None:
            raise self.fault
        return self.answer(query) if self.answer else self._page(query)

    def _page(self, query: Query) -> Page[Server]:
        start = int(query.cursor or 0)
        items = self.rows[start : start + self.size]
        return Page(items, start + self.size < len(self.rows), lambda i: str(start + i + 1))


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
async def sweeps(servers: Servers) -> AsyncIterator[Any]:
    async with serving(AcmeCluster(servers)) as address, AsyncClient(address, timeout_s=5) as client:
        yield sweep_pb2_grpc.SweepServiceStub(client.channel)


async def page_of(sweeps: Any, collection: str = "servers", **fields: Any) -> Response:
    answer: Response = await sweeps.SweepPage(Request(cluster=PARENT, collection=collection, **fields))
    return answer


async def pages_of(sweeps: Any, collection: str = "servers", **fields: Any) -> list[Response]:
    found, cursor = [], ""
    while not found or cursor:
        found.append(await page_of(sweeps, collection, cursor=cursor, **fields))
        cursor = found[-1].next_cursor
    return found


def ids(*pages: Response) -> list[str]:
    return [row.name.rpartition("/")[2] for page in pages for row in page.rows]


def fixed(*items: Server, more: bool = False, **said: Any) -> Callable[[Query], Page[Server]]:
    return lambda _: Page(items, more, lambda i: f"behind {i}", **said)


async def test_a_sweep_goes_through_a_collection_one_native_page_after_the_other(sweeps: Any, servers: Servers) -> None:
    """All of its rows, so many at a time, and when nobody waits."""
    before = time.time_ns()
    pages = await pages_of(sweeps)
    assert [ids(page) for page in pages] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert [(q.limit, q.cursor, q.filter.is_empty, q.since) for q in servers.queries] == [
        (ROWS_ASKED, "", True, None),
        (ROWS_ASKED, "2", True, None),
        (ROWS_ASKED, "4", True, None),
    ]
    assert all(call.background and not call.full and not call.fields for call in servers.calls)
    assert before <= pages[0].observe_time.ToNanoseconds() < pages[2].observe_time.ToNanoseconds() < time.time_ns()


async def test_a_row_is_the_resource_without_what_differs_from_read_to_read(sweeps: Any, servers: Servers) -> None:
    """What the driver keeps stays as it is."""
    kept = server("s", vcpus=2, labels={"b": "2", "a": "1"})
    servers.rows = [server("s", vcpus=2, labels={"a": "1", "b": "2"})]
    servers.rows[0].observe_time.GetCurrentTime()
    servers.rows[0].native["id"] = "s"
    (row,) = (await page_of(sweeps)).rows
    assert row.name == kept.name
    assert row.resource == kept.SerializeToString(deterministic=True)
    assert row.digest == hashlib.blake2b(row.resource, digest_size=16).digest()
    assert servers.rows[0].native["id"] == "s"


async def test_a_page_that_is_as_it_was_carries_no_rows(sweeps: Any, servers: Servers) -> None:
    """By the etag of the page before; a row that changes, and one more behind the page, make it another."""
    first = await page_of(sweeps)
    again = await page_of(sweeps, known_etag=first.etag)
    assert (again.unchanged, list(again.rows), again.next_cursor) == (True, [], first.next_cursor)
    servers.rows[1].display_name = "renamed"
    changed = await page_of(sweeps, known_etag=first.etag)
    assert (changed.unchanged, ids(changed)) == (False, ["s0", "s1"])
    servers.rows = servers.rows[:2]
    assert not (await page_of(sweeps, known_etag=changed.etag)).unchanged


async def test_an_answer_stays_small_enough_to_be_sent(sweeps: Any, servers: Servers) -> None:
    """What is left of a native page comes with the next ones; no row is lost or sent twice."""
    servers.rows = [server(f"s{i}", description="x" * 900_000) for i in range(8)]
    servers.size = 8
    pages = await pages_of(sweeps)
    assert max(page.ByteSize() for page in pages) <= MAX_ANSWER_BYTES
    assert [ids(page) for page in pages] == [["s0", "s1", "s2"], ["s3", "s4", "s5"], ["s6", "s7"]]


async def test_a_page_has_at_most_a_thousand_rows_however_many_the_platform_answers(
    sweeps: Any, servers: Servers
) -> None:
    """Some collections are read whole."""
    servers.rows = [server(f"s{i}") for i in range(2001)]
    servers.size = 3000
    assert [len(page.rows) for page in await pages_of(sweeps)] == [1000, 1000, 1]


async def test_a_row_that_no_answer_can_hold_is_named_and_the_others_come(sweeps: Any, servers: Servers) -> None:
    """One odd row never stops a sweep."""
    servers.rows = [server("a"), server("b", description="x" * 3_500_000), server("c")]
    pages = await pages_of(sweeps)
    assert ids(*pages) == ["a", "c"]
    assert list(pages[0].unread) == [f"{PARENT}/servers/b was left out (it has 3500046 bytes)"]


async def test_rows_that_cannot_be_read_are_named_in_few_words(sweeps: Any, servers: Servers) -> None:
    """However many there are, and whatever their ids."""
    servers.answer = fixed(server("a"), unread=["x" * 5000, *(f"row {i}" for i in range(5000))], partial="no\nproof")
    page = await page_of(sweeps)
    assert (ids(page), page.partial, len(page.unread), page.unread[-1]) == (["a"], "no proof", 101, "and 4901 more")
    assert page.ByteSize() < 10_000


async def test_two_rows_of_one_name_are_one_row(sweeps: Any, servers: Servers) -> None:
    """Where they differ, that is said."""
    servers.answer = fixed(server("a", vcpus=1), server("b"), server("a", vcpus=1))
    same = await page_of(sweeps)
    assert (ids(same), list(same.unread)) == (["a", "b"], [])
    servers.answer = fixed(server("a", vcpus=1), server("b"), server("a", vcpus=2))
    other = await page_of(sweeps)
    assert ids(other) == ["a", "b"]
    assert Server.FromString(other.rows[0].resource).vcpus == 1
    assert list(other.unread) == [f"{PARENT}/servers/a is listed twice, with other content; the first one was taken"]


async def test_a_row_that_is_renamed_between_two_pages_comes_as_it_was_read(sweeps: Any, servers: Servers) -> None:
    """It may come twice: under one id with two display names, the later one last."""
    first = await page_of(sweeps)
    servers.rows.insert(2, server("s0", display_name="renamed"))
    second = await page_of(sweeps, cursor=first.next_cursor)
    assert ids(first, second) == ["s0", "s1", "s0", "s2"]
    assert Server.FromString(second.rows[0].resource).display_name == "renamed"
    assert second.observe_time.ToNanoseconds() > first.observe_time.ToNanoseconds()


async def test_pages_that_shrink_to_nothing_are_followed_to_the_end(sweeps: Any, servers: Servers) -> None:
    """An empty page that says where it goes on is no end."""
    places = {"": (["a", "b"], "1"), "1": (["c"], "2"), "2": ([], "3"), "3": (["d"], "")}

    def answer(query: Query) -> Page[Server]:
        found, end = places[query.cursor]
        return Page([server(i) for i in found], bool(end), lambda _: "", end=end)

    servers.answer = answer
    assert [ids(page) for page in await pages_of(sweeps)] == [["a", "b"], ["c"], [], ["d"]]


@pytest.mark.parametrize(("tail", "length"), [(0, 1), (0, 2), (3, 1), (5, 7), (40, 100)])
async def test_a_listing_that_goes_in_circles_is_refused(sweeps: Any, servers: Servers, tail: int, length: int) -> None:
    """However long the circle and the way to it, though the adapter keeps nothing between two pages."""

    def answer(query: Query) -> Page[Server]:
        number = int(query.cursor or 0) + 1
        number = number if number < tail + length else max(tail, 1)
        return Page([server(f"s{number}")], True, lambda _: str(number))

    servers.answer = answer
    with pytest.raises(client_errors.PlatformFault) as refused:
        await pages_of(sweeps)
    assert refused.value.reason == "PAGING_LOOP"
    assert len(servers.queries) <= 4 * (tail + length + 1)


async def test_a_page_that_leads_on_to_nowhere_is_refused(sweeps: Any, servers: Servers) -> None:
    """There is more, the platform says, and gives nothing and no place to go on at."""
    first = await page_of(sweeps)
    servers.answer = fixed(more=True)
    with pytest.raises(client_errors.PlatformFault, match="led back to position '2'"):
        await page_of(sweeps, cursor=first.next_cursor)
    with pytest.raises(client_errors.PlatformFault, match="led back to position ''"):
        await page_of(sweeps)
    servers.answer = lambda _: Page([server("a")], True, lambda _: "")
    with pytest.raises(client_errors.PlatformFault, match="led back to position ''"):
        await page_of(sweeps)


async def test_a_cursor_is_good_for_its_own_sweep_alone(sweeps: Any) -> None:
    """Not for another collection or for changes; one that was cut is none."""
    cursor = (await page_of(sweeps)).next_cursor
    since = timestamp_pb2.Timestamp(seconds=7)
    other_query = (await page_of(sweeps, since_time=since)).next_cursor
    for other in (
        {"cursor": cursor, "since_time": since},
        {"cursor": other_query},
        {"cursor": cursor[:-4]},
        {"cursor": "2"},
        {"cursor": forged(cursor, b"no position")},
        {"cursor": forged(cursor, b"x:y:z")},
    ):
        with pytest.raises(client_errors.InvalidRequest, match="start the sweep again") as refused:
            await page_of(sweeps, **other)
        assert refused.value.reason == "PAGE_TOKEN_MALFORMED"


def forged(cursor: str, native: bytes) -> str:
    """Return a cursor of the same sweep with another position, as somebody would make it who knows how."""
    query = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[5:13]
    body = query + native
    return base64.urlsafe_b64encode(b"\x01" + checksum(body) + body).rstrip(b"=").decode()


async def test_what_a_cluster_does_not_list_is_refused_with_what_it_does(sweeps: Any) -> None:
    """An unknown collection, one that this platform lacks, an unknown cluster."""
    with pytest.raises(client_errors.InvalidRequest, match="collection is 'operations'; a cluster has flavors"):
        await page_of(sweeps, "operations")
    with pytest.raises(client_errors.Unsupported, match=r"has no .*VolumeService/ListVolumes"):
        await page_of(sweeps, "volumes")
    with pytest.raises(client_errors.NotFound, match="known"):
        await sweeps.SweepPage(Request(cluster="platforms/acme/clusters/west", collection="servers"))
    with pytest.raises(client_errors.InvalidRequest, match="wildcard"):
        await sweeps.SweepPage(Request(cluster="platforms/acme/clusters/-", collection="servers"))


async def test_a_cloud_that_fails_fails_the_page_in_its_own_words(sweeps: Any, servers: Servers) -> None:
    """As a list does, with the cluster's tags."""
    servers.fault = errors.Unreachable("nova is down", reason="CONNECTION_REFUSED")
    with pytest.raises(client_errors.Unreachable, match="nova is down") as refused:
        await page_of(sweeps)
    assert (refused.value.reason, refused.value.metadata["cluster"]) == ("CONNECTION_REFUSED", "east")


async def test_a_platform_is_asked_for_changes_from_a_margin_before_on(sweeps: Any, servers: Servers) -> None:
    """Clocks differ, and rows are stamped before they can be read; what is deleted comes by name alone."""
    servers.answer = fixed(server("a"), changes_only=True, gone=["b", "x" * 1000])
    page = await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=1000, nanos=500_000_000))
    assert servers.queries[0].since == 1000.5 - CHANGES_MARGIN_S
    assert [(row.name.rpartition("/")[2], row.gone, bool(row.resource)) for row in page.rows] == [
        ("a", False, True),
        ("b", True, False),
    ]
    assert not page.ignored_since
    servers.answer = fixed(server("a"), changes_only=True, gone=["c"])
    assert (await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=1000))).etag != page.etag


async def test_a_time_that_is_yet_to_come_hides_no_change(sweeps: Any, servers: Servers) -> None:
    """Nor does one before all times."""
    await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=253_402_300_799))
    await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=-62_135_596_800))
    late, early = [query.since or 0.0 for query in servers.queries]
    assert time.time() - 2 * CHANGES_MARGIN_S < late < time.time()
    assert early == 0.0


async def test_a_collection_that_cannot_be_asked_for_changes_says_so(sweeps: Any) -> None:
    """Its page is one of everything."""
    page = await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=1))
    assert (page.ignored_since, ids(page)) == (True, ["s0", "s1"])
    assert not (await page_of(sweeps)).ignored_since


async def test_a_sweep_for_one_project_holds_nothing_of_the_others() -> None:
    """Not their rows, not what can't be read of them, not what is gone of them."""
    drivers = Drivers()
    async with serving(AcmeCluster(drivers)) as address, AsyncClient(address, timeout_s=5) as client:
        sweeps = sweep_pb2_grpc.SweepServiceStub(client.channel)
        with acting_for("main"):
            mine, shared = await page_of(sweeps), await page_of(sweeps, "networks")
            drivers.fault = errors.PlatformFault(f"{EAST.resource('servers', 'b')} stands in the way")
            with pytest.raises(client_errors.PlatformFault, match="another project's servers stands in the way"):
                await page_of(sweeps)
        drivers.fault = None
        everything = await page_of(sweeps)
    assert (mine.project_id, everything.project_id) == ("main", "")
    assert (ids(mine), list(mine.unread)) == (["a"], [])
    assert "may" not in mine.partial
    assert mine.partial == "the cloud sent rows that can't be read, or can't prove that these are all"
    assert ids(shared) == ["a", "all"]
    assert ids(everything) == ["a", "b", "lost"]
    assert list(everything.unread) == ["b (size: 1e400 is too large)"]


async def test_what_is_gone_is_not_told_to_a_sweep_for_one_project(sweeps: Any, servers: Servers) -> None:
    """Nothing says whose it was."""
    servers.answer = fixed(changes_only=True, gone=["b"])
    with acting_for("main"):
        assert list((await page_of(sweeps, since_time=timestamp_pb2.Timestamp(seconds=1))).rows) == []
