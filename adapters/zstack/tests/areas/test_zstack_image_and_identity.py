"""Images, projects and quotas are read as the contract tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import image_pb2, project_pb2, quota_pb2
from cloudspan_common.errors import NotFound

if TYPE_CHECKING:
    from .conftest import Lab

PARENT = "platforms/zstack/clusters/lab"
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
GIB = 1 << 30
Q = quota_pb2.Quota
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


async def test_the_administrator_sees_all_accounts_and_others_themselves(admin: Lab, member: Lab) -> None:
    """Accounts are projects."""
    every = await admin.everything(admin.identity.list_projects, project_pb2.Project)
    assert {project.display_name for project in every} == {"admin", "demo", "demo2"}
    (own,) = await member.everything(member.identity.list_projects, project_pb2.Project)
    assert own.display_name == "demo"
    other = next(project for project in every if project.display_name == "demo2")
    with pytest.raises(NotFound):
        await member.identity.get_project(member.call(other.name), project_pb2.GetProjectRequest())


async def test_a_quota_tells_limits_and_use_in_our_units(member: Lab) -> None:
    """Memory is MiB, and the platform's own words stay where we have none."""
    (quota,) = await member.everything(member.identity.list_quotas, quota_pb2.Quota)
    items = {item.native_metric: item for item in quota.items}
    servers = items["vm.totalNum"]
    assert (servers.metric, servers.limit, servers.used, servers.HasField("used")) == (Q.METRIC_SERVERS, 20, 5, True)
    assert (items["vm.memorySize"].metric, items["vm.memorySize"].limit) == (Q.METRIC_MEMORY_MIB, 80 * 1024)
    assert (items["volume.data.num"].metric, items["volume.data.num"].used) == (Q.METRIC_VOLUMES, 3)
    assert (items["vm.num"].metric, items["vm.num"].limit) == (Q.METRIC_UNKNOWN, 20)
    assert not any(item.HasField("reserved") for item in quota.items)
    assert quota.project == quota.name.replace("quotas", "projects")
    assert quota == await member.identity.get_quota(member.call(quota.name), quota_pb2.GetQuotaRequest())


async def test_the_administrator_has_no_quota(admin: Lab) -> None:
    """It reads those of others."""
    (own,) = await admin.everything(admin.identity.list_quotas, quota_pb2.Quota)
    assert (own.name, len(own.items)) == (f"{PARENT}/quotas/{ADMIN}", 0)
    accounts = await admin.everything(admin.identity.list_projects, project_pb2.Project, 'display_name = "demo"')
    name = accounts[0].name.replace("projects", "quotas")
    assert (await admin.identity.get_quota(admin.call(name), quota_pb2.GetQuotaRequest())).items
