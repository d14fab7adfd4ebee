"""Images: Glance's pairs as labels and properties, and whose images are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import image_pb2

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
IMAGE = image_pb2.Image


async def new_image(lab: Lab, name: str, **more: object) -> str:
    body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "private"} | more
    made: dict[str, str] = await lab.native("POST", "image", "/images", body)
    return made["id"]


async def test_an_image_tells_peoples_pairs_as_labels_and_the_clouds_as_properties(member: Lab) -> None:
    """What a field holds is in neither, tags stay tags, sizes are bytes and MiB."""
    server = "0" * 36
    custom = {"os_distro": "debian", "os_version": "12", "hw_disk_bus": "scsi", "hw_firmware_type": "uefi"}
    custom |= {"team": "db", "description": "d", "instance_uuid": server}
    image_id = await new_image(member, "i", min_disk=2, min_ram=64, tags=["gold"], **custom)
    image = await member.image.get_image(member.call(image_id), image_pb2.GetImageRequest())
    assert (image.display_name, image.native_state, image.state) == ("i", "queued", IMAGE.STATE_CREATING)
    assert (image.min_disk_bytes, image.min_memory_mib) == (2 << 30, 64)
    assert (dict(image.labels), dict(image.properties)) == ({"team": "db"}, {"hw_disk_bus": "scsi"})
    assert (image.os_distro, image.os_version, image.description, list(image.tags)) == ("debian", "12", "d", ["gold"])
    assert (image.boot_mode, image.source.server) == (IMAGE.BOOT_MODE_UEFI, f"{PARENT}/servers/{server}")
    assert (image.disk_format, image.container_format) == (IMAGE.DISK_FORMAT_RAW, IMAGE.CONTAINER_FORMAT_BARE)
    assert (image.visibility, image.HasField("size_bytes")) == (IMAGE.VISIBILITY_PRIVATE, False)
    full = await member.image.get_image(member.call(image_id, full=True), image_pb2.GetImageRequest())
    assert full.native["os_distro"] == "debian"


async def test_images_go_on_behind_a_marker_that_was_deleted(member: Lab) -> None:
    """Glance answers 400 then, unlike the others with their 404."""
    for place in range(7):
        await new_image(member, f"i{place}")
    before = [i.name for i in await member.everything(member.image.list_images, IMAGE, limit=2)]
    assert len(set(before)) == len(before) >= 7
    first = await member.image.list_images(member.call(), member.query(IMAGE, limit=3))
    place = [i.display_name.startswith("i") for i in first.items].index(True)
    await member.native("DELETE", "image", f"/images/{first.items[place].name.rsplit('/', 1)[-1]}")
    rest = await member.image.list_images(member.call(), member.query(IMAGE, cursor=first.position(place)))
    assert [i.name for i in rest.items] == before[place + 1 :]


async def test_an_administrator_does_not_see_others_private_images_unasked(admin: Lab, member: Lab) -> None:
    """Public ones and its own; all of them when the filter speaks of projects."""
    await new_image(member, "theirs")
    seen = {i.display_name for i in await admin.everything(admin.image.list_images, IMAGE, limit=1)}
    assert seen
    assert "theirs" not in seen
    everyone = {i.display_name for i in await admin.everything(admin.image.list_images, IMAGE, "project:*")}
    assert {"theirs"} | seen <= everyone
    project = (await member.session.scope(member.call())).project_id
    wanted = f'project = "{PARENT}/projects/{project}"'
    assert {i.display_name for i in await admin.everything(admin.image.list_images, IMAGE, wanted)} == {"theirs"}


async def test_filters_that_glance_does_right_are_pushed_down(member: Lab) -> None:
    """Name, state and formats; a visibility that Glance has no word for is not."""
    text = 'display_name = "x" AND state = ACTIVE AND visibility = UNKNOWN AND disk_format = QCOW2'
    assert await member.everything(member.image.list_images, IMAGE, text) == []
    (asked,) = member.cloud.control.requests("image", "GET", "images")
    assert "name=x" in asked.query
    assert "status=active" in asked.query
    assert "disk_format=qcow2" in asked.query
    assert "visibility" not in asked.query
