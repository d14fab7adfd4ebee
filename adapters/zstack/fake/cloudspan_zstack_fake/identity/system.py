"""The installation itself: version, time, readiness, global configuration, tags, states of zones, clusters, hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.store import Store, Table

CONFIGS = {
    ("identity", "session.timeout"): "7200",
    ("identity", "session.maxConcurrent"): "500",
    ("identity", "session.cleanup.interval"): "3600",
    ("identity", "enable.unique.session"): "false",
    ("vm", "deletionPolicy"): "Delay",
    ("vm", "expungePeriod"): "604800",
    ("volume", "deletionPolicy"): "Delay",
    ("vm", "dataVolume.deleteOnVmDestroy"): "false",
    ("vm", "numa"): "false",
    ("vm", "multivNic.support"): "false",
    ("host", "cpu.overProvisioning.ratio"): "10",
    ("rest", "completedApi.expiredPeriod"): "10800",
    ("console", "vnc.token.timeout"): "1800",
}
"""The global configurations that the fake heeds or tells, with their defaults."""
_STATES = {"enable": "Enabled", "disable": "Disabled", "maintain": "Maintenance"}


class System:
    """The calls that concern the installation."""

    def __init__(self, store: Store, views: Views, calls: Mapping[str, object]) -> None:
        self._store, self._views, self._calls = store, views, calls
        self.handlers: dict[str, Handler] = {
            "GetVersion": self._version,
            "GetCurrentTime": self._time,
            "IsReadyToGo": self._ready,
            "GetSupportAPIs": self._supported,
            "UpdateGlobalConfig": self._update_config,
            "CreateSystemTag": self._create_tag,
            "CreateUserTag": self._create_tag,
            "DeleteTag": self._delete_tag,
            "CreateZone": self._create_zone,
            "ChangeZoneState": self._change_state,
            "ChangeClusterState": self._change_state,
            "ChangeHostState": self._change_state,
            "GetCpuMemoryCapacity": self._host_capacity,
            "GetPrimaryStorageCapacity": self._storage_capacity,
        }
        for place, ((category, name), value) in enumerate(CONFIGS.items(), 1):
            uuid = store.fixed_uuid("config", category, name)
            fields: Json = {"id": place, "name": name, "category": category, "defaultValue": value, "value": value}
            store.configs.add({**fields, "uuid": uuid, "description": name, "_account": ""})

    def _version(self, call: Call) -> Json:
        return {"success": True, "version": self._store.settings.version}

    def _time(self, call: Call) -> Json:
        now = self._store.now()
        return {"success": True, "currentTime": {"MillionSeconds": int(now * 1000), "Seconds": int(now)}}

    def _ready(self, call: Call) -> Json:
        return {}

    def _supported(self, call: Call) -> Json:
        return {"supportApis": sorted(f"org.zstack.header.API{name}Msg" for name in self._calls)}

    def _update_config(self, call: Call) -> Json:
        uuid = self._store.fixed_uuid("config", call.params["category"], call.params["name"])
        row = self._store.configs.get(uuid)
        if row is None:
            raise Failure(
                "SYS.1007", f"no global config[category:{call.params['category']}, name:{call.params['name']}]"
            )
        row["value"] = call.params.get("value", row["defaultValue"])
        return {"inventory": self._views.nameless(row)}

    def _create_tag(self, call: Call) -> Json:
        store, params = self._store, call.params
        kind, uuid = params["resourceType"], params["resourceUuid"]
        if kind not in store.tables:
            raise Failure("SYS.1007", f"no resource type[{kind}] found in tag system")
        if uuid not in store.tables[kind]:
            raise Failure("SYS.1003", f"invalid field[resourceUuid], resource[uuid:{uuid}, type:ResourceVO] not found")
        tags = store.system_tags if call.name == "CreateSystemTag" else store.user_tags
        store.check_tags(kind, uuid, [params["tag"]], tags)
        row = store.tag(params["resourceType"], params["resourceUuid"], [params["tag"]], tags)[0]
        return {"inventory": self._views.plain(row)}

    def _delete_tag(self, call: Call) -> Json:
        store = self._store
        for table in (store.system_tags, store.user_tags):
            row = table.remove(call.uuid())
            if row is not None:
                store.tags_of.get(row["resourceUuid"], set()).discard(row["uuid"])
        return {}

    def _create_zone(self, call: Call) -> Json:
        fields: Json = {"state": "Enabled", "type": "zstack", "isDefault": False}
        zone = self._store.create(self._store.zones, call, **fields)
        zone["_account"] = ""  # nobody's: every account sees the zones
        return {"inventory": self._views.plain(zone)}

    def _change_state(self, call: Call) -> Json:
        tables: dict[str, Table] = {
            "ChangeZoneState": self._store.zones,
            "ChangeClusterState": self._store.clusters,
            "ChangeHostState": self._store.hosts,
        }
        row = tables[call.name].present(call.uuid())
        return {"inventory": self._views.plain(self._store.touch(row, state=_STATES[call.params["stateEvent"]]))}

    def _host_capacity(self, call: Call) -> Json:
        params = call.params
        hosts = [
            host for host in self._store.hosts
            if params.get("all") or host["uuid"] in params.get("hostUuids", ())
            or host["zoneUuid"] in params.get("zoneUuids", ()) or host["clusterUuid"] in params.get("clusterUuids", ())
        ]  # fmt: skip
        names = {
            "totalCpu": "totalCpuCapacity", "availableCpu": "availableCpuCapacity", "managedCpuNum": "cpuNum",
            "totalMemory": "totalMemoryCapacity", "availableMemory": "availableMemoryCapacity",
        }  # fmt: skip
        return {told: sum(host[field] for host in hosts) for told, field in names.items()}

    def _storage_capacity(self, call: Call) -> Json:
        params = call.params
        names = ("totalCapacity", "availableCapacity", "totalPhysicalCapacity", "availablePhysicalCapacity")
        rows = [
            row for row in self._store.primary_storages
            if params.get("all") or row["uuid"] in params.get("primaryStorageUuids", ())
            or row["zoneUuid"] in params.get("zoneUuids", ())
        ]  # fmt: skip
        return {name: sum(row[name] for row in rows) for name in names}
