"""What one stream sends: events in messages of a size that clients take, its place, and an end when it must."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest
from gateway.tests.access_by_header import TenantAccess
from gateway.tests.events.event_lab import EventLab, event_lab

from cloudspan.v1 import event_pb2
from cloudspan_common.errors import NotFound, Resync, Unreachable
from cloudspan_gateway.events import streams
from cloudspan_gateway.events.follower import Follower
from cloudspan_gateway.events.streams import BOOKMARK_S, LOOK_S, Streams


@pytest.fixture
async def lab():
    async with event_lab() as opened:
        yield opened


def follower(text: str = "", tenant: str = "acme") -> Follower:
    return Follower(text, lambda: TenantAccess(tenant))


async def taken(messages, count: int) -> list[tuple[list[str], int]]:
    """Return the subjects of so many messages, each with its place."""
    found = [await anext(messages) for _ in range(count)]
    return [([event.subject for event in events], place.sequence) for events, place in found]


async def test_a_message_holds_so_many_events(lab: EventLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one none, so that its caller knows that it has begun; each says where to go on behind it."""
    monkeypatch.setattr(streams, "MAX_EVENTS", 2)
    await lab.happens(1, 2, 3, 4, 5)
    async with aclosing(Streams(lab.log, lab.clock).messages(follower(), await lab.place())) as messages:
        found = await taken(messages, 4)
    assert found == [([], 0), (["s1", "s2"], 2), (["s3", "s4"], 4), (["s5"], 5)]


async def test_a_message_stays_below_what_clients_take(lab: EventLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is larger than that by itself is one message."""
    await lab.happens("a" * 100, "b" * 100, "c" * 500, "d" * 100)
    place = await lab.place()
    page = await lab.log.after(place.sequence, place.epoch)
    size = next(event.ByteSize() for _, event in follower().shown(page.events))
    monkeypatch.setattr(streams, "MAX_BYTES", 2 * size)
    async with aclosing(Streams(lab.log, lab.clock).messages(follower(), place)) as messages:
        found = await taken(messages, 4)
    letters = [("".join(subject[1] for subject in shown), number) for shown, number in found]
    assert letters == [("", 0), ("ab", 2), ("c", 3), ("d", 4)]


async def test_bookmarks_pass_over_what_is_not_shown(lab: EventLab) -> None:
    """Not more often than in ten seconds."""
    await lab.happens(1, tenant="other")
    async with aclosing(Streams(lab.log, lab.clock).messages(follower(), await lab.place())) as messages:
        assert await taken(messages, 1) == [([], 0)]
        waiting = asyncio.ensure_future(taken(messages, 1))
        await lab.clock.advance(BOOKMARK_S - 2 * LOOK_S)
        assert not waiting.done()
        async with asyncio.timeout(5):
            while not waiting.done():
                await lab.clock.advance(LOOK_S)
        assert await waiting == [([], 1)]


async def test_a_quiet_stream_is_asked_each_second_whether_it_may_go_on(lab: EventLab) -> None:
    asked: list[float] = []

    async def check() -> None:
        asked.append(lab.clock.monotonic())
        if len(asked) == 4:
            raise NotFound("it was deleted")

    async with aclosing(Streams(lab.log, lab.clock).messages(follower(), await lab.place(), check)) as messages:
        await taken(messages, 1)
        waiting = asyncio.ensure_future(anext(messages))
        async with asyncio.timeout(5):
            while not waiting.done():
                await lab.clock.advance(LOOK_S)
        with pytest.raises(NotFound):
            await waiting
    assert [later - earlier for earlier, later in pairwise(asked)] == [LOOK_S] * 3


async def test_a_stream_whose_events_are_gone_ends(lab: EventLab) -> None:
    place = await lab.place(7)
    async with aclosing(Streams(lab.log, lab.clock).messages(follower(), place)) as messages:
        await taken(messages, 1)
        with pytest.raises(Resync):
            await anext(messages)


async def test_all_streams_end_at_once_when_the_gateway_drains(lab: EventLab) -> None:
    """Those that come then too; how many there are is known all the time."""
    made = Streams(lab.log, lab.clock)
    open_ones = [made.messages(follower(), await lab.place()) for _ in range(3)]
    for messages in open_ones:
        await taken(messages, 1)
    waiting = [asyncio.ensure_future(anext(messages)) for messages in open_ones]
    await asyncio.sleep(0)
    assert made.count == 3
    made.stop()
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(one) for one in found] == [Unreachable] * 3
    late = made.messages(follower(), await lab.place())
    assert (await anext(late))[0] == list[event_pb2.Event]()
    with pytest.raises(Unreachable):
        await anext(late)
    assert made.count == 0
