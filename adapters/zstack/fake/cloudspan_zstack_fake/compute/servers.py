"""What VMs are made of, shared by the calls that create, power, wire and remove them.

State rules are here once: `require` says which operation a VM's state allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.network.addresses import Addresses
    from cloudspan_zstack_fake.store import Store

_ANYWHERE = frozenset({"destroy"})
ALLOWED: dict[str, frozenset[str]] = {
    "Created": frozenset({"start"}),
    "Running": frozenset(
        {"stop", "start", "reboot", "pause", "destroy", "migrate", "volume", "nic", "static ip", "change offering",
         "console", "image"}
    ),
    "Stopped": frozenset(
        {"start", "stop", "destroy", "volume", "nic", "static ip", "change offering", "reimage", "image"}
    ),
    "Paused": frozenset({"resume", "stop", "destroy", "migrate", "volume", "nic", "change offering"}),
    "Unknown": frozenset({"stop", "destroy", "migrate"}),
    "Crashed": frozenset({"stop", "start", "reboot", "destroy"}),
    "NoState": frozenset({"stop", "reboot"}),
    "Starting": _ANYWHERE, "Stopping": _ANYWHERE, "Rebooting": _ANYWHERE, "Migrating": _ANYWHERE,
    "VolumeMigrating": _ANYWHERE, "Pausing": _ANYWHERE, "Resuming": _ANYWHERE,
    "Destroyed": frozenset({"recover", "expunge"}),
}  # fmt: skip
"""Operations by state; what is not here is refused."""

_MESSAGES = {
    "start": "APIStartVmInstanceMsg", "stop": "APIStopVmInstanceMsg", "reboot": "RebootVmInstanceMsg",
    "destroy": "APIDestroyVmInstanceMsg", "pause": "APIPauseVmInstanceMsg", "resume": "APIResumeVmInstanceMsg",
    "expunge": "APIExpungeVmInstanceMsg", "recover": "APIRecoverVmInstanceMsg", "migrate": "APIMigrateVmMsg",
    "volume": "AttachDataVolumeToVmMsg", "nic": "APIAttachL3NetworkToVmMsg",
}  # fmt: skip
"""The message that a state refuses, by operation."""
_CODES = {
    "start": "VM.1001", "stop": "VM.1002", "reboot": "VM.1003", "destroy": "VM.1004", "volume": "VM.1005",
    "nic": "VM.1007", "migrate": "VM.1008", "pause": "VM.1012", "resume": "VM.1013",
}  # fmt: skip


def require(vm: Json, operation: str) -> None:
    """Refuse an operation that the VM's state does not allow.

    Raises:
        Failure: The operation's own code or SYS.1006, with the cause VM.1010.
    """
    state = vm["state"]
    if operation not in ALLOWED.get(state, ()):
        message = f"org.zstack.header.vm.{_MESSAGES.get(operation, 'VmInstanceMessage')}"
        allowed = ", ".join(one for one, operations in ALLOWED.items() if operation in operations)
        text = f"current vm instance state[{state}] doesn't allow to proceed message[{message}]"
        text = f"{text}, allowed states are [{allowed}]"
        failure = Failure(_CODES.get(operation, "SYS.1006"), text, Failure("VM.1010", text))
        raise failure if operation != "reboot" else Failure("VM.1003", text, failure)


def _may_run(host: Json, vm: Json) -> bool:
    wanted = vm["_wanted_host"] in (None, host["uuid"]) and vm["clusterUuid"] in (None, host["clusterUuid"])
    ready = host["state"] == "Enabled" and host["status"] == "Connected"
    return wanted and ready and host["zoneUuid"] == vm["zoneUuid"]


class Machines:
    """Hosts' capacity, NICs and disks of VMs."""

    def __init__(self, store: Store, addresses: Addresses) -> None:
        self._store, self.addresses = store, addresses

    def changed(self, vm: Json, state: str) -> None:
        """Put a VM into another state, as its host's report does."""
        self._store.touch(vm, state=state)

    def still(self, vm: Json, state: str, code: str) -> None:
        """Go on with a job's next stage.

        Raises:
            Failure: The VM has been taken into another state meanwhile, or is gone.
        """
        if vm["uuid"] not in self._store.vms or vm["state"] != state:
            raise Failure(code, f"the vm[uuid:{vm['uuid']}] left the state {state} meanwhile: {vm['state']}")

    def place(self, vm: Json) -> None:
        """Give a VM a host, its capacity taken.

        Raises:
            Failure: HOST_ALLOCATION.1000, none has enough.
        """
        store = self._store
        hosts = [host for host in store.hosts if _may_run(host, vm)]
        for host in hosts:
            fits = host["availableCpuCapacity"] >= vm["cpuNum"] and host["availableMemoryCapacity"] >= vm["memorySize"]
            if fits:
                host["availableCpuCapacity"] -= vm["cpuNum"]
                host["availableMemoryCapacity"] -= vm["memorySize"]
                self.settle(vm, host)
                return
        if not hosts:
            text = f"No host with zoneUuid={vm['zoneUuid']} hypervisorType=KVM  found"
            raise Failure("HOST_ALLOCATION.1000", text)
        why = f"no host having cpu[{vm['cpuNum']}], memory[{vm['memorySize']:,} bytes] found"
        text = "unable to allocate hosts; due to pagination is enabled, there might be several allocation failures"
        cause = Failure("NO_AVAILABLE_HOST_BUT_PAGINATION_HAS_NOT_DONE", why)
        raise Failure("HOST_ALLOCATION.1000", f"{text} happened before; the error list is [{why}]", cause)

    def settle(self, vm: Json, host: Json) -> None:
        """Put a VM on a host; on the first one it gets what a created VM does not have yet."""
        self._store.touch(
            vm, hostUuid=host["uuid"], lastHostUuid=host["uuid"], clusterUuid=host["clusterUuid"],
            hypervisorType=host["hypervisorType"],
        )  # fmt: skip
        if not vm["_cd_roms"] and vm["type"] == "UserVm":
            now = self._store.now()
            vm["_cd_roms"].append(
                {"uuid": self._store.new_uuid(), "vmInstanceUuid": vm["uuid"], "deviceId": 0,
                 "name": f"vm-{vm['uuid']}-cdRom", "createDate": now, "lastOpDate": now}
            )  # fmt: skip

    def displace(self, vm: Json) -> None:
        """Take a VM off its host."""
        host = self._store.hosts.get(vm["hostUuid"])
        if host is not None and not vm.get("_weightless"):
            host["availableCpuCapacity"] += vm["cpuNum"]
            host["availableMemoryCapacity"] += vm["memorySize"]
        vm["hostUuid"] = None

    def add_nic(self, vm: Json, l3: Json, wanted_ip: str | None = None, mac: str | None = None) -> Json:
        """Give a VM a NIC on an L3 network."""
        nic = self.new_nic(vm["_account"], l3, wanted_ip, mac)
        self.plug(vm, nic)
        return nic

    def new_nic(self, account: str, l3: Json, wanted_ip: str | None = None, mac: str | None = None) -> Json:
        """Make a NIC of no VM yet."""
        used = self.addresses.take(l3, wanted_ip)
        nic = self._store.new_row(
            self._store.nics, account, vmInstanceUuid=None, l3NetworkUuid=l3["uuid"], ip=used["ip"],
            mac=mac or self._store.new_mac(), hypervisorType="KVM", netmask=used["netmask"], gateway=used["gateway"],
            driverType="virtio", internalName=None, deviceId=0, type="VNIC", state="enable",
            _ips=[used["uuid"]],
        )  # fmt: skip
        used["vmNicUuid"] = nic["uuid"]
        return nic

    def plug(self, vm: Json, nic: Json) -> None:
        """Connect a NIC to a VM."""
        taken = {other["deviceId"] for other in self._store.nics.some(vm["_nics"])}
        place = next(number for number in range(len(taken) + 1) if number not in taken)
        self._store.touch(
            nic, vmInstanceUuid=vm["uuid"], deviceId=place, internalName=f"vnic{vm['_number']}.{place}"
        )  # fmt: skip
        vm["_nics"].append(nic["uuid"])
        if vm["defaultL3NetworkUuid"] is None:
            vm["defaultL3NetworkUuid"] = nic["l3NetworkUuid"]

    def remove_nic(self, nic: Json) -> None:
        """Remove a NIC with its addresses, security group memberships and EIP binding."""
        store = self._store
        self.unaddress(nic)
        for ref in store.security_group_refs.where(vmNicUuid=nic["uuid"]):
            store.security_group_refs.remove(ref["uuid"])
        for eip in store.eips.where(vmNicUuid=nic["uuid"]):
            store.touch(eip, vmNicUuid=None, guestIp=None)
        vm = store.vms.get(nic["vmInstanceUuid"])
        if vm is not None:
            vm["_nics"].remove(nic["uuid"])
            if vm["defaultL3NetworkUuid"] == nic["l3NetworkUuid"]:
                others = store.nics.some(vm["_nics"])
                vm["defaultL3NetworkUuid"] = others[0]["l3NetworkUuid"] if others else None
        store.drop(store.nics, nic["uuid"])

    def unaddress(self, nic: Json) -> None:
        """Release a NIC's addresses; the NIC stays, without `ip`."""
        for used in nic["_ips"]:
            self.addresses.release(used)
        nic.update(_ips=[], ip=None, netmask=None, gateway=None)

    def readdress(self, nic: Json) -> None:
        """Give a NIC that lost its address a new one."""
        used = self.addresses.take(self._store.l3_networks.present(nic["l3NetworkUuid"]))
        used["vmNicUuid"] = nic["uuid"]
        nic.update(_ips=[used["uuid"]], ip=used["ip"], netmask=used["netmask"], gateway=used["gateway"])

    def add_volume(self, vm: Json, kind: str, size: int, **fields: str | None) -> Json:
        """Make a volume that is attached to a VM from its birth."""
        store = self._store
        place = len(vm["_volumes"])
        storage = self.storage_for(size)
        words = {"Root": f"ROOT-for-{vm['name']}", "Data": f"DATA-for-{vm['name']}"}
        volume = store.new_row(
            store.volumes, vm["_account"], name=words[kind], primaryStorageUuid=storage["uuid"],
            vmInstanceUuid=vm["uuid"], diskOfferingUuid=None, rootImageUuid=None, type=kind, format="qcow2", size=size,
            actualSize=size // 10, deviceId=place, state="Enabled", status="Ready", isShareable=False,
            installPath=f"/zstack_ps/{kind.lower()}/{vm['uuid']}/{place}.qcow2", lastAttachDate=store.now(),
        )  # fmt: skip
        volume["description"] = f"Root volume for VM[uuid:{vm['uuid']}]" if kind == "Root" else None
        volume.update(fields)
        vm["_volumes"].append(volume["uuid"])
        if kind == "Root":
            vm["rootVolumeUuid"] = volume["uuid"]
        return volume

    def storage_for(self, size: int, wanted: str | None = None) -> Json:
        """Return the primary storage for a volume, a wanted one or the first.

        Raises:
            Failure: SYS.1006, it has no room for so many bytes.
        """
        storages = self._store.primary_storages
        storage = storages.present(wanted) if wanted else next(iter(storages))
        if size > storage["availableCapacity"]:
            room = f"there is no primary storage having required size[{size:,} bytes]"
            text = f"after subtracting reserved capacity[1G], {room}, may be the threshold of primary storage physical"
            raise Failure("SYS.1006", f"{text} capacity setting is lower")
        return storage

    def detach_volume(self, volume: Json) -> None:
        """Take a volume off its VM."""
        vm = self._store.vms.get(volume["vmInstanceUuid"])
        if vm is not None:
            vm["_volumes"].remove(volume["uuid"])
        self._store.touch(
            volume, lastVmInstanceUuid=volume["vmInstanceUuid"], lastDetachDate=self._store.now(), vmInstanceUuid=None,
            deviceId=None,
        )  # fmt: skip

    def remove_volume(self, volume: Json) -> None:
        """Remove a volume and its snapshots."""
        for snapshot in self._store.snapshots.where(volumeUuid=volume["uuid"]):
            self._store.drop(self._store.snapshots, snapshot["uuid"])
        self._store.drop(self._store.volumes, volume["uuid"])

    def remove(self, vm: Json) -> None:
        """Remove a VM with its NICs and root volume; data volumes become free."""
        store = self._store
        self.displace(vm)
        for nic in store.nics.some(list(vm["_nics"])):
            self.remove_nic(nic)
        for volume in store.volumes.some(list(vm["_volumes"])):
            if volume["type"] == "Root":
                self.remove_volume(volume)
            else:
                self.detach_volume(volume)
        store.drop(store.vms, vm["uuid"])

    def of(self, call: Call) -> Json:
        """Return the VM in the call's path."""
        return self._store.vms.present(call.uuid())
