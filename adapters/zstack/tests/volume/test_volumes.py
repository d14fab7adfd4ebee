"""Volumes are made exactly once and deleted only when nothing uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import volume_pb2, volume_type_pb2
from cloudspan_common.errors import InvalidRequest, NotFound
from cloudspan_zstack_fake import Kind

from .conftest import GIB, PARENT, V, a_snapshot, a_volume, new_volume

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

Code = grpc.StatusCode


async def delete(lab: Lab, name: str) -> Any:
    return await lab.operate(lab.storage.delete_volume, volume_pb2.DeleteVolumeRequest(name=name))


async def test_a_new_volume_has_what_was_asked(member: Lab) -> None:
    """It is available although the platform makes its data at the first attachment."""
    volume = await a_volume(member, size_bytes=3 * GIB, description="mine", labels={"team": "db", "flag": ""})
    assert (volume.size_bytes, volume.description, dict(volume.labels)) == (3 * GIB, "mine", {"team": "db", "flag": ""})
    assert (volume.state, volume.native_state) == (V.STATE_AVAILABLE, "NotInstantiated")
    assert (volume.kind, volume.storage_pool) == (V.KIND_DATA, "")
    account = await member.native_one("/accounts", "name=demo")
    assert volume.project == f"{PARENT}/projects/{account['uuid']}"
    assert volume == await member.storage.get_volume(member.call(volume.name), volume_pb2.GetVolumeRequest())


async def test_a_volume_of_a_type_has_the_types_size(member: Lab) -> None:
    """A type is a disk offering; another size beside it is refused rather than ignored."""
    (kind,) = await member.everything(
        member.storage.list_volume_types, volume_type_pb2.VolumeType, 'display_name = "disk-10"'
    )
    assert kind.size_bytes == 10 * GIB
    volume = await a_volume(member, volume_type=kind.name)
    assert (volume.size_bytes, volume.volume_type) == (10 * GIB, kind.name)
    assert (await a_volume(member, volume_type=kind.name, size_bytes=10 * GIB)).size_bytes == 10 * GIB
    refused = await member.operate(
        member.storage.create_volume, new_volume(volume_type=kind.name, size_bytes=11 * GIB)
    )  # fmt: skip
    assert refused.error.code == Code.INVALID_ARGUMENT.value[0]


async def test_a_volume_in_a_zone_is_made_at_once(member: Lab) -> None:
    """Only a primary storage is in a zone; with a single one there is nothing to choose."""
    zone = await member.native_one("/zones")
    volume = await a_volume(member, size_bytes=GIB, zone=f"{PARENT}/zones/{zone['uuid']}")
    assert volume.native_state == "Ready"
    assert volume.zone == f"{PARENT}/zones/{zone['uuid']}"
    storage = await member.native_one("/primary-storage")
    assert volume.storage_pool == f"{PARENT}/storagePools/{storage['uuid']}"


async def test_a_volume_is_made_of_a_snapshot_or_an_image(member: Lab) -> None:
    """Each has a call of its own; the size is the source's."""
    source = await a_volume(member, options={"primary_storage": (await member.native_one("/primary-storage"))["uuid"]},
                            size_bytes=10 * GIB)  # fmt: skip
    restored = await a_volume(member, snapshot=await a_snapshot(member, source.name))
    assert restored.native_state == "Ready"
    image = await member.act("POST", f"/images/data-volume-templates/from/volumes/{source.name[-32:]}", name="t")
    copied = await a_volume(member, image=f"{PARENT}/images/{image['uuid']}")
    assert copied.size_bytes == 10 * GIB


@pytest.mark.parametrize("of", ["image", "snapshot"])
async def test_a_larger_size_beside_a_source_extends_the_volume(member: Lab, of: str) -> None:
    """The same size is fine, a smaller one is refused and leaves nothing."""
    storage = (await member.native_one("/primary-storage"))["uuid"]
    source = await a_volume(member, options={"primary_storage": storage}, size_bytes=10 * GIB)
    image = await member.act("POST", f"/images/data-volume-templates/from/volumes/{source.name[-32:]}", name="t")
    made_of = {"image": f"{PARENT}/images/{image['uuid']}", "snapshot": await a_snapshot(member, source.name)}[of]
    for size in (10 * GIB, 12 * GIB):
        assert (await a_volume(member, display_name="copy", size_bytes=size, **{of: made_of})).size_bytes == size
    assert member.cloud.control.count(call="ResizeDataVolume") == 1
    refused = await member.operate(
        member.storage.create_volume, new_volume(display_name="small", size_bytes=9 * GIB, **{of: made_of})
    )
    assert refused.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "size_bytes is" in refused.error.message
    assert await member.native("/volumes", "name=small") == []


