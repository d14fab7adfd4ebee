"""Parts of a list over many clusters that come from the inventory: bound to it once some of it was sent."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.tests.listed_clusters import (
    Clouds,
    CloudsAndInventory,
    Response,
    Status,
    failing,
    names,
)

from cloudspan_common.errors import InvalidRequest, Unreachable


def sources(pages: list[Response]) -> list[str]:
    statuses = [status for page in pages for status in page.cluster_status]
    return [f"{s.cluster[-1]} {Status.Source.Name(s.source).removeprefix('SOURCE_')}" for s in statuses]


async def test_a_part_of_the_inventory_goes_on_there() -> None:
    """Its cluster may be back: the two do not page alike."""
    clouds = CloudsAndInventory({"p/a": 4}, instead={"p/a": failing(Unreachable("is down"))})
    first = await clouds.page(page_size=2)
    clouds.instead.clear()
    rest = await clouds.page(page_size=2, page_token=first.next_page_token)
    assert sources([first, rest]) == ["a INVENTORY", "a INVENTORY"]
    assert len(set(names([first, rest]))) == 4


async def test_a_part_of_the_inventory_that_did_not_fit_binds_the_next_page_to_nothing() -> None:
    """Nothing of it was sent: the cluster is asked again, and answers if it is back."""
    clouds = CloudsAndInventory({"p/a": 4, "p/b": 4}, bytes_each=512 * 1024)
    clouds.instead["p/b"] = failing(Unreachable("is down"))
    first = await clouds.page(page_size=8)
    clouds.instead.clear()
    rest = await clouds.page(page_size=8, page_token=first.next_page_token)
    assert sources([rest]) == ["b LIVE"]
    assert len(set(names([first, rest]))) == 8


async def test_a_cluster_of_which_nothing_is_kept_fails_by_its_own_reason() -> None:
    """Not by that of the inventory, which was only asked since the cluster was away."""
    clouds = CloudsAndInventory({"p/a": 1, "p/b": 1}, instead={"p/b": failing(Unreachable("b is down"))})

    async def no_database(*_: Any) -> None:
        raise Unreachable("the database does not answer", reason="STORE_UNAVAILABLE")

    clouds.part = no_database
    assert [status.message for status in (await clouds.page()).cluster_status] == ["", "b is down"]


async def test_sorting_over_clusters_is_advised_where_there_is_an_inventory() -> None:
    for clouds, advised in ((Clouds({"p/a": 1}), False), (CloudsAndInventory({"p/a": 1}), True)):
        with pytest.raises(InvalidRequest, match="one cluster at a time") as refused:
            await clouds.page(order_by="display_name")
        assert ("max_staleness" in refused.value.message) == advised
