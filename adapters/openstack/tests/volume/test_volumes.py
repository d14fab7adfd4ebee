"""Volumes: read completely, made exactly once, deleted only when nothing needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from cloudspan.v1 import volume_pb2, volume_type_pb2
from cloudspan_common.errors import NotFound
from cloudspan_common.names import ClusterRef
from cloudspan_kit.values import converted
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.volume.volumes import VolumeRow, Volumes
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

    from cloudspan.adapter.v1 import step_pb2

PARENT = "platforms/openstack/clusters/east"
GIB = 1 << 30
VOLUME, TYPE = volume_pb2.Volume, volume_type_pb2.VolumeType
Code = grpc.StatusCode


def new_volume(**fields: object) -> volume_pb2.CreateVolumeRequest:
    volume = VOLUME(**({"display_name": "v"} | fields))  # type: ignore[arg-type]
    return volume_pb2.CreateVolumeRequest(parent=PARENT, volume=volume)


async def a_volume(lab: Lab, **fields: object) -> volume_pb2.Volume:
    request = new_volume(**({"size_bytes": GIB} | fields))
    made: volume_pb2.Volume = await lab.made(lab.storage.create_volume, request, VOLUME)
    return made


async def a_snapshot(lab: Lab, volume: volume_pb2.Volume) -> str:
    body = {"snapshot": {"volume_id": volume.name.rsplit("/", 1)[-1], "name": "s", "metadata": {"x": "y"}}}
    made = (await lab.native("POST", "volume", "/snapshots", body))["snapshot"]
    await lab.clock.advance(5)
    return str(made["id"])


async def volumes(lab: Lab) -> list[str]:
    return [v.name for v in await lab.everything(lab.storage.list_volumes, VOLUME)]


async def an_image(lab: Lab) -> dict[str, object]:
    image: dict[str, object] = (await lab.native("GET", "image", "/images"))["images"][0]
    return image


async def test_a_new_volume_has_what_was_asked_and_hides_its_marker(member: Lab) -> None:
    """Size, type, zone, labels, description; it is available when the operation ends."""
    (kind,) = await member.everything(member.storage.list_volume_types, TYPE)
    zone = f"{PARENT}/zones/nova"
    volume = await a_volume(member, labels={"a": "b"}, description="d", volume_type=kind.name, zone=zone)
    assert (volume.state, volume.native_state, volume.size_bytes) == (VOLUME.STATE_AVAILABLE, "available", GIB)
    assert (dict(volume.labels), volume.description, volume.zone) == ({"a": "b"}, "d", zone)
    assert volume.volume_type == kind.name
    (post,) = member.cloud.control.requests("volume", "POST", "volumes$")
    assert post.body["volume"]["metadata"]["cloudspan-marker"].startswith("cs-test-")


async def test_a_volume_can_be_made_of_an_image_without_a_size(member: Lab) -> None:
    """Cinder answers 400 without one, so the image is asked: its smallest disk, in whole GiB."""
    image = await an_image(member)
    volume = await a_volume(member, size_bytes=0, image=f"{PARENT}/images/{image['id']}")
    assert (volume.image, volume.bootable) == (f"{PARENT}/images/{image['id']}", True)
    assert volume.size_bytes == max(int(str(image["min_disk"])), 1) * GIB


async def test_a_volume_can_be_made_of_a_snapshot(member: Lab) -> None:
    """Its size is the snapshot's."""
    source = await a_volume(member, size_bytes=2 * GIB)
    snapshot = await a_snapshot(member, source)
    volume = await a_volume(member, size_bytes=0, snapshot=f"{PARENT}/snapshots/{snapshot}")
    assert (volume.size_bytes, volume.snapshot) == (2 * GIB, f"{PARENT}/snapshots/{snapshot}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs volume.size_bytes"),
        ({"size_bytes": GIB + 1}, "next larger is 2147483648"),
        ({"size_bytes": -1}, "whole GiB"),
        ({"image": f"{PARENT}/images/a", "snapshot": f"{PARENT}/snapshots/b"}, "exclude each other"),
        ({"image": f"{PARENT}/images/a", "source_volume": f"{PARENT}/volumes/b"}, "volume.source_volume exclude"),
        ({"size_bytes": GIB, "labels": {"cloudspan-marker": "x"}}, "use another"),
        ({"size_bytes": GIB, "labels": {"k": "v" * 256}}, "longer than 255"),
        ({"size_bytes": GIB, "image": "platforms/openstack/clusters/west/images/a"}, "of one cluster"),
    ],
)
async def test_a_volume_that_can_not_be_made_is_refused_at_once(
    member: Lab, fields: dict[str, object], words: str
) -> None:
    """The field and what to write instead, before the cloud is asked."""
    answer = await member.operate(member.storage.create_volume, new_volume(**fields))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert member.cloud.control.count("volume", "POST") == 0