async def test_a_shareable_volume_is_asked_for_by_options(member: Lab) -> None:
    """It travels as a system tag."""
    volume = await a_volume(member, {"shareable": True}, size_bytes=GIB)
    assert volume.multi_attach


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.STUCK_JOB, Kind.CLOSE])
async def test_a_create_whose_outcome_was_lost_leaves_one_volume(member: Lab, fault: Kind) -> None:
    """We choose its id and its job's id: whatever was lost, a second send is the same create."""
    rule = {"carried_out": True} if fault is Kind.STUCK_JOB else {}
    member.cloud.control.fault(fault, call="CreateDataVolume", count=1, seconds=3, **rule)
    volume = await a_volume(member, size_bytes=GIB)
    assert [row["uuid"] for row in await member.native("/volumes", "name=v")] == [volume.name[-32:]]


async def test_a_create_beyond_the_quota_leaves_nothing(member: Lab) -> None:
    """What the job says at once ends the operation at once."""
    member.cloud.control.set_quota(volume__data__num=3)
    answer = await member.operate(member.storage.create_volume, new_volume(size_bytes=GIB))
    assert answer.error.code == Code.RESOURCE_EXHAUSTED.value[0]
    assert not answer.left_overs
    assert await member.native("/volumes", "name=v") == []


@pytest.mark.parametrize("takes_s", [0.05, 40.0])
async def test_a_cancelled_create_is_expunged(member: Lab, takes_s: float) -> None:
    """Nobody put anything into it, so it does not linger; a delete that came before it was made would miss it."""

    def cancel(step: Any) -> None:
        step.undo = True

    member.cloud.control.set_timing(volume_s=takes_s)
    storage = (await member.native_one("/primary-storage"))["uuid"]
    request = new_volume({"primary_storage": storage}, size_bytes=GIB)
    answer = await member.operate(member.storage.create_volume, request, meanwhile=cancel)
    assert answer.error.code == Code.CANCELLED.value[0]
    assert [left.removed for left in answer.left_overs] == [True]
    await member.clock.advance(60)
    assert await member.native("/volumes", "name=v") == []


async def test_a_create_that_takes_long_is_waited_for(member: Lab) -> None:
    """The call that sends it does not wait: the operation does."""
    member.cloud.control.set_timing(volume_s=90.0)
    began = member.clock.now()
    storage = (await member.native_one("/primary-storage"))["uuid"]
    assert (await a_volume(member, {"primary_storage": storage}, size_bytes=GIB)).native_state == "Ready"
    assert member.clock.now() - began >= 90


async def test_a_session_that_ended_inside_the_job_costs_another_job(member: Lab) -> None:
    """The first job was used up for nothing; the volume's id stays the same."""
    member.cloud.control.fault(Kind.FAILURE, call="CreateDataVolume", count=1, code="ID.1001", message="expired")
    volume = await a_volume(member, size_bytes=GIB)
    assert [row["uuid"] for row in await member.native("/volumes", "name=v")] == [volume.name[-32:]]


