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
            "VirtualRouterVmInventory": self.vm,
            "L2NetworkInventory": self.l2,
            "VmNicInventory": self.nic,
            "ImageInventory": self.image,
            "L3NetworkInventory": self.l3,
            "SecurityGroupInventory": self.security_group,
            "VipInventory": self.vip,
            **dict.fromkeys(_NAMELESS, self.nameless),
        }

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
        shown["vmNics"] = [self.nic(nic) for nic in self._store.nics.some(row["_nics"])]
        shown["allVolumes"] = [self.plain(volume) for volume in self._store.volumes.some(row["_volumes"])]
        shown["vmCdRoms"] = []
        return shown

    def l2(self, row: Json) -> Json:
        """Return an L2 network as one of any type, which does not tell its VLAN by that name."""
        return {name: value for name, value in self.plain(row).items() if name != "vlan"}

    def nic(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["usedIps"] = [self.plain(ip) for ip in self._store.used_ips.some(row["_ips"])]
        return shown

    def image(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["backupStorageRefs"] = [self.plain(ref) for ref in row["_refs"]]
        return shown

    def l3(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["ipRanges"] = [self.plain(span) for span in self._store.ip_ranges.some(row["_ranges"])]
        shown["networkServices"] = [self.plain(ref) for ref in row["_services"]]
        shown["hostRoute"] = [self.plain(route) for route in row["_routes"]]
        return shown

    def security_group(self, row: Json) -> Json:
        shown = self.plain(row)
        shown["rules"] = [self.plain(rule) for rule in self._store.security_group_rules.some(row["_rules"])]
        return shown

    def vip(self, row: Json) -> Json:
        shown = self.plain(row)
        uses = ["Eip"] if row["_eip"] else []
        shown["servicesRefs"] = [
            {"uuid": row["_eip"], "serviceType": use, "vipUuid": row["uuid"]} for use in uses
        ]  # fmt: skip
        if uses:
            shown["useFor"] = ",".join(uses)
        return shown
