"""Nova's collections: pages whose place is gone, and what an administrator is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import flavor_pb2
from cloudspan_common.errors import Busy
from cloudspan_openstack.cloud.cells import Cells

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

Flavor = flavor_pb2.Flavor


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
