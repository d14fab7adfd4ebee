"""Availability zones of Nova, Cinder and Neutron as one list by name. `identity` calls it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import zone_pb2
from cloudspan_common.errors import CloudspanError, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

_PATHS = {"compute": "/os-availability-zone", "volume": "/os-availability-zone", "network": "/availability_zones"}
_SCOPES = {
    "compute": zone_pb2.Zone.SCOPE_COMPUTE,
    "volume": zone_pb2.Zone.SCOPE_VOLUME,
    "network": zone_pb2.Zone.SCOPE_NETWORK,
}
# Nova's zone of its own services; nothing of ours goes there.
_INTERNAL = "internal"

Rows = list[tuple[str, bool, dict[str, Any]]]


async def read_zones(
    session: Session, call: Call, ref: ClusterRef
) -> tuple[dict[str, zone_pb2.Zone], CloudspanError | None]:
    """Return the zones by name, and the error of a service that did not answer, if one did not.

    Raises:
        CloudspanError: No service answered.
    """
    services = [service for service in _PATHS if session.has(service)]
    answers = await asyncio.gather(*(_read(session, call, service) for service in services))
    failed = [answer for answer in answers if isinstance(answer, CloudspanError)]
    if failed and len(failed) == len(answers):
        raise failed[0]
    zones: dict[str, zone_pb2.Zone] = {}
    for service, answer in zip(services, answers, strict=True):
        if not isinstance(answer, CloudspanError):
            for name, available, document in answer:
                _merge(zones, ref, service, name, available=available)
                if call.full:
                    zones[name].native.update({service: document})
    return zones, failed[0] if failed else None


def _merge(zones: dict[str, zone_pb2.Zone], ref: ClusterRef, service: str, name: str, *, available: bool) -> None:
    zone = zones.setdefault(name, zone_pb2.Zone(name=ref.resource("zones", name), display_name=name))
    zone.available = zone.available or available
    if _SCOPES[service] not in zone.scopes:
        zone.scopes.append(_SCOPES[service])


async def _read(session: Session, call: Call, service: str) -> Rows | CloudspanError:
    try:
        body = await session.get(call, service, _PATHS[service], dict[str, Any])
    except NotFound:
        return []  # a Neutron without the extension has no zones
    except CloudspanError as error:
        return error
    if service == "network":
        rows = body.get("availability_zones", [])
        return [(row["name"], row.get("state") == "available", row) for row in rows]
    rows = body.get("availabilityZoneInfo", [])
    return [(row["zoneName"], _is_available(row), row) for row in rows if row["zoneName"] != _INTERNAL]


def _is_available(row: Mapping[str, Any]) -> bool:
    return bool((row.get("zoneState") or {}).get("available"))
