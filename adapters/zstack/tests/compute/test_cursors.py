"""Operations that the version before began go on: its step names and what it kept are read as they are."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import key_pair_pb2, network_pb2, server_pb2, subnet_pb2, volume_pb2
from cloudspan_zstack.cloud.jobs import job_uuid

from .conftest import REF, make_server, server_request

_Step = step_pb2.Cursor.Step


def _cursor(*steps):
    """Return the cursor of an operation whose steps are (name, id, result)."""
    cursor = step_pb2.Cursor(version=1)
    for name, native_id, result in steps:
        record = cursor.steps.add(name=name, state=_Step.STATE_DONE, native_id=native_id)
        json_format.ParseDict(result, record.result)
    return cursor.SerializeToString()


async def test_a_reboot_goes_on_behind_its_look(bench):
    """What a look found was kept as an act's result."""
    made = await make_server(bench)
    cursor = _cursor(("look", "", {"changed": "Nov 14, 2024 10:20:57 PM"}))
    request = server_pb2.RebootServerRequest(name=made.name)
    answer = await bench.operate("reboot_server", request, cursor=cursor)
    assert not answer.HasField("error")
    kept = step_pb2.Cursor.FromString(answer.cursor).steps
    assert [(step.name, dict(step.result).get("changed")) for step in kept[:1]] == [
        ("look", "Nov 14, 2024 10:20:57 PM")
    ]  # fmt: skip
    assert bench.cloud.control.count(call="RebootVmInstance") == 1


async def test_a_delete_that_was_sent_is_not_sent_again(bench):
    """Although what goes along was not looked for before it."""
    made = await make_server(bench)
    uuid = made.name[-32:]
    bench.cloud.store.vms.present(uuid)["state"] = "Destroyed"
    job = {"job": job_uuid("x"), "method": "DELETE", "path": f"/vm-instances/{uuid}", "done": False}
    request = server_pb2.DeleteServerRequest(name=made.name)
    answer = await bench.operate("delete_server", request, cursor=_cursor(("delete", "", job)))
    assert not answer.HasField("error")
    assert bench.cloud.control.count(call="DestroyVmInstance") == 0


@pytest.mark.parametrize("undo", [False, True])
async def test_a_create_that_was_sent_is_followed_or_undone(bench, undo):
    """Although what it is made of was not looked for before it."""
    operation_id, sent = "a" * 32, []

    def remember(step, answer):
        if not sent and "server" in answer.native_ids:
            sent.append(bytes(answer.cursor))

    request = await server_request(bench)
    first = await bench.operate("create_server", request, meanwhile=remember, operation_id=operation_id)
    before = step_pb2.Cursor.FromString(sent[0])
    look = before.steps.pop(0)
    assert (look.name, [step.name for step in before.steps]) == ("check", ["server"])
    cursor = before.SerializeToString()
    again = await bench.operate("create_server", request, cursor=cursor, operation_id=operation_id, undo=undo)
    assert again.HasField("error") is undo
    assert (bench.cloud.store.vms.get(first.native_ids["server"]) is None) is undo
    assert bench.cloud.control.count(call="CreateVmInstance") == 1


async def _steps(bench, method, request):
    answer = await bench.operate(method, request)
    assert not answer.HasField("error"), answer.error.message
    return [step.name for step in step_pb2.Cursor.FromString(answer.cursor).steps], answer.resource


