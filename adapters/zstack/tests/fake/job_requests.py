"""Requests whose jobs end as recorded ones did: the recording has what the job answered, mostly not what was asked.

Names after `$` are those of `resources`. What was asked is read from the words of the answer, Chinese ones too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .resources import KEY, RULES

NOTHING = "0" * 32
_HUGE = 1 << 50


@dataclass(frozen=True)
class Request:
    """One request; `before` are asked first and must succeed, `who` is the account."""

    method: str
    path: str
    body: Any = None
    who: str = "demo"
    before: tuple[Request, ...] = ()


def post(path: str, **params: Any) -> Request:
    more = {name: params.pop(name) for name in ("who", "before") if name in params}
    top = {name: params.pop(name) for name in ("systemTags", "userTags") if name in params}
    return Request("POST", path, {"params": params, **top}, **more)


def act(path: str, action: str, *, who: str = "demo", before: tuple[Request, ...] = (), **params: Any) -> Request:
    return Request("PUT", f"{path}/actions", {action: params}, who, before)


def delete(path: str) -> Request:
    return Request("DELETE", path)


def new_vm(**params: Any) -> Request:
    given = {
        "name": "d", "instanceOfferingUuid": "$offering", "imageUuid": "$image", "l3NetworkUuids": ["$private"],
    }  # fmt: skip
    return post("/vm-instances", **{k: v for k, v in (given | params).items() if v is not None})


def _span(start: str, gateway: str | None = None) -> Request:
    end = start.rpartition(".")[0] + ".200"
    given = {"name": "r", "startIp": start, "endIp": end, "netmask": "255.255.0.0"}
    return post("/l3-networks/$private/ip-ranges", who="admin", **given, **({"gateway": gateway} if gateway else {}))


def _quota(name: str, value: int | str) -> Request:
    return act("/accounts/quotas", "updateQuota", who="admin", identityUuid="$tenant", name=name, value=value)


def _disabled(path: str, action: str) -> tuple[Request, ...]:
    return (act(path, action, who="admin", stateEvent="disable"),)


_SERVERS = (
    (r"^Session expired$", new_vm(who="nobody")),
    (r"field\[imageUuid\], ", new_vm(imageUuid=NOTHING)),
    (r"field\[instanceOfferingUuid\], ", new_vm(instanceOfferingUuid=NOTHING)),
    (r"field\[l3NetworkUuids\], ", new_vm(l3NetworkUuids=[NOTHING])),
    (r"quota\[name: vm\.memorySize", new_vm(instanceOfferingUuid=None, cpuNum=1, memorySize=_HUGE)),
    (r"quota\[name: vm\.num, ", new_vm(before=(_quota("vm.num", "$running"),))),
    (r"不可用, 因为it is used|because: it is used", new_vm(systemTags=["staticIp::$private::$ip"])),
    (r"it is not in this range", new_vm(systemTags=["staticIp::$private::1.2.3.4"])),
    ("在不使用镜像的情况下创建VM", new_vm(imageUuid=None, platform="Linux", guestOsType="x", architecture="x86_64")),
    ("云盘规格不能为空在镜像类型为ISO时", new_vm(imageUuid="$iso")),
    (r"hostname::bad_host name", new_vm(systemTags=["hostname::bad_host name"])),
    (r"network service\[SecurityGroup\]", new_vm(systemTags=[f"l3::$private::SecurityGroupUuids::{NOTHING}"])),
    (r"due to the key not found", new_vm(sshKeyPairUuids=[NOTHING])),
    (r"no ip is available", new_vm(who="admin", l3NetworkUuids=["$tiny"])),
    (r"没有具有所需大小.*的主存储|size > [\d,]+ bytes", new_vm(who="admin", rootDiskSize=_HUGE)),
    (r"No host with zoneUuid", new_vm(l3NetworkUuids=None, zoneUuid="$empty_zone")),
    (r"allocation failures happened before", new_vm(
        who="admin", instanceOfferingUuid=None, cpuNum=8, memorySize=_HUGE)),
    (r"doCreateVmInstance.*ConstraintViolation", new_vm(resourceUuid="$vm")),
    (r"no system tag matches nonsense::tag", new_vm(systemTags=["nonsense::tag"])),
    (r"Illegal base64 character", new_vm(systemTags=["userdata::%%%"])),
    ("计算规格.*没有被启用", new_vm(
        before=_disabled("/instance-offerings/$offering", "changeInstanceOfferingState"))),
    ("三层网络.*没有被启用", new_vm(before=_disabled("/l3-networks/$private", "changeL3NetworkState"))),
    ("镜像.*没被启用", new_vm(before=_disabled("/images/$image", "changeImageState"))),
    (r"\[Destroyed\].*APIStartVmInstanceMsg", act("/vm-instances/$gone", "startVmInstance")),
    (r"\[Destroyed\].*APIStopVmInstanceMsg", act("/vm-instances/$gone", "stopVmInstance")),
    (r"\[Destroyed\].*RebootVmInstanceMsg", act("/vm-instances/$gone", "rebootVmInstance")),
    (r"\[Stopped\].*RebootVmInstanceMsg", act("/vm-instances/$stopped", "rebootVmInstance")),
    (r"\[Destroyed\].*AttachDataVolumeToVmMsg", post("/volumes/$volume/vm-instances/$gone")),
    (r"\[Stopped\].*APIExpungeVmInstanceMsg", act("/vm-instances/$stopped", "expungeVmInstance")),
    (r"field\[type\] .* but nope found", act("/vm-instances/$vm", "stopVmInstance", type="nope")),
    (r"field\[uuid\], .*type:VmInstanceVO", act(f"/vm-instances/{NOTHING}", "startVmInstance")),
    (r"not the owner|不是资源.*VmInstanceVO", act("/vm-instances/$foreign", "stopVmInstance")),
)  # fmt: skip
_VOLUMES = (
    (r"field\[diskOfferingUuid\], ", post("/volumes/data", name="v", diskOfferingUuid=NOTHING)),
    (r"field\[name\] .* is mandatory", post("/volumes/data", diskSize=1 << 30)),
    (r"resourceUuid\[.*is not a valid uuid", post("/volumes/data", name="v", diskSize=1, resourceUuid="not-a-uuid")),
    (r"unexpected disk size", post("/volumes/data", name="v", diskSize=-1)),
    (r"ConstraintViolationException: could not", post("/volumes/data", name="v", diskSize=1, resourceUuid="$volume")),
    (r"不是DataVolumeTemplate", post("/volumes/data/from/data-volume-templates/$image", name="v",
                                     primaryStorageUuid="$storage")),
    (r"attached to some vm|已经被加载上云主机", post("/volumes/$attached/vm-instances/$vm")),
    (r"not attached to any vm", delete("/volumes/$volume/vm-instances?vmUuid=$vm")),
    (r"already in status of deleted", delete("/volumes/$deleted")),
    (r"status of deleted, cannot do", post("/volumes/$deleted/vm-instances/$vm")),
    (r"field\[volumeUuid\], ", post(f"/volumes/{NOTHING}/vm-instances/$vm")),
    (r"field\[vmUuid\], ", delete(f"/volumes/$attached/vm-instances?vmUuid={NOTHING}")),
    (r"no system tag matches nonsense::x|没有找到匹配nope::x", post(
        "/volumes/data", name="v", diskSize=1 << 30, systemTags=["nonsense::x"])),
    (r"quota exceeding.*volume", post("/volumes/data", name="v", diskSize=_HUGE)),
)  # fmt: skip
_NETWORKS = (
    (r"l3network type|不支持的三层网络类型", post(
        "/l3-networks", who="admin", name="n", l2NetworkUuid="$l2", type="L3VpcNetwork")),
    (r"field\[l2NetworkUuid\], ", post("/l3-networks", who="admin", name="n", l2NetworkUuid=NOTHING)),
    (r"^attach l2 network failed", post("/l2-networks/$same_vlan/clusters/$cluster", who="admin")),
    (r"has attached to cluster", post("/l2-networks/$l2/clusters/$cluster", who="admin")),
    (r"must specify gateway|必须指定网关", _span("10.10.7.1")),
    (r"overlap with ip range|重叠的IP段", _span("10.10.7.1", "10.10.0.1")),
    (r"multiple CIDR|多个CIDR", _span("10.44.7.1", "10.44.0.1")),
    (r"新ip段的网关地址", _span("10.10.7.1", "10.10.250.1")),
    (r"there has been a DNS|已经存在一个DNS", post("/l3-networks/$private/dns", who="admin", dns="192.0.2.53")),
    (r"dns\[nope\]", post("/l3-networks/$private/dns", who="admin", dns="nope")),
    (r"field\[mtu\]", post("/l3-networks/$private/mtu", who="admin", mtu=1)),
    (r"cannot find network service provider", post(
        "/l3-networks/$private/network-services", who="admin", networkServices={"{flatp}": ["DHCP"]})),
    (r"there has been a network service", post(
        "/l3-networks/$private/network-services", who="admin", networkServices={"$provider": ["DHCP"]})),
    (r"doesnt provide services", post(
        "/l3-networks/$tiny/network-services", who="admin", networkServices={"$provider": ["SNAT"]})),
    (r"不是资源.*L3NetworkVO", act("/l3-networks/$private", "updateL3Network", name="mine")),
    (r"APICreateL2VlanNetworkMsg", post(
        "/l2-networks/vlan", name="l", zoneUuid="$zone", physicalInterface="eth0", vlan=9)),
    (r"APICreateZoneMsg", post("/zones", name="z")),
    (r"is duplicated to rule", post("/security-groups/$group/rules", rules=RULES[:1])),
)  # fmt: skip
_ADDRESSES = (
    (r"already a vip|已有一个vip", post("/vips", name="v", l3NetworkUuid="$public", requiredIp="$vip_ip")),
    (r"cannot find ip range that has ip", post("/vips", name="v", l3NetworkUuid="$public", requiredIp="1.1.1.1")),
    (r"other network service entity|已经被其他网络服务实体", post("/eips", name="e", vipUuid="$used_vip")),
    (r"field\[vmNicUuid\], ", post(f"/eips/$loose_eip/vm-instances/nics/{NOTHING}")),
    (r"can not bound more than 1", post("/eips/$loose_eip/vm-instances/nics/$nic")),
)  # fmt: skip
_OTHERS = (
    (r"already upload", post("/ssh-key-pair", name="k", publicKey=KEY)),
    (r"failed to load the public key", post("/ssh-key-pair", name="k", publicKey="rubbish")),
    (r"was in using", delete("/ssh-key-pair/$key")),
    (r"type:SshKeyPairVO", delete(f"/ssh-key-pair/{NOTHING}")),
    (r"cannot update Quota\[name: vm", _quota("vm.totalNum", 1)),
    (r"cannot update Quota\[name: volume", _quota("volume.data.num", 1)),
    (r"invalid value\[0", delete(f"/vm-instances/{NOTHING}")),
    (r"invalid value\[1", delete("/vm-instances/" + "1" * 32)),
    (r"Duplicated Tag", post("/user-tags", resourceType="VolumeVO", resourceUuid="$volume", tag="a::b")),
    (r"no resource type\[NopeVO\]", post("/user-tags", resourceType="NopeVO", resourceUuid="$volume", tag="a::b")),
    (r"type:ResourceVO", post("/user-tags", resourceType="VolumeVO", resourceUuid=NOTHING, tag="a::b")),
)
_ALL = tuple((re.compile(words), request) for words, request in _SERVERS + _VOLUMES + _NETWORKS + _ADDRESSES + _OTHERS)


_ACCOUNT = post("/accounts", who="admin", name="new", password="x" * 128)
_SHARE = act("/accounts/resources", "shareResource", who="admin", resourceUuids=["$public"], toPublic=True)


def request_for(answer: dict[str, Any]) -> Request | None:
    """Return the request whose job ends with this answer; None when it doesn't tell it."""
    if "error" not in answer:
        return _ACCOUNT if "inventory" in answer else _SHARE
    return next((request for words, request in _ALL if words.search(answer["error"]["details"])), None)
