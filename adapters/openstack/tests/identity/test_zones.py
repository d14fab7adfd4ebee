"""Zones: merged from what the services tell, and honest about one that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import zone_pb2
from cloudspan_common.errors import CloudspanError, NotFound
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

ZONE = zone_pb2.Zone


async def test_zones_of_all_services_are_one_list(member: Lab) -> None:
    """By name, with what each is for."""
    zones = await member.everything(member.identity.list_zones, ZONE)
    nova = next(zone for zone in zones if zone.display_name == "nova")
    assert list(nova.scopes) == [ZONE.SCOPE_COMPUTE, ZONE.SCOPE_VOLUME, ZONE.SCOPE_NETWORK]
    assert nova.available
    assert "internal" not in {zone.display_name for zone in zones}
    full = await member.identity.get_zone(member.call(nova.name, full=True), zone_pb2.GetZoneRequest())
    assert (full.native["compute"]["zoneName"], full.native["network"]["name"]) == ("nova", "nova")
    with pytest.raises(NotFound, match="it has: nova"):
        await member.identity.get_zone(member.call("mars"), zone_pb2.GetZoneRequest())


async def test_zones_say_when_a_service_did_not_answer(member: Lab) -> None:
    """The listing is partial, with the reason; an absent zone might be that service's."""
    member.cloud.control.fault(Kind.SERVER_ERROR, service="volume", path="os-availability-zone")
    page = await member.identity.list_zones(member.call(), member.query(ZONE))
    assert [zone.display_name for zone in page.items] == ["nova"]
    assert "volume" in page.partial
    with pytest.raises(CloudspanError) as caught:
        await member.identity.get_zone(member.call("mars"), zone_pb2.GetZoneRequest())
    assert not isinstance(caught.value, NotFound)


async def test_zones_fail_when_no_service_answers(member: Lab) -> None:
    """An empty list would be a lie."""
    for service in ("compute", "volume", "network"):
        member.cloud.control.fault(Kind.SERVER_ERROR, service=service, path="zone")
    with pytest.raises(CloudspanError):
        await member.identity.list_zones(member.call(), member.query(ZONE))
