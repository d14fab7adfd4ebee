"""What can be said of a VM while it lives: name, size, host name, keys, fixed addresses, console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.compute.servers import require
from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.store import Store

_CONSOLE_LIFE_S = 1800


class VmSettings:
    """The calls that change or read a VM's settings."""

    def __init__(self, store: Store, views: Views, machines: Machines) -> None:
        self._store, self._views, self._machines = store, views, machines
        self.handlers: dict[str, Handler] = {
            "UpdateVmInstance": self._update,
            "ChangeInstanceOffering": self._change_offering,
            "SetVmHostname": self._set_hostname,
            "GetVmHostname": self._hostname,
            "DeleteVmHostname": self._delete_hostname,
            "SetVmSshKey": self._set_key,
            "GetVmSshKey": self._key,
            "DeleteVmSshKey": self._delete_key,
            "SetVmStaticIp": self._set_static_ip,
            "DeleteVmStaticIp": self._delete_static_ip,
            "RequestConsoleAccess": self._console,
            "GetVmConsoleAddress": self._console_address,
            "GetVmAttachableDataVolume": self._attachable_volumes,
        }

    def _result(self, vm: Json) -> Json:
        return {"inventory": self._views.vm(vm)}

    def _update(self, call: Call) -> Json:
        vm, params = self._machines.of(call), call.params
        if "cpuNum" in params or "memorySize" in params:
            wanted = {**vm, **params}
            self._resize(vm, wanted["cpuNum"], wanted["memorySize"])
        names = ("name", "description", "defaultL3NetworkUuid", "platform", "guestOsType")
        self._store.touch(vm, **{name: params[name] for name in names if name in params})
        return self._result(vm)

    def _change_offering(self, call: Call) -> Json:
        vm = self._machines.of(call)
        offering = self._store.instance_offerings.present(call.params["instanceOfferingUuid"])
        self._resize(vm, offering["cpuNum"], offering["memorySize"])
        vm["instanceOfferingUuid"] = offering["uuid"]
        return self._result(vm)

    def _resize(self, vm: Json, cpu_num: int, memory: int) -> None:
        require(vm, "change offering")
        if vm["state"] != "Stopped":
            grows = cpu_num >= vm["cpuNum"] and memory >= vm["memorySize"]
            if vm["state"] != "Running" or self._store.config("vm", "numa") != "true" or not grows:
                text = (
                    f"the state of vm[uuid:{vm['uuid']}] is {vm['state']}: only a Stopped one changes its CPU or memory"
                )
                raise Failure("SYS.1006", text)
        self._store.touch(vm, cpuNum=cpu_num, memorySize=memory)

    def _set_tag(self, vm: Json, word: str, value: str | None) -> None:
        store = self._store
        for row in store.system_tags.some(sorted(store.tags_of.get(vm["uuid"], ()))):
            if row["tag"].startswith(f"{word}::"):
                store.system_tags.remove(row["uuid"])
                store.tags_of[vm["uuid"]].discard(row["uuid"])
        if value is not None:
            store.tag(store.vms.kind, vm["uuid"], [f"{word}::{value}"], store.system_tags)

    def _tag(self, call: Call, word: str) -> str | None:
        tags = self._store.tags(self._machines.of(call)["uuid"], self._store.system_tags)
        return next((tag.partition("::")[2] for tag in tags if tag.startswith(f"{word}::")), None)

    def _set_hostname(self, call: Call) -> Json:
        self._set_tag(self._machines.of(call), "hostname", call.params["hostname"])
        return {}

    def _delete_hostname(self, call: Call) -> Json:
        self._set_tag(self._machines.of(call), "hostname", None)
        return {}

    def _hostname(self, call: Call) -> Json:
        value = self._tag(call, "hostname")
        return {} if value is None else {"hostname": value}

    def _set_key(self, call: Call) -> Json:
        vm = self._machines.of(call)
        self._set_tag(vm, "sshkey", call.params["SshKey"])
        return self._result(vm)

    def _delete_key(self, call: Call) -> Json:
        self._set_tag(self._machines.of(call), "sshkey", None)
        return {}

    def _key(self, call: Call) -> Json:
        value = self._tag(call, "sshkey")
        return {} if value is None else {"sshKey": value}

    def _nic_on(self, vm: Json, l3: str) -> Json:
        nics = [nic for nic in self._store.nics.some(vm["_nics"]) if nic["l3NetworkUuid"] == l3]
        if not nics:
            raise Failure("SYS.1007", f"the vm[uuid:{vm['uuid']}] has no nic on the L3 network[uuid:{l3}]")
        return nics[0]

    def _set_static_ip(self, call: Call) -> Json:
        vm, params = self._machines.of(call), call.params
        require(vm, "static ip")
        nic = self._nic_on(vm, params["l3NetworkUuid"])
        wanted = params.get("ip")
        if wanted and wanted != nic["ip"]:
            l3 = self._store.l3_networks.present(nic["l3NetworkUuid"])
            self._machines.addresses.check(l3, wanted)
            used = self._machines.addresses.take(l3, wanted)
            self._machines.unaddress(nic)
            used["vmNicUuid"] = nic["uuid"]
            nic.update(_ips=[used["uuid"]], ip=used["ip"], netmask=used["netmask"], gateway=used["gateway"])
        self._set_tag(vm, f"staticIp::{nic['l3NetworkUuid']}", nic["ip"])
        return {}

    def _delete_static_ip(self, call: Call) -> Json:
        vm = self._machines.of(call)
        self._set_tag(vm, f"staticIp::{call.params['l3NetworkUuid']}", None)
        return {}

    def _console(self, call: Call) -> Json:
        vm = self._store.vms.present(call.params["vmInstanceUuid"])
        require(vm, "console")
        token = self._store.new_uuid()
        expires = self._store.stamp(self._store.now() + _CONSOLE_LIFE_S)
        host = self._store.settings.management_address.partition(":")[0] or "127.0.0.1"
        return {
            "inventory": {
                "scheme": "http", "targetScheme": "vnc", "hostname": host, "port": 4900, "token": token,
                "version": "3.0", "expiredDate": expires,
            }
        }  # fmt: skip

    def _console_address(self, call: Call) -> Json:
        vm = self._machines.of(call)
        require(vm, "console")
        host = self._store.hosts.present(vm["hostUuid"])
        return {"hostIp": host["managementIp"], "port": 5900 + vm["_number"], "protocol": "vnc"}

    def _attachable_volumes(self, call: Call) -> Json:
        vm = self._machines.of(call)
        rows = [
            row for row in self._store.volumes.where(type="Data", vmInstanceUuid=None, state="Enabled")
            if row["status"] in ("Ready", "NotInstantiated") and row["_account"] == vm["_account"]
        ]  # fmt: skip
        return {"inventories": [self._views.plain(row) for row in rows]}
