"""A list over many clusters: every item once, whatever single clusters do, and honest about each."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any

import pytest
from gateway.tests.listed_clusters import (
    ALL,
    LIST,
    Clouds,
    Request,
    Response,
    Status,
    failing,
    names,
    states,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudspan.v1 import server_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import InvalidRequest, NotFound, Unreachable, Unsupported
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES, authenticated, encode_token, hash_query
from cloudspan_gateway.call import Call, Target
from cloudspan_gateway.lists.fan_out import FanOut
from cloudspan_gateway.routing.snapshot import PlatformRoute, Snapshot


async def hanging(_: Request) -> Response:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits a minute")


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=20),
    page_size=st.integers(1, 60),
    heavy=st.booleans(),
)
def test_every_item_comes_exactly_once(sizes: list[int], page_size: int, heavy: bool) -> None:
    """Whatever the clusters' sizes, the page size and the items' weight."""
    clouds = Clouds({f"p{n % 3}/c{n:02}": size for n, size in enumerate(sizes)}, bytes_each=200_000 if heavy else 0)
    pages = asyncio.run(clouds.traverse(page_size=page_size))
    assert len(names(pages)) == len(set(names(pages))) == sum(sizes)
    assert all(len(page.servers) <= page_size for page in pages)
    assert all(page.ByteSize() < 4 * 2**20 for page in pages)
    assert {cluster for page in pages for cluster in states(page)} == {f"c{n:02}" for n in range(len(sizes))}


async def test_a_page_is_shared_out_and_asked_at_once() -> None:
    """20 clusters, 50 items: three for the first ten, two for the others."""
    clouds = Clouds({f"p/c{n:02}": 100 for n in range(20)})
    page = await clouds.page(page_size=50)
    assert [count for _, count in clouds.asked] == [3] * 10 + [2] * 10
    assert len(page.servers) == 50
    assert set(states(page).values()) == {"OK"}


async def test_clusters_without_items_leave_their_share_of_the_page_to_those_not_asked_yet() -> None:
    """A page of two over five clusters, of which the first three are empty."""
    clouds = Clouds({"p/a": 0, "p/b": 0, "p/c": 0, "p/d": 5, "p/e": 5})
    page = await clouds.page(page_size=2)
    assert names([page]) == ["platforms/p/clusters/d/servers/0", "platforms/p/clusters/e/servers/0"]


@pytest.mark.parametrize("clusters", [2, 20])
async def test_a_cluster_that_hangs_does_not_hold_back_the_others_parts(clusters: int) -> None:
    """The answer comes within the deadline, names the missing one, and stays without it to the end."""
    clouds = Clouds({f"p/c{n:02}": 7 for n in range(clusters)}, instead={"p/c01": hanging})
    started = time.monotonic()
    page = await clouds.page(deadline_s=0.5, page_size=clusters * 2)
    assert time.monotonic() - started < 0.5
    assert list(page.unreachable) == ["platforms/p/clusters/c01"]
    assert states(page)["c01"] == "UNREACHABLE"
    assert len(page.servers) == 2 * (clusters - 1)
    clouds.instead.clear()
    rest = await clouds.page(page_token=page.next_page_token, page_size=clusters * 2)
    assert list(rest.unreachable) == ["platforms/p/clusters/c01"]
    assert not [name for name in names([rest]) if "c01" in name]
    assert [s.reason for s in rest.cluster_status if s.cluster.endswith("c01")] == ["FAILED_EARLIER"]


async def test_a_cluster_that_fails_is_listed_with_its_reason() -> None:
    """Reason and message of its error, and how long it took to fail."""
    clouds = Clouds({"p/a": 1, "p/b": 1}, instead={"p/b": failing(Unreachable("b is down", reason="BREAKER_OPEN"))})
    page = await clouds.page()
    status = page.cluster_status[1]
    assert (status.reason, status.message) == ("BREAKER_OPEN", "b is down")
    assert status.HasField("took")
    assert page.cluster_status[0].source == Status.SOURCE_LIVE
    assert page.cluster_status[0].HasField("age")
    assert not page.next_page_token


async def test_a_cluster_without_the_resource_is_not_a_failure() -> None:
    """UNSUPPORTED has its reason and is not unreachable."""
    clouds = Clouds({"p/a": 1, "p/b": 1}, instead={"p/b": failing(Unsupported("b has no servers"))})
    page = await clouds.page()
    assert states(page) == {"a": "OK", "b": "UNSUPPORTED"}
    assert not page.unreachable


async def test_a_cluster_that_refuses_the_request_fails_alone() -> None:
    """A replaced adapter that can't read its predecessor's token must not end everybody's traversal."""
    clouds = Clouds({"p/a": 9, "p/b": 9})
    page = await clouds.page(page_size=4)
    clouds.instead["p/b"] = failing(InvalidRequest("what token?"))
    rest = await clouds.page(page_size=100, page_token=page.next_page_token)
    assert len(rest.servers) == 7
    assert list(rest.unreachable) == ["platforms/p/clusters/b"]


