"""What becomes of a VM after its creation: power, pause, destroy with its recovery, expunge, migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.compute.servers import require
from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store


class VmPower:
    """The calls that move a VM through its states."""

    def __init__(self, store: Store, views: Views, machines: Machines, quotas: Quotas) -> None:
        self._store, self._views, self._machines, self._quotas = store, views, machines, quotas
        self.handlers: dict[str, Handler] = {
            "StartVmInstance": self._start,
            "StopVmInstance": self._stop,
            "RebootVmInstance": self._reboot,
            "PauseVmInstance": self._pause,
            "ResumeVmInstance": self._resume,
            "DestroyVmInstance": self._destroy,
            "RecoverVmInstance": self._recover,
            "ExpungeVmInstance": self._expunge,
            "MigrateVm": self._migrate,
            "ReimageVmInstance": self._reimage,
        }

    def _result(self, vm: Json) -> Json:
        return {"inventory": self._views.vm(vm)}

    def _start(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "start")
        if vm["state"] == "Running":
            yield self._store.timing.job_s
            return self._result(vm)
        self._quotas.check(call, vm__num=1, vm__cpuNum=vm["cpuNum"], vm__memorySize=vm["memorySize"])
        before = vm["state"]
        self._machines.changed(vm, "Starting")
        yield self._store.timing.power_s
        self._machines.still(vm, "Starting", "VM.1001")
        try:
            for nic in self._store.nics.some(vm["_nics"]):
                if nic["ip"] is None:
                    self._machines.readdress(nic)
            self._machines.place(vm)
        except Failure as failure:
            self._machines.changed(vm, before)
            raise Failure("VM.1001", f"failed to start vm[uuid:{vm['uuid']}]", failure) from failure
        self._machines.changed(vm, "Running")
        return self._result(vm)

    def _stop(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "stop")
        if vm["state"] != "Stopped":
            self._machines.changed(vm, "Stopping")
            yield self._store.timing.power_s
            self._machines.still(vm, "Stopping", "VM.1002")
            self._machines.displace(vm)
            self._machines.changed(vm, "Stopped")
        else:
            yield self._store.timing.job_s
        return self._result(vm)

    def _reboot(self, call: Call) -> Work:
        return self._pass_through(call, "reboot", "Rebooting", "Running")

    def _pause(self, call: Call) -> Work:
        return self._pass_through(call, "pause", "Pausing", "Paused")

    def _resume(self, call: Call) -> Work:
        return self._pass_through(call, "resume", "Resuming", "Running")

    def _pass_through(self, call: Call, operation: str, through: str, end: str) -> Work:
        vm = self._machines.of(call)
        require(vm, operation)
        self._machines.changed(vm, through)
        yield self._store.timing.power_s
        self._machines.still(vm, through, "SYS.1005")
        self._machines.changed(vm, end)
        return self._result(vm)

    def _destroy(self, call: Call) -> Work:
        vm = self._machines.of(call)
        if vm["state"] == "Destroyed":
            yield self._store.timing.job_s
            return {}
        require(vm, "destroy")
        self._machines.changed(vm, "Destroying")
        yield self._store.timing.delete_s
        self._machines.still(vm, "Destroying", "VM.1004")
        if vm["type"] == "ApplianceVm" or self._store.config("vm", "deletionPolicy") == "Direct":
            self._machines.remove(vm)
            return {}
        self._bury(vm)
        return {}

    def _bury(self, vm: Json) -> None:
        """Make a VM Destroyed: NICs lose addresses and EIPs, the root volume is Deleted, data volumes become free."""
        store = self._store
        self._machines.displace(vm)
        for nic in store.nics.some(vm["_nics"]):
            self._machines.unaddress(nic)
            for eip in store.eips.where(vmNicUuid=nic["uuid"]):
                store.touch(eip, vmNicUuid=None, guestIp=None)
        remove_data = store.config("vm", "dataVolume.deleteOnVmDestroy") == "true"
        for volume in store.volumes.some(list(vm["_volumes"])):
            if volume["type"] == "Root":
                store.touch(volume, status="Deleted")
                continue
            self._machines.detach_volume(volume)
            if remove_data:
                store.touch(volume, status="Deleted")
        self._machines.changed(vm, "Destroyed")
        destroyed_at = vm["_destroyed"] = store.now()
        if store.config("vm", "deletionPolicy") == "Never":
            return  # it is as any other, and stays
        store.timeline.after(float(store.config("vm", "expungePeriod")), lambda: self._purge(vm, destroyed_at))

    def _purge(self, vm: Json, destroyed_at: float) -> None:
        if vm["state"] == "Destroyed" and vm["_destroyed"] == destroyed_at and vm["uuid"] in self._store.vms:
            self._machines.remove(vm)

    def _recover(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "recover")
        yield self._store.timing.job_s
        self._machines.still(vm, "Destroyed", "SYS.1006")
        self._store.touch(self._store.volumes.present(vm["rootVolumeUuid"]), status="Ready")
        self._machines.changed(vm, "Stopped")
        return self._result(vm)

    def _expunge(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "expunge")
        self._machines.changed(vm, "Expunging")
        yield self._store.timing.delete_s
        self._machines.remove(vm)
        return {}

    def _migrate(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "migrate")
        target = call.params.get("hostUuid")
        others = [
            host for host in self._store.hosts
            if host["uuid"] != vm["hostUuid"] and target in (None, host["uuid"]) and host["status"] == "Connected"
        ]  # fmt: skip
        if not others:
            raise Failure(
                "VM.1008", f"no other host for vm[uuid:{vm['uuid']}]", Failure("HOST_ALLOCATION.1000", "none")
            )
        before = vm["state"]
        self._machines.changed(vm, "Migrating")
        yield self._store.timing.power_s
        self._machines.still(vm, "Migrating", "VM.1008")
        self._machines.displace(vm)
        vm["_wanted_host"] = others[0]["uuid"]
        self._machines.place(vm)
        vm["_wanted_host"] = None
        self._machines.changed(vm, before)
        return self._result(vm)

    def _reimage(self, call: Call) -> Work:
        vm = self._machines.of(call)
        require(vm, "reimage")
        if self._store.images.get(vm["imageUuid"]) is None:
            raise Failure("VM.1014", f"the image[uuid:{vm['imageUuid']}] of the vm is gone")
        yield self._store.timing.volume_s
        return self._result(vm)
