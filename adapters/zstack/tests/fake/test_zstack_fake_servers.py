"""VMs of the fake ZStack: created, run, stopped, destroyed and brought back."""

from __future__ import annotations

import base64

import pytest

GIB = 1 << 30


async def test_a_vm_is_created_with_nic_and_root_volume(demo):
    """The IP is known at once, the size comes from the offering."""
    vm = await demo.new_vm(name="app")
    assert (vm["state"], vm["cpuNum"], vm["memorySize"], vm["type"]) == ("Running", 1, GIB, "UserVm")
    (nic,) = vm["vmNics"]
    assert nic["ip"] == nic["usedIps"][0]["ip"] == "10.10.0.7"
    assert vm["defaultL3NetworkUuid"] == nic["l3NetworkUuid"]
    (root,) = vm["allVolumes"]
    assert (root["type"], root["uuid"], root["size"]) == ("Root", vm["rootVolumeUuid"], 3 * GIB)
    assert vm["hostUuid"] == vm["lastHostUuid"]


async def test_a_vm_shows_as_starting_while_its_job_runs(demo, cloud):
    """The row is there with the chosen uuid before the job ends."""
    chosen = "22222222222242228222222222222222"
    image = await demo.named("/images", "ubuntu-24.04")
    zone = await demo.named("/zones", "zone-1")
    params = {
        "name": "slow",
        "cpuNum": 1,
        "memorySize": GIB,
        "imageUuid": image["uuid"],
        "zoneUuid": zone["uuid"],
        "resourceUuid": chosen,
    }
    accepted = await demo.send("POST", "/vm-instances", {"params": params})
    assert accepted.document["apiTimeout"] == 43_200_000
    assert [row["state"] for row in await demo.rows(f"/vm-instances/{chosen}")] == ["Starting"]
    await cloud.control.advance(0.2)
    assert (await demo.poll(accepted)).row["state"] == "Running"


async def test_a_vm_may_be_sized_freely_and_given_disks(demo):
    """CpuNum and memorySize without an offering; root and data disks by size and offering."""
    disk = await demo.named("/disk-offerings", "disk-10")
    vm = await demo.new_vm(
        instanceOfferingUuid=None,
        cpuNum=2,
        memorySize="2147483648",
        rootDiskSize=20 * GIB,
        dataDiskSizes=[GIB],
        dataDiskOfferingUuids=[disk["uuid"]],
    )
    assert "instanceOfferingUuid" not in vm
    assert [volume["size"] for volume in vm["allVolumes"]] == [20 * GIB, GIB, 10 * GIB]


async def test_system_tags_reach_the_vm(demo, cloud):
    """Address, host name, key and user data."""
    l3 = await demo.named("/l3-networks", "private")
    data = base64.b64encode(b"#!/bin/sh").decode()
    tags = [f"staticIp::{l3['uuid']}::10.10.9.9", "hostname::app-1", "sshkey::ssh-rsa AAAA", f"userdata::{data}"]
    vm = await demo.new_vm(systemTags=tags)
    assert vm["vmNics"][0]["ip"] == "10.10.9.9"
    assert (await demo.send("GET", f"/vm-instances/{vm['uuid']}/hostnames")).document == {"hostname": "app-1"}
    assert (await demo.send("GET", f"/vm-instances/{vm['uuid']}/ssh-keys")).document == {"sshKey": "ssh-rsa AAAA"}
    rows = await demo.rows("/vm-instances", "__systemTag__=hostname::app-1")
    assert [row["uuid"] for row in rows] == [vm["uuid"]]
    (request,) = cloud.control.requests(call="CreateVmInstance")
    assert request.body["systemTags"][2:] == ["sshkey::***", "userdata::***"]


@pytest.mark.parametrize(
    ("params", "codes"),
    [
        ({"instanceOfferingUuid": None}, ["SYS.1006"]),
        ({"instanceOfferingUuid": "0" * 32}, ["SYS.1003"]),
        ({"l3NetworkUuids": []}, ["SYS.1006"]),
        ({"imageUuid": None}, ["SYS.1007"]),
        ({"instanceOfferingUuid": None, "cpuNum": 10_000, "memorySize": GIB}, ["ID.1003"]),
        ({"vmNicParams": "[{"}, ["SYS.1007"]),
        ({"systemTags": ["userdata::not base64"]}, ["SYS.1000"]),
        ({"dataDiskSizes": [0]}, ["SYS.1007"]),
    ],
)
async def test_a_create_against_the_rules_fails(demo, params, codes):
    """And leaves no row behind."""
    with pytest.raises(AssertionError, match=r"SYS|ID") as refused:
        await demo.new_vm(name="never", **params)
    assert all(f'"code":"{code}"' in str(refused.value) for code in codes)
    assert await demo.rows("/vm-instances", "name=never") == []


