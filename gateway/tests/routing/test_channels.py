"""Channels, looked up by the endpoints of the snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cloudspan_common.registry import Instance
from cloudspan_gateway.routing.channels import Channels, Link
from cloudspan_gateway.routing.trust import Trust


@pytest.fixture
async def links() -> AsyncIterator[tuple[Channels, list[Link]]]:
    """Three links; the choice of two is always that of the first two."""
    channels = Channels(choose=lambda endpoints, count: list(endpoints[:count]))
    opened = [channels.open(Instance(f"os-{n}", "openstack", f"127.0.0.1:{n + 1}"), Trust()) for n in range(3)]
    yield channels, opened
    for link in opened:
        await link.close()


async def test_the_less_busy_of_two_is_picked(links: tuple[Channels, list[Link]]) -> None:
    """The third is not looked at: two choices are enough, and every gateway would run to the idlest."""
    channels, opened = links
    opened[0].began()
    assert channels.pick([link.endpoint for link in opened]) is opened[1]
    opened[1].began()
    opened[1].began()
    assert channels.pick([link.endpoint for link in opened]) is opened[0]
    assert channels.pick([opened[1].endpoint]) is opened[1]


async def test_calls_under_way_are_counted_until_an_endpoint_is_retired(links: tuple[Channels, list[Link]]) -> None:
    """Who still holds an older snapshot may ask."""
    channels, opened = links
    opened[0].began()
    assert channels.in_flight(opened[0].endpoint) == 1
    channels.retire(opened[0])
    assert channels.in_flight(opened[0].endpoint) == 0
    assert repr(opened[0]) == "<Link os-0 at 127.0.0.1:1: 1 in flight>"
    assert "os-0" not in repr(channels)


async def test_a_link_is_idle_once_its_last_call_has_ended(links: tuple[Channels, list[Link]]) -> None:
    """Then its channel may be closed."""
    link = links[1][0]
    link.began()
    idle = link.idle()
    assert not idle.done()
    link.ended()
    assert idle.done()


async def test_paths_that_callers_invent_are_not_kept_for_ever(links: tuple[Channels, list[Link]]) -> None:
    """A known one may be made again: that costs a few microseconds."""
    _, opened = links
    kept = [opened[0].stream(f"/acme.v1.Tools/{n}{'x' * 7000}") for n in range(2000)]
    assert len(opened[0]._stream) <= 256
    assert opened[0].stream("/acme.v1.Tools/1") is opened[0].stream("/acme.v1.Tools/1")
    assert len(kept) == 2000
