"""Texts that the platform's tables can't hold are refused before anything is sent, wherever they stand in a request."""

from __future__ import annotations

import grpc
import pytest

from cloudspan.v1 import (
    floating_ip_pb2,
    key_pair_pb2,
    network_pb2,
    security_group_pb2,
    server_pb2,
    subnet_pb2,
    volume_pb2,
)
from cloudspan_common.errors import InvalidRequest, OutcomeUnknown
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.texts import check_texts

from .conftest import REF, make_server, server_request

FACE = "\N{GRINNING FACE}"
_INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
_PARENT = str(REF)
_NETWORK = f"{REF}/networks/{'1' * 32}"
_GROUP = f"{REF}/securityGroups/{'1' * 32}"


def _rule(description: str) -> security_group_pb2.SecurityGroup.Rule:
    return security_group_pb2.SecurityGroup.Rule(direction="DIRECTION_INGRESS", description=description)


REQUESTS = {
    "create_volume": (
        volume_pb2.CreateVolumeRequest(parent=_PARENT, volume={"display_name": f"data {FACE}", "size_bytes": 1 << 30}),
        "volume.display_name",
    ),
    "create_network": (
        network_pb2.CreateNetworkRequest(
            parent=_PARENT, network={"display_name": "n"}, subnets=[{"cidr": "10.7.0.0/24", "description": FACE}]
        ),
        "subnets[0].description",
    ),
    "create_subnet": (
        subnet_pb2.CreateSubnetRequest(
            parent=_PARENT, subnet={"network": _NETWORK, "cidr": "10.7.0.0/24", "labels": {"mood": FACE}}
        ),
        "subnet.labels.mood",
    ),
    "create_key_pair": (
        key_pair_pb2.CreateKeyPairRequest(
            parent=_PARENT, key_pair={"display_name": "k", "public_key": f"ssh-ed25519 AAAA {FACE}"}
        ),
        "key_pair.public_key",
    ),
    "create_security_group": (
        security_group_pb2.CreateSecurityGroupRequest(parent=_PARENT, security_group={"labels": {FACE: "x"}}),
        "security_group.labels",
    ),
    "update_security_group": (
        security_group_pb2.UpdateSecurityGroupRequest(security_group={"name": _GROUP, "display_name": FACE}),
        "security_group.display_name",
    ),
    "replace_rules": (
        security_group_pb2.ReplaceRulesRequest(name=_GROUP, rules=[_rule("fine"), _rule(FACE)]),
        "rules[1].description",
    ),
    "add_rules": (security_group_pb2.AddRulesRequest(name=_GROUP, rules=[_rule(FACE)]), "rules[0].description"),
    "create_floating_ip": (
        floating_ip_pb2.CreateFloatingIpRequest(
            parent=_PARENT, floating_ip={"external_network": _NETWORK, "description": FACE}
        ),
        "floating_ip.description",
    ),
    "update_floating_ip": (
        floating_ip_pb2.UpdateFloatingIpRequest(
            floating_ip={"name": f"{REF}/floatingIps/{'1' * 32}", "display_name": FACE}
        ),
        "floating_ip.display_name",
    ),
}


@pytest.mark.parametrize("method", REQUESTS)
async def test_a_text_of_four_byte_characters_is_refused_before_anything_is_sent(bench, method):
    """INVALID_ARGUMENT with the field and the characters; accepted, its job would be lost without a word."""
    request, field = REQUESTS[method]
    bench.cloud.control.clear_requests()
    answer = await bench.operate(method, request)
    assert (answer.error.code, field in answer.error.message) == (_INVALID, True), answer.error.message
    assert f"{FACE!r} (U+1F600)" in answer.error.message
    assert bench.cloud.control.requests() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"display_name": f"web {FACE}"}, "server.display_name"),
        ({"description": "\U00020bb7"}, "server.description"),
        ({"labels": {"team": FACE}}, "server.labels.team"),
        ({"admin_password": FACE}, "admin_password"),
        ({"new_volumes": [{"display_name": FACE, "size_bytes": 1 << 30}]}, "new_volumes[0].display_name"),
    ],
)
async def test_a_server_with_such_a_text_is_refused_whole(bench, fields, field):
    """Nothing of it is made; characters of a secret are not told."""
    request = await server_request(bench, **fields)
    bench.cloud.control.clear_requests()
    answer = await bench.operate("create_server", request)
    assert (answer.error.code, field in answer.error.message) == (_INVALID, True), answer.error.message
    assert ("U+" in answer.error.message.replace("up to U+FFFF", "")) is (field != "admin_password")
    assert bench.cloud.control.requests() == []


def test_options_are_looked_through_too():
    """Tags of the platform's own are texts."""
    request = server_pb2.CreateServerRequest(parent=_PARENT)
    request.options.update({"cpu_num": float("nan"), "system_tags": ["bootMode::UEFI", f"x::{FACE}"]})
    with pytest.raises(InvalidRequest, match=r"options\.system_tags"):
        check_texts(request)


async def test_other_scripts_are_stored(bench):
    """Characters of up to three bytes are what the tables are for."""
    made = await make_server(bench, display_name="\u4e91\u4e3b\u673a", labels={"\u56e2\u961f": "\u00e9"})
    assert (made.display_name, dict(made.labels)) == ("\u4e91\u4e3b\u673a", {"\u56e2\u961f": "\u00e9"})


async def test_nothing_leaves_the_session_with_such_a_text(bench):
    """Whoever forgot to look at the request."""
    change = Change("POST", "/volumes/data", params={"name": FACE, "diskSize": 1})
    with pytest.raises(InvalidRequest, match="name holds"):
        await bench.session.act(bench.call(), change, job="x")
    assert bench.cloud.control.count(method="POST") == 0


async def test_the_platform_loses_the_job_of_such_a_text(bench, monkeypatch):
    """What it does when one is sent: 202, and the job is expired at once; the fake does so too."""
    monkeypatch.setattr("cloudspan_zstack.cloud.session.check_change", lambda _: None)
    change = Change("POST", "/volumes/data", params={"name": FACE, "diskSize": 1})
    with pytest.raises(OutcomeUnknown, match="expired"):
        await bench.session.act(bench.call(), change, job="x")
    assert len(bench.cloud.store.volumes) == 0


async def test_a_create_whose_job_is_lost_each_time_is_not_sent_for_ever(bench, monkeypatch):
    """Whatever it is that the platform does not get over: it ends, and nothing is there."""
    monkeypatch.setattr("cloudspan_zstack.cloud.session.check_change", lambda _: None)
    monkeypatch.setattr("cloudspan_zstack.volume.volumes.check_texts", lambda _: None)
    answer = await bench.operate("create_volume", REQUESTS["create_volume"][0])
    assert "OUTCOME_UNKNOWN" in str(answer.error)
    assert bench.cloud.control.count(method="POST", path="volumes") == 12
