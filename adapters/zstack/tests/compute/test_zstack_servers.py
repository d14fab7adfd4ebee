"""Servers on ZStack: made exactly once whatever happens to requests and jobs, started, stopped, rebooted, deleted."""

from __future__ import annotations

import pytest

from cloudspan.v1 import key_pair_pb2, server_pb2
from cloudspan_zstack.cloud.session import Change
from cloudspan_zstack_fake.store import ADMIN

from .conftest import REF, make_server, server_request

_Server = server_pb2.Server
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"


def _vms(bench):
    return [row for row in bench.cloud.store.vms if row["type"] == "UserVm"]


def _id(message):
    return message.name.rsplit("/", 1)[-1]


async def test_a_server_is_made_with_all_that_was_asked(bench):
    """Flavor, network with its address, labels, user data, key, group: each in the platform's own place."""
    groups = await bench.session.act(bench.call(), _change("/security-groups", name="web"), job="group", into=dict)
    pair = key_pair_pb2.KeyPair(display_name="me", public_key=_KEY)
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair)
    key = await bench.done("create_key_pair", request, key_pair_pb2.KeyPair)
    network = await bench.named("/l3-networks", "private")
    made = await make_server(
        bench,
        hostname="one",
        description="the first",
        labels={"app": "shop", "empty": ""},
        user_data=b"#cloud-config",
        key_pair=key.name,
        security_groups=[f"{REF}/securityGroups/{groups['uuid']}"],
        network_interfaces=[{"network": f"{REF}/networks/{network}", "ip_addresses": ["10.10.3.7"]}],
    )
    (body,) = [r.body for r in bench.cloud.control.requests(call="CreateVmInstance")]
    assert (made.state, made.vcpus, made.memory_mib, dict(made.labels)) == (
        _Server.STATE_RUNNING, 1, 1024, {"app": "shop", "empty": ""},
    )  # fmt: skip
    assert (made.hostname, made.description) == ("one", "the first")
    assert list(made.security_groups) == [f"{REF}/securityGroups/{groups['uuid']}"]
    assert list(made.security_group_display_names) == ["web"]
    tags = await bench.session.query(bench.call(), "/system-tags", dict, conditions=[f"resourceUuid={_id(made)}"])
    assert {"hostname::one", "userdata::I2Nsb3VkLWNvbmZpZw=="} <= {row["tag"] for row in tags.rows}
    assert body["params"]["sshKeyPairUuids"] == [_id(key)]


async def test_a_server_tells_its_interfaces_disks_and_host(bench):
    """Each address with its subnet and gateway; what the platform does not tell stays unset."""
    made = await make_server(bench)
    (nic,) = made.network_interfaces
    row = bench.cloud.store.nics.present(nic.port[-32:])
    (fixed,) = nic.fixed_ips
    span = await bench.named("/l3-networks/ip-ranges", "private-range")
    assert (fixed.ip_address, fixed.subnet, fixed.gateway_ip) == (row["ip"], f"{REF}/subnets/{span}", "10.10.0.1")
    assert (nic.HasField("index"), nic.index, nic.driver, nic.is_default) == (True, 0, "virtio", True)
    assert [(disk.boot, disk.delete_with_server) for disk in made.volume_attachments] == [(True, True)]
    host = bench.cloud.store.vms.present(_id(made))["hostUuid"]
    assert (made.host, made.host_id, made.hypervisor_type) == (f"{REF}/hosts/{host}", host, "KVM")
    assert not any(made.HasField(f) for f in ("flavor_snapshot", "fault", "launch_time", "progress_percent"))


async def test_a_server_needs_no_flavor(bench):
    """CPUs and memory may be said straight."""
    made = await make_server(bench, {"cpu_num": 3, "memory_mib": 1536}, flavor="")
    assert (made.flavor, made.vcpus, made.memory_mib) == ("", 3, 1536)


