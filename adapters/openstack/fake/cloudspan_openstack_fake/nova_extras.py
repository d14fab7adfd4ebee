"""Nova beside servers: flavors, key pairs, zones, limits and quotas."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudspan_openstack_fake.nova_create import bad_field, usage
from cloudspan_openstack_fake.nova_servers import next_link, page_limit
from cloudspan_openstack_fake.nova_views import links_of
from cloudspan_openstack_fake.store import NOVA_QUOTA, micros
from cloudspan_openstack_fake.wire import Call, Json, Refused, Reply, empty, reply

if TYPE_CHECKING:
    from cloudspan_openstack_fake.rows import Flavor
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler

_NAME = "@._- 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Limits of APIs that Nova no longer proxies; shown below 2.36 and 2.57 only.
_PROXIED = {"fixed_ips": -1, "floating_ips": -1, "security_group_rules": -1, "security_groups": -1}
_INJECTED = {"injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "injected_files": 5}


class Extras:
    """Handlers of Nova's smaller resources."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def table(self) -> dict[str, Handler]:
        return {
            "GET /v2.1/flavors": self._list_flavors,
            "GET /v2.1/flavors/detail": self._list_flavors,
            "GET /v2.1/flavors/{id}": self._get_flavor,
            "GET /v2.1/flavors/{id}/os-extra_specs": self._extra_specs,
            "GET /v2.1/os-keypairs": self._list_keys,
            "POST /v2.1/os-keypairs": self._create_key,
            "GET /v2.1/os-keypairs/{name}": self._get_key,
            "DELETE /v2.1/os-keypairs/{name}": self._delete_key,
            "GET /v2.1/os-availability-zone": self._zones,
            "GET /v2.1/limits": self._limits,
            "GET /v2.1/os-quota-sets/{project}": self._quota,
            "PUT /v2.1/os-quota-sets/{project}": self._set_quota,
            "GET /v2.1/os-quota-sets/{project}/detail": self._quota_detail,
            "GET /v2.1/os-quota-sets/{project}/defaults": self._quota_defaults,
            "GET /v2.1/os-server-groups": lambda _: reply({"server_groups": []}),
            "GET /v2.1/extensions": lambda _: reply({"extensions": []}),
            "GET /v2.1/os-hypervisors": lambda call: _admin_only(call, "os-hypervisors:list", {"hypervisors": []}),
            "GET /v2.1/os-services": lambda call: _admin_only(call, "os-services:list", {"services": []}),
        }

    def _list_flavors(self, call: Call) -> Reply:
        limit = _checked_limit(self._store, call)
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

    def _list_keys(self, call: Call) -> Reply:
        limit = _checked_limit(self._store, call)
        mine = call.identity.user.id
        rows = [row for (user, _), row in sorted(self._store.key_pairs.items()) if user == mine]
        if marker := call.one("marker"):
            rows = [row for row in rows if row["name"] > marker]
        page = rows[:limit]
        keys = ("name", "public_key", "fingerprint", *(("type",) if call.version >= (2, 2) else ()))
        document: Json = {"keypairs": [{"keypair": {key: row[key] for key in keys}} for row in page]}
        links = next_link(call, limit, len(page), page[-1]["name"] if page else "")
        if links and call.version >= (2, 35) and call.one("limit"):
            document["keypairs_links"] = links
        return reply(document)

    def _create_key(self, call: Call) -> Reply:
        asked = call.document().get("keypair") or {}
        name, public = str(asked.get("name", "")), asked.get("public_key")
        if not name or name.strip(_NAME):
            text = f"The name must be: Only expected characters: [{_NAME}]"
            raise Refused(400, f"An invalid 'name' value was provided. {text}")
        if public is None and call.version >= (2, 92):
            raise bad_field("keypair", asked, "'public_key' is a required property")
        user_id = call.identity.user.id
        private = ""
        if public is None:
            private, public = _generate()
        fingerprint = _fingerprint(public)
        if (user_id, name) in self._store.key_pairs:
            raise Refused(409, f"Key pair '{name}' already exists.")
        row = {
            "name": name, "public_key": public, "fingerprint": fingerprint, "user_id": user_id, "deleted": False,
            "created_at": micros(self._store.now()), "deleted_at": None, "id": self._store.next_seq(),
            "updated_at": None,
            "type": asked.get("type", "ssh"),
        }  # fmt: skip
        self._store.key_pairs[user_id, name] = row
        keys = ("name", "public_key", "fingerprint", "user_id", *(("type",) if call.version >= (2, 2) else ()))
        shown = {key: row[key] for key in keys} | ({"private_key": private} if private else {})
        return reply({"keypair": shown}, 201 if call.version >= (2, 2) else 200)

    def _key_row(self, call: Call) -> Json:
        user_id, name = call.identity.user.id, call.params["name"]
        if (user_id, name) not in self._store.key_pairs:
            raise Refused(404, f"Keypair {name} not found for user {user_id}")
        return self._store.key_pairs[user_id, name]

    def _get_key(self, call: Call) -> Reply:
        row = self._key_row(call)
        return reply({"keypair": {k: v for k, v in row.items() if k != "type" or call.version >= (2, 2)}})

    def _delete_key(self, call: Call) -> Reply:
        row = self._key_row(call)
        del self._store.key_pairs[row["user_id"], row["name"]]
        return empty(204 if call.version >= (2, 2) else 202)

    def _zones(self, call: Call) -> Reply:
        rows = [{"zoneName": zone, "zoneState": {"available": True}, "hosts": None} for zone in self._store.zones]
        return reply({"availabilityZoneInfo": rows})

    def _limits(self, call: Call) -> Reply:
        quota, used, minor = (
            self._store.quota("compute", call.project_id),
            usage(self._store, call.project_id),
            call.version[1],
        )
        absolute = {
            "maxTotalInstances": quota["instances"],
            "maxTotalCores": quota["cores"],
            "maxTotalRAMSize": quota["ram"],
            "maxServerMeta": quota["metadata_items"],
            "maxTotalKeypairs": quota["key_pairs"],
            "maxServerGroups": quota["server_groups"],
            "maxServerGroupMembers": quota["server_group_members"],
            "totalRAMUsed": used["ram"],
            "totalCoresUsed": used["cores"],
            "totalInstancesUsed": used["instances"],
            "totalServerGroupsUsed": 0,
        }
        if minor < 57:
            absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240}
        if minor < 39:
            absolute |= {"maxImageMeta": 128}
        if minor < 36:
            absolute |= {"maxTotalFloatingIps": -1, "maxSecurityGroups": -1, "maxSecurityGroupRules": -1}
            absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
        return reply({"limits": {"rate": [], "absolute": absolute}})

    def _own_quota(self, call: Call, action: str) -> dict[str, int]:
        project = call.params["project"]
        if project != call.project_id and not call.identity.is_admin:
            raise Refused(403, f"Policy doesn't allow os_compute_api:os-quota-sets:{action} to be performed.")
        return _shown_limits(call, self._store.quota("compute", project))

    def _quota(self, call: Call) -> Reply:
        return reply({"quota_set": {"id": call.params["project"], **self._own_quota(call, "show")}})

    def _set_quota(self, call: Call) -> Reply:
        if not call.identity.is_admin:
            raise Refused(403, "Policy doesn't allow os_compute_api:os-quota-sets:update to be performed.")
        asked = call.document().get("quota_set") or {}
        limits = self._store.quota("compute", call.params["project"])
        limits.update({name: int(value) for name, value in asked.items() if name in limits})
        return reply({"quota_set": _shown_limits(call, limits)})

    def _quota_detail(self, call: Call) -> Reply:
        limits, used = self._own_quota(call, "detail"), usage(self._store, call.params["project"])
        rows = {name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
        return reply({"quota_set": {"id": call.params["project"], **rows}})

    def _quota_defaults(self, call: Call) -> Reply:
        return reply({"quota_set": {"id": call.params["project"], **_shown_limits(call, NOVA_QUOTA)}})


def _checked_limit(store: Store, call: Call) -> int:
    asked = call.one("limit")
    if not re.fullmatch("[0-9]*", asked):
        raise Refused(
            400, f"Invalid input for query parameters limit. Value: {asked}. '{asked}' does not match '^[0-9]*$'"
        )
    return page_limit(store, call)


def _admin_only(call: Call, action: str, document: Json) -> Reply:
    if not call.identity.is_admin:
        raise Refused(403, f"Policy doesn't allow os_compute_api:{action} to be performed.")
    return reply(document)


def _shown_limits(call: Call, limits: dict[str, int]) -> dict[str, int]:
    minor = call.version[1]
    shown = limits | (_PROXIED if minor < 36 else {}) | (_INJECTED if minor < 57 else {})
    return dict(sorted(shown.items()))


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


def _fingerprint(public: str) -> str:
    words = str(public).split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        raise Refused(400, "Keypair data is invalid: failed to generate fingerprint") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, 32, 2))


def _generate() -> tuple[str, str]:
    """Return a private and a public key, as Nova made them below 2.92."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} Generated-by-Nova"