async def test_an_unknown_option_is_refused(member: Lab) -> None:
    """And the known ones are named."""
    request = new_volume(size_bytes=GIB)
    request.options.update({"colour": "red"})
    answer = await member.operate(member.storage.create_volume, request)
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "scheduler_hints" in answer.error.message


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT])
async def test_a_create_without_a_reply_leaves_one_volume(member: Lab, fault: Kind) -> None:
    """Lost, or carried out long after: the marker in the metadata finds it."""
    member.cloud.control.fault(fault, service="volume", method="POST", path="volumes", count=1, seconds=8)
    volume = await a_volume(member)
    assert await volumes(member) == [volume.name]


async def test_a_volume_over_quota_is_told_as_such(member: Lab) -> None:
    """RESOURCE_EXHAUSTED, and nothing is left."""
    member.cloud.control.set_quota("volume", volumes=0)
    answer = await member.operate(member.storage.create_volume, new_volume(size_bytes=GIB))
    assert answer.error.code == Code.RESOURCE_EXHAUSTED.value[0]
    assert await volumes(member) == []


async def test_a_volume_that_cinder_fails_to_make_is_an_error_and_taken_back(member: Lab) -> None:
    """The scheduler found no room: the operation fails and leaves nothing."""

    def break_it(_step: object) -> None:
        for row in member.cloud.store.volumes:
            if row["status"] != "deleting":
                row["status"] = "error"

    answer = await member.operate(member.storage.create_volume, new_volume(size_bytes=GIB), meanwhile=break_it)
    assert "accepted the request and then failed" in answer.error.message
    assert [left.removed for left in answer.left_overs] == [True]
    assert await volumes(member) == []


async def test_a_cancelled_create_waits_until_cinder_lets_the_volume_go(member: Lab) -> None:
    """A volume that is being made can't be deleted yet: the undo is asked again."""
    member.cloud.control.set_timing(volume_s=8)

    def cancel(step: step_pb2.StepRequest) -> None:
        step.undo = step.undo or len(member.cloud.store.volumes) > 0

    answer = await member.operate(member.storage.create_volume, new_volume(size_bytes=GIB), meanwhile=cancel)
    assert answer.error.code == Code.CANCELLED.value[0]
    assert [left.removed for left in answer.left_overs] == [True]
    assert await volumes(member) == []


async def test_an_older_cinder_tells_types_by_name_only(member: Lab) -> None:
    """Their ids are learned once."""
    member.session._ranges["volume"] = (Microversion(3, 0), Microversion(3, 59))
    (kind,) = await member.everything(member.storage.list_volume_types, TYPE)
    assert (await a_volume(member)).volume_type == kind.name
    (listed,) = await member.everything(member.storage.list_volumes, VOLUME)
    assert listed.volume_type == kind.name


async def test_delete_volume_refuses_and_lists_its_snapshots(member: Lab) -> None:
    """Cinder has one text for every reason; ours says which it is, and goes once they are gone."""
    volume = await a_volume(member)
    snapshot = await a_snapshot(member, volume)
    request = volume_pb2.DeleteVolumeRequest(name=volume.name)
    answer = await member.operate(member.storage.delete_volume, request)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"{PARENT}/snapshots/{snapshot}" in answer.error.message
    await member.native("DELETE", "volume", f"/snapshots/{snapshot}")
    await member.clock.advance(5)
    assert not (await member.operate(member.storage.delete_volume, request)).HasField("error")
    assert not (await member.operate(member.storage.delete_volume, request)).HasField("error")
    with pytest.raises(NotFound):
        await member.storage.get_volume(member.call(volume.name), volume_pb2.GetVolumeRequest())


