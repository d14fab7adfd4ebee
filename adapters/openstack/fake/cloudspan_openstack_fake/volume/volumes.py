"""The fake Cinder: volumes, snapshots, types and quotas, microversions 3.0 to 3.70."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import HTML, JSON, Json, Reply, reply
from cloudspan_openstack_fake.compute.nova import FAULT_KEYS, unauthorized
from cloudspan_openstack_fake.identity import discovery
from cloudspan_openstack_fake.store import CINDER_QUOTA, micros
from cloudspan_openstack_fake.volume import lists
from cloudspan_openstack_fake.volume.snapshots import Snapshots
from cloudspan_openstack_fake.volume.volume_create import check_quota, check_volume, quota_shown, usage, with_types
from cloudspan_openstack_fake.wire import Call, Refused, Routes, empty, faults_document, html, parse_version

if TYPE_CHECKING:
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.volume.volume_lifecycle import VolumeLife

_DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")
_NOT_DELETABLE = (
    "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing "
    "and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated "
    "from snapshots after volume transfer."
)


class Cinder:
    """The block storage service at `/volume`, with or without the project's id in the path."""

    name = "volume"

    def __init__(self, store: Store, life: VolumeLife) -> None:
        self._store, self._life = store, life
        self.routes = Routes()
        self.routes.add_all(
            {
                "GET /v3/volumes": self._list,
                "GET /v3/volumes/detail": self._list,
                "POST /v3/volumes": self._create,
                "GET /v3/volumes/{id}": self._get,
                "PUT /v3/volumes/{id}": self._update,
                "DELETE /v3/volumes/{id}": self._delete,
                "POST /v3/volumes/{id}/action": self._act,
                "GET /v3/volumes/{id}/metadata": self._metadata,
                "POST /v3/volumes/{id}/metadata": self._merge_metadata,
                "GET /v3/types": self._types,
                "GET /v3/types/{id}": self._type,
                "GET /v3/os-availability-zone": self._zones,
                "GET /v3/limits": self._limits,
                "GET /v3/os-quota-sets/{project}": self._quota,
                "PUT /v3/os-quota-sets/{project}": self._set_quota,
                "GET /v3/os-quota-sets/{project}/defaults": self._quota_defaults,
                "GET /v3/backups": lambda _: reply({"backups": []}),
                "GET /v3/backups/detail": lambda _: reply({"backups": []}),
                "GET /v3/attachments": lambda _: reply({"attachments": []}),
                "GET /v3/extensions": lambda _: reply({"extensions": []}),
                "GET /v3/scheduler-stats/get_pools": _pools,
            }
        )
        self.routes.add_all(Snapshots(store).table())

    def public(self, call: Call) -> Reply | None:
        return discovery.versions_of(call)

    def negotiate(self, call: Call) -> None:
        header = call.headers.get("OpenStack-API-Version", "")
        call.version = parse_version(header, "volume", discovery.CINDER_LOWEST, discovery.CINDER_HIGHEST)
        call.bad_json = "Malformed request body"
        head, _, tail = call.path.removeprefix("/v3/").partition("/")
        if head in self._store.projects:
            if not call.project_id:
                raise Refused(400, "Malformed request url")
            if head != call.project_id and not call.identity.is_admin:
                raise Refused(404, "The resource could not be found.", html=True)
            call.path = f"/v3/{tail}"

    def refusal(self, call: Call, refused: Refused) -> Reply:
        if refused.status == 401:
            return unauthorized(call)
        if refused.html:
            return html(refused.status, refused.message)
        key = FAULT_KEYS.get(refused.status, "computeFault")
        if refused.status != 413:
            return Reply(refused.status, faults_document(key, refused.status, refused.message))
        body = faults_document(key, 413, refused.message, retryAfter="0")
        return Reply(413, body, JSON, {"Retry-After": "0"})

    def decorate(self, call: Call, answer: Reply) -> None:
        answer.headers.setdefault("X-Openstack-Request-Id", call.request_id)
        if answer.status != 401:
            version = f"{call.version[0]}.{call.version[1]}" if call.version[0] else "3.0"
            answer.headers.setdefault("X-Compute-Request-Id", call.request_id)
            answer.headers.setdefault("OpenStack-API-Version", f"volume {version}")
            answer.headers.setdefault("Vary", "OpenStack-API-Version")

    def _list(self, call: Call) -> Reply:
        return lists.volumes(self._store, call)

    def _find(self, call: Call) -> Json:
        return lists.find(self._store.volumes, call, "Volume {} could not be found.")

    def _get(self, call: Call) -> Reply:
        return reply({"volume": lists.shown(call, self._find(call))})

    def _create(self, call: Call) -> Reply:
        asked = check_volume(self._store, call)
        check_quota(self._store, call.project_id, volumes=1, gigabytes=int(asked["size"]))
        row = self._life.new_row(call.project_id, call.identity.user.id, asked)
        hidden = ("os-vol-tenant-attr:tenant_id", "volume_image_metadata")
        # Known only once a back end has taken the volume.
        new = {"service_uuid": None} if call.version >= (3, 48) else {}
        shown = {key: value for key, value in lists.shown(call, row).items() if key not in hidden}
        return reply({"volume": shown | new}, 202)

    def _update(self, call: Call) -> Reply:
        row, asked = self._find(call), call.document().get("volume") or {}
        row.update({key: asked[key] for key in ("name", "description", "metadata") if key in asked})
        row["updated_at"] = micros(self._store.now())
        return reply({"volume": lists.shown(call, row)})

    def _delete(self, call: Call) -> Reply:
        row = self._find(call)
        snapshots = any(snapshot["volume_id"] == row["id"] for snapshot in self._store.snapshots)
        if row["status"] not in _DELETABLE or row["attachments"] or snapshots:
            raise Refused(400, _NOT_DELETABLE)
        self._life.delete(row)
        return empty(202, HTML)

    def _act(self, call: Call) -> Reply:
        row, document = self._find(call), call.document()
        name = next(iter(document), "")
        if name == "os-extend":
            return self._extend(row, int(document[name]["new_size"]))
        if name == "os-set_bootable":
            row["bootable"] = str(bool(document[name]["bootable"])).lower()
            return empty(200)
        text = f"There is no such action: {name}. Verify the request body and Content-Type header and try again."
        raise Refused(400, text)

    def _extend(self, row: Json, size: int) -> Reply:
        if row["status"] not in ("available", "in-use"):
            text = f"Volume {row['id']} status must be '('available', 'in-use')' to extend, currently {row['status']}."
            raise Refused(400, f"Invalid volume: {text}")
        if size <= row["size"]:
            text = f"New size for extend must be greater than current size. (current: {row['size']}, extended: {size})."
            raise Refused(400, f"Invalid input received: {text}")
        check_quota(self._store, row["_project"], gigabytes=size - row["size"])
        before = row["status"]
        self._life.set_status(row, "extending")

        def finish() -> None:
            row["size"] = size
            self._life.set_status(row, before)

        self._store.timeline.after(self._store.timing.volume_s, finish)
        return empty(202)

    def _metadata(self, call: Call) -> Reply:
        return reply({"metadata": self._find(call)["metadata"]})

    def _merge_metadata(self, call: Call) -> Reply:
        row = self._find(call)
        row["metadata"] |= call.document().get("metadata") or {}
        return reply({"metadata": row["metadata"]})

    def _types(self, call: Call) -> Reply:
        return reply({"volume_types": list(self._store.volume_types.values())})

    def _type(self, call: Call) -> Reply:
        wanted = call.params["id"]
        for row in self._store.volume_types.values():
            if wanted in (row["id"], "default"):
                return reply({"volume_type": {k: v for k, v in row.items() if not k.startswith("os-")}})
        raise Refused(404, f"Volume type {wanted} could not be found.")

    def _zones(self, call: Call) -> Reply:
        rows = [{"zoneName": zone, "zoneState": {"available": True}} for zone in self._store.zones]
        return reply({"availabilityZoneInfo": rows})

    def _limits(self, call: Call) -> Reply:
        limits, used = self._store.quota("volume", call.project_id), usage(self._store, call.project_id)
        absolute = {
            "maxTotalVolumes": limits["volumes"],
            "maxTotalSnapshots": limits["snapshots"],
            "maxTotalVolumeGigabytes": limits["gigabytes"],
            "maxTotalBackups": limits["backups"],
            "maxTotalBackupGigabytes": limits["backup_gigabytes"],
            "totalVolumesUsed": used["volumes"],
            "totalGigabytesUsed": used["gigabytes"],
            "totalSnapshotsUsed": used["snapshots"],
            "totalBackupsUsed": 0,
            "totalBackupGigabytesUsed": 0,
        }
        return reply({"limits": {"rate": [], "absolute": absolute}})

    def _quota(self, call: Call) -> Reply:
        project = call.params["project"]
        if project != call.project_id and not call.identity.is_admin:
            raise Refused(403, "Policy doesn't allow volume_extension:quotas:show to be performed.")
        with_usage = call.one("usage", "False").lower() == "true"
        return reply({"quota_set": quota_shown(self._store, project, with_usage=with_usage)})

    def _set_quota(self, call: Call) -> Reply:
        if not call.identity.is_admin:
            raise Refused(403, "Policy doesn't allow volume_extension:quotas:update to be performed.")
        limits = self._store.quota("volume", call.params["project"])
        limits.update(call.document().get("quota_set") or {})
        return reply({"quota_set": limits})

    def _quota_defaults(self, call: Call) -> Reply:
        limits = with_types(self._store, CINDER_QUOTA)
        return reply({"quota_set": {**limits, "id": call.params["project"]}})


def _pools(call: Call) -> Reply:
    if not call.identity.is_admin:
        raise Refused(403, "Policy doesn't allow scheduler_extension:scheduler_stats:get_pools to be performed.")
    return reply({"pools": [{"name": "fake@backend#pool"}]})