async def test_steps_of_kinds_are_called_as_before(bench):
    """They stand in cursors that outlive an update."""
    parent = str(bench.cluster.ref)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"
    request = key_pair_pb2.CreateKeyPairRequest(parent=parent, key_pair={"display_name": "k", "public_key": key})
    steps, pair = await _steps(bench, "create_key_pair", request)
    assert steps == ["key-pair", "key-pair made"]
    request = volume_pb2.CreateVolumeRequest(parent=parent, volume={"size_bytes": 1 << 30})
    steps, volume = await _steps(bench, "create_volume", request)
    assert steps == ["volume", "volume made", "readable"]
    request = network_pb2.CreateNetworkRequest(parent=parent, network={"display_name": "net"})
    request.options.update({"l2_network": await bench.named("/l3-networks", "private", "l2NetworkUuid")})
    network = (await bench.done("create_network", request, network_pb2.Network)).name
    wanted = {"network": network, "cidr": "10.7.0.0/24", "labels": {"a": "b"}, "dns_nameservers": ["9.9.9.9"]}
    steps, subnet = await _steps(bench, "create_subnet", subnet_pb2.CreateSubnetRequest(parent=parent, subnet=wanted))
    assert steps == ["check", "subnet", "subnet made", "label-0", "label-0 done", "dns-0", "dns-0 done", "readable"]
    deletions = [
        ("delete_key_pair", key_pair_pb2.DeleteKeyPairRequest(name=pair), ["delete", "deleted"]),
        ("delete_volume", volume_pb2.DeleteVolumeRequest(name=volume), ["check", "delete", "deleted"]),
        ("delete_subnet", subnet_pb2.DeleteSubnetRequest(name=subnet), ["check", "delete", "deleted"]),
    ]
    for method, request, names in deletions:
        assert (await _steps(bench, method, request))[0] == names


async def test_steps_of_servers_are_called_as_before(make_bench):
    """Those of their parts too."""
    bench = make_bench(delete="purge")
    private, public = await bench.named("/l3-networks", "private"), await bench.named("/l3-networks", "public")
    nic = {"network": f"{REF}/networks/{private}", "floating_network": f"{REF}/networks/{public}"}
    disk = {"size_bytes": 1 << 30, "delete_with_server": True}
    request = await server_request(bench, network_interfaces=[nic], new_volumes=[disk])
    steps, name = await _steps(bench, "create_server", request)
    assert steps == [
        "check", "volume-0", "volume-0 made", "vip-0", "vip-0 made", "server", "built", "attach-0", "attach-0 done",
        "nics", "eip-0", "eip-0 made",
    ]  # fmt: skip
    (volume,) = bench.cloud.control.seed(volumes=1)["volumes"]
    volume, hard = f"{REF}/volumes/{volume}", server_pb2.RebootServerRequest.MODE_HARD
    changes = [
        ("stop_server", server_pb2.StopServerRequest(name=name), ["check", "stop", "stopped"]),
        ("start_server", server_pb2.StartServerRequest(name=name), ["check", "start", "running"]),
        ("reboot_server", server_pb2.RebootServerRequest(name=name), ["look", "reboot", "rebooted"]),
        (
            "reboot_server",
            server_pb2.RebootServerRequest(name=name, mode=hard),
            ["check", "power-off", "off", "start", "running"],
        ),
        ("attach_volume", server_pb2.AttachVolumeRequest(name=name, volume=volume), ["check", "attach", "attached"]),
        ("detach_volume", server_pb2.DetachVolumeRequest(name=name, volume=volume), ["detach", "detached"]),
    ]
    for method, request, names in changes:
        assert (await _steps(bench, method, request))[0] == names
    steps, _ = await _steps(bench, "delete_server", server_pb2.DeleteServerRequest(name=name))
    assert steps == [
        "along", "delete", "deleted", "expunge", "expunged", "eip-0-delete", "eip-0-deleted", "vip-0-delete",
        "vip-0-deleted", "vol-0-delete", "vol-0-deleted", "vol-0-expunge", "vol-0-expunged",
    ]  # fmt: skip


async def test_a_volume_that_was_sent_is_undone(bench):
    """Nothing new stands before the create of a plain one."""
    sent = []

    def remember(step, answer):
        if not sent and answer.native_ids:
            sent.append(bytes(answer.cursor))

    request = volume_pb2.CreateVolumeRequest(parent=str(bench.cluster.ref), volume={"size_bytes": 1 << 30})
    await bench.operate("create_volume", request, meanwhile=remember, operation_id="b" * 32)
    assert [step.name for step in step_pb2.Cursor.FromString(sent[0]).steps] == ["volume"]
    answer = await bench.operate("create_volume", request, cursor=sent[0], operation_id="b" * 32, undo=True)
    assert [left.removed for left in answer.left_overs] == [True]
    assert len(bench.cloud.store.volumes) == 0
