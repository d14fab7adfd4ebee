"""Volumes, snapshots and images of the fake ZStack."""

from __future__ import annotations

import pytest

GIB = 1 << 30


async def attach(client, volume, vm):
    return await client.run("POST", f"/volumes/{volume['uuid']}/vm-instances/{vm['uuid']}", {"params": {}})


async def test_a_volume_is_only_a_row_until_it_is_attached(demo):
    """Without a primary storage it is NotInstantiated; attached it is Ready and knows its VM."""
    volume = await demo.made("POST", "/volumes/data", {"params": {"name": "v", "diskSize": GIB}})
    assert (volume["status"], "primaryStorageUuid" in volume) == ("NotInstantiated", False)
    vm = await demo.named("/vm-instances", "web-1")
    attached = (await attach(demo, volume, vm)).row
    assert (attached["status"], attached["vmInstanceUuid"], attached["deviceId"]) == ("Ready", vm["uuid"], 1)
    assert {v["uuid"] for v in (await demo.named("/vm-instances", "web-1"))["allVolumes"]} >= {volume["uuid"]}


async def test_a_volume_on_a_storage_is_made_at_once(demo):
    """By offering."""
    storage, disk = await demo.named("/primary-storage", "ps-1"), await demo.named("/disk-offerings", "disk-10")
    params = {"name": "v", "diskOfferingUuid": disk["uuid"], "primaryStorageUuid": storage["uuid"]}
    volume = await demo.made("POST", "/volumes/data", {"params": params})
    assert (volume["status"], volume["size"]) == ("Ready", 10 * GIB)


async def test_a_volume_needs_no_size_and_no_name(demo):
    """One of nothing is made of nothing, an offering goes before a size, and only a negative size is refused."""
    disk = await demo.named("/disk-offerings", "disk-10")
    both = {"diskSize": GIB, "diskOfferingUuid": disk["uuid"]}
    for more, size in (({}, 0), ({"diskSize": 0}, 0), (both, disk["diskSize"])):
        assert (await demo.made("POST", "/volumes/data", {"params": {"name": ""} | more}))["size"] == size
    negative = {"params": {"name": "v", "diskSize": -1}}
    assert (await demo.run("POST", "/volumes/data", negative)).codes() == ["SYS.1007"]


async def test_repeated_attach_and_detach_are_errors(demo):
    """Not no-ops."""
    volume, vm = await demo.named("/volumes", "data-1"), await demo.named("/vm-instances", "web-1")
    assert (await attach(demo, volume, vm)).status == 200
    assert (await attach(demo, volume, vm)).codes() == ["SYS.1006"]
    path = f"/volumes/{volume['uuid']}/vm-instances"
    assert "vmInstanceUuid" not in (await demo.run("DELETE", path)).row
    assert (await demo.run("DELETE", path)).codes() == ["SYS.1006"]


async def test_deleting_an_attached_volume_detaches_it_first(demo):
    """Deleted is not gone: it can be recovered, or expunged; deleting it again fails."""
    volume, vm = await demo.named("/volumes", "data-1"), await demo.named("/vm-instances", "web-1")
    await attach(demo, volume, vm)
    path = f"/volumes/{volume['uuid']}"
    assert (await demo.run("DELETE", path)).document == {}
    (deleted,) = await demo.rows(path)
    assert (deleted["status"], "vmInstanceUuid" in deleted) == ("Deleted", False)
    assert (await demo.run("DELETE", path)).codes() == ["SYS.1006"]
    assert (await demo.made("PUT", f"{path}/actions", {"recoverDataVolume": {}}))["status"] == "Ready"
    assert (await demo.run("PUT", f"{path}/actions", {"expungeDataVolume": {}})).codes() == ["SYS.1006"]
    await demo.made("DELETE", path)
    await demo.made("PUT", f"{path}/actions", {"expungeDataVolume": {}})
    assert await demo.rows(path) == []


async def test_a_volume_grows_only(demo):
    """Data and root volumes have calls of their own."""
    volume = await demo.named("/volumes", "data-1")
    path = f"/volumes/data/resize/{volume['uuid']}/actions"
    assert (await demo.made("PUT", path, {"resizeDataVolume": {"size": 20 * GIB}}))["size"] == 20 * GIB
    assert (await demo.run("PUT", path, {"resizeDataVolume": {"size": GIB}})).codes() == ["SYS.1006"]


