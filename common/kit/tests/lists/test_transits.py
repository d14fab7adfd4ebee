"""How many native calls it takes to tell which resources are in transit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cloudspan_common.errors import NotFound, Unreachable
from cloudspan_kit.transits import in_transit


class Building:
    """A cloud of a hundred servers, every third of which is being built."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.shown = 0

    async def look(self, native_id: str) -> bool:
        self.looked.append(native_id)
        if native_id == "down":
            raise Unreachable("down")
        if native_id == "gone":
            raise NotFound("gone")
        return int(native_id) % 3 == 0

    async def each(self) -> AsyncIterator[tuple[str, bool]]:
        for number in range(100):
            self.shown += 1
            yield str(number), number % 3 == 0


async def test_a_few_are_looked_at_one_by_one() -> None:
    """What is gone is not in transit."""
    cloud = Building()
    assert await in_transit(["1", "3", "gone", "3"], cloud.look, cloud.each) == {"3"}
    assert (sorted(cloud.looked), cloud.shown) == (["1", "3", "gone"], 0)


async def test_many_take_one_listing_that_ends_when_all_were_seen() -> None:
    """Twenty ids among the first twenty of a hundred."""
    cloud = Building()
    found = await in_transit([str(number) for number in range(20)], cloud.look, cloud.each)
    assert found == {"0", "3", "6", "9", "12", "15", "18"}
    assert (cloud.looked, cloud.shown) == ([], 20)


async def test_a_listing_that_lacks_some_is_read_to_its_end() -> None:
    """Those count as gone: their operations look for themselves."""
    cloud = Building()
    assert await in_transit([*"0123456", "gone", "lost"], cloud.look, cloud.each) == {"0", "3", "6"}
    assert cloud.shown == 100


async def test_none_take_no_call_and_a_failed_look_fails() -> None:
    """Nothing is told of what could not be looked at."""
    cloud = Building()
    assert await in_transit([], cloud.look, cloud.each) == set()
    with pytest.raises(Unreachable):
        await in_transit(["down", "1"], cloud.look, cloud.each)
    assert sorted(cloud.looked) == ["1", "down"]
