"""What hangs on what, for nested fields of a query (`vmNics.ip`) and for finding the rows that a call names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.reference import Api
    from cloudspan_zstack_fake.store import Store, Table

Follow = Callable[["Json"], "list[Json]"]
Relation = tuple[str, Follow]
"""The inventory at the other end, and the way there from a row."""


def by_path(store: Store) -> dict[str, Table]:
    """Return the table that a uuid behind this path segment is of."""
    return {
        "vm-instances": store.vms, "nics": store.nics, "volumes": store.volumes, "volume-snapshots": store.snapshots,
        "images": store.images, "instance-offerings": store.instance_offerings, "resize": store.volumes,
        "disk-offerings": store.disk_offerings, "l2-networks": store.l2_networks, "l3-networks": store.l3_networks,
        "ip-ranges": store.ip_ranges, "vips": store.vips, "eips": store.eips, "ssh-key-pair": store.ssh_keys,
        "security-groups": store.security_groups, "rules": store.security_group_rules, "zones": store.zones,
        "clusters": store.clusters, "hosts": store.hosts, "backup-storage": store.backup_storages,
        "accounts": store.accounts, "quota": store.accounts, "users": store.users, "accesskeys": store.access_keys,
    }  # fmt: skip


def by_parameter(store: Store) -> dict[str, Table]:
    """Return the table that a parameter of this name points into."""
    return {
        "zoneUuid": store.zones, "clusterUuid": store.clusters, "hostUuid": store.hosts, "imageUuid": store.images,
        "instanceOfferingUuid": store.instance_offerings, "diskOfferingUuid": store.disk_offerings,
        "rootDiskOfferingUuid": store.disk_offerings, "dataDiskOfferingUuids": store.disk_offerings,
        "l3NetworkUuid": store.l3_networks, "l3NetworkUuids": store.l3_networks,
        "defaultL3NetworkUuid": store.l3_networks, "l2NetworkUuid": store.l2_networks,
        "primaryStorageUuid": store.primary_storages, "primaryStorageUuidForRootVolume": store.primary_storages,
        "backupStorageUuids": store.backup_storages, "vmInstanceUuid": store.vms, "vmUuid": store.vms,
        "vmNicUuid": store.nics, "vmNicUuids": store.nics, "volumeUuid": store.volumes,
        "rootVolumeUuid": store.volumes, "volumeSnapshotUuid": store.snapshots, "vipUuid": store.vips,
        "eipUuid": store.eips, "securityGroupUuid": store.security_groups, "ipRangeUuid": store.ip_ranges,
        "ruleUuids": store.security_group_rules, "sshKeyPairUuid": store.ssh_keys,
        "accountUuid": store.accounts, "identityUuid": store.accounts,
    }  # fmt: skip


def main_table(api: Api, store: Store) -> Table | None:
    """Return the table of the first uuid in a call's path; None when the path names no resource."""
    parts = api.paths[-1].strip("/").split("/")
    variable = next((place for place, part in enumerate(parts) if part[0] == "{"), 0)
    return by_path(store).get(parts[variable - 1]) if variable else None


def relations(store: Store) -> dict[str, dict[str, Relation]]:
    """Return, for each inventory, the fields that lead to other inventories."""
    return _compute(store) | _storage(store) | _network(store)


def _compute(store: Store) -> dict[str, dict[str, Relation]]:
    to_zone: Relation = ("ZoneInventory", _one(store.zones, "zoneUuid"))
    to_cluster: Relation = ("ClusterInventory", _one(store.clusters, "clusterUuid"))
    vm: dict[str, Relation] = {
        "vmNics": ("VmNicInventory", _many(store.nics, "_nics")), "zone": to_zone, "cluster": to_cluster,
        "allVolumes": ("VolumeInventory", _many(store.volumes, "_volumes")),
        "host": ("HostInventory", _one(store.hosts, "hostUuid")),
        "image": ("ImageInventory", _one(store.images, "imageUuid")),
        "rootVolume": ("VolumeInventory", _one(store.volumes, "rootVolumeUuid")),
        "instanceOffering": ("InstanceOfferingInventory", _one(store.instance_offerings, "instanceOfferingUuid")),
    }  # fmt: skip
    return {
        "VmInstanceInventory": vm, "VpcRouterVmInventory": vm, "VirtualRouterVmInventory": vm,
        "VmNicInventory": {
            "vmInstance": ("VmInstanceInventory", _one(store.vms, "vmInstanceUuid")), "l3Network": _to_l3(store),
            "usedIps": ("UsedIpInventory", _many(store.used_ips, "_ips")),
            "eip": ("EipInventory", _back(store.eips, "vmNicUuid")),
            "securityGroup": ("SecurityGroupInventory", _groups_of(store)),
        },
        "ClusterInventory": {"zone": to_zone},
        "HostInventory": {"zone": to_zone, "cluster": to_cluster},
    }  # fmt: skip