async def test_a_cluster_that_disappears_between_pages_is_named() -> None:
    """Its adapter no longer serves it."""
    clouds = Clouds({"p/a": 9, "p/b": 9})
    page = await clouds.page(page_size=4)
    left = Clouds({"p/a": 9})
    rest = await left.page(page_size=100, page_token=page.next_page_token)
    assert list(rest.unreachable) == ["platforms/p/clusters/b"]
    assert rest.cluster_status[1].reason == "NO_INSTANCE"
    assert len(rest.servers) == 7


async def test_a_doubt_of_one_page_stays_for_the_traversal() -> None:
    """What could not be proven complete once is not complete because a later page was."""
    clouds = Clouds({"p/a": 4})

    async def partly(question: Request) -> Response:
        answer = await clouds.answer(question)
        answer.cluster_status[0].state, answer.cluster_status[0].message = Status.STATE_PARTIAL, "a cell is down"
        return answer

    clouds.instead["p/a"] = partly
    page = await clouds.page(page_size=2)
    clouds.instead.clear()
    rest = await clouds.page(page_size=2, page_token=page.next_page_token)
    assert states(page) == states(rest) == {"a": "PARTIAL"}
    assert "a cell is down" in rest.cluster_status[0].message


async def test_parts_above_the_limit_wait_for_the_next_page() -> None:
    """Two parts of 2 MiB don't go into one answer, and neither is lost."""
    clouds = Clouds({"p/a": 4, "p/b": 4}, bytes_each=512 * 1024)
    pages = await clouds.traverse(page_size=8)
    assert [len(page.servers) for page in pages] == [4, 4]
    assert all(page.ByteSize() < MAX_ANSWER_BYTES for page in pages)
    assert len(set(names(pages))) == 8


async def test_a_cluster_that_pages_in_circles_is_stopped() -> None:
    """The same token again would never end."""

    async def circle(_: Request) -> Response:
        return Response(servers=[server_pb2.Server(name="x")], next_page_token="7")

    clouds = Clouds({"p/a": 1, "p/b": 1}, instead={"p/b": circle})
    pages = await clouds.traverse(page_size=10)
    assert list(pages[-1].unreachable) == ["platforms/p/clusters/b"]
    assert pages[-1].cluster_status[0].reason == "PAGING_LOOP"


@pytest.mark.parametrize("page_size", [1, 100])
async def test_a_list_fails_when_no_cluster_answers(page_size: int) -> None:
    """UNAVAILABLE with each one's reason."""
    down = failing(Unreachable("is down"))
    clouds = Clouds({"p/a": 1, "p/b": 1}, instead={"p/a": down, "p/b": down})
    with pytest.raises(Unreachable, match=r"clusters/a: is down.*clusters/b: is down") as caught:
        await clouds.page(page_size=page_size)
    assert caught.value.reason == "ALL_UNREACHABLE"
    assert caught.value.retry_after_s


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"page_size": -1}, "NEGATIVE_PAGE_SIZE"),
        ({"order_by": "display_name"}, "ORDER_ACROSS_CLUSTERS"),
        ({"filter": "nonsense = 1"}, ""),
        ({"filter": "(("}, ""),
        ({"read_mask": {"paths": ["nonsense"]}}, "UNKNOWN_MASK_PATH"),
        ({"page_token": "nonsense"}, "PAGE_TOKEN_MALFORMED"),
        ({"parent": "platforms/-/clusters/-/servers/1"}, "MALFORMED_NAME"),
    ],
)
async def test_what_every_cluster_would_refuse_is_refused_before_any_is_asked(
    request_: dict[str, Any], reason: str
) -> None:
    """With all clusters hanging the caller still learns of its mistake at once."""
    clouds = Clouds({"p/a": 1}, instead={"p/a": hanging})
    with pytest.raises(InvalidRequest) as caught:
        await clouds.page(**request_)
    assert reason in ("", caught.value.reason)
    assert not clouds.asked


async def test_a_token_serves_its_own_query_only() -> None:
    """Another filter, or positions outside of the parent, are refused."""
    clouds = Clouds({"p/a": 5, "q/b": 5})
    token = (await clouds.page(page_size=2)).next_page_token
    with pytest.raises(InvalidRequest) as caught:
        await clouds.page(page_token=token, filter='display_name = "x"')
    assert caught.value.reason == "PAGE_TOKEN_OTHER_QUERY"
    query_hash = hash_query(LIST.full_name, Request(parent="platforms/p/clusters/-"))
    for cursor in ('[["q","b","open","1",""]]', "[[1]]", '[["p","a","odd","",""]]'):
        with pytest.raises(InvalidRequest) as caught:
            await clouds.page(parent="platforms/p/clusters/-", page_token=encode_token(query_hash, cursor))
        assert caught.value.reason == "PAGE_TOKEN_MALFORMED"