async def test_a_gateway_that_forgets_every_answer_makes_and_deletes_one_volume(member: Lab) -> None:
    """Every step is taken twice."""
    storage = (await member.native_one("/primary-storage"))["uuid"]
    request = new_volume({"primary_storage": storage}, size_bytes=GIB)
    answer = await member.operate(member.storage.create_volume, request, forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    (row,) = await member.native("/volumes", "name=v")
    gone = volume_pb2.DeleteVolumeRequest(name=f"{PARENT}/volumes/{row['uuid']}")
    answer = await member.operate(member.storage.delete_volume, gone, forgetful=True)
    assert not answer.HasField("error"), answer.error.message
    assert [one["status"] for one in await member.native("/volumes", "name=v")] == ["Deleted"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "size_bytes"),
        ({"volume_type": f"{PARENT}/volumeTypes/x", "snapshot": f"{PARENT}/snapshots/x"}, "leave volume_type out"),
        ({"size_bytes": GIB, "snapshot": f"{PARENT}/snapshots/{'0' * 32}"}, "volume.snapshot: "),
        ({"size_bytes": -1, "image": f"{PARENT}/images/x"}, "size_bytes is -1"),
        ({"image": f"{PARENT}/images/x", "snapshot": f"{PARENT}/snapshots/x"}, "exclude"),
        ({"size_bytes": GIB, "labels": {"a::b": "c"}}, "label"),
        ({"volume_type": "platforms/zstack/clusters/other/volumeTypes/x"}, "other"),
    ],
)
async def test_what_the_platform_can_not_make_is_refused_before_anything_is_sent(
    member: Lab, fields: dict[str, Any], words: str
) -> None:
    """Such a create would be half ignored."""
    answer = await member.operate(member.storage.create_volume, new_volume(**fields))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert member.cloud.control.count(method="POST", path="/volumes") == 0


async def test_delete_is_done_at_the_soft_deleted_state(member: Lab) -> None:
    """Deleted is not gone: Get tells SOFT_DELETED, lists only if asked, and a second Delete is done as well."""
    storage = (await member.native_one("/primary-storage"))["uuid"]
    volume = await a_volume(member, {"primary_storage": storage}, size_bytes=GIB)
    for _ in range(2):
        assert not (await delete(member, volume.name)).HasField("error")
    found = await member.storage.get_volume(member.call(volume.name), volume_pb2.GetVolumeRequest())
    assert found.state == V.STATE_SOFT_DELETED
    listed = await member.everything(member.storage.list_volumes, V)
    assert volume.name not in [one.name for one in listed]
    assert await member.everything(member.storage.list_volumes, V, "state = SOFT_DELETED") == []
    soft = await member.everything(member.storage.list_volumes, V, "state = SOFT_DELETED", show_deleted=True)
    assert [one.name for one in soft] == [volume.name]
    assert member.cloud.control.count(call="DeleteDataVolume") == 1


async def test_delete_refuses_an_attached_volume_and_one_with_snapshots(member: Lab) -> None:
    """The platform would detach it, and take its snapshots along, without a word."""
    vm = await member.native_one("/vm-instances", "name=web-1")
    volume = (await member.everything(member.storage.list_volumes, V, 'display_name = "data-1"'))[0]
    snapshot = await a_snapshot(member, volume.name)
    answer = await delete(member, volume.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert snapshot in answer.error.message
    await member.act("POST", f"/volumes/{volume.name[-32:]}/vm-instances/{vm['uuid']}")
    answer = await delete(member, volume.name)
    assert f"{PARENT}/servers/{vm['uuid']}" in answer.error.message
    assert member.cloud.control.count(call="DeleteDataVolume") == 0


async def test_delete_refuses_a_servers_own_disk(member: Lab) -> None:
    """It goes with the server."""
    root = (await member.everything(member.storage.list_volumes, V, "bootable = true"))[0]
    answer = await delete(member, root.name)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert root.state == V.STATE_IN_USE


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LOST_JOB, Kind.STUCK_JOB])
async def test_a_delete_whose_outcome_was_lost_ends_when_it_is_deleted(member: Lab, fault: Kind) -> None:
    """The volume tells, not the job."""
    volume = await a_volume(member, size_bytes=GIB)
    rule = {"carried_out": True} if fault is Kind.STUCK_JOB else {}
    member.cloud.control.fault(fault, call="DeleteDataVolume", count=1, **rule)
    assert not (await delete(member, volume.name)).HasField("error")
    assert await member.native("/volumes", "name=v", "status!=Deleted") == []


async def test_volumes_in_use_are_asked_of_the_cloud(member: Lab) -> None:
    """Our state is two of its fields."""
    vm = await member.native_one("/vm-instances", "name=web-2")
    (free,) = await member.everything(member.storage.list_volumes, V, 'display_name = "data-2"')
    await member.act("POST", f"/volumes/{free.name[-32:]}/vm-instances/{vm['uuid']}")
    used = await member.everything(member.storage.list_volumes, V, "state = IN_USE AND bootable = false")
    assert [(one.name, one.attachments[0].server) for one in used] == [(free.name, f"{PARENT}/servers/{vm['uuid']}")]
    available = await member.everything(member.storage.list_volumes, V, "state = AVAILABLE")
    assert free.name not in [one.name for one in available]
    assert {one.display_name for one in available} == {"data-1", "scratch"}


