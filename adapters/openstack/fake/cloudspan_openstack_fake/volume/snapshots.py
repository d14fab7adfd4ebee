"""Cinder's volume snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import HTML, Json, Reply, reply
from cloudspan_openstack_fake.compute.server_create import UUID, bad_field
from cloudspan_openstack_fake.store import micros
from cloudspan_openstack_fake.volume import lists
from cloudspan_openstack_fake.volume.volume_create import check_quota
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler

_MISSING = "Snapshot {} could not be found."
_BRIEF = ("id", "created_at", "updated_at", "name", "description", "volume_id", "status", "size", "metadata")


class Snapshots:
    """Handlers of `/snapshots`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def table(self) -> dict[str, Handler]:
        return {
            "GET /v3/snapshots": self._list,
            "GET /v3/snapshots/detail": self._list,
            "POST /v3/snapshots": self._create,
            "GET /v3/snapshots/{id}": self._get,
            "PUT /v3/snapshots/{id}": self._update,
            "DELETE /v3/snapshots/{id}": self._delete,
        }

    def _list(self, call: Call) -> Reply:
        rows = lists.select(self._store.snapshots, call, _MISSING)
        page = lists.paged(call, rows)
        detail = call.path.endswith("/detail")
        documents = [_shown(call, row) if detail else {key: row[key] for key in _BRIEF} for row in page]
        return lists.finished(call, "snapshots", documents, len(rows))

    def _find(self, call: Call) -> Json:
        return lists.find(self._store.snapshots, call, _MISSING)

    def _get(self, call: Call) -> Reply:
        return reply({"snapshot": _shown(call, self._find(call))})

    def _create(self, call: Call) -> Reply:
        asked = call.document().get("snapshot") or {}
        wanted = str(asked.get("volume_id"))
        if not UUID.fullmatch(wanted):
            raise bad_field("volume_id", wanted, f"'{wanted}' is not valid under any of the given schemas")
        volume = self._store.volumes.get(wanted)
        if volume is None or volume["_project"] != call.project_id:
            raise Refused(404, f"Volume {wanted} could not be found.")
        # From 3.66 on an attached volume needs no `force`.
        allowed = ("available", "in-use") if asked.get("force") or call.version >= (3, 66) else ("available",)
        if volume["status"] not in allowed:
            text = f"Volume {wanted} status must be available, but current status is: {volume['status']}."
            raise Refused(400, f"Invalid volume: {text}")
        check_quota(self._store, call.project_id, snapshots=1, gigabytes=volume["size"])
        row = self._row(call, volume, asked)
        self._store.snapshots.add(row["id"], row)
        self._store.timeline.after(self._store.timing.volume_s, lambda: self._set(row, "available"))
        return reply({"snapshot": {k: v for k, v in _shown(call, row).items() if not k.startswith("os-")}}, 202)

    def _row(self, call: Call, volume: Json, asked: Json) -> Json:
        return {
            "id": self._store.new_id(),
            "created_at": micros(self._store.now()),
            "updated_at": None,
            "name": asked.get("name"),
            "description": asked.get("description"),
            "volume_id": volume["id"],
            "status": "creating",
            "size": volume["size"],
            "metadata": dict(asked.get("metadata") or {}),
            "_project": call.project_id,
            "_user": call.identity.user.id,
            "_seq": self._store.next_seq(),
        }

    def _set(self, row: Json, status: str) -> None:
        if row["status"] == "creating":
            row["status"], row["updated_at"] = status, micros(self._store.now())

    def _update(self, call: Call) -> Reply:
        row, asked = self._find(call), call.document().get("snapshot") or {}
        row.update({key: asked[key] for key in ("name", "description") if key in asked})
        return reply({"snapshot": _shown(call, row)})

    def _delete(self, call: Call) -> Reply:
        row = self._find(call)
        if row["status"] not in ("available", "error"):
            text = "Snapshot status must be available or error, and snapshot must not be part of a group."
            raise Refused(400, f"Invalid snapshot: {text}")
        row["status"] = "deleting"
        self._store.timeline.after(self._store.timing.delete_s, lambda: self._gone(row))
        return empty(202, HTML)

    def _gone(self, row: Json) -> None:
        self._store.snapshots.remove(row["id"])


def _shown(call: Call, row: Json) -> Json:
    shown = {key: row[key] for key in _BRIEF}
    if call.version >= (3, 14):
        shown["group_snapshot_id"] = None
    if call.version >= (3, 41):
        shown["user_id"] = row["_user"]
    if call.version >= (3, 65):
        shown["consumes_quota"] = True
    progress = "100%" if row["status"] == "available" else "0%"
    shown["os-extended-snapshot-attributes:project_id"] = row["_project"]
    shown["os-extended-snapshot-attributes:progress"] = progress
    return shown
