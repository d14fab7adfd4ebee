"""Zones are the platform's zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import zone_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


async def test_a_disabled_zone_is_not_available(admin: Lab) -> None:
    """It stays in the list."""
    (zone,) = await admin.everything(admin.identity.list_zones, zone_pb2.Zone)
    assert zone.available
    assert set(zone.scopes) == {zone_pb2.Zone.SCOPE_COMPUTE, zone_pb2.Zone.SCOPE_VOLUME, zone_pb2.Zone.SCOPE_NETWORK}
    await admin.act("PUT", f"/zones/{zone.name[-32:]}/actions", "changeZoneState", stateEvent="disable")
    got = await admin.identity.get_zone(admin.call(zone.name), zone_pb2.GetZoneRequest())
    assert (got.available, got.display_name) == (False, zone.display_name)
