"""A fake cloud with a resource of each kind in each state that counts, made through its own API."""

from __future__ import annotations

from typing import Any

GIB = 1 << 30
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr second@example"
RULES = [
    {"type": "Ingress", "protocol": "TCP", "startPort": 22, "endPort": 22, "allowedCidr": "0.0.0.0/0"},
    {"type": "Egress", "protocol": "ALL", "dstIpRange": "10.0.0.0/8"},
    {"type": "Ingress", "protocol": "UDP", "dstPortRange": "53,100-200", "srcIpRange": "10.1.0.0/16"},
]


async def build(admin: Any, demo: Any) -> dict[str, str]:
    """Make the resources; return their uuids by name."""
    ids = await _given(admin)
    ids["tenant"] = (await admin.named("/accounts", "demo"))["uuid"]
    ids["provider"] = (await admin.named("/network-services/providers", "Flat"))["uuid"]
    await _networks(admin, ids)
    await _servers(demo, ids)
    await _volumes(demo, ids)
    await _addresses(demo, ids)
    await _groups(demo, ids)
    await _router(admin)
    ids["foreign"] = (await admin.new_vm(name="foreign"))["uuid"]
    return ids


async def _given(admin: Any) -> dict[str, str]:
    names = {
        "zone": "/zones zone-1", "cluster": "/clusters cluster-1", "offering": "/instance-offerings small",
        "image": "/images ubuntu-24.04", "iso": "/images installer", "disk": "/disk-offerings disk-10",
        "private": "/l3-networks private", "public": "/l3-networks public", "l2": "/l2-networks l2-private",
    }  # fmt: skip
    return {name: (await admin.named(*where.split()))["uuid"] for name, where in names.items()}


async def _networks(admin: Any, ids: dict[str, str]) -> None:
    route = {"params": {"prefix": "169.254.169.254/32", "nexthop": "10.10.0.2"}}
    await admin.made("POST", f"/l3-networks/{ids['private']}/hostroute", route)
    six = {"params": {"name": "six", "l2NetworkUuid": ids["l2"], "ipVersion": 6}}
    ids["six"] = (await admin.made("POST", "/l3-networks", six))["uuid"]
    span = {"params": {"name": "r6", "networkCidr": "fd00:1::/64", "addressMode": "Stateful-DHCP"}}
    await admin.made("POST", f"/l3-networks/{ids['six']}/ipv6-ranges/by-cidr", span)
    tiny = {"params": {"name": "tiny", "l2NetworkUuid": ids["l2"]}}
    ids["tiny"] = (await admin.made("POST", "/l3-networks", tiny))["uuid"]
    same = {"params": {"name": "same", "zoneUuid": ids["zone"], "physicalInterface": "eth0", "vlan": 100}}
    ids["same_vlan"] = (await admin.made("POST", "/l2-networks/vlan", same))["uuid"]
    ids["empty_zone"] = (await admin.made("POST", "/zones", {"params": {"name": "empty", "description": "d"}}))["uuid"]


async def _servers(demo: Any, ids: dict[str, str]) -> None:
    ids["key"] = (await demo.made("POST", "/ssh-key-pair", {"params": {"name": "k", "publicKey": KEY}}))["uuid"]
    made = {
        "vm": await demo.new_vm(name="kept", description="d", systemTags=["hostname::kept"]),
        "gone": await demo.new_vm(name="gone"),
        "stopped": await demo.new_vm(name="stopped", sshKeyPairUuids=[ids["key"]]),
    }
    ids |= {name: row["uuid"] for name, row in made.items()}
    ids["nic"], ids["ip"] = made["vm"]["vmNics"][0]["uuid"], made["vm"]["vmNics"][0]["ip"]
    ids["root"] = made["vm"]["rootVolumeUuid"]
    await demo.made("DELETE", f"/vm-instances/{ids['gone']}")
    await demo.made("PUT", f"/vm-instances/{ids['stopped']}/actions", {"stopVmInstance": {}})


async def _volumes(demo: Any, ids: dict[str, str]) -> None:
    for name in ("volume", "attached", "unmade", "deleted"):
        asked = {"params": {"name": name, "diskSize": GIB}, "userTags": ["a::b"]}
        ids[name] = (await demo.made("POST", "/volumes/data", asked))["uuid"]
        if name != "unmade":
            await demo.made("POST", f"/volumes/{ids[name]}/vm-instances/{ids['vm']}")
    for _ in range(2):
        await demo.made("POST", f"/volumes/{ids['volume']}/volume-snapshots", {"params": {"name": "s"}})
    for name in ("volume", "deleted"):
        await demo.made("DELETE", f"/volumes/{ids[name]}/vm-instances?vmUuid={ids['vm']}")
    await demo.made("DELETE", f"/volumes/{ids['deleted']}")


async def _addresses(demo: Any, ids: dict[str, str]) -> None:
    for name, nic in (("vip", None), ("loose", None), ("used_vip", ids["nic"])):
        asked = {"params": {"name": "ip", "l3NetworkUuid": ids["public"]}}
        vip = await demo.made("POST", "/vips", asked)
        ids[name], ids[f"{name}_ip"] = vip["uuid"], vip["ip"]
        if name != "vip":
            body = {"params": {"name": "e", "vipUuid": vip["uuid"]} | ({"vmNicUuid": nic} if nic else {})}
            ids[f"{name}_eip"] = (await demo.made("POST", "/eips", body))["uuid"]


async def _groups(demo: Any, ids: dict[str, str]) -> None:
    ids["group"] = (await demo.made("POST", "/security-groups", {"params": {"name": "g"}}))["uuid"]
    await demo.made("POST", f"/security-groups/{ids['group']}/rules", {"params": {"rules": RULES}})
    await demo.made(
        "POST", f"/security-groups/{ids['group']}/vm-instances/nics", {"params": {"vmNicUuids": [ids["nic"]]}}
    )


async def _router(admin: Any) -> None:
    """Give the fake's router the disk that it runs without."""
    (router,) = admin.cloud.store.vms.where(type="ApplianceVm")
    admin.cloud._building.tools.machines.add_volume(router, "Root", GIB, rootImageUuid=router["imageUuid"])
