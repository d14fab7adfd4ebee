"""Zones: the availability zones of Nova, Cinder and Neutron as one list by name, as far as the cloud has them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never

import msgspec

from cloudspan.v1 import zone_pb2
from cloudspan_common.errors import CloudspanError, NotFound
from cloudspan_kit import Kind, KindDriver, Rows, Source, listed
from cloudspan_kit.drivers import ZoneDriver
from cloudspan_openstack.cloud.rows import Collection, page_by_id
from cloudspan_openstack.cloud.source import session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from cloudspan_kit import Call, Query, RowPage
    from cloudspan_openstack.cloud.source import AnyKind

Zone = zone_pb2.Zone

_SCOPES = {"compute": Zone.SCOPE_COMPUTE, "volume": Zone.SCOPE_VOLUME, "network": Zone.SCOPE_NETWORK}
# Nova's zone of its own services; nothing of ours goes there.
_INTERNAL = "internal"


class ZoneState(msgspec.Struct):
    available: bool = False


class ServiceZoneRow(msgspec.Struct):
    """A zone of Nova or Cinder."""

    zoneName: str  # noqa: N815 - what rows are known by has the service's own name
    state: ZoneState | None = msgspec.field(name="zoneState", default=None)

    @property
    def name(self) -> str:
        return self.zoneName

    @property
    def available(self) -> bool:
        return self.state is not None and self.state.available


class NetworkZoneRow(msgspec.Struct):
    """A zone of Neutron, for one kind of its resources."""

    name: str
    state: str | None = None

    @property
    def available(self) -> bool:
        return self.state == "available"


class ZoneRow(msgspec.Struct):
    """A zone, merged from what the services say of it."""

    name: str
    available: bool = False
    services: list[str] = msgspec.field(default_factory=list)


# Where the services have their zones. A Neutron without the extension has none.
_ZONES: Mapping[str, tuple[str, Collection[Any]]] = {
    "compute": ("/os-availability-zone", Collection("availabilityZoneInfo", ServiceZoneRow, identify="zoneName")),
    "volume": ("/os-availability-zone", Collection("availabilityZoneInfo", ServiceZoneRow, identify="zoneName")),
    "network": ("/availability_zones", Collection("availability_zones", NetworkZoneRow, identify="name")),
}


class _Merged(Source[Never]):
    """Zones of all services, by name."""

    def id_of(self, row: Any) -> str:
        return str(row.name)

    async def one(self, call: Call, kind: AnyKind[Any, Any], native_id: str) -> Rows[Any]:
        found, failed = await _read(call)
        for i, row in enumerate(found.rows):
            if row.name == native_id:
                return Rows([row], found.documents[i : i + 1])
        known = listed(sorted(row.name for row in found.rows)) or "none"
        raise failed or NotFound(f"{call.cluster} has no zone {native_id!r}; it has: {known}")

    async def page(self, call: Call, kind: AnyKind[Any, Any], query: Query) -> RowPage[Any]:
        found, failed = await _read(call)
        return page_by_id(found, self.id_of, query, failed.message if failed else "")

    async def sweep(self, call: Call, kind: AnyKind[Any, Any]) -> AsyncIterator[Sequence[Any]]:
        found, _ = await _read(call)
        yield found.rows


ZONES = Kind(collection="zones", message=Zone, row=ZoneRow, source=_Merged())


class Zones(KindDriver[ZoneRow, Zone], ZoneDriver):
    """ZoneService."""

    kind = ZONES

    def message(self, row: ZoneRow) -> Zone:
        return Zone(
            name=self._ref.resource("zones", row.name),
            display_name=row.name,
            available=row.available,
            scopes=[_SCOPES[service] for service in row.services],
        )


async def _read(call: Call) -> tuple[Rows[ZoneRow], CloudspanError | None]:
    """Return the zones, and the error of a service that did not answer, if one did not.

    Raises:
        CloudspanError: No service answered.
    """
    services = [service for service in _ZONES if session_of(call).has(service)]
    answers = await asyncio.gather(*(_zones_of(call, service) for service in services))
    failed = [answer for answer in answers if isinstance(answer, CloudspanError)]
    if failed and len(failed) == len(answers):
        raise failed[0]
    zones: dict[str, ZoneRow] = {}
    documents: dict[str, dict[str, Any]] = {}
    unread: list[str] = []
    for service, answer in zip(services, answers, strict=True):
        if isinstance(answer, CloudspanError):
            continue
        unread += answer.unread
        for i, row in enumerate(answer.rows):
            if row.name == _INTERNAL and service != "network":
                continue
            zone = zones.setdefault(row.name, ZoneRow(row.name))
            zone.available = zone.available or row.available
            if service not in zone.services:
                zone.services.append(service)
            if answer.documents:
                documents.setdefault(row.name, {})[service] = answer.documents[i]
    found = Rows(list(zones.values()), [documents[name] for name in zones] if documents else [], unread)
    return found, failed[0] if failed else None


async def _zones_of(call: Call, service: str) -> Rows[Any] | CloudspanError:
    path, collection = _ZONES[service]
    try:
        answer = await session_of(call).rows(call, service, path, collection)
    except NotFound:
        return Rows([])
    except CloudspanError as error:
        return error
    more = [f"{service} has more zones than one answer shows"] if answer.has_next or answer.is_cut else []
    return replace(answer.rows, unread=[*answer.rows.unread, *more])