async def test_every_volume_is_listed_while_others_are_deleted(member: Lab) -> None:
    """Paging by offset would skip as many as were deleted before the edge of a page."""
    seeded = sorted(member.cloud.control.seed(volumes=120)["volumes"])
    query = member.query(V, limit=50)
    page = await member.storage.list_volumes(member.call(), query)
    names = [volume.name for volume in page.items]
    for uuid in [name[-32:] for name in names if name[-32:] in seeded][:10]:
        await member.act("DELETE", f"/volumes/{uuid}")
    while page.more:
        query = member.query(V, limit=50, cursor=page.position(len(page.items) - 1))
        page = await member.storage.list_volumes(member.call(), query)
        names += [volume.name for volume in page.items]
    assert len(names) == len(set(names))
    assert {f"{PARENT}/volumes/{uuid}" for uuid in seeded} <= set(names)


async def test_an_unknown_option_names_the_known_ones(member: Lab) -> None:
    """Options are refused, never ignored."""
    answer = await member.operate(member.storage.create_volume, new_volume({"pool": "x"}, size_bytes=GIB))
    assert "primary_storage" in answer.error.message


async def test_volumes_are_sorted_by_size(member: Lab) -> None:
    """By one field, pages included."""
    found = await member.storage.list_volumes(member.call(), member.query(V, order_by=(("size_bytes", True),)))
    sizes = [volume.size_bytes for volume in found.items]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InvalidRequest):
        await member.storage.list_volumes(
            member.call(), member.query(V, order_by=(("size_bytes", True), ("display_name", False)))
        )


async def test_disks_of_routers_are_hidden_as_the_routers_are(admin: Lab) -> None:
    """From lists of any size, from Get, and from what would change them: a router's VM is no server."""
    store = admin.cloud.store
    (router,) = store.vms.where(type="ApplianceVm")
    disk = admin.cloud._building.tools.machines.add_volume(router, "Root", 1 << 30)
    names = [volume.name for volume in await admin.everything(admin.storage.list_volumes, V, limit=1)]
    assert names == [volume.name for volume in await admin.everything(admin.storage.list_volumes, V)]
    assert (len(names), disk["uuid"] in str(names)) == (len(store.volumes) - 1, False)
    name = f"{PARENT}/volumes/{disk['uuid']}"
    with pytest.raises(NotFound, match="does not see it"):
        await admin.storage.get_volume(admin.call(name), volume_pb2.GetVolumeRequest())
    answer = await admin.operate(admin.storage.delete_volume, volume_pb2.DeleteVolumeRequest(name=name))
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]


async def test_volumes_of_the_platforms_own_are_as_if_they_were_not_there(admin: Lab) -> None:
    """Memory and cache volumes: lists hide them, so nothing reads or deletes them by their uuid either."""
    (volume, *_) = admin.cloud.store.volumes
    volume["type"] = "Memory"
    name = f"{PARENT}/volumes/{volume['uuid']}"
    with pytest.raises(NotFound):
        await admin.storage.get_volume(admin.call(name), volume_pb2.GetVolumeRequest())
    await admin.operate(admin.storage.delete_volume, volume_pb2.DeleteVolumeRequest(name=name))
    assert admin.cloud.control.count(call="DeleteDataVolume") == 0


async def test_a_create_whose_sessions_are_ended_again_and_again_goes_on(member: Lab) -> None:
    """Someone revokes three of them in a row, before the job that each began has done anything."""
    rule = member.cloud.control.fault(
        Kind.FAILURE, call="CreateDataVolume", count=3, code="ID.1001", message="Session expired"
    )  # fmt: skip
    volume = await a_volume(member)
    assert (rule.hits, volume.state) == (3, V.STATE_AVAILABLE)
    assert len(await member.native("/volumes", f"uuid={volume.name[-32:]}")) == 1