async def test_deleting_a_snapshot_takes_what_stands_on_it(demo):
    """They form a tree; a revert starts a new branch; they go with their volume when it is expunged."""
    volume = await demo.named("/volumes", "data-1")
    path = f"/volumes/{volume['uuid']}/volume-snapshots"
    made = [await demo.made("POST", path, {"params": {"name": name}}) for name in ("a", "b", "c")]
    assert [row.get("parentUuid") for row in made] == [None, made[0]["uuid"], made[1]["uuid"]]
    actions = f"/volume-snapshots/{made[0]['uuid']}/actions"
    assert (await demo.run("PUT", actions, {"revertVolumeFromSnapshot": {}})).document == {}
    branch = await demo.made("POST", path, {"params": {"name": "d"}})
    assert branch["parentUuid"] == made[0]["uuid"]
    await demo.made("DELETE", f"/volume-snapshots/{made[1]['uuid']}")
    assert sorted(row["name"] for row in await demo.rows("/volume-snapshots")) == ["a", "d"]
    await demo.made("DELETE", f"/volumes/{volume['uuid']}")
    assert len(await demo.rows("/volume-snapshots")) == 2
    await demo.made("PUT", f"/volumes/{volume['uuid']}/actions", {"expungeDataVolume": {}})
    assert await demo.rows("/volume-snapshots") == []


async def test_a_revert_needs_a_stopped_vm(demo):
    """The cause says so."""
    vm = await demo.named("/vm-instances", "web-1")
    path = f"/volumes/{vm['rootVolumeUuid']}/volume-snapshots"
    snapshot = await demo.made("POST", path, {"params": {"name": "s"}})
    actions = f"/volume-snapshots/{snapshot['uuid']}/actions"
    failed = await demo.run("PUT", actions, {"revertVolumeFromSnapshot": {}})
    assert failed.codes() == ["SYS.1006", "VM.1010"]


async def test_an_image_downloads_and_is_deleted_softly(demo, cloud):
    """The row is visible from the start."""
    storage = await demo.named("/backup-storage", "bs-1")
    params = {"name": "new", "url": "http://192.0.2.1/a.qcow2", "backupStorageUuids": [storage["uuid"]]}
    await demo.send("POST", "/images", {"params": params})
    assert (await demo.named("/images", "new"))["status"] == "Downloading"
    await cloud.control.advance(1)
    image = await demo.named("/images", "new")
    assert (image["status"], image["backupStorageRefs"][0]["backupStorageUuid"]) == ("Ready", storage["uuid"])
    path = f"/images/{image['uuid']}"
    await demo.made("DELETE", path)
    assert (await demo.rows(path))[0]["status"] == "Deleted"
    assert (await demo.made("PUT", f"{path}/actions", {"recoverImage": {}}))["status"] == "Ready"
    await demo.made("DELETE", path)
    await demo.made("PUT", f"{path}/actions", {"expungeImage": {}})
    assert await demo.rows(path) == []


async def test_an_image_is_made_of_a_root_volume(demo):
    """And a server of that image."""
    vm = await demo.named("/vm-instances", "web-1")
    path = f"/images/root-volume-templates/from/volumes/{vm['rootVolumeUuid']}"
    image = await demo.made("POST", path, {"params": {"name": "mine"}})
    assert image["mediaType"] == "RootVolumeTemplate"
    assert (await demo.new_vm(imageUuid=image["uuid"]))["imageUuid"] == image["uuid"]
    disabled = await demo.made(
        "PUT", f"/images/{image['uuid']}/actions", {"changeImageState": {"stateEvent": "disable"}}
    )
    assert disabled["state"] == "Disabled"


async def test_a_deleted_volume_stays_deleted_until_it_is_expunged(demo):
    """Though it was on no VM and no storage ever."""
    volume = await demo.made("POST", "/volumes/data", {"params": {"name": "v", "diskSize": GIB}})
    await demo.made("DELETE", f"/volumes/{volume['uuid']}")
    (left,) = await demo.rows("/volumes", f"uuid={volume['uuid']}")
    assert left["status"] == "Deleted"


@pytest.mark.parametrize(("tags", "code"), [(["nonsense::x"], "SYS.1007"), (["ephemeral::shareable"] * 2, "SYS.1006")])
async def test_system_tags_are_known_ones_and_given_once(demo, tags, code):
    """Nothing is made otherwise."""
    asked = {"params": {"name": "tagged", "diskSize": GIB}, "systemTags": tags}
    assert (await demo.run("POST", "/volumes/data", asked)).codes() == [code]
    assert await demo.rows("/volumes", "name=tagged") == []


async def test_a_policy_may_delete_volumes_at_once(demo, cloud):
    """Instead of keeping them as Deleted."""
    cloud.control.set_config("volume", "deletionPolicy", "Direct")
    volume = await demo.named("/volumes", "data-1")
    await demo.made("DELETE", f"/volumes/{volume['uuid']}")
    assert await demo.rows("/volumes", f"uuid={volume['uuid']}") == []
