"""NICs: L3 networks attached to VMs and detached, NICs made apart and plugged in later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.compute.servers import require
from cloudspan_zstack_fake.store import taken_uuid
from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.store import Store


class VmNics:
    """The NIC calls."""

    def __init__(self, store: Store, views: Views, machines: Machines) -> None:
        self._store, self._views, self._machines = store, views, machines
        self.handlers: dict[str, Handler] = {
            "AttachL3NetworkToVm": self._attach_l3,
            "DetachL3NetworkFromVm": self._detach_l3,
            "CreateVmNic": self._create,
            "DeleteVmNic": self._delete,
            "AttachVmNicToVm": self._attach,
            "ChangeVmNicState": self._change_state,
            "GetVmAttachableL3Network": self._attachable,
        }

    def _attach_l3(self, call: Call) -> Work:
        vm = self._store.vms.present(call.params["vmInstanceUuid"])
        l3 = self._store.l3_networks.present(call.params["l3NetworkUuid"])
        self._check(vm, l3)
        self._machines.addresses.check(l3, call.params.get("staticIp"))
        nic = self._machines.add_nic(vm, l3, call.params.get("staticIp"), call.params.get("customMac"))
        yield self._store.timing.attach_s
        if nic["uuid"] not in self._store.nics:
            raise Failure("VM.1007", f"the nic[uuid:{nic['uuid']}] went away with its vm or network")
        self._store.touch(vm)
        return {"inventory": self._views.vm(vm)}

    def _check(self, vm: Json, l3: Json) -> None:
        require(vm, "nic")
        if l3["state"] != "Enabled" or l3["system"]:
            raise Failure("SYS.1006", f"the L3 network[uuid:{l3['uuid']}] is disabled or a system network")
        attached = {nic["l3NetworkUuid"] for nic in self._store.nics.some(vm["_nics"])}
        if l3["uuid"] in attached and self._store.config("vm", "multivNic.support") != "true":
            raise Failure(
                "SYS.1006", f"unable to attach: the L3 network[uuid:{l3['uuid']}] is already attached to the vm"
            )

    def _detach_l3(self, call: Call) -> Work:
        nic = self._store.nics.present(call.uuid())
        vm = self._store.vms.get(nic["vmInstanceUuid"])
        if vm is None:
            raise Failure("SYS.1006", f"the nic[uuid:{nic['uuid']}] is on no vm")
        require(vm, "nic")
        yield self._store.timing.attach_s
        if nic["uuid"] in self._store.nics:
            self._machines.remove_nic(nic)
        self._store.touch(vm)
        return {"inventory": self._views.vm(vm)}

    def _create(self, call: Call) -> Json:
        l3 = self._store.l3_networks.present(call.params["l3NetworkUuid"])
        wanted = call.params.get("resourceUuid")
        if wanted and self._store.owner_table(wanted) is not None:
            raise taken_uuid()
        nic = self._machines.new_nic(call.identity.account, l3, call.params.get("ip"))
        if wanted:
            self._store.nics.remove(nic["uuid"])
            nic["uuid"] = wanted
            self._store.nics.add(nic)
            self._store.used_ips.present(nic["_ips"][0])["vmNicUuid"] = wanted
        return {"inventory": self._views.nic(nic)}

    def _delete(self, call: Call) -> Json:
        self._machines.remove_nic(self._store.nics.present(call.uuid()))
        return {}

    def _attach(self, call: Call) -> Json:
        vm = self._store.vms.present(call.params["vmInstanceUuid"])
        nic = self._store.nics.present(call.params["vmNicUuid"])
        if nic["vmInstanceUuid"] is not None:
            raise Failure("SYS.1006", f"the nic[uuid:{nic['uuid']}] is already attached to a vm")
        self._check(vm, self._store.l3_networks.present(nic["l3NetworkUuid"]))
        self._machines.plug(vm, nic)
        return {"inventory": self._views.vm(vm)}

    def _change_state(self, call: Call) -> Json:
        nic = self._store.nics.present(call.uuid())
        self._store.touch(nic, state=call.params["state"])
        vm = self._store.vms.get(nic["vmInstanceUuid"])
        return {"inventory": self._views.vm(vm)} if vm else {}

    def _attachable(self, call: Call) -> Json:
        vm = self._store.vms.present(call.uuid())
        attached = {nic["l3NetworkUuid"] for nic in self._store.nics.some(vm["_nics"])}
        rows = [
            row for row in self._store.l3_networks
            if row["uuid"] not in attached and row["state"] == "Enabled" and not row["system"]
        ]  # fmt: skip
        return {"inventories": [self._views.l3(row) for row in rows]}
