"""Images, projects, zones and quotas: merged from what the cloud's services tell, and honest about what they don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import image_pb2, project_pb2, quota_pb2, zone_pb2
from cloudspan_common.errors import CloudspanError, Forbidden, NotFound
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from .conftest import Lab

PARENT = "platforms/openstack/clusters/east"
IMAGE, ZONE, PROJECT, QUOTA = image_pb2.Image, zone_pb2.Zone, project_pb2.Project, quota_pb2.Quota


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


async def test_zones_of_all_services_are_one_list(member: Lab) -> None:
    """By name, with what each is for."""
    zones = await member.everything(member.identity.list_zones, ZONE)
    nova = next(zone for zone in zones if zone.display_name == "nova")
    assert {ZONE.SCOPE_COMPUTE, ZONE.SCOPE_VOLUME} <= set(nova.scopes)
    assert nova.available
    assert "internal" not in {zone.display_name for zone in zones}
    full = await member.identity.get_zone(member.call(nova.name, full=True), zone_pb2.GetZoneRequest())
    assert full.native["compute"]["zoneName"] == "nova"
    with pytest.raises(NotFound, match="it has: nova"):
        await member.identity.get_zone(member.call("mars"), zone_pb2.GetZoneRequest())


async def test_zones_say_when_a_service_did_not_answer(member: Lab) -> None:
    """The listing is partial, with the reason; an absent zone might be that service's."""
    member.cloud.control.fault(Kind.SERVER_ERROR, service="volume", path="os-availability-zone")
    page = await member.identity.list_zones(member.call(), member.query(ZONE))
    assert [zone.display_name for zone in page.items] == ["nova"]
    assert "volume" in page.partial
    with pytest.raises(CloudspanError) as caught:
        await member.identity.get_zone(member.call("mars"), zone_pb2.GetZoneRequest())
    assert not isinstance(caught.value, NotFound)


async def test_zones_fail_when_no_service_answers(member: Lab) -> None:
    """An empty list would be a lie."""
    for service in ("compute", "volume", "network"):
        member.cloud.control.fault(Kind.SERVER_ERROR, service=service, path="zone")
    with pytest.raises(CloudspanError):
        await member.identity.list_zones(member.call(), member.query(ZONE))


async def test_a_member_sees_its_own_project(member: Lab, admin: Lab) -> None:
    """An administrator sees all; for another one's project a member is told whose its credentials are."""
    (own,) = await member.everything(member.identity.list_projects, PROJECT)
    assert (own.display_name, own.enabled, own.domain) == ("demo", True, "default")
    everyone = await admin.everything(admin.identity.list_projects, PROJECT)
    assert own in everyone
    other = next(project for project in everyone if project.display_name == "demo2")
    member.cloud.control.fault(Kind.SERVER_ERROR, service="identity", path="projects/", status=403, count=1)
    with pytest.raises(Forbidden, match="belong to project demo") as caught:
        await member.identity.get_project(member.call(other.name), project_pb2.GetProjectRequest())
    assert caught.value.reason == "OTHER_PROJECT"
    with pytest.raises(NotFound):
        await admin.identity.get_project(admin.call("nosuch"), project_pb2.GetProjectRequest())


async def test_a_quota_holds_the_limits_and_the_use_of_all_services(member: Lab) -> None:
    """In our words and units; what a platform does not tell is said to be unknown."""
    member.cloud.control.seed("demo", volumes=2)
    member.cloud.control.set_quota("compute", cores=-1)
    (quota,) = await member.everything(member.identity.list_quotas, QUOTA)
    known = [item for item in quota.items if item.metric != QUOTA.METRIC_UNKNOWN]
    items = {item.metric: item for item in known}
    assert len(items) == len(known)
    assert (items[QUOTA.METRIC_VOLUMES].used, items[QUOTA.METRIC_VOLUME_BYTES].used) == (2, 2 << 30)
    assert (items[QUOTA.METRIC_VCPUS].limit, items[QUOTA.METRIC_VCPUS].native_metric) == (-1, "cores")
    wanted = ("SERVERS", "MEMORY_MIB", "NETWORKS", "PORTS", "FLOATING_IPS", "SECURITY_GROUP_RULES")
    assert {QUOTA.Metric.Value(f"METRIC_{word}") for word in wanted} <= items.keys()
    assert not items[QUOTA.METRIC_KEY_PAIRS].HasField("used")
    assert "metadata_items" in {item.native_metric for item in quota.items} - {item.native_metric for item in known}
    got = await member.identity.get_quota(member.call(quota.name, full=True), quota_pb2.GetQuotaRequest())
    assert got.project == quota.project
    assert set(got.native) == {"compute", "volume", "network"}


async def test_another_projects_quota_needs_an_administrator(member: Lab, admin: Lab) -> None:
    """A member's 403 is readable; an administrator gets it, and a not-found for a project that is none."""
    projects = await admin.everything(admin.identity.list_projects, PROJECT)
    other = next(project.name for project in projects if project.display_name == "demo2")
    with pytest.raises(Forbidden, match="may not read project"):
        await member.identity.get_quota(member.call(other), quota_pb2.GetQuotaRequest())
    quota = await admin.identity.get_quota(admin.call(other), quota_pb2.GetQuotaRequest())
    assert quota.project == other
    with pytest.raises(NotFound):
        await admin.identity.get_quota(admin.call("nosuch"), quota_pb2.GetQuotaRequest())


async def test_a_quota_fails_when_a_service_does(member: Lab) -> None:
    """A part that is missing in silence would look like no limit."""
    member.cloud.control.fault(Kind.SERVER_ERROR, service="network", path="quotas")
    with pytest.raises(CloudspanError):
        await member.everything(member.identity.list_quotas, QUOTA)
