"""Images are read as the contract has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import image_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

PARENT = "platforms/zstack/clusters/lab"
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
GIB = 1 << 30
I = image_pb2.Image  # noqa: E741 - as short as the messages of the other tests


async def test_an_image_tells_size_system_and_state(member: Lab) -> None:
    """A template needs a root disk of its own size."""
    (image,) = await member.everything(member.image.list_images, I, 'display_name = "ubuntu-24.04" AND state = ACTIVE')
    assert image.virtual_size_bytes == image.min_disk_bytes == 3 * GIB
    assert (image.disk_format, image.kind) == (I.DISK_FORMAT_QCOW2, I.KIND_ROOT)
    row = await member.native_one("/images", "name=ubuntu-24.04")
    assert (image.checksum, image.checksum_algorithm) == (row["md5Sum"], I.CHECKSUM_ALGORITHM_MD5)
    assert (image.os_type, image.os_distro, list(image.tags)) == ("Linux", "Linux", [])
    assert list(image.stores) == [row["backupStorageRefs"][0]["backupStorageUuid"]]
    assert dict(image.properties) == {"system": "false", "virtio": "true"}
    assert image.visibility == I.VISIBILITY_UNSPECIFIED
    assert image.project in ("", f"{PARENT}/projects/{ADMIN}")
    assert image == await member.image.get_image(member.call(image.name), image_pb2.GetImageRequest())


async def test_a_disabled_image_is_deactivated_and_a_deleted_one_hidden(admin: Lab) -> None:
    """Deleted images linger for days; only who asks for them sees them in lists."""
    (image,) = await admin.everything(admin.image.list_images, I, 'display_name = "installer"')
    await admin.act("PUT", f"/images/{image.name[-32:]}/actions", "changeImageState", stateEvent="disable")
    got = await admin.image.get_image(admin.call(image.name), image_pb2.GetImageRequest())
    assert got.state == I.STATE_DEACTIVATED
    await admin.act("DELETE", f"/images/{image.name[-32:]}")
    assert image.name not in [one.name for one in await admin.everything(admin.image.list_images, I)]
    assert await admin.everything(admin.image.list_images, I, "state = SOFT_DELETED") == []
    (soft,) = await admin.everything(admin.image.list_images, I, "state = SOFT_DELETED", show_deleted=True)
    assert soft.name == image.name
    assert image.name in [one.name for one in await admin.everything(admin.image.list_images, I, show_deleted=True)]


async def test_an_image_tells_where_it_came_from_and_how_it_boots(admin: Lab) -> None:
    """A volume is a source of its own, and an address is told without its password."""
    (volume,) = await admin.native("/volumes", "name=data-1")
    made = await admin.act("POST", f"/images/data-volume-templates/from/volumes/{volume['uuid']}", name="t")
    store = next(iter(admin.cloud.store.backup_storages))["uuid"]
    asked = {"name": "u", "url": "https://me:secret@example.org/u.qcow2", "backupStorageUuids": [store]}
    added = await admin.act("POST", "/images", format="qcow2", mediaType="RootVolumeTemplate", **asked)
    for tag in ("bootMode::UEFI", "qemuga", "applianceType::vrouter"):
        await admin.act("POST", "/system-tags", resourceType="ImageVO", resourceUuid=added["uuid"], tag=tag)
    copied, uploaded = [
        await admin.image.get_image(admin.call(one["uuid"]), image_pb2.GetImageRequest()) for one in (made, added)
    ]
    assert (copied.kind, copied.source.volume) == (I.KIND_DATA, f"{PARENT}/volumes/{volume['uuid']}")
    assert (uploaded.boot_mode, list(uploaded.tags)) == (I.BOOT_MODE_UEFI, ["qemuga"])
    assert uploaded.source.uri == "https://example.org/u.qcow2"
    assert uploaded.properties["applianceType"] == "vrouter"
    assert [one.name for one in await admin.everything(admin.image.list_images, I, "kind = DATA")] == [copied.name]


async def test_every_image_is_listed(member: Lab) -> None:
    """Page after page, filtered or not."""
    member.cloud.control.seed(images=130)
    found = await member.everything(member.image.list_images, I, limit=50)
    assert len({image.name for image in found}) == len(found) == 133
    assert len(await member.everything(member.image.list_images, I, 'display_name = "bulk-image-7"', limit=50)) == 1