async def test_delete_volume_refuses_and_lists_the_servers_it_is_attached_to(member: Lab) -> None:
    """An attached volume tells its server, in a get as in the refusal."""
    (server,) = member.cloud.control.seed("demo", servers=1)["servers"]
    volume = await a_volume(member)
    body = {"volumeAttachment": {"volumeId": volume.name.rsplit("/", 1)[-1]}}
    await member.native("POST", "compute", f"/servers/{server}/os-volume_attachments", body)
    await member.clock.advance(5)
    attached = await member.storage.get_volume(member.call(volume.name), volume_pb2.GetVolumeRequest())
    assert attached.state == VOLUME.STATE_IN_USE
    assert [a.server for a in attached.attachments] == [f"{PARENT}/servers/{server}"]
    answer = await member.operate(member.storage.delete_volume, volume_pb2.DeleteVolumeRequest(name=volume.name))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"{PARENT}/servers/{server}" in answer.error.message


async def test_a_delete_without_a_reply_is_done_once_the_volume_is_gone(member: Lab) -> None:
    """A second delete meets a volume that is being deleted, or none: both are what was wanted."""
    volume = await a_volume(member)
    member.cloud.control.fault(Kind.LOST_REPLY, service="volume", method="DELETE", count=1)
    answer = await member.operate(member.storage.delete_volume, volume_pb2.DeleteVolumeRequest(name=volume.name))
    assert not answer.HasField("error")
    assert await volumes(member) == []


async def test_volumes_are_listed_to_the_end_whatever_the_links_say(member: Lab) -> None:
    """No next links, and the row that the listing stood at deleted on the way: nothing is lost or doubled."""
    member.cloud.control.seed("demo", volumes=13)
    member.cloud.control.fault(Kind.MISSING_NEXT, service="volume", path="volumes")
    before = [v.name for v in await member.everything(member.storage.list_volumes, VOLUME, limit=5)]
    assert len(set(before)) == len(before) == 13
    first = await member.storage.list_volumes(member.call(), member.query(VOLUME, limit=4))
    await member.native("DELETE", "volume", f"/volumes/{first.items[3].name.rsplit('/', 1)[-1]}")
    await member.clock.advance(5)
    query = member.query(VOLUME, limit=100, cursor=first.position(3))
    rest = await member.storage.list_volumes(member.call(), query)
    assert [v.name for v in rest.items] == before[4:]


async def test_volumes_come_in_the_callers_order(member: Lab) -> None:
    """Sorted by Cinder, page after page."""
    for name, size in (("b", 1), ("c", 3), ("a", 2)):
        await a_volume(member, display_name=name, size_bytes=size * GIB)
    order = (("size_bytes", True),)
    listed = await member.everything(member.storage.list_volumes, VOLUME, limit=2, order_by=order)
    assert [v.display_name for v in listed] == ["c", "a", "b"]


async def test_an_administrator_sees_other_projects_volumes_only_when_asked(admin: Lab, member: Lab) -> None:
    """By a filter that speaks of projects."""
    volume = await a_volume(member)
    assert await volumes(admin) == []
    named = f'project = "{volume.project}"'
    for text in ("project:*", named):
        found = await admin.everything(admin.storage.list_volumes, VOLUME, text)
        assert [v.name for v in found] == [volume.name]


async def test_a_volume_can_be_a_copy_of_another(member: Lab) -> None:
    """Its size is the other's unless a larger one is asked for."""
    source = await a_volume(member, size_bytes=2 * GIB)
    copy = await a_volume(member, size_bytes=0, source_volume=source.name)
    larger = await a_volume(member, size_bytes=3 * GIB, source_volume=source.name)
    assert [(v.source_volume, v.size_bytes) for v in (copy, larger)] == [(source.name, 2 * GIB), (source.name, 3 * GIB)]


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What only administrators, or some volumes, have."""
    document = {
        "id": "v", "os-vol-host-attr:host": "h@ceph#pool", "os-vol-mig-status-attr:migstat": "migrating",
        "volume_image_metadata": {"image_id": "i", "os_distro": "debian"},
        "attachments": [{"server_id": "s", "attachment_id": "a", "device": "/dev/vdb"}],
    }  # fmt: skip
    volume = Volumes(ClusterRef("openstack", "east")).message(converted(document, VolumeRow))
    assert (volume.storage_pool, volume.migration_status) == (f"{PARENT}/storagePools/h@ceph%23pool", "migrating")
    assert (dict(volume.image_properties)["os_distro"], volume.attachments[0].id) == ("debian", "a")
    assert volume.state == VOLUME.STATE_UNKNOWN