async def test_a_create_without_room_rolls_back(admin):
    """The row is there while the job runs, then gone, and its address is free."""
    before = await admin.send("GET", "/ip-capacity", params={"all": "true"})
    with pytest.raises(AssertionError, match=r"SYS\.1006.*HOST_ALLOCATION\.1000"):
        await admin.new_vm(name="huge", instanceOfferingUuid=None, cpuNum=1000, memorySize=GIB)
    assert await admin.rows("/vm-instances", "name=huge") == []
    after = await admin.send("GET", "/ip-capacity", params={"all": "true"})
    assert after.document == before.document


async def test_strategies_end_stopped_or_created(demo):
    """Without a host."""
    stopped = await demo.new_vm(strategy="CreateStopped")
    assert (stopped["state"], "hostUuid" in stopped) == ("Stopped", False)
    assert (await demo.new_vm(strategy="JustCreate"))["state"] == "Created"


async def act(client, vm, action: str, **params):
    return await client.run("PUT", f"/vm-instances/{vm['uuid']}/actions", {action: params})


async def test_power_goes_through_its_states(demo, cloud):
    """Stop, start, pause, resume, reboot; stop on Stopped and start on Running do nothing."""
    vm = await demo.named("/vm-instances", "web-1")
    for action, state in (
        ("stopVmInstance", "Stopped"),
        ("stopVmInstance", "Stopped"),
        ("startVmInstance", "Running"),
        ("startVmInstance", "Running"),
        ("pauseVmInstance", "Paused"),
        ("resumeVmInstance", "Running"),
        ("rebootVmInstance", "Running"),
    ):
        assert (await act(demo, vm, action)).row["state"] == state
    await demo.send("PUT", f"/vm-instances/{vm['uuid']}/actions", {"rebootVmInstance": {}})
    assert (await demo.rows(f"/vm-instances/{vm['uuid']}"))[0]["state"] == "Rebooting"
    assert (await act(demo, vm, "stopVmInstance")).codes() == ["VM.1002", "VM.1010"]


