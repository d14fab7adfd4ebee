"""Which rows each `Query*` call answers, and as which inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.api.gate import may_see
from cloudspan_zstack_fake.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.query import Queries
    from cloudspan_zstack_fake.identity.projects import Accounts
    from cloudspan_zstack_fake.store import Store
    from cloudspan_zstack_fake.wire import Call, Handler

    Rows = Table | Callable[[], Iterable[Json]]

_ADMIN_ONLY = frozenset({"QueryGlobalConfig", "QueryManagementNode", "QueryL2Network", "QueryL2VlanNetwork"})
"""Others are shown no rows of these, and no error."""


class Lists:
    """The query calls."""

    def __init__(self, store: Store, queries: Queries, accounts: Accounts) -> None:
        self._queries = queries
        self.handlers: dict[str, Handler] = {
            name: self._handler(name, inventory, rows)
            for name, (inventory, rows) in (_tables(store) | _derived(store, accounts)).items()
        }

    def _handler(self, name: str, inventory: str, rows: Rows) -> Handler:
        def answer(call: Call) -> Json:
            who = call.identity
            if name in _ADMIN_ONLY and not who.admin:
                return self._queries.answer(call, inventory, ())
            seen = (row for row in _choose(rows, call) if may_see(row, who.account, admin=who.admin))
            return self._queries.answer(call, inventory, seen)

        return answer


def _choose(rows: Rows, call: Call) -> Iterable[Json]:
    if not isinstance(rows, Table):
        return rows()
    return rows.some([call.uuid()]) if call.path_params else rows


def _tables(store: Store) -> dict[str, tuple[str, Rows]]:
    plain = {
        "Zone": store.zones, "Cluster": store.clusters, "Host": store.hosts, "Image": store.images,
        "PrimaryStorage": store.primary_storages, "BackupStorage": store.backup_storages,
        "InstanceOffering": store.instance_offerings, "DiskOffering": store.disk_offerings,
        "VmInstance": store.vms, "VmNic": store.nics, "Volume": store.volumes, "VolumeSnapshot": store.snapshots,
        "L2Network": store.l2_networks, "L3Network": store.l3_networks, "IpRange": store.ip_ranges, "Vip": store.vips,
        "NetworkServiceProvider": store.providers, "Eip": store.eips, "SecurityGroup": store.security_groups,
        "SecurityGroupRule": store.security_group_rules, "SshKeyPair": store.ssh_keys, "Account": store.accounts,
        "User": store.users, "Quota": store.quotas, "GlobalConfig": store.configs, "SystemTag": store.system_tags,
        "UserTag": store.user_tags, "ManagementNode": store.management_nodes,
    }  # fmt: skip
    found: dict[str, tuple[str, Rows]] = {f"Query{name}": (f"{name}Inventory", table) for name, table in plain.items()}
    found["QueryIpAddress"] = ("UsedIpInventory", store.used_ips)
    found["QueryVmNicInSecurityGroup"] = ("VmNicSecurityGroupRefInventory", store.security_group_refs)
    return found


def _derived(store: Store, accounts: Accounts) -> dict[str, tuple[str, Rows]]:
    def routers() -> Iterable[Json]:
        for row in store.vms.where(type="ApplianceVm"):
            yield {**row, **row["_router"]}

    def services() -> Iterable[Json]:
        for l3 in store.l3_networks:
            for ref in l3["_services"]:
                yield {"uuid": "", "_account": l3["_account"], "_public": l3.get("_public", False), **ref}

    return {
        "QueryL2VlanNetwork": ("L2VlanNetworkInventory", lambda: store.l2_networks.where(type="L2VlanNetwork")),
        "QueryVpcRouter": ("VpcRouterVmInventory", routers),
        "QueryVirtualRouterVm": ("VirtualRouterVmInventory", routers),
        "QueryNetworkServiceL3NetworkRef": ("NetworkServiceL3NetworkRefInventory", services),
        "QueryAccountResourceRef": ("AccountResourceRefInventory", accounts.refs),
        "QueryAccessKey": (
            "AccessKeyInventory",
            lambda: ({**row, "AccessKeySecret": None} for row in store.access_keys),
        ),
    }
