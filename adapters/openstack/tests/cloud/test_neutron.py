"""Neutron's collections: what of them has changed since a time, where it can be asked for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import network_pb2, port_pb2
from cloudspan_common.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.openstack.tests.conftest import Lab

Network, Port = network_pb2.Network, port_pb2.Port


async def test_a_neutron_that_refuses_its_own_filter_is_asked_for_everything_from_then_on(member: Lab) -> None:
    """`changed_since` is a filter of its extension for times, which its validation of filters does not know."""
    member.cloud.control.seed("demo", ports=3)
    everything = (await member.network.list_ports(member.call(), member.query(Port))).items
    for since in (member.clock.now(), member.clock.now() + 60):
        page = await member.network.list_ports(member.call(), member.query(Port, since=since))
        assert (page.items, page.changes_only) == (everything, False)
    asked = [seen.query for seen in member.cloud.control.requests("network", "GET", "/ports")]
    assert sum("changed_since" in query for query in asked) == 1


@pytest.mark.parametrize("name", ["fake", "fake-admin"])
async def test_what_has_changed_of_networks_is_asked_of_a_neutron_that_applies_it(
    user: Callable[[str], Lab], name: str
) -> None:
    """Older ones do; all parts of an administrator's listing are asked."""
    lab = user(name)
    lab.cloud.store.validates_filters = False
    ids = lab.cloud.control.seed("demo" if name == "fake" else "admin", networks=3)["networks"]
    await lab.cloud.control.advance(100)
    since = lab.clock.now() - 10
    await lab.native("PUT", "network", f"/networks/{ids[1]}", {"network": {"name": "renamed"}})
    found, cursor = [], ""
    while True:
        page = await lab.network.list_networks(lab.call(), lab.query(Network, since=since, cursor=cursor))
        found += [item.name.rpartition("/")[2] for item in page.items]
        assert page.changes_only
        if not page.more:
            break
        cursor = page.end
    assert found == [ids[1]]


async def test_another_refusal_of_a_listing_of_changes_is_told(member: Lab) -> None:
    """It is not taken for that of the filter."""
    with pytest.raises(InvalidRequest, match="not one of this listing"):
        await member.network.list_ports(
            member.call(), member.query(Port, since=member.clock.now(), cursor="no position")
        )
