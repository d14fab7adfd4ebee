"""Why the inventory holds nothing: the reason that is true, in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.tests.known_callers import EAST, WEST
from gateway.tests.services.inventory.conftest import DC1, Running

from cloudspan.v1.inventory_pb2 import GetSyncStateRequest
from cloudspan_gateway.inventory.model import Brake, Completeness

SERVERS = ("servers",)


async def explained(running: Running, user: str = "alice", **fields: Any) -> str:
    request = GetSyncStateRequest(**{"collections": SERVERS, **fields})
    return (await running.ask("GetSyncState", request, user)).explanation


def complete(running: Running, *clusters: str) -> None:
    for cluster in clusters:
        running.kept.listed(
            cluster, "servers", completeness=Completeness.COMPLETE, observe_time=1_000_000_000.0, owner="g"
        )


async def test_a_filter_that_matches_nothing_is_taken_apart(running: Running) -> None:
    """Which condition matches nothing alone; of another one only its place can be said."""
    complete(running, EAST, WEST)
    both = await explained(running, filter='state = RUNNING AND labels.team = "db" AND display_name != "*"')
    assert both.startswith("Of what you may see the filter matches 0 of 3.")
    assert "labels.team = 'db' and NOT display_name = a pattern alone match none of them." in both
    together = await explained(running, filter='display_name = "a" AND display_name = "b"')
    assert "Each condition may match some by itself, together they match none." in together
    nested = await explained(running, filter='(display_name = "x" OR display_name = "y") AND state = RUNNING')
    assert "Condition 1 alone matches none of them." in nested
    found = await explained(running, filter="state = RUNNING")
    assert found == (
        "Of what you may see the filter matches 3 of 3. All was listed completely, the oldest part at "
        "2001-09-09T01:46:40Z."
    )


async def test_what_was_never_listed_says_why(running: Running) -> None:
    """No gateway has it yet; it is on its way; its adapter is gone."""
    text = await explained(running, parent=WEST)
    assert f"servers of {WEST} was never listed: no gateway lists it yet" in text
    running.kept.listed(WEST, "zones", completeness=Completeness.COMPLETE, owner="g")
    assert "its first listing is on the way" in await explained(running, parent=WEST)


async def test_a_refused_login_is_named_with_what_was_said(running: Running) -> None:
    """And as of when what is kept is."""
    running.kept.listed(
        WEST, "servers", completeness=Completeness.FAILED, reason="LOGIN_REFUSED", message="401 from Keystone",
        observe_time=1_000_000_000.0,
    )  # fmt: skip
    text = await explained(running, parent=WEST)
    assert "could not be listed, what is kept is of 2001-09-09T01:46:40Z: LOGIN_REFUSED: 401 from Keystone" in text
    assert "CheckCluster" in text


async def test_a_collection_that_the_cluster_has_not_is_named_when_it_is_asked_for(running: Running) -> None:
    """By the adapter's own reason."""
    text = await explained(running, parent=WEST, collections=["images"])
    assert "images of platforms/openstack/clusters/west was not supported: METHOD_ABSENT" in text
    assert "images are made elsewhere" in text
    assert "images" not in await explained(running, parent=WEST, collections=[])


@pytest.mark.parametrize(("user", "counted"), [("alice", ": 7 of 9 are not listed any more"), ("carol", "")])
async def test_a_brake_says_how_to_release_it(running: Running, user: str, counted: str) -> None:
    """How many are missing is for those who see the whole cluster."""
    running.kept.listed(EAST, "servers", completeness=Completeness.PARTIAL, brake=Brake(7, 9, 1_000_000_000.0))
    text = await explained(running, user, parent=EAST)
    assert f"Deletions of servers of {EAST} are held back since 2001-09-09T01:46:40Z{counted}; look at" in text
    assert "release_brake" in text


async def test_one_project_of_a_cluster_is_said(running: Running) -> None:
    """What a caller does not see may be what it looks for."""
    assert f"Of {EAST} you see what {EAST}/projects/p2 has" in await explained(running, "carol", parent=EAST)


async def test_what_is_empty_and_whole_is_said_to_be(running: Running) -> None:
    """With the time of the listing that says so."""
    running.kept.clear()
    complete(running, DC1)
    text = await explained(running, "carol", parent=DC1)
    assert text == (
        "Kept, of what you may see: 0. All was listed completely, the oldest part at 2001-09-09T01:46:40Z: "
        "there is nothing that you may see."
    )


async def test_many_reasons_are_cut(running: Running) -> None:
    """The rest is counted."""
    for number, name in enumerate(("servers", "zones", "ports", "volumes", "images", "routers", "subnets", "networks")):
        running.kept.listed(EAST, name, completeness=Completeness.FAILED, reason=f"R{number}")
    text = await explained(running, parent=EAST, collections=[])
    assert "And 1 more; ask for fewer clusters or collections." in text
