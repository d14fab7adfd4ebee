"""Creating VMs: the rules of the create call, then its job up to Running, Stopped or Created."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.network.security_groups import SecurityGroups
    from cloudspan_zstack_fake.store import Store


_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


@dataclass(slots=True)
class Plan:
    """What a create call asks for, checked."""

    cpu_num: int
    memory: int
    offering: str | None
    image: Json | None
    l3s: list[Json]
    default_l3: str | None
    root_size: int
    root_offering: str | None
    data: list[tuple[int, str | None]]
    wishes: dict[str, Json] = field(default_factory=dict)
    """By L3 network: ip, mac and security groups asked for."""


class VmCreation:
    """The create call."""

    def __init__(self, store: Store, views: Views, machines: Machines, quotas: Quotas, groups: SecurityGroups) -> None:
        self._store, self._views, self._machines = store, views, machines
        self._quotas, self._groups = quotas, groups
        self._numbers = 0
        self.handlers: dict[str, Handler] = {"CreateVmInstance": self._create}

    def _create(self, call: Call) -> Work:
        plan = self._plan(call)
        self._check_keys(call.params)
        runs = call.params["strategy"] == "InstantStart"
        self._check_quota(call, plan, runs=runs)
        vm = self._store.create(self._store.vms, call, **self.row(call.params, plan))
        try:
            self._equip(vm, plan)
            if call.params["strategy"] == "JustCreate":
                yield self._store.timing.job_s
                self._join_groups(vm, plan)
                return {"inventory": self._views.vm(vm)}
            self._machines.changed(vm, "Starting")
            yield self._store.timing.build_s
            self._machines.still(vm, "Starting", "VM.1000")
            self._join_groups(vm, plan)
            self._finish(vm, runs=runs)
        except Failure as failure:
            if vm["uuid"] in self._store.vms and vm["state"] in ("Created", "Starting"):
                self._roll_back(vm)
            raise Failure("SYS.1006", failure.details, failure) from failure
        return {"inventory": self._views.vm(vm)}

    def _finish(self, vm: Json, *, runs: bool) -> None:
        self._machines.place(vm)
        if not runs:
            self._machines.displace(vm)
        self._machines.changed(vm, "Running" if runs else "Stopped")

    def row(self, params: Json, plan: Plan) -> Json:
        """Return the fields of a new VM's row beside those that every resource has."""
        self._numbers += 1
        image = plan.image or {}
        cluster = self._store.clusters.get(params.get("clusterUuid"))
        zone = params.get("zoneUuid") or (cluster or next(iter(self._store.clusters)))["zoneUuid"]
        return {
            "zoneUuid": zone, "clusterUuid": params.get("clusterUuid"), "imageUuid": params.get("imageUuid"),
            "hostUuid": None, "lastHostUuid": None, "instanceOfferingUuid": plan.offering, "rootVolumeUuid": None,
            "platform": params.get("platform") or image.get("platform"), "state": "Created",
            "architecture": params.get("architecture") or image.get("architecture"),
            "guestOsType": params.get("guestOsType") or image.get("guestOsType"),
            "defaultL3NetworkUuid": plan.default_l3, "type": params.get("type", "UserVm"), "hypervisorType": None,
            "memorySize": plan.memory, "cpuNum": plan.cpu_num, "cpuSpeed": 0,
            "allocatorStrategy": "LeastVmPreferredHostAllocatorStrategy", "_nics": [], "_volumes": [], "_cd_roms": [],
            "_number": self._numbers, "_wanted_host": params.get("hostUuid"),
            "_keys": list(params.get("sshKeyPairUuids", ())),
        }  # fmt: skip

    def _equip(self, vm: Json, plan: Plan) -> None:
        for l3 in plan.l3s:
            wish = plan.wishes.get(l3["uuid"], {})
            self._machines.add_nic(vm, l3, wish.get("ip"), wish.get("mac"))
        vm["defaultL3NetworkUuid"] = plan.default_l3
        self._machines.add_volume(
            vm, "Root", plan.root_size, rootImageUuid=vm["imageUuid"], diskOfferingUuid=plan.root_offering
        )
        for size, offering in plan.data:
            self._machines.add_volume(vm, "Data", size, diskOfferingUuid=offering)

    def _join_groups(self, vm: Json, plan: Plan) -> None:
        """Put a built VM's NICs into security groups; nothing has asked before whether there are such groups."""
        for nic in self._store.nics.some(vm["_nics"]):
            groups = plan.wishes.get(nic["l3NetworkUuid"], {}).get("groups", [])
            if any(group not in self._store.security_groups for group in groups):
                where = "org.zstack.network.securitygroup.SecurityGroupNetworkServiceExtension.applyNetworkService"
                why = "org.hibernate.exception.ConstraintViolationException: could not execute statement"
                cause = Failure("SYS.1000", f"unhandled exception happened when calling public void {where}, {why}")
                text = f"Failed to apply network service[SecurityGroup] to vm[uuid: {vm['uuid']}]"
                raise Failure("SYS.1006", text, cause)
            self._groups.join(nic, groups)

    def _check_keys(self, params: Json) -> None:
        for uuid in params.get("sshKeyPairUuids", ()):
            if uuid not in self._store.ssh_keys:
                what = f"[ssh key pair[uuid:{uuid}] can not associated to vm[uuid:{params.get('resourceUuid')}]"
                text = f"handle sshkeypair fail when creating vm because {what} due to the key not found]"
                raise Failure("SYS.1006", text)

    def _roll_back(self, vm: Json) -> None:
        for volume in self._store.volumes.some(list(vm["_volumes"])):
            self._machines.remove_volume(volume)
        vm["_volumes"] = []
        self._machines.remove(vm)

    def _check_quota(self, call: Call, plan: Plan, *, runs: bool) -> None:
        sizes = [plan.root_size, *(size for size, _ in plan.data)]
        self._quotas.check(call, vm__totalNum=1, volume__data__num=len(plan.data), volume__capacity=sum(sizes))
        if runs:
            self._quotas.check(call, vm__num=1, vm__cpuNum=plan.cpu_num, vm__memorySize=plan.memory)

    def _plan(self, call: Call) -> Plan:
        params = call.params
        if not any(params.get(name) for name in ("l3NetworkUuids", "zoneUuid", "clusterUuid", "hostUuid")):
            raise Failure("SYS.1006", "at least one of l3NetworkUuids, zoneUuid, clusterUuid, hostUuid must be set")
        self._check_placement(params)
        cpu_num, memory, offering = self._size(params)
        image = self._image(params)
        l3s, default = self._networks(params)
        root_size, root_offering = self._root_disk(params, image)
        wishes = _wishes(params)
        for l3 in l3s:
            self._machines.addresses.check(l3, wishes.get(l3["uuid"], {}).get("ip"))
        return Plan(
            cpu_num, memory, offering, image, l3s, default, root_size, root_offering, self._data_disks(params), wishes
        )

    def _check_placement(self, params: Json) -> None:
        store = self._store
        for name, table in (("zoneUuid", store.zones), ("clusterUuid", store.clusters), ("hostUuid", store.hosts)):
            row = table.get(params.get(name))
            if row is not None and (row["state"] != "Enabled" or row.get("status", "Connected") != "Connected"):
                raise Failure(
                    "SYS.1007", f"{name}[{row['uuid']}] is not Enabled and Connected, can't create a vm from it"
                )

    def _size(self, params: Json) -> tuple[int, int, str | None]:
        offering = self._store.instance_offerings.get(params.get("instanceOfferingUuid"))
        if offering is not None:
            if offering["state"] != "Enabled":
                text = f"instance offering[uuid:{offering['uuid']}] is Disabled, can't create vm from it"
                raise Failure("SYS.1006", text)
            if offering["type"] != "UserVm":
                raise Failure("SYS.1006", f"instance offering[uuid:{offering['uuid']}] is not for user VMs")
            return offering["cpuNum"], offering["memorySize"], offering["uuid"]
        cpu_num, memory = params.get("cpuNum"), params.get("memorySize")
        if not cpu_num or not memory:
            raise Failure("SYS.1006", "Missing CPU/memory settings")
        return cpu_num, memory, None

    def _image(self, params: Json) -> Json | None:
        image = self._store.images.get(params.get("imageUuid"))
        if image is None:
            missing = [name for name in ("platform", "guestOsType", "architecture") if not params.get(name)]
            if missing:
                what = "".join(f"[{name}] is required" for name in missing)
                raise Failure("SYS.1007", f"when imageUuid is null, {what}")
            return None
        if image["state"] != "Enabled":
            raise Failure("SYS.1006", f"image[uuid:{image['uuid']}] is Disabled, can't create vm from it")
        if image["status"] != "Ready" or image["system"]:
            text = f"image[uuid:{image['uuid']}] is {image['status']}: it can't be used for a vm"
            raise Failure("SYS.1006", text)
        if image["mediaType"] not in ("RootVolumeTemplate", "ISO"):
            raise Failure(
                "SYS.1007", f"image[uuid:{image['uuid']}] is a {image['mediaType']}, no root volume comes of it"
            )
        return image

    def _networks(self, params: Json) -> tuple[list[Json], str | None]:
        uuids = params.get("l3NetworkUuids", [])
        if len(set(uuids)) != len(uuids):
            raise Failure("SYS.1006", "Cant add same uuid in the l3Network,uuid: {0}")
        l3s = [self._store.l3_networks.present(uuid) for uuid in uuids]
        for l3 in l3s:
            if l3["state"] != "Enabled":
                raise Failure("SYS.1006", f"l3Network[uuid:{l3['uuid']}] is Disabled, can not create vm on it")
            if l3["system"]:
                raise Failure(
                    "SYS.1006", f"l3Network[uuid:{l3['uuid']}] is system network, can not create user vm on it"
                )
        default = params.get("defaultL3NetworkUuid")
        if len(uuids) > 1 and not default:
            text = "there are more than one L3 network specified in l3NetworkUuids, but defaultL3NetworkUuid is null"
            raise Failure("SYS.1007", text)
        if default and default not in uuids:
            raise Failure(
                "SYS.1007", f"defaultL3NetworkUuid[uuid:{default}] is not in l3NetworkUuids[{', '.join(uuids)}]"
            )
        return l3s, default or next(iter(uuids), None)

    def _root_disk(self, params: Json, image: Json | None) -> tuple[int, str | None]:
        boot: Json = next((disk for disk in params.get("diskAOs", ()) if disk.get("boot")), {})
        offering = self._store.disk_offerings.get(params.get("rootDiskOfferingUuid"))
        size = params.get("rootDiskSize") or boot.get("size") or (offering["diskSize"] if offering else 0)
        if image is None or image["mediaType"] == "ISO":
            if not size:
                why = "image mediaType is ISO" if image else "create vm without image"
                raise Failure("SYS.1007", f"rootDiskOfferingUuid cannot be null when {why}")
            return size, offering["uuid"] if offering else None
        return max(size, image["size"]), offering["uuid"] if offering else None

    def _data_disks(self, params: Json) -> list[tuple[int, str | None]]:
        sizes: list[tuple[int, str | None]] = [(size, None) for size in params.get("dataDiskSizes", ())]
        offerings = list(params.get("dataDiskOfferingUuids", ()))
        for disk in params.get("diskAOs", ()):
            if disk.get("boot"):
                continue
            sources = [name for name in ("size", "templateUuid", "diskOfferingUuid", "sourceUuid") if disk.get(name)]
            if len(sources) != 1:
                raise Failure(
                    "SYS.1006", "a disk needs exactly one of size, templateUuid, diskOfferingUuid, sourceUuid"
                )
            if sources == ["diskOfferingUuid"]:
                offerings.append(disk["diskOfferingUuid"])
            elif sources == ["size"]:
                sizes.append((disk["size"], None))
            else:
                raise Failure("SYS.1014", f"disks by {sources[0]} are not served by this cloud")
        rows = [self._store.disk_offerings.present(uuid) for uuid in offerings]
        if any(size <= 0 for size, _ in sizes):
            raise Failure("SYS.1007", "the size of a data disk must be greater than 0")
        return sizes + [(row["diskSize"], row["uuid"]) for row in rows]


