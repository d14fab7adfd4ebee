"""Rows as the server shows them: times in its zone, nothing that is null, children inside their parents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.store import Store

_TIMES = frozenset(
    {"createDate", "lastOpDate", "expiredDate", "lastAttachDate", "lastDetachDate", "joinDate", "heartBeat"}
)  # fmt: skip

_SPECIAL = {
    ("L2NetworkInventory", "L2VlanNetwork"): "L2VlanNetworkInventory",
    ("HostInventory", "KVM"): "KVMHostInventory",
}
_NAMELESS = (
    "VmNicSecurityGroupRefInventory",
    "NetworkServiceL3NetworkRefInventory",
    "AccountResourceRefInventory",
    "GlobalConfigInventory",
)
"""Inventories without a uuid of their own."""


class Views:
    """Makes an inventory of a row; `of` names the view of each inventory type that is more than its row."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.of: dict[str, Callable[[Json], Json]] = {
            "VmInstanceInventory": self.vm,
            "VpcRouterVmInventory": self.vm,
            "VirtualRouterVmInventory": self.router,
            "VmNicInventory": self.nic,
            "ImageInventory": self.image,
            "L3NetworkInventory": self.l3,
            "SecurityGroupInventory": self.security_group,
            "VipInventory": self.vip,
            **dict.fromkeys(_NAMELESS, self.nameless),
        }

    def kind(self, inventory: str, row: Json) -> str:
        """Return the inventory type of a row of a query: some rows are of a more special type than was asked for."""
        word = row.get("type") or row.get("hypervisorType") or ""
        return _SPECIAL.get((inventory, word), inventory)

    def show(self, inventory: str, row: Json) -> Json:
        """Return a row as that inventory type."""
        return self.of.get(inventory, self.plain)(row)

    def plain(self, row: Json) -> Json:
        """Return the row's own fields."""
        stamp = self._store.stamp
        return {
            name: stamp(value) if name in _TIMES else value
            for name, value in row.items()
            if value is not None and name[0] != "_"
        }

    def nameless(self, row: Json) -> Json:
        """Return the row's own fields but its uuid."""
        return {name: value for name, value in self.plain(row).items() if name != "uuid"}

    def vm(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["vmNics"] = [self.nic(nic, of_vm=True) for nic in self._store.nics.some(row["_nics"])]
        shown["allVolumes"] = [self.plain(volume) for volume in self._store.volumes.some(row["_volumes"])]
        shown["vmCdRoms"] = [self.plain(cd_rom) for cd_rom in row["_cd_roms"]]
        return shown

    def router(self, row: Json) -> Json:
        """Return a router as one of any kind, which does not tell what only VPC routers have."""
        return {name: value for name, value in self.vm(row).items() if name != "dns"}

    def nic(self, row: Json, *, of_vm: bool = False) -> Json:
        """Return a NIC; inside its VM it names its first address."""
        shown = self.plain(row)
        if of_vm and row["_ips"]:
            shown["usedIpUuid"] = row["_ips"][0]
        shown["usedIps"] = [self.plain(ip) for ip in self._store.used_ips.some(row["_ips"])]
        return shown

    def image(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["backupStorageRefs"] = [self.plain(ref) for ref in row["_refs"]]
        return shown

    def l3(self, row: Json) -> Json:
        shown = self.plain(row)
        if not row["dns"]:
            shown.pop("dns", None)
        shown["ipRanges"] = [self.plain(span) for span in self._store.ip_ranges.some(row["_ranges"])]
        shown["reservedIpRanges"] = []
        shown["networkServices"] = [self.plain(ref) for ref in row["_services"]]
        shown["hostRoute"] = [self.plain(route) for route in row["_routes"]]
        return shown

    def security_group(self, row: Json) -> Json:
        shown = {name: value for name, value in self.plain(row).items() if name != "ipVersion"}
        shown["rules"] = [self.plain(rule) for rule in self._store.security_group_rules.some(row["_rules"])]
        return shown

    def vip(self, row: Json) -> Json:
        shown = {name: value for name, value in self.plain(row).items() if name != "ipRangeUuid"}
        times = {name: shown[name] for name in ("createDate", "lastOpDate")}
        refs = [(row["_eip"], "Eip")] if row["_eip"] else []
        shown["servicesRefs"] = [
            {"uuid": uuid, "serviceType": kind, "vipUuid": row["uuid"], **times} for uuid, kind in refs
        ]  # fmt: skip
        if refs:
            shown["useFor"] = ",".join(kind for _, kind in refs)
        return shown
