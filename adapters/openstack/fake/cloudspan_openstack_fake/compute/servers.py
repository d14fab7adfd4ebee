"""Nova's servers: list, get, update, delete, tags and metadata.

Creation is in `server_create`, what happens afterwards in `server_lifecycle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

import msgspec

from cloudspan_kit.fakes.wire import HTML, JSON, Json, Reply, reply
from cloudspan_openstack_fake.compute import server_filters as filters
from cloudspan_openstack_fake.compute import server_views as views
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudspan_openstack_fake.compute.server_lifecycle import Lifecycle
    from cloudspan_openstack_fake.rows import Server
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler


def find_server(store: Store, call: Call, *, missing: str = "Instance {} could not be found.") -> Server:
    """Return the server a path names; another project's is not found, as for a member of any project but its own."""
    wanted = call.params["id"]
    row = store.servers.get(wanted)
    if row is None or (row.project_id != call.project_id and not call.identity.is_admin):
        raise Refused(404, missing.format(wanted))
    return row


def next_link(call: Call, limit: int, count: int, last_id: str) -> list[Json]:
    """Return Nova's next link: there is one whenever the page is full, also when nothing follows."""
    if not limit or count < limit:
        return []
    kept = sorted((name, value) for name, value in call.query if name != "marker")
    return [{"rel": "next", "href": f"{call.url}{call.path}?{urlencode([*kept, ('marker', last_id)])}"}]


def page_limit(store: Store, call: Call) -> int:
    """Return the page size: a greater one than `max_limit` is cut without a word."""
    asked = call.one("limit")
    return min(int(asked), store.max_limit) if asked else store.max_limit


