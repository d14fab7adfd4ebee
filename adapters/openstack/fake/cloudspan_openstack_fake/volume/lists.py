"""Cinder's lists and views: filters by microversion, pages, and the fields that each microversion added."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.store import in_time
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_openstack_fake.store import Store, Table

_PAGING = {"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "with_count", "all_tenants", "usage"}
_FILTERS = {
    "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "created_at",
    "updated_at", "volume_type_id", "volume_id", "consumes_quota", "display_name", "project_id_",
}  # fmt: skip
_TIMES = ("created_at", "updated_at")
_SORT_KEYS = (
    "id", "status", "size", "availability_zone", "name", "bootable", "created_at", "updated_at", "volume_id",
)  # fmt: skip
_SERVICE_UUID = "16166168-3518-45b3-b639-ed1335c4f5ef"
_MAX_LIMIT = 1000


def find(table: Table[Json], call: Call, text: str, name: str = "id") -> Json:
    """Return a row of the caller's project."""
    wanted = call.params[name]
    row = table.get(wanted)
    if row is None or (row["_project"] != call.project_id and not call.identity.is_admin):
        raise Refused(404, text.format(wanted))
    return row


def links(call: Call, row: Json) -> list[Json]:
    return [
        {"rel": "self", "href": f"{call.url}/v3/{row['_project']}/volumes/{row['id']}"},
        {"rel": "bookmark", "href": f"{call.url}/{row['_project']}/volumes/{row['id']}"},
    ]


def shown(call: Call, row: Json) -> Json:
    """Return a volume in the shape of the call's microversion."""
    document = {key: value for key, value in row.items() if key[0] != "_"} | {"links": links(call, row)}
    added = (
        (13, "group_id", None),
        (48, "shared_targets", True),
        (48, "service_uuid", _SERVICE_UUID),
        (63, "volume_type_id", row["_type_id"]),
        (65, "consumes_quota", True),
    )
    document |= {key: value for since, key, value in added if call.version[1] >= since}
    document["os-vol-tenant-attr:tenant_id"] = row["_project"]
    if "_image_meta" in row:
        document["volume_image_metadata"] = row["_image_meta"]
    return document


def volumes(store: Store, call: Call) -> Reply:
    """Answer a list of volumes, brief or detailed."""
    rows = select(store.volumes, call, "Volume {} could not be found.")
    page = paged(call, rows)
    if call.path.endswith("/detail"):
        documents = [shown(call, row) for row in page]
    else:
        documents = [{"id": row["id"], "name": row["name"], "links": links(call, row)} for row in page]
    return finished(call, "volumes", documents, len(rows))


def select(table: Table[Json], call: Call, missing: str) -> list[Json]:
    """Return the rows that a list call is about, in its order, from behind its marker."""
    wants_all = call.identity.is_admin and call.one("all_tenants", "0").lower() in ("1", "true")
    asked = _asked(call)
    rows = [row for row in table if (wants_all or row["_project"] == call.project_id) and _met(row, asked)]
    for key, direction in reversed(_sorting(call)):
        rows.sort(key=lambda row: str(row.get(key) or ""), reverse=direction == "desc")
    marker = call.one("marker")
    if not marker:
        return rows
    known = table.get(marker)
    if known is None or (known["_project"] != call.project_id and not call.identity.is_admin):
        raise Refused(404, missing.format(marker))
    ids = [row["id"] for row in rows]
    return rows[ids.index(marker) + 1 :] if marker in ids else rows


def paged(call: Call, rows: list[Json]) -> list[Json]:
    offset = int(call.one("offset", "0"))
    return rows[offset : offset + _limit(call)]


def finished(call: Call, many: str, documents: list[Json], count: int) -> Reply:
    """Return the list's answer with its next link, which every full page has."""
    document: Json = {many: documents}
    limit = _limit(call)
    if documents and len(documents) == limit:
        # The link leads to the path that the caller used, with the project in it if it was there.
        kept = [(name, value) for name, value in call.query if name not in ("marker", "offset")]
        query = urlencode([*kept, ("marker", documents[-1]["id"])])
        path = call.path.replace("/v3/", f"/v3/{call.project_id}/", 1)
        document[f"{many}_links"] = [{"rel": "next", "href": f"{call.url}{path}?{query}"}]
    if call.one("with_count").lower() == "true" and call.version >= (3, 45):
        document["count"] = count
    return reply(document)


def _limit(call: Call) -> int:
    asked = call.one("limit")
    if not asked:
        return _MAX_LIMIT
    if not asked.lstrip("-").isdigit():
        raise Refused(400, "limit param must be an integer")
    if int(asked) < 0:
        raise Refused(400, "limit param must be positive")
    return min(int(asked), _MAX_LIMIT)


def _asked(call: Call) -> dict[str, str]:
    asked = {name: value for name, value in call.query if name not in _PAGING}
    is_volumes = "/volumes" in call.path
    unknown = [name for name in asked if name not in _FILTERS or (name in _TIMES and not is_volumes)]
    if unknown and call.version >= (3, 31) and not call.identity.is_admin:
        raise Refused(400, f"Invalid filters {', '.join(unknown)} are found in query options.")
    if "/snapshots" in call.path and call.version < (3, 22):
        asked.pop("metadata", None)  # ignored without a word
    if call.version < (3, 31):
        asked = {name: value for name, value in asked.items() if name not in _TIMES}  # the same
    return {name: value for name, value in asked.items() if name in _FILTERS}


def _met(row: Json, asked: dict[str, str]) -> bool:
    for name, wanted in asked.items():
        if name == "metadata":
            pairs = _parsed(wanted)
            if pairs is None or not pairs.items() <= row["metadata"].items():
                return False
        elif name in _TIMES:
            if not _in_time(str(row[name] or ""), wanted):
                return False
        elif str(row.get(name)) != wanted:
            return False
    return True


def _in_time(value: str, wanted: str) -> bool:
    try:
        return all(in_time(value, part) for part in wanted.split(","))
    except ValueError as error:
        raise Refused(400, f"Invalid {error} operator") from None


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, dict) else None


def _sorting(call: Call) -> list[tuple[str, str]]:
    pairs = [tuple(part.partition(":")[::2]) for part in filter(None, call.one("sort").split(","))]
    pairs += [(key, call.one("sort_dir", "desc")) for key in filter(None, call.one("sort_key").split(","))]
    for key, direction in pairs:
        if key not in _SORT_KEYS:
            raise Refused(400, "Invalid input received: Invalid sort key")
        if direction not in ("", "asc", "desc"):
            raise Refused(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
    return [(key, direction or "desc") for key, direction in pairs]