def _storage(store: Store) -> dict[str, dict[str, Relation]]:
    to_storage: Relation = ("PrimaryStorageInventory", _one(store.primary_storages, "primaryStorageUuid"))
    return {
        "VolumeInventory": {
            "vmInstance": ("VmInstanceInventory", _one(store.vms, "vmInstanceUuid")), "primaryStorage": to_storage,
            "snapshot": ("VolumeSnapshotInventory", _back(store.snapshots, "volumeUuid")),
            "diskOffering": ("DiskOfferingInventory", _one(store.disk_offerings, "diskOfferingUuid")),
        },
        "VolumeSnapshotInventory": {
            "volume": ("VolumeInventory", _one(store.volumes, "volumeUuid")), "primaryStorage": to_storage,
        },
        "ImageInventory": {
            "backupStorage": ("BackupStorageInventory", _backup_storages(store)),
            "backupStorageRefs": ("ImageBackupStorageRefInventory", lambda row: list(row["_refs"])),
        },
        "BackupStorageInventory": {"zone": ("ZoneInventory", _many(store.zones, "attachedZoneUuids"))},
    }  # fmt: skip


def _network(store: Store) -> dict[str, dict[str, Relation]]:
    to_zone: Relation = ("ZoneInventory", _one(store.zones, "zoneUuid"))
    to_nic: Relation = ("VmNicInventory", _one(store.nics, "vmNicUuid"))
    return {
        "L3NetworkInventory": {
            "l2Network": ("L2NetworkInventory", _one(store.l2_networks, "l2NetworkUuid")), "zone": to_zone,
            "ipRanges": ("IpRangeInventory", _many(store.ip_ranges, "_ranges")),
            "vmNic": ("VmNicInventory", _back(store.nics, "l3NetworkUuid")),
            "networkServices": ("NetworkServiceL3NetworkRefInventory", lambda row: list(row["_services"])),
        },
        "L2NetworkInventory": {
            "l3Network": ("L3NetworkInventory", _back(store.l3_networks, "l2NetworkUuid")), "zone": to_zone,
            "cluster": ("ClusterInventory", _many(store.clusters, "attachedClusterUuids")),
        },
        "IpRangeInventory": {"l3Network": _to_l3(store)},
        "UsedIpInventory": {"l3Network": _to_l3(store), "vmNic": to_nic},
        "VipInventory": {"eip": ("EipInventory", _back(store.eips, "vipUuid")), "l3Network": _to_l3(store)},
        "EipInventory": {"vip": ("VipInventory", _one(store.vips, "vipUuid")), "vmNic": to_nic},
        "SecurityGroupInventory": {
            "rules": ("SecurityGroupRuleInventory", _many(store.security_group_rules, "_rules")),
            "vmNic": ("VmNicInventory", _nics_of_group(store)),
        },
    }  # fmt: skip


def _to_l3(store: Store) -> Relation:
    return "L3NetworkInventory", _one(store.l3_networks, "l3NetworkUuid")


def _one(table: Table, field: str) -> Follow:
    return lambda row: table.some([row[field]] if row.get(field) else [])


def _many(table: Table, field: str) -> Follow:
    return lambda row: table.some(row.get(field) or [])


def _back(table: Table, field: str) -> Follow:
    return lambda row: table.where(**{field: row["uuid"]})


def _groups_of(store: Store) -> Follow:
    refs = store.security_group_refs
    return lambda row: store.security_groups.some(
        ref["securityGroupUuid"] for ref in refs.where(vmNicUuid=row["uuid"])
    )  # fmt: skip


def _nics_of_group(store: Store) -> Follow:
    refs = store.security_group_refs
    return lambda row: store.nics.some(ref["vmNicUuid"] for ref in refs.where(securityGroupUuid=row["uuid"]))


def _backup_storages(store: Store) -> Follow:
    return lambda row: store.backup_storages.some(ref["backupStorageUuid"] for ref in row["_refs"])


def plain_value(row: Json, field: str) -> list[Any]:
    """Return a field's values as a condition sees them: each of a list, none for null."""
    value = row.get(field)
    return value if isinstance(value, list) else [] if value is None else [value]
