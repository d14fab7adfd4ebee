"""Nova flavors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute.server_views import links_of
from cloudspan_openstack_fake.compute.servers import next_link, page_limit
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_openstack_fake.rows import Flavor
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler


class Flavors:
    """Handlers of `/flavors`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def table(self) -> dict[str, Handler]:
        return {
            "GET /v2.1/flavors": self._list_flavors,
            "GET /v2.1/flavors/detail": self._list_flavors,
            "GET /v2.1/flavors/{id}": self._get_flavor,
            "GET /v2.1/flavors/{id}/os-extra_specs": self._extra_specs,
        }

    def _list_flavors(self, call: Call) -> Reply:
        limit = checked_limit(self._store, call)
        least_ram, least_disk = int(call.one("minRam", "0")), int(call.one("minDisk", "0"))
        rows = sorted(self._store.flavors.values(), key=lambda row: row.id)
        rows = [row for row in rows if row.ram >= least_ram and row.disk >= least_disk and row.is_public]
        if marker := call.one("marker"):
            if marker not in self._store.flavors:
                raise Refused(400, f"marker [{marker}] not found")
            rows = [row for row in rows if row.id > marker]
        page = rows[:limit]
        shown = [_flavor(call, row) if call.path.endswith("/detail") else _brief(call, row) for row in page]
        links = next_link(call, limit, len(page), page[-1].id if page else "")
        return reply({"flavors": shown, "flavors_links": links} if links else {"flavors": shown})

    def _flavor_row(self, call: Call) -> Flavor:
        wanted = call.params["id"]
        if wanted not in self._store.flavors:
            raise Refused(404, f"Flavor {wanted} could not be found.")
        return self._store.flavors[wanted]

    def _get_flavor(self, call: Call) -> Reply:
        return reply({"flavor": _flavor(call, self._flavor_row(call))})

    def _extra_specs(self, call: Call) -> Reply:
        return reply({"extra_specs": dict(self._flavor_row(call).extra_specs)})


def checked_limit(store: Store, call: Call) -> int:
    """Return the page size of a flavor or key pair list."""
    asked = call.one("limit")
    if not re.fullmatch("[0-9]*", asked):
        raise Refused(
            400, f"Invalid input for query parameters limit. Value: {asked}. '{asked}' does not match '^[0-9]*$'"
        )
    return page_limit(store, call)


def _brief(call: Call, row: Flavor) -> Json:
    return {"id": row.id, "name": row.name, "links": links_of(call, "flavors", row.id)}


def _flavor(call: Call, row: Flavor) -> Json:
    minor = call.version[1]
    shown: Json = {
        "id": row.id,
        "name": row.name,
        "ram": row.ram,
        "disk": row.disk,
        "swap": row.swap if minor >= 75 else row.swap or "",
        "OS-FLV-EXT-DATA:ephemeral": row.ephemeral,
        "OS-FLV-DISABLED:disabled": False,
        "vcpus": row.vcpus,
        "os-flavor-access:is_public": row.is_public,
        "rxtx_factor": 1.0,
        "links": links_of(call, "flavors", row.id),
    }
    if minor >= 55:
        shown["description"] = row.description
    if minor >= 61:
        shown["extra_specs"] = dict(row.extra_specs)
    return shown