async def test_a_server_may_be_left_stopped(bench):
    """And its first start builds nothing."""
    made = await make_server(bench, {"stopped": True})
    assert made.state == _Server.STATE_STOPPED


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_reply"},
        {"kind": "late_commit", "seconds": 3.0},
        {"kind": "duplicate_job"},
        {"kind": "lost_job"},
        {"kind": "stuck_job", "carried_out": True},
        {"kind": "server_error", "status": 500, "carried_out": True},
        {"kind": "server_error", "status": 504, "body": "html", "carried_out": True},
        {"kind": "revoked_token"},
        {"kind": "truncated_json"},
        {"kind": "html_200"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
async def test_one_server_is_made_whatever_happens_to_the_create(bench, fault):
    """Its uuid and its job's are ours, and are refused a second time."""
    rule = bench.cloud.control.fault(call="CreateVmInstance", count=1, **fault)
    made = await make_server(bench)
    assert (rule.hits, made.state, len(_vms(bench))) == (1, _Server.STATE_RUNNING, 1)


async def test_a_step_whose_outcome_was_lost_makes_no_second_server(bench):
    """The gateway asks again with the cursor that it had before."""
    lost = []

    def forget(step, answer):
        if not lost and "server" in answer.native_ids:
            lost.append(answer)
            step.cursor, step.attempt = b"", 2

    answer = await bench.operate("create_server", await server_request(bench), meanwhile=forget)
    assert (len(lost), answer.HasField("error"), len(_vms(bench))) == (1, False, 1)


async def test_why_a_create_failed_is_told_and_nothing_is_left(bench):
    """The server's row disappears; its job knows the reason."""
    bench.cloud.control.set_host_down(True)
    answer = await bench.operate("create_server", await server_request(bench))
    assert ("NO_VALID_HOST" in str(answer.error), _vms(bench)) == (True, [])


async def test_quota_is_told_as_quota(bench):
    """Before anything is made."""
    bench.cloud.control.set_quota(vm__totalNum=0)
    answer = await bench.operate("create_server", await server_request(bench))
    assert ("QUOTA_EXCEEDED" in str(answer.error), _vms(bench)) == (True, [])


async def test_a_cancelled_create_leaves_nothing_not_even_a_recoverable_server(bench):
    """Undoing destroys and expunges."""

    def cancel(step, answer):
        step.undo = step.undo or "server" in answer.native_ids

    answer = await bench.operate("create_server", await server_request(bench), meanwhile=cancel)
    assert (answer.HasField("error"), _vms(bench)) == (True, [])


@pytest.mark.parametrize(
    ("fields", "options", "why"),
    [
        ({"display_name": ""}, None, "name for a server"),
        ({"flavor": ""}, None, "cpu_num and options.memory_mib"),
        ({"flavor": ""}, {"cpu_num": 1}, "cpu_num and options.memory_mib"),
        ({}, {"cpu_num": 1, "memory_mib": 1024}, "leave either"),
        ({"image": ""}, None, "name an image"),
        ({"network_interfaces": []}, None, "name a network"),
        (
            {"network_interfaces": [{"port": f"{REF}/ports/x"}]},
            None,
            "network_interfaces[0].port: ZStack makes the NICs",
        ),
        ({"user_data": b"x" * (48 * 1024 + 1)}, None, "user_data"),
        ({"hostname": "not a name"}, None, "server.hostname"),
        ({"security_groups": ["web"]}, None, "server.security_groups[0]"),
        ({"new_volumes": [{}]}, None, "new_volumes[0].size_bytes"),
        ({"boot_volume": {"volume": f"{REF}/volumes/x"}}, None, "exclude each other"),
        ({"image": "", "boot_volume": {"volume": f"{REF}/volumes/x"}}, None, "always goes with its server"),
        ({"labels": {"a::b": "c"}}, None, "can't be kept"),
        ({"zone": "platforms/zstack/clusters/other/zones/x"}, None, "both must be of one cluster"),
    ],
)
async def test_a_request_that_can_not_be_is_refused_before_anything_is_made(bench, fields, options, why):
    """With the field that is wrong."""
    answer = await bench.operate("create_server", await server_request(bench, options, **fields))
    assert why in answer.error.message
    assert bench.cloud.control.count(call="CreateVmInstance") == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"flavor": f"{REF}/flavors/{'0' * 32}"}, "server.flavor"),
        ({"image": f"{REF}/images/{'0' * 32}"}, "server.image"),
        ({"key_pair": f"{REF}/keyPairs/{'0' * 32}"}, "server.key_pair"),
        ({"security_groups": [f"{REF}/securityGroups/{'0' * 32}"]}, "server.security_groups[0]"),
        ({"network_interfaces": [{"network": f"{REF}/networks/{'0' * 32}"}]}, "network_interfaces[0].network"),
        ({"boot_volume": {"volume_type": f"{REF}/volumeTypes/{'0' * 32}"}}, "boot_volume.volume_type"),
    ],
)
@pytest.mark.parametrize("only_checked", [False, True])
async def test_what_a_server_is_made_of_has_to_be_there(bench, fields, field, only_checked):
    """The platform would say so in its job, after a second; a check alone tells it too."""
    answer = await bench.operate("create_server", await server_request(bench, **fields), validate_only=only_checked)
    assert answer.error.message.startswith(f"{field}: ")
    assert "REFERENCE_NOT_FOUND" in str(answer.error)
    assert bench.cloud.control.count(call="CreateVmInstance") == 0


