"""A server is made with its volumes and floating IPs or not at all; what goes with it is deleted with it."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_zstack.cloud.jobs import Change

from .conftest import REF, make_server, server_request

_Server = server_pb2.Server
_GIB = 1 << 30
_PARTS = ("volume-0", "volume-1", "vip-0", "server", "attach-0", "attach-1", "eip-0")
_CALLS = {
    "CreateDataVolume": 2, "CreateVip": 1, "CreateVmInstance": 1, "AttachDataVolumeToVm": 2, "CreateEip": 1,
}  # fmt: skip


async def _parts(bench, **more):
    private, public = await bench.named("/l3-networks", "private"), await bench.named("/l3-networks", "public")
    fields = {
        "network_interfaces": [
            {"network": f"{REF}/networks/{private}", "floating_network": f"{REF}/networks/{public}"},
        ],
        "new_volumes": [
            {"display_name": "data", "size_bytes": _GIB, "delete_with_server": True},
            {"size_bytes": 2 * _GIB},
        ],
    }
    return fields | more


async def _whole(bench, **more):
    return await server_request(bench, None, **await _parts(bench, **more))


async def _make(bench, **more):
    return await make_server(bench, None, **await _parts(bench, **more))


async def _delete(bench, name):
    return await bench.operate("delete_server", server_pb2.DeleteServerRequest(name=name))


def _left(bench):
    """Return what the account has beside what was there before anything was made."""
    store = bench.cloud.store
    tables = (store.vms, store.volumes, store.eips, store.vips)
    return [
        (row["name"], row.get("status", "")) for table in tables for row in table if row.get("type") != "ApplianceVm"
    ]


def _writes(bench):
    return [request.call for request in bench.cloud.control.requests() if request.method in ("POST", "DELETE")]


async def test_a_server_comes_with_its_volumes_and_a_floating_ip(bench):
    """Attached and leading to it when the operation ends; parts are named after the server."""
    made = await _make(bench)
    data = [one for one in made.volume_attachments if one.volume != made.volume_attachments[0].volume]
    assert [one.delete_with_server for one in made.volume_attachments] == [True, True, False]
    volumes = [(await bench.read("get_volume", one.volume)) for one in data]
    assert [(one.display_name, one.size_bytes) for one in volumes] == [("data", _GIB), ("one-2", 2 * _GIB)]
    (address,) = made.network_interfaces[0].floating_ip_addresses
    (eip,) = bench.cloud.store.eips
    assert (eip["vipIp"], eip["guestIp"]) == (address, made.network_interfaces[0].fixed_ips[0].ip_address)
    assert address.startswith("203.0.113.")
    assert made.labels == {}


async def test_each_part_has_a_step_of_its_own(bench):
    """What can be refused soonest comes first, what joins two of them last."""
    answer = await bench.operate("create_server", await _whole(bench))
    assert set(answer.native_ids) == {"volume-0", "volume-1", "vip-0", "server", "eip-0"}
    assert _writes(bench) == [
        "CreateDataVolume", "CreateDataVolume", "CreateVip", "CreateVmInstance", "AttachDataVolumeToVm",
        "AttachDataVolumeToVm", "CreateEip",
    ]  # fmt: skip


@pytest.mark.parametrize(("call", "skip"), [(call, n) for call, count in _CALLS.items() for n in range(count)])
async def test_when_one_part_fails_nothing_stays(bench, call, skip):
    """What was made before is undone, the last first."""
    bench.cloud.control.fault("failure", call=call, count=1, skip=skip, code="SYS.1006", message="no room")
    answer = await bench.operate("create_server", await _whole(bench))
    assert "no room" in answer.error.message
    assert [left for left in answer.left_overs if not left.removed] == []
    assert _left(bench) == []


async def test_undoing_goes_backwards(bench):
    """The address is let go before the server, the volumes after it."""
    bench.cloud.control.fault("failure", call="CreateEip", count=1, code="SYS.1006", message="no")
    await bench.operate("create_server", await _whole(bench))
    taken_back = [
        request.call
        for request in bench.cloud.control.requests()
        if request.call.startswith(("Delete", "Detach", "Destroy", "Expunge"))
    ]
    assert taken_back == [
        "DetachDataVolumeFromVm", "DetachDataVolumeFromVm", "DestroyVmInstance", "ExpungeVmInstance", "DeleteVip",
        "DeleteDataVolume", "ExpungeDataVolume", "DeleteDataVolume", "ExpungeDataVolume",
    ]  # fmt: skip


@pytest.mark.parametrize("step", _PARTS)
async def test_a_server_that_is_cancelled_leaves_nothing(bench, step):
    """However far it was."""

    def cancel(request, answer):
        request.undo = request.undo or step in answer.native_ids or answer.stage.startswith(step)

    answer = await bench.operate("create_server", await _whole(bench), meanwhile=cancel)
    assert answer.HasField("error")
    assert [left for left in answer.left_overs if not left.removed] == []
    assert _left(bench) == []


@pytest.mark.parametrize("kind", ["lost_reply", "late_commit", "lost_job", "duplicate_job", "stuck_job"])
@pytest.mark.parametrize("call", [*_CALLS])
async def test_each_part_is_made_once_whatever_happens_to_its_create(bench, call, kind):
    """A job that stays processing for ever is judged by what it made."""
    more = {"carried_out": True} if kind == "stuck_job" else {"seconds": 3.0} if kind == "late_commit" else {}
    rule = bench.cloud.control.fault(kind, call=call, count=1, **more)
    made = await _make(bench)
    store = bench.cloud.store
    data = [row for row in store.volumes if row["type"] == "Data"]
    assert (rule.hits, len(data), len(store.vips), len(store.eips)) == (1, 2, 1, 1)
    assert {row["vmInstanceUuid"] for row in data} == {made.name[-32:]}
    assert len(made.network_interfaces[0].floating_ip_addresses) == 1


async def test_a_floating_ip_that_is_taken_back_by_its_job_was_not_made(bench, clock):
    """The row of an EIP is there before the work is done; only its job tells that it failed."""
    bench.cloud.control.set_timing(attach_s=20.0)
    request = await _whole(bench, new_volumes=[])

    def fail(_step, answer):
        if answer.stage == "eip-0 made" and bench.cloud.store.eips:
            (eip,) = list(bench.cloud.store.eips)
            bench.cloud.store.drop(bench.cloud.store.eips, eip["uuid"])

    answer = await bench.operate("create_server", request, meanwhile=fail)
    assert "deleted meanwhile" in answer.error.message
    assert _left(bench) == []


async def test_a_floating_ip_whose_job_never_ends_is_taken_back_too(bench):
    """After a while its row counts, for nobody else will ever tell."""
    bench.cloud.control.fault("stuck_job", call="CreateEip", count=1, carried_out=True)

    def cancel(request, answer):
        request.undo = request.undo or answer.stage == "eip-0 made"

    answer = await bench.operate("create_server", await _whole(bench), meanwhile=cancel)
    assert answer.HasField("error")
    assert _left(bench) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"new_volumes": [{"size_bytes": 0}]}, "needs its size"),
        ({"new_volumes": [{"size_bytes": _GIB}] * 25}, "at most 24"),
        ({"new_volumes": [{"size_bytes": _GIB, "volume_type": f"{REF}/volumeTypes/{'0' * 32}"}]}, "volume_type"),
        ({"network_interfaces": [{"network": "private", "new_port": {}}]}, "makes the NICs"),
        ({"network_interfaces": [{"network": "private", "floating_network": "private"}]}, "leave one out"),
        ({"network_interfaces": [{"network": "public", "floating_network": "private"}]}, "no service Eip"),
        ({"network_interfaces": [{"network": "private", "floating_network": "0" * 32}]}, "floating_network"),
    ],
)
@pytest.mark.parametrize("only_checked", [False, True])
async def test_parts_that_can_not_be_are_refused_before_anything_is_made(bench, fields, why, only_checked):
    """A check alone tells the same."""
    networks = {name: await bench.named("/l3-networks", name) for name in ("private", "public")}
    for interface in fields.get("network_interfaces", ()):
        for field in ("network", "floating_network"):
            if field in interface and "/" not in interface[field]:
                interface[field] = f"{REF}/networks/{networks.get(interface[field], interface[field])}"
    answer = await bench.operate("create_server", await _whole(bench, **fields), validate_only=only_checked)
    assert why in answer.error.message
    assert _writes(bench) == []


async def test_a_check_makes_nothing(bench):
    """And is content with what can be made."""
    answer = await bench.operate("create_server", await _whole(bench), validate_only=True)
    assert (answer.done, answer.HasField("error"), _writes(bench)) == (True, False, [])


# ---------------------------------------------------------------------- what goes with the server


async def test_what_was_made_to_go_with_a_server_goes(bench):
    """The other volume stays, detached; the address is free again."""
    made = await _make(bench)
    assert not (await _delete(bench, made.name)).HasField("error")
    assert sorted(_left(bench)) == [("ROOT-for-one", "Deleted"), ("data", "Deleted"), ("one", ""), ("one-2", "Ready")]
    assert _writes(bench)[-4:] == ["DestroyVmInstance", "DeleteEip", "DeleteVip", "DeleteDataVolume"]


async def test_a_purged_server_leaves_only_what_does_not_go_with_it(make_bench):
    """Its volumes are expunged as it is."""
    bench = make_bench(delete="purge")
    made = await _make(bench)
    assert not (await _delete(bench, made.name)).HasField("error")
    assert _left(bench) == [("one-2", "Ready")]


@pytest.mark.parametrize("kind", ["lost_reply", "lost_job", "stuck_job"])
@pytest.mark.parametrize("call", ["DestroyVmInstance", "DeleteEip", "DeleteVip", "DeleteDataVolume"])
async def test_what_goes_along_goes_whatever_happens_to_the_calls(bench, call, kind):
    """What is gone tells, not the job."""
    made = await _make(bench)
    bench.cloud.control.fault(kind, call=call, count=1, **({"carried_out": True} if kind == "stuck_job" else {}))
    assert not (await _delete(bench, made.name)).HasField("error")
    assert sorted(_left(bench)) == [("ROOT-for-one", "Deleted"), ("data", "Deleted"), ("one", ""), ("one-2", "Ready")]


async def test_a_volume_that_was_detached_stays(bench):
    """Whoever took it off the server wants to keep it."""
    made = await _make(bench)
    volume = made.volume_attachments[1].volume
    request = server_pb2.DetachVolumeRequest(name=made.name, volume=volume)
    await bench.done("detach_volume", request, _Server)
    await _delete(bench, made.name)
    assert (await bench.read("get_volume", volume)).state == volume_pb2.Volume.STATE_AVAILABLE


async def test_an_address_that_leads_elsewhere_by_now_stays(bench):
    """Its VIP too."""
    made, other = await _make(bench, new_volumes=[]), await make_server(bench, display_name="two")
    (eip,) = bench.cloud.store.eips
    nic = bench.cloud.store.nics.present(other.network_interfaces[0].port[-32:])
    eip.update(vmNicUuid=nic["uuid"], guestIp=nic["ip"])
    await _delete(bench, made.name)
    assert (len(bench.cloud.store.eips), len(bench.cloud.store.vips)) == (1, 1)


async def test_a_volume_whose_snapshots_would_go_along_is_named_and_nothing_is_deleted(bench):
    """The platform would take them without a word."""
    made = await _make(bench)
    volume = made.volume_attachments[1].volume
    await bench.session.act(bench.call(), _snapshot(volume), job="snapshot")
    answer = await _delete(bench, made.name)
    assert volume in answer.error.message
    assert bench.cloud.store.vms.present(made.name[-32:])["state"] == "Running"


def _snapshot(volume):
    return Change("POST", f"/volumes/{volume[-32:]}/volume-snapshots", params={"name": "s"})


@pytest.mark.parametrize("kind", ["", "lost_reply", "lost_job", "duplicate_job"])
async def test_a_volume_is_attached_and_detached(bench, kind):
    """Once each, and what is so already is done."""
    made = await make_server(bench)
    volume = await bench.session.act(
        bench.call(),
        Change("POST", "/volumes/data", params={"name": "data", "diskSize": 1 << 30}),
        job="volume",
        into=dict,
    )
    name = f"{REF}/volumes/{volume['uuid']}"
    if kind:
        bench.cloud.control.fault(kind, call="AttachDataVolumeToVm", count=1)
        bench.cloud.control.fault(kind, call="DetachDataVolumeFromVm", count=1)
    for _ in range(2):
        request = server_pb2.AttachVolumeRequest(name=made.name, volume=name)
        attached = await bench.done("attach_volume", request, _Server)
        assert [(a.volume == name, a.delete_with_server) for a in attached.volume_attachments].count((True, False)) == 1
    for _ in range(2):
        request = server_pb2.DetachVolumeRequest(name=made.name, volume=name)
        detached = await bench.done("detach_volume", request, _Server)
        assert name not in [a.volume for a in detached.volume_attachments]


async def test_a_volume_of_another_server_is_not_taken_from_it(bench):
    """It is named."""
    one, two = await make_server(bench), await make_server(bench, display_name="two")
    change = Change("POST", "/volumes/data", params={"name": "data", "diskSize": 1 << 30})
    volume = await bench.session.act(bench.call(), change, job="volume", into=dict)
    name = f"{REF}/volumes/{volume['uuid']}"
    await bench.done("attach_volume", server_pb2.AttachVolumeRequest(name=one.name, volume=name), _Server)
    answer = await bench.operate("attach_volume", server_pb2.AttachVolumeRequest(name=two.name, volume=name))
    assert one.name in answer.error.message
    with_device = server_pb2.AttachVolumeRequest(name=two.name, volume=name, device="/dev/vdb")
    assert "chooses the device" in (await bench.operate("attach_volume", with_device)).error.message
