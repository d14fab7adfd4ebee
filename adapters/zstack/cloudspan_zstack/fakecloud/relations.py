"""What hangs on what, for nested fields of a query (`vmNics.ip`) and for finding the rows that a call names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudspan_zstack.fakecloud.reference import Api
    from cloudspan_zstack.fakecloud.store import Store, Table
    from cloudspan_zstack.fakecloud.wire import Json

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
        "accounts": store.accounts, "users": store.users, "accesskeys": store.access_keys,
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
        "sshKeyPairUuids": store.ssh_keys, "accountUuid": store.accounts, "identityUuid": store.accounts,
    }  # fmt: skip


def main_table(api: Api, store: Store) -> Table | None:
    """Return the table of the first uuid in a call's path; None when the path names no resource."""
    parts = api.paths[-1].strip("/").split("/")
    variable = next((place for place, part in enumerate(parts) if part[0] == "{"), 0)
    return by_path(store).get(parts[variable - 1]) if variable else None


def relations(store: Store) -> dict[str, dict[str, Relation]]:
    """Return, for each inventory, the fields that lead to other inventories."""
    vm, nic, l3 = "VmInstanceInventory", "VmNicInventory", "L3NetworkInventory"
    volume, image, zone, cluster = "VolumeInventory", "ImageInventory", "ZoneInventory", "ClusterInventory"
    group, vip, eip, host = "SecurityGroupInventory", "VipInventory", "EipInventory", "HostInventory"
    span, offering = "IpRangeInventory", "InstanceOfferingInventory"
    storage, backup = "PrimaryStorageInventory", "BackupStorageInventory"
    to_zone: Relation = (zone, _one(store.zones, "zoneUuid"))
    to_cluster: Relation = (cluster, _one(store.clusters, "clusterUuid"))
    to_storage: Relation = (storage, _one(store.primary_storages, "primaryStorageUuid"))
    to_l3: Relation = (l3, _one(store.l3_networks, "l3NetworkUuid"))
    vm_relations: dict[str, Relation] = {
        "vmNics": (nic, _many(store.nics, "_nics")), "allVolumes": (volume, _many(store.volumes, "_volumes")),
        "zone": to_zone, "cluster": to_cluster, "host": (host, _one(store.hosts, "hostUuid")),
        "image": (image, _one(store.images, "imageUuid")),
        "rootVolume": (volume, _one(store.volumes, "rootVolumeUuid")),
        "instanceOffering": (offering, _one(store.instance_offerings, "instanceOfferingUuid")),
    }  # fmt: skip
    return {
        vm: vm_relations,
        "VpcRouterVmInventory": vm_relations,
        "VirtualRouterVmInventory": vm_relations,
        nic: {
            "vmInstance": (vm, _one(store.vms, "vmInstanceUuid")), "l3Network": to_l3,
            "usedIps": ("UsedIpInventory", _many(store.used_ips, "_ips")),
            "eip": (eip, _back(store.eips, "vmNicUuid")), "securityGroup": (group, _groups_of(store)),
        },
        volume: {
            "vmInstance": (vm, _one(store.vms, "vmInstanceUuid")), "primaryStorage": to_storage,
            "snapshot": ("VolumeSnapshotInventory", _back(store.snapshots, "volumeUuid")),
            "diskOffering": ("DiskOfferingInventory", _one(store.disk_offerings, "diskOfferingUuid")),
        },
        "VolumeSnapshotInventory": {
            "volume": (volume, _one(store.volumes, "volumeUuid")), "primaryStorage": to_storage,
        },
        image: {
            "backupStorage": (backup, _backup_storages(store)),
            "backupStorageRefs": ("ImageBackupStorageRefInventory", lambda row: list(row["_refs"])),
        },
        backup: {"zone": (zone, _many(store.zones, "attachedZoneUuids"))},
        l3: {
            "l2Network": ("L2NetworkInventory", _one(store.l2_networks, "l2NetworkUuid")), "zone": to_zone,
            "ipRanges": (span, _many(store.ip_ranges, "_ranges")), "vmNic": (nic, _back(store.nics, "l3NetworkUuid")),
            "networkServices": ("NetworkServiceL3NetworkRefInventory", lambda row: list(row["_services"])),
        },
        "L2NetworkInventory": {
            "l3Network": (l3, _back(store.l3_networks, "l2NetworkUuid")), "zone": to_zone,
            "cluster": (cluster, _many(store.clusters, "attachedClusterUuids")),
        },
        span: {"l3Network": to_l3},
        "UsedIpInventory": {"l3Network": to_l3, "vmNic": (nic, _one(store.nics, "vmNicUuid"))},
        vip: {"eip": (eip, _back(store.eips, "vipUuid")), "l3Network": to_l3},
        eip: {"vip": (vip, _one(store.vips, "vipUuid")), "vmNic": (nic, _one(store.nics, "vmNicUuid"))},
        group: {
            "rules": ("SecurityGroupRuleInventory", _many(store.security_group_rules, "_rules")),
            "vmNic": (nic, _nics_of_group(store)),
        },
        cluster: {"zone": to_zone},
        host: {"zone": to_zone, "cluster": to_cluster},
    }  # fmt: skip


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