async def test_a_wildcard_may_stand_for_platform_or_cluster() -> None:
    """One platform's clusters, or one tag on every platform."""
    clouds = Clouds({"p/east": 1, "p/west": 1, "q/east": 1})
    assert len(names([await clouds.page(parent="platforms/p/clusters/-")])) == 2
    assert len(names([await clouds.page(parent="platforms/-/clusters/east")])) == 2


async def test_a_list_of_an_unknown_cluster_fails_instead_of_being_empty() -> None:
    """An unknown platform, a mistyped cluster, and a platform whose clusters are not known yet."""
    clouds = Clouds({"p/east": 1})
    for parent, known in (("platforms/zz/clusters/-", "p"), ("platforms/-/clusters/eats", "east")):
        with pytest.raises(NotFound, match=f"known now.*{known}"):
            await clouds.page(parent=parent)
    clouds.snapshot = Snapshot(MappingProxyType({"new": PlatformRoute("new")}))
    with pytest.raises(Unreachable):
        await clouds.page(parent="platforms/new/clusters/-")
    assert names([await clouds.page()]) == []


async def _one_misbehaves(misbehave: Callable[[Request], Awaitable[Response]], **request: Any) -> Response:
    """Return a page over a healthy cluster and one that answers so."""
    return await Clouds({"a/good": 3, "b/bad": 0}, instead={"b/bad": misbehave}).page(**request)


@pytest.mark.parametrize(
    ("stamp", "shown"),
    [((1 << 62, 0), False), ((0, -5), False), ((-(1 << 40), 0), False), ((253402300799, 0), True), ((1, 0), True)],
)
async def test_an_impossible_time_of_one_cluster_is_left_out_and_costs_nobody_the_list(
    stamp: tuple[int, int], shown: bool
) -> None:
    async def odd(question: Request) -> Response:
        answer = Response()
        server = answer.servers.add(name=f"{question.parent}/servers/1")
        for holder in (server.observe_time, answer.cluster_status.add(state=Status.STATE_OK).observe_time):
            holder.seconds, holder.nanos = stamp
        return answer

    page = await _one_misbehaves(odd)
    assert len(page.servers) == 4
    [status] = [status for status in page.cluster_status if status.cluster.endswith("b/clusters/bad")]
    assert (status.HasField("observe_time"), status.HasField("age")) == (shown, shown)


async def test_a_cluster_that_answers_more_than_was_asked_for_fails_alone() -> None:
    """More items, more bytes, or a page token that would not fit into the next request."""

    async def too_many(question: Request) -> Response:
        answer = Response()
        for number in range(question.page_size + 1):
            answer.servers.add(name=f"{question.parent}/servers/{number}")
        return answer

    async def too_large(question: Request) -> Response:
        return Response(servers=[server_pb2.Server(name="n", display_name="x" * (MAX_ANSWER_BYTES + 100_000))])

    async def long_token(question: Request) -> Response:
        return Response(next_page_token="t" * 3_000_000)

    for misbehave in (too_many, too_large, long_token):
        page = await _one_misbehaves(misbehave, page_size=10)
        assert len(page.servers) == 3
        assert page.unreachable == ["platforms/b/clusters/bad"]
        [status] = [status for status in page.cluster_status if status.cluster == "platforms/b/clusters/bad"]
        assert status.reason == "ANSWER_TOO_LARGE"


async def test_a_page_token_that_was_not_issued_here_is_refused() -> None:
    """Forged with 170 000 positions, twice the same cluster, or made with another key."""
    clouds, key = Clouds({"a/one": 30}), authenticated(lambda body: hashlib.sha256(b"key" + body).digest())
    query = hash_query(LIST.full_name, Request(parent=ALL))
    forged = json.dumps([["a", "one", "open", "1", ""]] * 170_000)
    twice = json.dumps([["a", "one", "open", "1", ""]] * 2)
    tokens = [encode_token(query, forged), encode_token(query, twice), encode_token(query, twice, key)]
    for token in tokens:
        with pytest.raises(InvalidRequest, match="invalid page_token"):
            await clouds.page(page_token=token)


async def test_a_gateway_with_a_key_takes_its_own_tokens_alone() -> None:
    clouds = Clouds({"a/one": 30})
    key = authenticated(lambda body: hashlib.sha256(b"key" + body).digest())

    async def page(token: str) -> Response:
        call = Call(LIST.path, b"", (), str, Deadline.after(5.0), None)
        call.target = Target(LIST.full_name, message=Request(parent=ALL, page_size=10, page_token=token))
        return Response.FromString(await FanOut(clouds, clouds, key).list_across(LIST, call))

    first = await page("")
    assert len((await page(first.next_page_token)).servers) == 10
    other = encode_token(hash_query(LIST.full_name, Request(parent=ALL)), '[["a","one","open","10",""]]')
    with pytest.raises(InvalidRequest, match="invalid page_token"):
        await page(other)
