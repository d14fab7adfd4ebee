"""What accounts may use and use: defaults, usage, the check before each create."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.store import ADMIN
from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.store import Store, Table

DEFAULTS = {
    "vm.totalNum": 20, "vm.num": 20, "vm.cpuNum": 80, "vm.memorySize": 85899345920, "volume.data.num": 40,
    "volume.capacity": 10995116277760, "image.num": 20, "image.size": 10995116277760, "snapshot.volume.num": 200,
    "eip.num": 20, "vip.num": 20, "l3.num": 20, "securityGroup.num": 20, "ssh_key_pair.num": 20,
    "vxlan.num": 8, "listener.num": 20, "portForwarding.num": 20, "loadBalancer.num": 20,
}  # fmt: skip
_RUNNING = frozenset({"Starting", "Running", "Rebooting", "Pausing", "Paused", "Resuming", "Migrating"})


class Quotas:
    """The quota rows of all accounts but the administrator's, who has none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.handlers: dict[str, Handler] = {"UpdateQuota": self._update, "GetAccountQuotaUsage": self._usages}
        self._usage = _usage_functions(store)

    def grant(self, account: str) -> None:
        """Give a new account the default quotas."""
        for name, value in DEFAULTS.items():
            self._store.new_row(
                self._store.quotas, account, name=name, identityUuid=account, identityType="AccountVO", value=value
            )

    def raise_for(self, account: str, **more: int) -> None:
        """Raise an account's limits, names written with `__` for `.`."""
        for row in self._store.quotas.where(identityUuid=account):
            row["value"] += more.get(row["name"].replace(".", "__"), 0)

    def set(self, account: str, limits: dict[str, int]) -> None:
        """Set limits of an account by their names."""
        rows = {row["name"]: row for row in self._store.quotas.where(identityUuid=account)}
        for name, value in limits.items():
            self._store.touch(rows[name], value=value)

    def check(self, call: Call, **needs: int) -> None:
        """Refuse what would exceed a quota; names as in `raise_for`.

        Raises:
            Failure: ID.1003.
        """
        account = call.identity.account
        if account == ADMIN:
            return
        limits = {row["name"]: row["value"] for row in self._store.quotas.where(identityUuid=account)}
        for word, need in needs.items():
            name = word.replace("__", ".")
            used = self._usage[name](account)
            if need and used + need > limits[name]:
                owner = self._store.accounts.present(account)
                who = f"The resource owner(or target resource owner) account[uuid: {account} name: {owner['name']}]"
                what = f"quota[name: {name}, value: {limits[name]}], Current used:{used}, Request:{need}"
                text = f"quota exceeding.{who} exceeds a {what}. Please contact the administrator."
                raise Failure("ID.1003", text)

    def _update(self, call: Call) -> Json:
        params = call.params
        rows = self._store.quotas.where(identityUuid=params["identityUuid"], name=params["name"])
        if not rows:
            raise Failure(
                "SYS.1006", f"cannot find Quota[name: {params['name']}] for the account[{params['identityUuid']}]"
            )
        used = self._usage[params["name"]](params["identityUuid"])
        if used > params["value"]:
            account = params["identityUuid"]
            text = f"cannot update Quota[name: {params['name']}] for the account[uuid: {account}]"
            what = f"[name: {params['name']}, usedValue: {used}] exceeds request quota: {params['value']}"
            raise Failure("SYS.1006", text, Failure("SYS.1007", f"account[uuid: {account}] used {what}"))
        row = self._store.touch(rows[0], value=params["value"])
        return {"inventory": {name: row[name] for name in ("uuid", "name", "identityUuid", "identityType", "value")}}

    def _usages(self, call: Call) -> Json:
        account = call.uuid()
        totals = {row["name"]: row["value"] for row in self._store.quotas.where(identityUuid=account)}
        # The administrator has no quotas, and is told a total of 0 of each.
        return {
            "usages": [
                {"name": name, "total": totals.get(name, 0), "used": used(account)}
                for name, used in self._usage.items()
            ]
        }


def _usage_functions(store: Store) -> dict[str, Callable[[str], int]]:
    return {
        "vm.totalNum": lambda account: len(_user_vms(store, account)),
        "vm.num": lambda account: len(_running(store, account)),
        "vm.cpuNum": lambda account: sum(row["cpuNum"] for row in _running(store, account)),
        "vm.memorySize": lambda account: sum(row["memorySize"] for row in _running(store, account)),
        "volume.data.num": lambda account: len(store.volumes.where(_account=account, type="Data")),
        "volume.capacity": _size(store.volumes),
        "image.num": _count(store.images),
        "image.size": _size(store.images),
        "snapshot.volume.num": _count(store.snapshots),
        "eip.num": _count(store.eips),
        "vip.num": _count(store.vips),
        "l3.num": _count(store.l3_networks),
        "securityGroup.num": _count(store.security_groups),
        "ssh_key_pair.num": _count(store.ssh_keys),
        **dict.fromkeys(("vxlan.num", "listener.num", "portForwarding.num", "loadBalancer.num"), lambda _: 0),
    }


def _user_vms(store: Store, account: str) -> list[Json]:
    return store.vms.where(_account=account, type="UserVm")


def _running(store: Store, account: str) -> list[Json]:
    return [row for row in _user_vms(store, account) if row["state"] in _RUNNING]


def _count(table: Table) -> Callable[[str], int]:
    return lambda account: len(table.where(_account=account))


def _size(table: Table) -> Callable[[str], int]:
    return lambda account: sum(row["size"] for row in table.where(_account=account))
