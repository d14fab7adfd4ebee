"""Pages: traversals lose and repeat nothing, and an answer fits in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.v1 import server_pb2
from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import PlatformFault
from cloudspan_common.listing.filter_ast import EVERYTHING, Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.listing.page_token import (
    MAX_ANSWER_BYTES,
    decode_token,
    encode_token,
)
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Page, Query
from cloudspan_kit.lists import fill as paging
from cloudspan_kit.lists.fill import Ask, fill

if TYPE_CHECKING:
    from collections.abc import Sequence

Server = server_pb2.Server
EAST = ClusterRef("openstack", "east")
HASH = b"12345678"
LIST_SERVERS = contract.methods()["cloudspan.v1.ServerService/ListServers"]


class Platform:
    """A listing by marker with pages as large as it likes; remembers what it was asked."""

    def __init__(
        self, count: int, *, at_most: int = 1000, more_than_asked: int = 0, partial: Sequence[str] = ()
    ) -> None:
        self.servers = [Server(display_name=f"s{n}", vcpus=n % 10) for n in range(count)]
        self._at_most, self._surplus, self._partial = at_most, more_than_asked, list(partial)
        self.asked: list[Query] = []

    async def fetch(self, query: Query) -> Page[Server]:
        self.asked.append(query)
        start = int(query.cursor.removeprefix("after-")) + 1 if query.cursor else 0
        end = start + min(query.limit + self._surplus, self._at_most)
        return Page(
            self.servers[start:end],
            more=end < len(self.servers),
            position=lambda i: f"after-{start + i}",
            partial=self._partial.pop(0) if self._partial else "",
        )


def ask(page_size: int = 0, page_token: str = "", text: str = "", deadline: Deadline | None = None) -> Ask:
    return Ask(
        cluster=EAST,
        deadline=deadline or Deadline.after(60),
        query_hash=HASH,
        page_size=page_size,
        page_token=page_token,
        filter=Filter.parse(text, Server.DESCRIPTOR),
    )


async def traverse(platform: Platform, page_size: int, text: str = "") -> list[str]:
    names, token = [], ""
    for _ in range(1000):
        listed = await fill(platform.fetch, ask(page_size, token, text))
        assert len(listed.items) <= page_size
        names += [item.display_name for item in listed.items]
        token = listed.next_page_token
        if not token:
            return names
    raise AssertionError("the traversal did not end")


@given(
    count=st.integers(0, 40),
    page_size=st.integers(1, 12),
    at_most=st.integers(1, 12),
    surplus=st.integers(0, 5),
    text=st.sampled_from(["", "vcpus < 3", "vcpus = 11", "vcpus >= 0"]),
)
async def test_a_traversal_loses_and_repeats_nothing(
    count: int, page_size: int, at_most: int, surplus: int, text: str
) -> None:
    """Whatever the sizes of our pages and the platform's, each match comes once and in order."""
    platform = Platform(count, at_most=at_most, more_than_asked=surplus)
    wanted = predicate(Filter.parse(text, Server.DESCRIPTOR))
    assert await traverse(platform, page_size, text) == [s.display_name for s in platform.servers if wanted(s)]


async def test_without_a_filter_no_more_is_asked_than_is_missing() -> None:
    """A platform that cuts its pages is asked again for the rest only."""
    platform = Platform(50, at_most=4)
    listed = await fill(platform.fetch, ask(10))
    assert [query.limit for query in platform.asked] == [10, 6, 2]
    assert len(listed.items) == 10
    assert decode_token(listed.next_page_token, HASH) == "after-9"


async def test_with_a_filter_ever_larger_pages_are_searched() -> None:
    """Rare matches cost few round trips, and no page is larger than 1000."""
    platform = Platform(3000)
    listed = await fill(platform.fetch, ask(10, text="vcpus = 11"))
    assert [query.limit for query in platform.asked] == [100, 200, 400, 800, 1000, 1000]
    assert (listed.items, listed.next_page_token) == ([], "")


async def test_a_listing_that_ends_with_the_page_has_no_token() -> None:
    """No empty last page where the platform says that there is nothing more."""
    listed = await fill(Platform(10).fetch, ask(10))
    assert (len(listed.items), listed.next_page_token) == (10, "")


async def test_half_of_the_time_used_ends_in_a_short_page_with_a_token() -> None:
    """What was searched is not searched again: the token stands behind the last item looked at."""
    clock, platform = FakeClock(), Platform(2000, at_most=100)

    async def slow(query: Query) -> Page[Server]:
        await clock.advance(2)
        return await platform.fetch(query)

    deadline = Deadline.after(10, clock.monotonic)
    listed = await fill(slow, ask(10, text="vcpus = 11", deadline=deadline))
    assert (listed.items, len(platform.asked)) == ([], 3)
    assert decode_token(listed.next_page_token, HASH) == "after-299"


async def test_two_hundred_native_pages_end_in_a_short_page_with_a_token() -> None:
    """A filter that matches nothing of a huge listing answers, and can go on."""
    platform = Platform(500, at_most=1)
    listed = await fill(platform.fetch, ask(10, text="vcpus = 11"))
    assert len(platform.asked) == paging.MAX_NATIVE_PAGES
    assert decode_token(listed.next_page_token, HASH) == "after-199"


async def test_a_platform_that_leads_back_is_a_fault_that_names_the_cluster() -> None:
    """The same marker twice would be a traversal without end."""
    markers = iter(["a", "b", "a"])

    async def circling(_: Query) -> Page[Server]:
        marker = next(markers)
        return Page([Server()], more=True, position=lambda _: marker)

    with pytest.raises(PlatformFault, match=r"platforms/openstack/clusters/east .* position 'a'") as fault:
        await fill(circling, ask(10))
    assert fault.value.reason == "PAGING_LOOP"
    assert fault.value.metadata == {"platform": "openstack", "cluster": "east"}


