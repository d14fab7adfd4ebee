"""The fake Glance: images with ids chosen by the client, and error pages in HTML."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from cloudspan_kit.fakes.wire import HTML, Json, Reply, reply
from cloudspan_openstack_fake.identity import discovery
from cloudspan_openstack_fake.store import in_time
from cloudspan_openstack_fake.wire import Call, Refused, Routes, empty, html

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudspan_openstack_fake.rows import Server
    from cloudspan_openstack_fake.store import Store

_ID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_SORT_KEYS = ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"]
_READ_ONLY = {
    "status",
    "size",
    "virtual_size",
    "checksum",
    "created_at",
    "updated_at",
    "file",
    "self",
    "schema",
    "stores",
    "os_hash_algo",
    "os_hash_value",
}
_DISK_FORMATS = [None, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"]
_VISIBILITIES = ("public", "private", "shared", "community", "all")
_PAGING = {"limit", "marker", "sort", "sort_key", "sort_dir"}
_TIMES = ("created_at", "updated_at")
_PATCH = "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch"
_DEFAULT_LIMIT, _MAX_LIMIT = 25, 1000


class Glance:
    """The image service at `/image`."""

    name = "image"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._data: dict[str, bytes] = {}
        self.routes = Routes()
        self.routes.add_all(
            {
                "GET /v2/images": self._list,
                "POST /v2/images": self._create,
                "GET /v2/images/{id}": self._get,
                "PATCH /v2/images/{id}": self._patch,
                "DELETE /v2/images/{id}": self._delete,
                "PUT /v2/images/{id}/file": self._upload,
                "GET /v2/images/{id}/file": self._download,
                "PUT /v2/images/{id}/tags/{tag}": self._add_tag,
                "DELETE /v2/images/{id}/tags/{tag}": self._drop_tag,
                "GET /v2/info/import": self._import_methods,
                "GET /v2/info/usage": lambda _: reply({"usage": {}}),
                "GET /v2/schemas/image": lambda _: reply({"name": "image", "properties": {}}),
            }
        )

    def public(self, call: Call) -> Reply | None:
        return discovery.versions_of(call)

    def negotiate(self, call: Call) -> None:
        call.bad_json = "Malformed JSON in request body."

    def refusal(self, call: Call, refused: Refused) -> Reply:
        if refused.status == 401:
            text = (
                "This server could not verify that you are authorized to access the document you requested. Either you "
                "supplied the wrong credentials (e.g., bad password), or your browser does not understand how to "
                "supply the credentials required."
            )
            answer = html(401, text)
            answer.headers["WWW-Authenticate"] = f'Keystone uri="{call.base}/identity/v3"'
            return answer
        answer = html(refused.status, escape(refused.message))
        if refused.status == 415:
            answer.headers["Accept-Patch"] = _PATCH
        return answer

    def decorate(self, call: Call, answer: Reply) -> None:
        if answer.status != 401:
            answer.headers.setdefault("X-Openstack-Request-Id", call.request_id)

    def from_server(self, server: Server, name: str, properties: dict[str, str]) -> Json:
        """Begin a snapshot of a server: queued now, active when Nova has uploaded it."""
        asked = {
            "name": name,
            "disk_format": "qcow2",
            "container_format": "bare",
            "visibility": "private",
            **properties,
        }
        row = self.new_row(server.project_id, asked | {"image_type": "snapshot", "instance_uuid": server.id})
        self.keep(row)
        self._store.timeline.after(self._store.timing.image_s, lambda: self.fill(row, b"snapshot"))
        return row

    def new_row(self, project_id: str, asked: Json) -> Json:
        """Return a queued image; what Glance has no field for is kept as a property."""
        now = self._store.stamp()
        fixed: Json = {
            "name": asked.get("name"),
            "disk_format": asked.get("disk_format"),
            "container_format": asked.get("container_format"),
            "visibility": asked.get("visibility", "shared"),
            "size": None,
            "virtual_size": None,
            "status": "queued",
            "checksum": None,
            "protected": asked.get("protected", False),
            "min_ram": asked.get("min_ram", 0),
            "min_disk": asked.get("min_disk", 0),
            "owner": project_id,
            "os_hidden": asked.get("os_hidden", False),
            "os_hash_algo": None,
            "os_hash_value": None,
            "id": asked.get("id") or self._store.new_id(),
            "created_at": now,
            "updated_at": now,
            "tags": sorted(set(asked.get("tags") or [])),
        }
        path = f"/v2/images/{fixed['id']}"
        fixed |= {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image", "_seq": self._store.next_seq()}
        return {key: value for key, value in asked.items() if key not in fixed} | fixed

    def keep(self, row: Json) -> None:
        self._store.images.add(row["id"], row)
        self._store.spent_image_ids.add(row["id"])

    def fill(self, row: Json, data: bytes) -> None:
        """Give an image its data; it is active from then on."""
        self._data[row["id"]] = data
        row.update(size=len(data), virtual_size=len(data), status="active", stores="file")
        row.update(checksum=hashlib.md5(data, usedforsecurity=False).hexdigest(), os_hash_algo="sha512")
        row.update(os_hash_value=hashlib.sha512(data).hexdigest(), updated_at=self._store.stamp())

    def _visible(self, call: Call, row: Json) -> bool:
        return row["visibility"] in ("public", "community") or row["owner"] == call.project_id or call.identity.is_admin

    def _find(self, call: Call, text: str = "No image found with ID {}") -> Json:
        wanted = call.params["id"]
        row = self._store.images.get(wanted)
        if row is None or not self._visible(call, row):
            raise Refused(404, text.format(wanted))
        return row

    def _own(self, call: Call, text: str = "No image found with ID {}") -> Json:
        row = self._find(call, text)
        if row["owner"] != call.project_id and not call.identity.is_admin:
            raise Refused(403, "You do not own this image")
        return row

    def _list(self, call: Call) -> Reply:
        limit = _limit(call)
        rows = [row for row in self._store.images if self._listed(call, row) and _met(row, call)]
        rows = _ordered(call, rows)
        if marker := call.one("marker"):
            ids = [row["id"] for row in rows]
            if marker not in self._store.images:
                raise Refused(400, f"No image found with ID {marker}")
            rows = rows[ids.index(marker) + 1 :] if marker in ids else rows
        page = rows[:limit]
        kept = [(name, value) for name, value in call.query if name != "marker"]
        first = f"{call.path}?{urlencode(kept)}" if kept else call.path
        document: Json = {"images": [_public(row) for row in page], "first": first, "schema": "/v2/schemas/images"}
        if page and len(page) == limit:
            document["next"] = f"{call.path}?{urlencode([*kept, ('marker', page[-1]['id'])])}"
        return reply(document)

    def _listed(self, call: Call, row: Json) -> bool:
        asked = call.one("visibility")
        if asked and asked not in _VISIBILITIES:
            raise Refused(400, f"Invalid visibility value: {asked}")
        if not self._visible(call, row) or row["os_hidden"] != (call.one("os_hidden").lower() == "true"):
            return False
        mine = row["owner"] == call.project_id
        return asked == row["visibility"] if asked not in ("", "all") else row["visibility"] != "community" or mine

    def _create(self, call: Call) -> Reply:
        asked = call.document()
        self._check(call, asked)
        if asked.get("id") in self._store.spent_image_ids:
            raise Refused(409, f"Image ID {asked['id']} already exists!")
        row = self.new_row(call.project_id, asked)
        self.keep(row)
        answer = reply(_public(row), 201, Location=f"{call.url}/v2/images/{row['id']}")
        answer.headers["OpenStack-image-import-methods"] = "glance-direct,web-download,copy-image"
        return answer

    def _check(self, call: Call, asked: Json) -> None:
        for name in asked:
            if name in _READ_ONLY:
                raise Refused(403, f"Attribute '{name}' is read-only.")
        wanted = asked.get("id")
        if wanted is not None and not re.fullmatch(_ID, str(wanted)):
            raise Refused(400, f"Provided object does not match schema 'image': '{wanted}' does not match '{_ID}'")
        if asked.get("disk_format") not in _DISK_FORMATS:
            text = f"'{asked['disk_format']}' is not one of {_DISK_FORMATS}"
            raise Refused(400, f"Provided object does not match schema 'image': {text}")
        for name in ("min_ram", "min_disk"):
            if int(asked.get(name, 0)) < 0:
                raise Refused(400, f"Invalid value '{asked[name]}' for parameter '{name}': Cannot be a negative value")
        if asked.get("visibility") == "public" and not call.identity.is_admin:
            raise Refused(403, "You are not authorized to complete publicize_image action.")

    def _get(self, call: Call) -> Reply:
        return reply(_public(self._find(call)))

    def _patch(self, call: Call) -> Reply:
        row = self._own(call)
        if "openstack-images-v2" not in call.headers.get("Content-Type", ""):
            kind = call.headers.get("Content-Type", "")
            raise Refused(415, f"The request media type {kind} is not supported by this server.\n")
        try:
            changes = msgspec.json.decode(call.raw, type=list[dict[str, Any]])
        except msgspec.DecodeError:
            raise Refused(400, call.bad_json) from None
        for change in changes:
            name = str(change["path"]).lstrip("/")
            self._check(call, {name: change.get("value")})
            if change["op"] == "remove":
                row.pop(name, None)
            else:
                row[name] = change["value"]
        row["updated_at"] = self._store.stamp()
        return reply(_public(row))

    def _delete(self, call: Call) -> Reply:
        row = self._own(call, "Failed to find image {} to delete")
        if row["protected"]:
            raise Refused(403, f"Image {row['id']} is protected and cannot be deleted.")
        self._store.images.remove(row["id"])
        self._data.pop(row["id"], None)
        return empty(204, HTML)

    def _upload(self, call: Call) -> Reply:
        row = self._own(call)
        if row["status"] != "queued":
            raise Refused(409, f"Image status transition from {row['status']} to saving is not allowed")
        self.fill(row, call.raw)
        return empty(204, HTML)

    def _download(self, call: Call) -> Reply:
        row = self._find(call)
        if row["id"] not in self._data:
            return empty(204, HTML)
        return Reply(200, self._data[row["id"]], "application/octet-stream", {"Content-Md5": row["checksum"]})

    def _add_tag(self, call: Call) -> Reply:
        row = self._own(call)
        row.update(tags=sorted({*row["tags"], call.params["tag"]}), updated_at=self._store.stamp())
        return empty(204, HTML)

    def _drop_tag(self, call: Call) -> Reply:
        row = self._own(call)
        if call.params["tag"] not in row["tags"]:
            raise Refused(404, "The resource could not be found.")
        row["tags"].remove(call.params["tag"])
        row["updated_at"] = self._store.stamp()
        return empty(204, HTML)

    def _import_methods(self, call: Call) -> Reply:
        methods = ["glance-direct", "web-download", "copy-image"]
        return reply(
            {"import-methods": {"description": "Import methods available.", "type": "array", "value": methods}}
        )


def _public(row: Json) -> Json:
    return {key: value for key, value in row.items() if key[0] != "_"}


def _limit(call: Call) -> int:
    asked = call.one("limit")
    if not asked:
        return _DEFAULT_LIMIT
    if not re.fullmatch(r"-?\d+", asked):
        raise Refused(400, "limit param must be an integer")
    if int(asked) < 0:
        raise Refused(400, "limit param must be positive")
    return min(int(asked), _MAX_LIMIT)


def _met(row: Json, call: Call) -> bool:
    for name, value in call.query:
        if name in _PAGING or name in ("visibility", "os_hidden"):
            continue
        if name == "tag":
            if value not in row["tags"]:
                return False
            continue
        if name in _TIMES:
            if not _in_time(str(row[name]), value):
                return False
            continue
        wanted = value[3:].split(",") if value.startswith("in:") else [value]
        found = row.get(name)
        if (str(found).lower() if isinstance(found, bool) else str(found)) not in wanted:
            return False
    return True


def _in_time(found: str, wanted: str) -> bool:
    try:
        return in_time(found, wanted)
    except ValueError:
        raise Refused(400, f"Unable to filter by time, the value {wanted} is invalid") from None


def _ordered(call: Call, rows: Iterable[Json]) -> list[Json]:
    pairs = [(key, call.one("sort_dir", "desc")) for key in call.many("sort_key")]
    for part in filter(None, call.one("sort").split(",")):
        key, _, direction = part.partition(":")
        pairs.append((key, direction or "desc"))
    if call.one("sort_dir", "desc") not in ("asc", "desc"):
        raise Refused(400, f"Invalid sort direction: {call.one('sort_dir')}")
    ordered = list(rows)
    for key, direction in reversed(pairs):
        if key not in _SORT_KEYS:
            text = f"It must be one of the following: {', '.join(_SORT_KEYS)}."
            raise Refused(400, f"Invalid sort key: {key}. {text}")
        ordered.sort(key=lambda row: str(row[key] or ""), reverse=direction == "desc")
    return ordered
