"""Nova's quotas, limits and zones, and what only administrators may list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute.server_create import usage
from cloudspan_openstack_fake.store import NOVA_QUOTA
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler

# Limits of APIs that Nova no longer proxies; shown below 2.36 and 2.57 only.
_PROXIED = {"fixed_ips": -1, "floating_ips": -1, "security_group_rules": -1, "security_groups": -1}
_INJECTED = {"injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "injected_files": 5}


class Quotas:
    """Handlers of `/os-quota-sets`, `/limits` and Nova's smallest resources."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def table(self) -> dict[str, Handler]:
        return {
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


def _admin_only(call: Call, action: str, document: Json) -> Reply:
    if not call.identity.is_admin:
        raise Refused(403, f"Policy doesn't allow os_compute_api:{action} to be performed.")
    return reply(document)


def _shown_limits(call: Call, limits: dict[str, int]) -> dict[str, int]:
    minor = call.version[1]
    shown = limits | (_PROXIED if minor < 36 else {}) | (_INJECTED if minor < 57 else {})
    return dict(sorted(shown.items()))
