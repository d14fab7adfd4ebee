"""Nova's collections: pages whose place is gone, and what an administrator is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import flavor_pb2, server_pb2
from cloudspan_common.errors import Busy
from cloudspan_openstack.cloud.cells import Cells

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

Flavor, Server = flavor_pb2.Flavor, server_pb2.Server


async def test_a_flavor_that_is_gone_asks_to_start_the_listing_again(member: Lab) -> None:
    """Nova's 400 for a marker that it does not know says nothing that a caller could act on."""
    with pytest.raises(Busy, match="the flavor that the listing stood at is gone for good") as caught:
        await member.network.list_flavors(member.call(), member.query(Flavor, cursor="no-such-flavor"))
    assert caught.value.reason == "LISTING_CHANGED"


async def test_an_administrator_asks_for_private_flavors_too(admin: Lab, member: Lab) -> None:
    """Without saying so he would be shown public ones only; a member is shown his own anyway."""
    for lab, query in ((member, "sort_key=flavorid&sort_dir=asc&limit=100"), (admin, "is_public=None&")):
        await lab.network.list_flavors(lab.call(), lab.query(Flavor))
        assert lab.cloud.control.requests("compute", "GET", "/flavors/detail")[-1].query.startswith(query)


async def test_a_cluster_remembers_its_cells(member: Lab, admin: Lab) -> None:
    """Each its own."""
    assert member.session.own(Cells) is member.session.own(Cells)
    assert member.session.own(Cells) is not admin.session.own(Cells)


async def test_what_has_changed_of_servers_is_asked_of_nova_with_what_was_deleted(member: Lab) -> None:
    """A member too is told of deleted servers: by id alone, they are no rows of a list."""
    renamed, stopped, deleted, tagged, _ = member.cloud.control.seed("demo", servers=5)["servers"]
    await member.cloud.control.advance(100)
    since = member.clock.now() - 10
    await member.native("PUT", "compute", f"/servers/{renamed}", {"server": {"name": "renamed"}})
    await member.native("PUT", "compute", f"/servers/{tagged}/tags", {"tags": ["seen by no-one"]})
    await member.session.send(
        member.call(), "POST", "compute", f"/servers/{stopped}/action", None, json={"os-stop": None}
    )
    await member.native("DELETE", "compute", f"/servers/{deleted}")
    await member.cloud.control.advance(5)
    page = await member.network.list_servers(member.call(), member.query(Server, since=since))
    assert page.changes_only
    assert {item.name.rpartition("/")[2] for item in page.items} == {renamed, stopped}
    assert list(page.gone) == [deleted]
    assert len((await member.network.list_servers(member.call(), member.query(Server))).items) == 4


async def test_changes_of_servers_come_in_pages_over_those_that_are_gone(member: Lab) -> None:
    """A page of none but deleted ones says where it goes on."""
    ids = member.cloud.control.seed("demo", servers=6)["servers"]
    await member.cloud.control.advance(100)
    since = member.clock.now() - 10
    for server_id in ids[1:5]:
        await member.native("DELETE", "compute", f"/servers/{server_id}")
    await member.native("PUT", "compute", f"/servers/{ids[0]}", {"server": {"name": "renamed"}})
    await member.cloud.control.advance(5)
    found, gone, cursor, pages = [], list[str](), "", 0
    while True:
        page = await member.network.list_servers(
            member.call(), member.query(Server, since=since, limit=2, cursor=cursor)
        )
        found += [item.name.rpartition("/")[2] for item in page.items]
        gone += page.gone
        pages += 1
        if not page.more:
            break
        cursor = page.end or page.position(len(page.items) - 1)
    assert (found, sorted(gone), pages) == ([ids[0]], sorted(ids[1:5]), 3)


async def test_flavors_cannot_be_asked_for_what_has_changed(member: Lab) -> None:
    """All of them come."""
    page = await member.network.list_flavors(member.call(), member.query(Flavor, since=member.clock.now()))
    assert page.items
    assert not page.changes_only