def _wishes(params: Json) -> dict[str, Json]:
    wishes: dict[str, Json] = {}
    for tag in params.get("systemTags") or []:
        _read_tag(tag, wishes)
    for nic in _nic_params(params):
        wish = wishes.setdefault(nic.get("l3NetworkUuid", ""), {})
        wish.update({name: nic[name] for name in ("ip", "mac") if nic.get(name)})
        if nic.get("sgUuids"):
            wish["groups"] = nic["sgUuids"]
    unknown = [uuid for uuid in wishes if uuid not in params.get("l3NetworkUuids", [])]
    if unknown:
        raise Failure("SYS.1007", f"l3Network{unknown} of a tag or vmNicParams is not in l3NetworkUuids")
    return wishes


def _nic_params(params: Json) -> list[Any]:
    try:
        decoded = msgspec.json.decode(params.get("vmNicParams") or "[]")
    except msgspec.DecodeError:
        raise Failure("SYS.1007", "vmNicParams is not JSON") from None
    if not isinstance(decoded, list):
        raise Failure("SYS.1007", "vmNicParams must be a JSON array")
    return decoded


def _read_tag(tag: str, wishes: dict[str, Json]) -> None:
    words = tag.split("::")
    if words[0] == "userdata":
        try:
            base64.b64decode(tag.partition("::")[2], validate=True)
        except binascii.Error:
            raise Failure("SYS.1000", "Illegal base64 character") from None
    if words[0] == "hostname" and not _HOSTNAME.fullmatch(tag.partition("::")[2]):
        name = tag.partition("::")[2]
        text = f"hostname[{name}] specified in system tag[{tag}] is not a valid domain name"
        raise Failure("SYS.1007", text)
    if words[0] in ("staticIp", "customMac") and len(words) == 3:
        wishes.setdefault(words[1], {})["ip" if words[0] == "staticIp" else "mac"] = words[2]
    if words[0] == "l3" and len(words) == 4 and words[2] == "SecurityGroupUuids":
        wishes.setdefault(words[1], {})["groups"] = words[3].split(",")