async def test_a_server_is_stopped_and_started(bench):
    """Each is done as well when it was so before."""
    made = await make_server(bench)
    for method, request, state in (
        ("stop_server", server_pb2.StopServerRequest, _Server.STATE_STOPPED),
        ("stop_server", server_pb2.StopServerRequest, _Server.STATE_STOPPED),
        ("start_server", server_pb2.StartServerRequest, _Server.STATE_RUNNING),
        ("start_server", server_pb2.StartServerRequest, _Server.STATE_RUNNING),
    ):
        assert (await bench.done(method, request(name=made.name), _Server)).state == state
    assert bench.cloud.control.count(call="StopVmInstance") == bench.cloud.control.count(call="StartVmInstance") == 1


@pytest.mark.parametrize("kind", ["lost_job", "lost_reply", "duplicate_job"])
async def test_a_stop_is_judged_by_the_server_when_its_job_is_lost(bench, kind):
    """The state tells."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="StopVmInstance", count=1)
    stopped = await bench.done("stop_server", server_pb2.StopServerRequest(name=made.name), _Server)
    assert stopped.state == _Server.STATE_STOPPED


async def test_a_stop_that_failed_says_why(bench):
    """With the platform's own words."""
    made = await make_server(bench)
    bench.cloud.control.fault("failure", call="StopVmInstance", count=1, code="SYS.1016", message="agent is silent")
    answer = await bench.operate("stop_server", server_pb2.StopServerRequest(name=made.name))
    assert "agent is silent" in answer.error.message


@pytest.mark.parametrize("kind", ["lost_reply", "duplicate_job", "lost_job"])
async def test_a_reboot_is_done_once_whatever_happens_to_it(bench, kind):
    """The same job is the same reboot."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="RebootVmInstance", count=1)
    request = server_pb2.RebootServerRequest(name=made.name)
    assert (await bench.done("reboot_server", request, _Server)).state == _Server.STATE_RUNNING
    jobs = {r.job_uuid for r in bench.cloud.control.requests(call="RebootVmInstance")}
    assert len(jobs) == 1


async def test_a_hard_reboot_powers_off_and_starts(bench):
    """The platform's own reboot knows no force."""
    made = await make_server(bench)
    request = server_pb2.RebootServerRequest(name=made.name, mode=server_pb2.RebootServerRequest.MODE_HARD)
    assert (await bench.done("reboot_server", request, _Server)).state == _Server.STATE_RUNNING
    (stop,) = bench.cloud.control.requests(call="StopVmInstance")
    assert stop.body["stopVmInstance"]["type"] == "cold"


async def test_a_paused_server_is_not_started(bench):
    """Start would not end that state."""
    made = await make_server(bench)
    bench.cloud.control.break_server(_id(made), "Paused")
    answer = await bench.operate("start_server", server_pb2.StartServerRequest(name=made.name))
    assert "WRONG_STATE" in str(answer.error)


async def test_a_deleted_server_stays_recoverable(bench):
    """Deleting it again, or deleting none, is done at once."""
    made = await make_server(bench)
    for _ in range(2):
        await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert (await bench.read("get_server", made.name)).state == _Server.STATE_SOFT_DELETED
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=f"{REF}/servers/{ADMIN}"), _Server)
    assert bench.cloud.control.count(call="DestroyVmInstance") == 1