@pytest.mark.parametrize("items", [[], [Server()]])
async def test_a_page_that_promises_more_without_moving_is_a_fault(items: list[Server]) -> None:
    """Neither an empty page with more behind it nor the caller's own position again leads on."""

    async def stuck(query: Query) -> Page[Server]:
        return Page(items, more=True, position=lambda _: query.cursor)

    with pytest.raises(PlatformFault):
        await fill(stuck, ask(10, encode_token(HASH, "here")))


async def test_reasons_for_doubt_are_merged() -> None:
    """Each reason is said once, in the order met."""
    platform = Platform(8, at_most=2, partial=["cell down", "", "cell down", "no next link"])
    assert (await fill(platform.fetch, ask(8))).partial == "cell down; no next link"


async def test_no_filter_means_no_work_for_each_item() -> None:
    """A page of the platform is passed on as it came: its items are not even looked at."""

    class Untouchable:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    items = [Untouchable() for _ in range(1000)]

    async def fetch(_: Query) -> Page[Untouchable]:
        return Page(items, more=True, position=str)

    listed = await fill(fetch, ask(1000))
    assert len(listed.items) == 1000
    assert decode_token(listed.next_page_token, HASH) == "999"


def test_a_page_too_large_to_send_is_cut_with_a_token_behind_the_cut() -> None:
    """The answer stays below 3 MiB and the next page begins with the first item left out."""
    items = [Server(display_name=str(n), native_state="x" * 10_000) for n in range(1000)]
    listed = paging.Listed(items, "end", token_after=lambda i: encode_token(HASH, str(i)))
    cut = paging.cut_to_fit(listed)
    assert 250 < len(cut.items) < 320
    assert server_pb2.ListServersResponse(servers=cut.items).ByteSize() < MAX_ANSWER_BYTES
    assert decode_token(cut.next_page_token, HASH) == str(len(cut.items) - 1)


def test_an_item_too_large_to_send_is_sent_all_the_same() -> None:
    """A page without items could never be got past."""
    items = [Server(native_state="x" * 4_000_000), Server()]
    assert len(paging.cut_to_fit(paging.Listed(items, "", token_after=str)).items) == 1


def test_a_page_that_fits_stays_whole() -> None:
    """Same items, same token."""
    listed = paging.Listed([Server()], "end")
    assert paging.cut_to_fit(listed) == listed


@pytest.mark.parametrize("padding", [0, 1, 100, 200, 20_000])
def test_the_bytes_of_an_answer_are_those_of_the_whole_response(padding: int) -> None:
    """Items of any size, and whatever else the response holds."""
    items = [Server(display_name=str(n), native_state="x" * (padding * n)) for n in range(4)]
    rest = server_pb2.ListServersResponse(next_page_token="t", unreachable=["a"])
    answer = paging.cut_to_fit(paging.Listed(items, "t")).answer(rest)
    expected = server_pb2.ListServersResponse(servers=items, next_page_token="t", unreachable=["a"])
    assert server_pb2.ListServersResponse.FromString(answer) == expected


def test_every_list_of_the_contract_has_its_items_in_field_one() -> None:
    """What `answer` relies on."""
    lists = [method for method in contract.methods().values() if method.kind is contract.Kind.LIST]
    assert lists
    for method in lists:
        assert method.response.DESCRIPTOR.fields_by_name[method.items_field].number == 1


async def test_a_cut_in_a_page_of_many_native_pages_goes_on_at_the_right_one() -> None:
    """The token after item i leads to item i + 1 wherever a native page began, with a filter too."""
    platform = Platform(60, at_most=7)
    listed = await fill(platform.fetch, ask(12, text="vcpus < 3"))
    for index in range(11):
        following = await fill(platform.fetch, ask(1, listed.token_after(index), "vcpus < 3"))
        assert following.items[0] == listed.items[index + 1]
    with pytest.raises(IndexError):
        listed.token_after(12)


async def test_a_list_request_becomes_a_masked_page_and_its_token_goes_on() -> None:
    """All of a list's manners at once, as the servicer calls them."""
    platform = Platform(30)

    async def list_servers(call: Call, query: Query) -> Page[Server]:
        assert (call.cluster, query.order_by) == (EAST, (("display_name", True),))
        return await platform.fetch(query)

    request = server_pb2.ListServersRequest(
        parent=str(EAST),
        page_size=2,
        filter="vcpus = 3",
        order_by="display_name desc",
        read_mask={"paths": ["display_name"]},
    )
    call = Call(EAST, Deadline.after(60))
    first = await paging.list_page(LIST_SERVERS, request, call, list_servers, ["display_name"])
    assert list(first.items) == [Server(display_name="s3"), Server(display_name="s13")]
    request.page_token = first.next_page_token
    second = await paging.list_page(LIST_SERVERS, request, call, list_servers, ["display_name"])
    assert list(second.items) == [Server(display_name="s23")]
    assert platform.servers[3] == Server(display_name="s3", vcpus=3)


async def test_a_list_request_without_anything_asks_for_a_hundred() -> None:
    """The defaults, and a filter that is the empty one."""
    platform = Platform(300)
    request = server_pb2.ListServersRequest(parent=str(EAST))
    listed = await paging.list_page(
        LIST_SERVERS, request, Call(EAST, Deadline.after(60)), lambda _, query: platform.fetch(query)
    )
    assert len(listed.items) == 100
    assert platform.asked == [Query(EVERYTHING, 100)]