async def test_a_destroyed_vm_can_be_recovered(demo):
    """Its NICs stay without addresses, its root volume is Deleted, lists still show it; recovered it is Stopped."""
    vm = await demo.named("/vm-instances", "web-1")
    assert (await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")).document == {}
    (gone,) = await demo.rows("/vm-instances", "name=web-1")
    assert gone["state"] == "Destroyed"
    assert "ip" not in gone["vmNics"][0]
    assert gone["allVolumes"][0]["status"] == "Deleted"
    assert (await act(demo, vm, "startVmInstance")).codes() == ["VM.1001", "VM.1010"]
    assert (await act(demo, vm, "recoverVmInstance")).row["state"] == "Stopped"
    started = await act(demo, vm, "startVmInstance")
    assert started.row["vmNics"][0]["ip"]


async def test_expunge_removes_and_only_what_is_destroyed(demo):
    """Deleting what is gone is fine, another call on it is not."""
    vm = await demo.named("/vm-instances", "web-1")
    assert (await act(demo, vm, "expungeVmInstance")).codes() == ["SYS.1006", "VM.1010"]
    await demo.made("DELETE", f"/vm-instances/{vm['uuid']}")
    assert (await act(demo, vm, "expungeVmInstance")).document == {}
    assert await demo.rows(f"/vm-instances/{vm['uuid']}") == []
    assert await demo.rows("/vm-instances/nics", f"vmInstanceUuid={vm['uuid']}") == []
    assert (await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")).document == {}
    assert (await act(demo, vm, "startVmInstance")).codes() == ["SYS.1003"]
    assert (await demo.run("DELETE", "/vm-instances/nonsense")).codes() == ["SYS.1003"]


async def test_a_destroyed_vm_is_purged_after_a_week(demo, cloud):
    """Unless it was recovered meanwhile."""
    vm = await demo.named("/vm-instances", "web-1")
    await demo.made("DELETE", f"/vm-instances/{vm['uuid']}")
    await cloud.control.advance(604_800)
    await demo.log_in()
    assert await demo.rows(f"/vm-instances/{vm['uuid']}") == []


async def test_destroying_frees_data_volumes(demo):
    """They stay, attached to nothing."""
    vm = await demo.new_vm(dataDiskSizes=[GIB])
    data = vm["allVolumes"][1]
    await demo.made("DELETE", f"/vm-instances/{vm['uuid']}")
    (volume,) = await demo.rows(f"/volumes/{data['uuid']}")
    assert "vmInstanceUuid" not in volume
    assert (volume["status"], volume["lastVmInstanceUuid"]) == ("Ready", vm["uuid"])


async def test_a_vm_under_way_can_only_be_destroyed(demo, cloud):
    """Then its create job fails."""
    image = await demo.named("/images", "ubuntu-24.04")
    zone = await demo.named("/zones", "zone-1")
    params = {"name": "x", "cpuNum": 1, "memorySize": GIB, "imageUuid": image["uuid"], "zoneUuid": zone["uuid"]}
    accepted = await demo.send("POST", "/vm-instances", {"params": params})
    (vm,) = await demo.rows("/vm-instances", "name=x")
    assert (await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")).status == 200
    assert (await demo.poll(accepted)).codes() == ["SYS.1006", "VM.1000"]
    assert (await demo.rows("/vm-instances", "name=x"))[0]["state"] == "Destroyed"


async def test_a_running_vm_keeps_its_size_by_default(demo, cloud):
    """With numa it grows; stopped it may shrink."""
    vm = await demo.named("/vm-instances", "web-1")
    grown = {"cpuNum": 2, "memorySize": 2 * GIB}
    assert (await act(demo, vm, "updateVmInstance", **grown)).codes() == ["SYS.1006"]
    cloud.control.set_config("vm", "numa", "true")
    assert (await act(demo, vm, "updateVmInstance", **grown)).row["cpuNum"] == 2
    assert (await act(demo, vm, "updateVmInstance", cpuNum=1)).codes() == ["SYS.1006"]
    await act(demo, vm, "stopVmInstance")
    large = await demo.named("/instance-offerings", "large")
    changed = await act(demo, vm, "changeInstanceOffering", instanceOfferingUuid=large["uuid"])
    assert (changed.row["cpuNum"], changed.row["instanceOfferingUuid"]) == (4, large["uuid"])


async def test_a_deleted_offering_leaves_its_vms_without_one(admin, demo):
    """They keep their size."""
    vm = await demo.named("/vm-instances", "web-1")
    await admin.made("DELETE", f"/instance-offerings/{vm['instanceOfferingUuid']}")
    left = await demo.named("/vm-instances", "web-1")
    assert "instanceOfferingUuid" not in left
    assert left["cpuNum"] == vm["cpuNum"]


async def test_vms_of_a_lost_host_are_unknown(demo, cloud):
    """Until it is back."""
    cloud.control.set_host_down(True)
    assert {row["state"] for row in await demo.rows("/vm-instances", "hostUuid not null")} == {"Unknown"}
    cloud.control.set_host_down(False)
    assert (await demo.named("/vm-instances", "web-1"))["state"] == "Running"


async def test_quotas_stop_a_create(demo, cloud):
    """Used and allowed are told by name; the administrator has none."""
    cloud.control.set_quota(vm__totalNum=5)
    with pytest.raises(AssertionError, match=r"ID\.1003.*vm\.totalNum"):
        await demo.new_vm()
    account = await demo.named("/accounts", "demo")
    answer = await demo.send("GET", f"/accounts/quota/{account['uuid']}/usages")
    usages = {row["name"]: (row["used"], row["total"]) for row in answer.document["usages"]}
    assert usages["vm.totalNum"] == (5, 5)
    assert usages["vm.num"] == (4, 20)


async def test_key_pairs_are_registered_and_put_on_vms(demo):
    """A second attachment, a key in no known format and one that is there fail; a deleted key fails as absent."""
    key = await demo.named("/ssh-key-pair", "demo-key")
    vm = await demo.new_vm(sshKeyPairUuids=[key["uuid"]])
    path = f"/ssh-key-pair/{key['uuid']}/vm-instance/{vm['uuid']}"
    assert (await demo.run("POST", path, {"params": {}})).codes() == ["SYS.1006"]
    assert (await demo.run("DELETE", path)).document == {}
    bad = {"params": {"name": "k", "publicKey": "PuTTY"}}
    assert (await demo.run("POST", "/ssh-key-pair", bad)).codes() == ["SYS.1006"]
    again = {"params": {"name": "k", "publicKey": key["publicKey"]}}
    assert (await demo.run("POST", "/ssh-key-pair", again)).codes() == ["SYS.1007"]
    made = await demo.send("POST", "/ssh-key-pair/generate", {"params": {"name": "gen"}})
    assert (made.status, "PRIVATE KEY" in made.row["privateKey"]) == (200, True)
    await demo.made("DELETE", f"/ssh-key-pair/{key['uuid']}")
    assert (await demo.run("DELETE", f"/ssh-key-pair/{key['uuid']}")).codes() == ["SYS.1003"]


async def test_a_destroyed_vm_is_destroyed_again_without_an_error(demo):
    """It stays as it is."""
    vm = await demo.new_vm()
    for _ in range(2):
        assert (await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")).document == {}
    assert (await demo.rows("/vm-instances", f"uuid={vm['uuid']}"))[0]["state"] == "Destroyed"


async def test_an_eip_leads_nowhere_once_its_vm_is_destroyed(demo):
    """It can be bound to another."""
    vm = await demo.new_vm()
    public = await demo.named("/l3-networks", "public")
    vip = await demo.made("POST", "/vips", {"params": {"name": "v", "l3NetworkUuid": public["uuid"]}})
    bound = {"params": {"name": "e", "vipUuid": vip["uuid"], "vmNicUuid": vm["vmNics"][0]["uuid"]}}
    eip = await demo.made("POST", "/eips", bound)
    await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")
    (left,) = await demo.rows("/eips", f"uuid={eip['uuid']}")
    assert not {"vmNicUuid", "guestIp"} & set(left)
