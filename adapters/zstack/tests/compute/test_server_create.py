"""Servers are made exactly once whatever happens to requests and jobs, or not at all."""

from __future__ import annotations

import grpc
import pytest

from cloudspan.v1 import key_pair_pb2, security_group_pb2, server_pb2
from cloudspan_common import errors
from cloudspan_zstack.cloud.jobs import Change

from .conftest import REF, make_server, server_request

_Server = server_pb2.Server
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"


def _vms(bench):
    return [row for row in bench.cloud.store.vms if row["type"] == "UserVm"]


def _id(message):
    return message.name.rsplit("/", 1)[-1]


async def test_a_server_is_made_with_all_that_was_asked(bench):
    """Flavor, network with its address, labels, user data, key, group: each in the platform's own place."""
    groups = await bench.session.act(
        bench.call(), Change("POST", "/security-groups", params={"name": "web"}), job="group", into=dict
    )
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


async def test_a_server_needs_no_flavor(bench):
    """CPUs and memory may be said straight."""
    made = await make_server(bench, {"cpu_num": 3, "memory_mib": 1536}, flavor="")
    assert (made.flavor, made.vcpus, made.memory_mib) == ("", 3, 1536)


async def test_a_server_may_be_left_stopped(bench):
    """And its first start builds nothing."""
    made = await make_server(bench, {"stopped": True})
    assert made.state == _Server.STATE_STOPPED


async def test_a_server_boots_from_a_larger_disk(bench):
    """Which always goes with it."""
    await make_server(bench, boot_volume={"size_bytes": 20 << 30})
    (body,) = [r.body for r in bench.cloud.control.requests(call="CreateVmInstance")]
    assert body["params"]["rootDiskSize"] == 20 << 30


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


@pytest.mark.parametrize(
    ("kind", "table"), [("securityGroups", "security_groups"), ("keyPairs", "ssh_keys")]
)  # fmt: skip
async def test_what_goes_away_under_a_create_is_told_as_a_reference(bench, kind, table):
    """The platform meets it late: with an error of its own, or an exception that nobody handled."""
    group = security_group_pb2.CreateSecurityGroupRequest(parent=str(REF), security_group={"display_name": "web"})
    pair = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair={"display_name": "me", "public_key": _KEY})
    made = {
        "securityGroups": await bench.done("create_security_group", group, security_group_pb2.SecurityGroup),
        "keyPairs": await bench.done("create_key_pair", pair, key_pair_pb2.KeyPair),
    }
    fields = {"security_groups": [made["securityGroups"].name], "key_pair": made["keyPairs"].name}
    request = await server_request(bench, **fields)

    def remove(_step, _answer):
        getattr(bench.cloud.store, table).remove(made[kind].name[-32:])

    answer = await bench.operate("create_server", request, meanwhile=remove)
    assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], answer.error.message
    assert "REFERENCE_NOT_FOUND" in str(answer.error)
    assert _vms(bench) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("HOST.1005", "failed to start vm[uuid:x name:k4] on kvm host[uuid:y, ip:127.0.0.3], because on purpose"),
        ("SYS.1006", "failed to start vm[uuid:x name:k4] on kvm host[uuid:y, ip:127.0.0.3], because on purpose"),
    ],
)
async def test_a_server_that_no_hypervisor_starts_asks_for_the_operator(bench, code, message):
    """Another request would not help."""
    bench.cloud.control.fault("failure", call="CreateVmInstance", count=1, code=code, message=message)
    answer = await bench.operate("create_server", await server_request(bench))
    assert errors.from_status(answer.error).reason == "SERVER_OPERATION_FAILED"
    assert "ask_operator" in str(answer.error)
    assert _vms(bench) == []


async def test_a_network_without_free_addresses_is_exhausted(bench):
    """Capacity, not a state of the network."""
    span = bench.cloud.store.ip_ranges.where(name="private-range")[0]
    span["_used"] = set(range(span["_start"], span["_end"] + 1))
    answer = await bench.operate("create_server", await server_request(bench))
    assert answer.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "ADDRESSES_EXHAUSTED" in str(answer.error)
    assert _vms(bench) == []