class Servers:
    """Handlers of `/servers`."""

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self._store, self._lifecycle = store, lifecycle

    def table(self) -> dict[str, Handler]:
        one = "/v2.1/servers/{id}"
        return {
            "GET /v2.1/servers": self._list,
            "GET /v2.1/servers/detail": self._list_detail,
            f"GET {one}": self._get,
            f"PUT {one}": self._update,
            f"DELETE {one}": self._delete,
            f"GET {one}/ips": self._ips,
            f"GET {one}/os-security-groups": self._groups,
            f"GET {one}/os-instance-actions": self._actions,
            f"GET {one}/metadata": self._metadata,
            f"POST {one}/metadata": self._merge_metadata,
            f"PUT {one}/metadata": self._replace_metadata,
            f"DELETE {one}/metadata/{{key}}": self._delete_metadata,
            f"GET {one}/tags": self._tags,
            f"PUT {one}/tags": self._replace_tags,
            f"DELETE {one}/tags": self._clear_tags,
            f"GET {one}/tags/{{tag}}": self._has_tag,
            f"PUT {one}/tags/{{tag}}": self._add_tag,
            f"DELETE {one}/tags/{{tag}}": self._drop_tag,
        }

    def _list(self, call: Call) -> Reply:
        return self._page(call, lambda row: msgspec.json.encode(views.brief_server(call, row)), detail=False)

    def _list_detail(self, call: Call) -> Reply:
        return self._page(call, lambda row: views.encoded_server(self._store, call, row), detail=True)

    def _page(self, call: Call, encode: Callable[[Server], bytes], *, detail: bool) -> Reply:
        filters.check_query(call)
        limit = page_limit(self._store, call)
        with_unknown = call.version >= (2, 69) and filters.is_bare(call)
        pieces: list[bytes] = []
        last = ""
        for row in self._selected(call) if limit else ():
            if row.cell_down and not with_unknown:
                continue
            unknown = row.cell_down
            pieces.append(
                msgspec.json.encode(views.unknown_server(call, row, detail=detail)) if unknown else encode(row)
            )
            last = row.id
            if len(pieces) == limit:
                break
        links = next_link(call, limit, len(pieces), last)
        tail = b',"servers_links":' + msgspec.json.encode(links) if links else b""
        return Reply(200, b'{"servers":[' + b",".join(pieces) + b"]" + tail + b"}", JSON)

    def _selected(self, call: Call) -> Iterable[Server]:
        conditions = filters.tests(call)
        rows: Iterable[Server] = self._after_marker(call)
        if call.many("sort_key"):
            rows = self._sorted_after_marker(call)
        elif call.one("changes-since"):
            rows = self._with_dead(call)
        return (row for row in rows if all(met(row) for met in conditions))

    def _marker(self, call: Call) -> Server | None:
        marker = call.one("marker")
        if not marker:
            return None
        # A deleted server still marks its place: the listing goes on behind it, with 200.
        row = self._store.servers.get(marker) or self._store.dead_servers.get(marker)
        if row is None or (row.project_id != call.project_id and not call.identity.is_admin):
            raise Refused(400, f"marker [{marker}] not found")
        return row

    def _after_marker(self, call: Call) -> Iterable[Server]:
        marker = self._marker(call)
        return self._store.servers if marker is None else self._store.servers.after(marker, marker.id)

    def _with_dead(self, call: Call) -> Iterable[Server]:
        marker = self._marker(call)
        rows = sorted([*self._store.servers, *self._store.dead_servers.values()], key=lambda row: -row.seq)
        return rows if marker is None else (row for row in rows if row.seq < marker.seq)

    def _sorted_after_marker(self, call: Call) -> Iterable[Server]:
        marker = self._marker(call)
        rows = [*self._store.servers]
        if marker is not None and marker.deleted:
            rows.append(marker)
        ordered = filters.in_order(rows, call.many("sort_key"), call.many("sort_dir"))
        return ordered if marker is None else ordered[ordered.index(marker) + 1 :]

    def _get(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        if row.cell_down:
            return reply({"server": self._unknown(call, row)})
        shown = views.server(self._store, call, row)
        if call.version >= (2, 71):
            shown["server_groups"] = []
        return reply({"server": shown})

    def _unknown(self, call: Call, row: Server) -> Json:
        if call.version < (2, 69):
            raise Refused(
                500, f"Cell {row.host or 'cell1'} is not responding and hence instance info is not available."
            )
        known = views.unknown_server(call, row, detail=True)
        flavor = views.flavor_in_server(row.flavor)
        more = {"user_id": row.user_id, "flavor": flavor, "OS-EXT-AZ:availability_zone": "UNKNOWN"}
        return {**known, **more, "OS-EXT-STS:power_state": 0, "server_groups": []}

    def _update(self, call: Call) -> Reply:
        row, asked = find_server(self._store, call), call.document().get("server") or {}
        row.name = str(asked.get("name", row.name))
        if call.version >= (2, 19):
            row.description = asked.get("description", row.description)
        row.changed(self._store.now())
        return reply({"server": views.server(self._store, call, row)})

    def _delete(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        if row.locked and not call.identity.is_admin:
            raise Refused(409, f"Instance {row.id} is locked")
        self._lifecycle.delete(row)
        return empty()

    def _ips(self, call: Call) -> Reply:
        found = views.addresses(self._store, find_server(self._store, call))
        bare = {net: [{k: a[k] for k in ("version", "addr")} for a in rows] for net, rows in found.items()}
        return reply({"addresses": bare})

    def _groups(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        rows = [
            g
            for g in self._store.security_groups
            if g["project_id"] == row.project_id and g["name"] in row.security_groups
        ]
        keys = ("id", "description", "name", "tenant_id")
        return reply({"security_groups": [{**{key: group[key] for key in keys}, "rules": []} for group in rows]})

    def _actions(self, call: Call) -> Reply:
        return reply({"instanceActions": list(reversed(find_server(self._store, call).actions))})

    def _metadata(self, call: Call) -> Reply:
        return reply({"metadata": find_server(self._store, call).metadata})

    def _merge_metadata(self, call: Call) -> Reply:
        return self._put_metadata(call, find_server(self._store, call).metadata)

    def _replace_metadata(self, call: Call) -> Reply:
        return self._put_metadata(call, {})

    def _put_metadata(self, call: Call, kept: dict[str, str]) -> Reply:
        row = find_server(self._store, call)
        row.metadata = {**kept, **(call.document().get("metadata") or {})}
        row.changed(self._store.now())
        return reply({"metadata": row.metadata})

    def _delete_metadata(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        if call.params["key"] not in row.metadata:
            raise Refused(404, "Metadata item was not found")
        del row.metadata[call.params["key"]]
        row.changed()  # unlike a write, a removal does not move `updated`: changes-since misses it
        return empty()

    def _tagged(self, call: Call) -> Server:
        if call.version < (2, 26):
            raise Refused(404, "The resource could not be found.")
        return find_server(self._store, call)

    def _tags(self, call: Call) -> Reply:
        return reply({"tags": self._tagged(call).tags})

    def _replace_tags(self, call: Call) -> Reply:
        row = self._tagged(call)
        row.tags = sorted(set(call.document().get("tags") or []))
        row.changed()
        return reply({"tags": row.tags})

    def _clear_tags(self, call: Call) -> Reply:
        row = self._tagged(call)
        row.tags = []
        row.changed()
        return empty()

    def _has_tag(self, call: Call) -> Reply:
        row, tag = self._tagged(call), call.params["tag"]
        return empty() if tag in row.tags else _no_tag("Server", row, tag)

    def _add_tag(self, call: Call) -> Reply:
        row, tag = self._tagged(call), call.params["tag"]
        if tag in row.tags:
            return empty(204, HTML)
        row.tags = sorted([*row.tags, tag])
        row.changed()
        return empty(201, HTML, Location=f"{call.url}{call.path}")

    def _drop_tag(self, call: Call) -> Reply:
        row, tag = self._tagged(call), call.params["tag"]
        if tag not in row.tags:
            _no_tag("Instance", row, tag)
        row.tags.remove(tag)
        row.changed()
        return empty()


def _no_tag(what: str, row: Server, tag: str) -> NoReturn:
    raise Refused(404, f"{what} {row.id} has no tag '{tag}'")