async def test_a_cluster_may_be_told_to_purge(make_bench):
    """Then nothing is left of a deleted server, nor of one that was deleted softly before."""
    bench = make_bench(delete="purge")
    made = await make_server(bench)
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert bench.cloud.store.vms.get(_id(made)) is None


@pytest.mark.parametrize("kind", ["lost_job", "lost_reply"])
async def test_a_delete_is_judged_by_the_server_when_its_job_is_lost(bench, kind):
    """Destroyed is done."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="DestroyVmInstance", count=1)
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert bench.cloud.store.vms.present(_id(made))["state"] == "Destroyed"


@pytest.mark.parametrize("kind", ["", "lost_reply", "lost_job", "duplicate_job"])
async def test_a_volume_is_attached_and_detached(bench, kind):
    """Once each, and what is so already is done."""
    made = await make_server(bench)
    volume = await bench.session.act(
        bench.call(), _change("/volumes/data", name="data", diskSize=1 << 30), job="volume", into=dict
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
    change = _change("/volumes/data", name="data", diskSize=1 << 30)
    volume = await bench.session.act(bench.call(), change, job="volume", into=dict)
    name = f"{REF}/volumes/{volume['uuid']}"
    await bench.done("attach_volume", server_pb2.AttachVolumeRequest(name=one.name, volume=name), _Server)
    answer = await bench.operate("attach_volume", server_pb2.AttachVolumeRequest(name=two.name, volume=name))
    assert one.name in answer.error.message
    with_device = server_pb2.AttachVolumeRequest(name=two.name, volume=name, device="/dev/vdb")
    assert "chooses the device" in (await bench.operate("attach_volume", with_device)).error.message


async def test_a_server_boots_from_a_larger_disk(bench):
    """Which always goes with it."""
    await make_server(bench, boot_volume={"size_bytes": 20 << 30})
    (body,) = [r.body for r in bench.cloud.control.requests(call="CreateVmInstance")]
    assert body["params"]["rootDiskSize"] == 20 << 30


@pytest.mark.parametrize("kind", ["lost_reply", "late_commit", "server_error"])
async def test_a_key_pair_is_imported_once(bench, kind):
    """And told with its fingerprint and labels; a name is not unique here."""
    bench.cloud.control.fault(kind, call="CreateSshKeyPair", count=1)
    pair = key_pair_pb2.KeyPair(display_name="me", public_key=_KEY, labels={"team": "db"})
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair)
    made = await bench.done("create_key_pair", request, key_pair_pb2.KeyPair)
    assert (made.key_type, dict(made.labels)) == (key_pair_pb2.KeyPair.KEY_TYPE_SSH, {"team": "db"})
    assert (made.public_key, made.fingerprint.count(":"), made.HasField("create_time")) == (_KEY, 15, True)
    assert await bench.everything("list_key_pairs", key_pair_pb2.KeyPair) == [made]
    for _ in range(2):
        await bench.done("delete_key_pair", key_pair_pb2.DeleteKeyPairRequest(name=made.name), key_pair_pb2.KeyPair)
    assert await bench.everything("list_key_pairs", key_pair_pb2.KeyPair) == []


@pytest.mark.parametrize(
    ("fields", "more", "field"),
    [
        ({"display_name": ""}, {}, "key_pair.display_name"),
        ({"key_type": "KEY_TYPE_X509"}, {}, "key_pair.key_type"),
        ({}, {"key_pair_id": "me"}, "key_pair_id"),
    ],
)
async def test_a_key_pair_that_can_not_be_is_refused_before_anything_is_made(bench, fields, more, field):
    """With the field that is wrong."""
    pair = key_pair_pb2.KeyPair(**({"display_name": "me", "public_key": _KEY} | fields))
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair, **more)
    answer = await bench.operate("create_key_pair", request)
    assert field in str(answer.error.details)
    assert bench.cloud.control.count(call="CreateSshKeyPair") == 0


def _change(template, **params):
    return Change("POST", template, params=params)
