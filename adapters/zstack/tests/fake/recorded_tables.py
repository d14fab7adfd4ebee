"""Puts recorded rows into a fake's tables, so that recorded requests find what they ask for.

An inserted row has only the fields that the fake's own rows of its table have, with the recorded values: a field that
the fake does not know stays unknown, and shows as a difference.
"""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

from adapters.zstack.tests.recording import Json, Line, lines

TABLES = {
    "AccountInventory": "accounts", "ClusterInventory": "clusters", "DiskOfferingInventory": "disk_offerings",
    "EipInventory": "eips", "ImageInventory": "images", "InstanceOfferingInventory": "instance_offerings",
    "IpRangeInventory": "ip_ranges", "KVMHostInventory": "hosts", "L2NetworkInventory": "l2_networks",
    "L2VlanNetworkInventory": "l2_networks", "L3NetworkInventory": "l3_networks",
    "NetworkServiceProviderInventory": "providers", "PrimaryStorageInventory": "primary_storages",
    "SecurityGroupInventory": "security_groups", "SecurityGroupRuleInventory": "security_group_rules",
    "SshKeyPairInventory": "ssh_keys", "SystemTagInventory": "system_tags", "UsedIpInventory": "used_ips",
    "UserTagInventory": "user_tags", "VipInventory": "vips", "VirtualRouterVmInventory": "vms",
    "VmInstanceInventory": "vms", "VmNicInventory": "nics", "VmNicSecurityGroupRefInventory": "security_group_refs",
    "VolumeInventory": "volumes", "VolumeSnapshotInventory": "snapshots", "ZoneInventory": "zones",
}  # fmt: skip
_CHILDREN = {
    "vmNics": ("VmNicInventory", "_nics"), "allVolumes": ("VolumeInventory", "_volumes"),
    "usedIps": ("UsedIpInventory", "_ips"), "ipRanges": ("IpRangeInventory", "_ranges"),
    "rules": ("SecurityGroupRuleInventory", "_rules"),
}  # fmt: skip
"""Lists whose rows have a table of their own: the type of the rows, and where the parent keeps their uuids."""
_KEPT = {"networkServices": "_services", "hostRoute": "_routes", "vmCdRoms": "_cd_roms", "backupStorageRefs": "_refs"}
"""Lists that the parent keeps."""


class RecordedTables:
    """The tables of one fake; `restore` makes them what they were when this was made."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._tables = copy.deepcopy({kind: list(table) for kind, table in store.tables.items()})
        self._samples = {kind: _sample(rows) for kind, rows in self._tables.items() if rows}

    def restore(self) -> None:
        """Make the tables what they were."""
        for kind, rows in copy.deepcopy(self._tables).items():
            table = self._store.tables[kind]
            for row in list(table):
                table.remove(row["uuid"])
            for row in rows:
                table.add(row)

    def clear(self) -> None:
        """Empty the tables, but for what logins and settings need."""
        for kind, table in self._store.tables.items():
            if kind not in ("AccountVO", "UserVO", "QuotaVO", "GlobalConfigVO"):
                for row in list(table):
                    table.remove(row["uuid"])

    def insert(self, inventory: str, row: Json) -> None:
        """Add a recorded row, with the rows inside it."""
        if inventory == "AccountResourceRefInventory":
            self._insert_owned(row)
            return
        table = getattr(self._store, TABLES[inventory])
        made = self._filled(table.kind, row)
        for field, (kind, place) in _CHILDREN.items():
            if place in made:
                made[place] = [child["uuid"] for child in row.get(field, ())]
            for child in row.get(field, ()):
                self.insert(kind, child)
        if inventory == "VirtualRouterVmInventory":
            made["_router"] = {name: row[name] for name in self._router() if name in row}
        made["uuid"] = made["uuid"] or self._store.new_uuid()
        table.add(made)
        l3 = self._store.l3_networks.get(row.get("l3NetworkUuid"))
        if inventory == "IpRangeInventory" and l3 is not None:
            l3["_ranges"].append(row["uuid"])

    def _router(self) -> Json:
        return next(row["_router"] for row in self._tables["VmInstanceVO"] if "_router" in row)

    def _insert_owned(self, ref: Json) -> None:
        table = self._store.tables.get(ref["resourceType"])
        if table is not None and ref["resourceUuid"] not in table:
            times = {name: ref[name] for name in ("createDate", "lastOpDate")}
            row = self._filled(table.kind, {"uuid": ref["resourceUuid"], **times})
            table.add(row | {"_account": ref["accountUuid"]})

    def insert_similar(self, table: Any, uuid: str) -> None:
        """Add a row of the fake's own under a uuid that the node had and the recording does not tell of."""
        if uuid not in table:
            sample = copy.deepcopy(self._tables[table.kind][0])
            sample |= {name: [] for name in ("_nics", "_volumes", "_ips") if name in sample}
            table.add(sample | {"uuid": uuid, "_account": "", "_public": True})

    def _filled(self, kind: str, row: Json) -> Json:
        sample, now = copy.deepcopy(self._samples[kind]), self._store.now()
        filled: Json = {"uuid": ""}
        for name, value in sample.items():
            if name[0] != "_":
                filled[name] = now if isinstance(value, float) and name in row else row.get(name)
            else:
                filled[name] = [] if isinstance(value, list) else set() if isinstance(value, set) else value
        filled |= {place: row[field] for field, place in _KEPT.items() if place in sample and field in row}
        for place in _KEPT.values():
            filled[place] = [_timed(one, now) for one in filled.get(place, ())]
        if kind == "VipVO":
            filled["_eip"] = next((ref["uuid"] for ref in row.get("servicesRefs", ())), None)
        if kind == "IpRangeVO" and "startIp" in row:
            start, end = int(ipaddress.ip_address(row["startIp"])), int(ipaddress.ip_address(row["endIp"]))
            filled |= {"_start": start, "_end": end, "_next": start}
        filled["_account"], filled["_public"] = "", True
        filled.pop("_router", None)
        return filled


def _sample(rows: list[Json]) -> Json:
    """Return one row with the fields of all, each with a value if any row has one."""
    sample: Json = {}
    for row in rows:
        sample |= {name: value for name, value in row.items() if value is not None or name not in sample}
    return sample


def _timed(row: Json, now: float) -> Json:
    return row | {name: now for name in ("createDate", "lastOpDate") if name in row}


def known_rows(line: Line) -> dict[str, tuple[str, Json]]:
    """Return by uuid what is recorded of the node's resources up to a line, and later where there is nothing before."""
    found: dict[str, tuple[str, Json]] = {}
    for other in lines():
        for inventory, row in other.inventories() if other.run == line.run else ():
            uuid = row.get("uuid", "")
            if len(row) > len(("uuid", "name")) and (uuid not in found or other.number <= line.number):
                found[uuid] = (inventory, row)
    return found
