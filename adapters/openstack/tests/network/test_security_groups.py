"""Security groups and their rules: made once, changed by as few native writes as it takes, deleted when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.network.security_groups import SecurityGroupRow, SecurityGroups
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.openstack.tests.conftest import Lab

PARENT = "platforms/openstack/clusters/east"
Code = grpc.StatusCode
Group = security_group_pb2.SecurityGroup
Rule = Group.Rule
IN, OUT = Rule.DIRECTION_INGRESS, Rule.DIRECTION_EGRESS
V6 = common_pb2.IP_VERSION_IPV6
# What Neutron gives each new group.
OWN = {("egress", "IPv4", None, None), ("egress", "IPv6", None, None)}


def tcp(port: int, **fields: Any) -> Rule:
    return Rule(direction=IN, protocol="tcp", port_range_min=port, port_range_max=port, **fields)


def new_group(*rules: Rule, **fields: Any) -> security_group_pb2.CreateSecurityGroupRequest:
    group = Group(**({"display_name": "g"} | fields))
    return security_group_pb2.CreateSecurityGroupRequest(parent=PARENT, security_group=group, rules=rules)


async def a_group(lab: Lab, *rules: Rule, **fields: Any) -> Any:
    return await lab.made(lab.network.create_security_group, new_group(*rules, **fields), Group)


async def replaced(lab: Lab, group: Any, rules: Sequence[Rule]) -> Any:
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=rules)
    return await lab.made(lab.network.replace_rules, request, Group)


def groups(lab: Lab, name: str = "g") -> list[Any]:
    return [row for row in lab.cloud.store.security_groups if row["name"] == name]


def kept(lab: Lab) -> set[tuple[Any, ...]]:
    """What Neutron keeps of the group `g`; each rule once."""
    [group] = groups(lab)
    told = [(r["direction"], r["ethertype"], r["protocol"], r["port_range_min"]) for r in group["security_group_rules"]]
    assert len(told) == len(set(told))
    return set(told)


def writes(lab: Lab) -> list[str]:
    control = lab.cloud.control
    return [f"{m} {r.body['security_group_rule'].get('port_range_min') if r.body else ''}".strip()
            for m in ("POST", "DELETE") for r in control.requests("network", m, "security-group-rules")]  # fmt: skip


# ---------------------------------------------------------------------- reading


async def test_a_security_group_tells_its_rules(member: Lab) -> None:
    """Direction, version, ports and the far side."""
    made = await a_group(member, tcp(80, remote_cidr="10.0.0.0/8"))
    read = await member.network.get_security_group(member.call(made.name), security_group_pb2.GetSecurityGroupRequest())
    web = next(r for r in read.rules if r.protocol == "tcp")
    assert (web.ip_version, web.port_range_min, web.port_range_max, web.action) == (4, 80, 80, Rule.ACTION_ALLOW)
    assert (web.remote_cidr, web.direction, read) == ("10.0.0.0/8", IN, made)


def test_a_rule_that_is_not_understood_is_never_any() -> None:
    """An address group is a far side; what Neutron doesn't say is unknown."""
    row = {"id": "g", "name": "default", "security_group_rules": [
        {"id": "r1", "direction": "ingress", "ethertype": "IPv6", "remote_address_group_id": "a"},
        {"id": "r2", "direction": "sideways", "ethertype": "IPv9", "protocol": 47},
    ]}  # fmt: skip
    group = SecurityGroups(ClusterRef("openstack", "east")).message(converted(row, SecurityGroupRow))
    known, odd = group.rules
    assert (known.WhichOneof("remote"), known.remote_address_group) == (
        "remote_address_group",
        f"{PARENT}/addressGroups/a",
    )
    assert (known.ip_version, known.enabled, known.HasField("port_range_min")) == (6, True, False)
    assert (odd.direction, odd.ip_version, odd.protocol) == (Rule.DIRECTION_UNKNOWN, 1, "47")
    assert (group.is_default, group.HasField("stateful")) == (True, False)


# ---------------------------------------------------------------------- creating


async def test_a_new_group_has_what_was_asked_beside_neutrons_own_rules(member: Lab) -> None:
    """Labels and description are the caller's, the marker is hidden among the tags."""
    asked = [tcp(22), tcp(22), Rule(direction=OUT)]  # the second is the first, the third one of Neutron's own
    group = await a_group(member, *asked, description="mine", labels={"team": "db"}, stateful=False)
    assert (group.display_name, group.description, dict(group.labels)) == ("g", "mine", {"team": "db"})
    assert (group.stateful, kept(member)) == (False, OWN | {("ingress", "IPv4", "tcp", 22)})
    [row] = groups(member)
    assert [tag for tag in row["tags"] if tag.startswith("cs-test-")]


@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT])
async def test_a_create_without_a_reply_leaves_one_group(member: Lab, fault: Kind) -> None:
    """Names may repeat in Neutron: the marker finds it."""
    member.cloud.control.fault(fault, service="network", method="POST", path="security-groups", count=1, seconds=8)
    group = await a_group(member, tcp(22))
    [row] = groups(member)
    assert (group.name.rpartition("/")[2], kept(member)) == (row["id"], OWN | {("ingress", "IPv4", "tcp", 22)})


async def test_a_rule_that_is_refused_takes_the_new_group_back(member: Lab) -> None:
    """When one can't be added nothing stays."""
    answer = await member.operate(
        member.network.create_security_group, new_group(tcp(22), Rule(direction=IN, protocol="bananas"))
    )
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "bananas" in answer.error.message
    assert (groups(member), [left.removed for left in answer.left_overs]) == ([], [True])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (tcp(22, action=Rule.ACTION_DROP), "rules[1].action"),
        (tcp(22, enabled=False), "rules[1].enabled"),
        (tcp(22, unsupported_match={"dstPortRange": "22,80"}), "can only be kept, by its id"),
        (tcp(22, ip_version=common_pb2.IP_VERSION_UNKNOWN), "rules[1].ip_version"),
        (tcp(22, description="x" * 256), "rules[1].description"),
        (tcp(22, remote_security_group="web"), "rules[1].remote_security_group"),
        (tcp(70_000), "rules[1].port_range_min"),
        (Rule(protocol="tcp"), "rules[1].direction"),
    ],
)
async def test_a_rule_that_neutron_cannot_keep_is_refused_before_anything_is_made(
    member: Lab, rule: Rule, words: str
) -> None:
    """One that drops, or is switched off, would else let packets through."""
    answer = await member.operate(member.network.create_security_group, new_group(tcp(80), rule))
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert words in answer.error.message
    assert member.cloud.control.count("network", "POST") == 0


# ---------------------------------------------------------------------- changing the group


async def updated(lab: Lab, group: Any, *paths: str, **fields: Any) -> Any:
    wanted = Group(name=group.name, **fields)
    request = security_group_pb2.UpdateSecurityGroupRequest(security_group=wanted)
    request.update_mask.paths.extend(paths)
    return await lab.operate(lab.network.update_security_group, request)


async def test_an_update_changes_what_is_named_and_keeps_the_mark(member: Lab) -> None:
    """Its rules and the rest stay."""
    group = await a_group(member, tcp(22), description="old", labels={"a": "1"})
    answer = await updated(member, group, display_name="g", description="", labels={"b": ""}, stateful=False)
    assert not answer.HasField("error")
    [row] = groups(member)
    assert (row["description"], row["stateful"], row["tags"][0]) == ("old", False, "b")
    assert [tag for tag in row["tags"] if tag.startswith("cs-test-")] == row["tags"][1:]
    assert not (await updated(member, group, "description", "labels", "stateful")).HasField("error")
    assert (row["description"], row["stateful"], len(row["tags"]), len(kept(member))) == ("", True, 1, 3)


async def test_the_default_group_keeps_its_name_and_its_place(member: Lab, admin: Lab) -> None:
    """Neutron would let an administrator delete it."""
    for lab in (member, admin):
        [default] = await lab.everything(lab.network.list_security_groups, Group, 'display_name = "default"')
        assert default.is_default
        request = security_group_pb2.DeleteSecurityGroupRequest(name=default.name)
        answer = await lab.operate(lab.network.delete_security_group, request)
        assert (answer.error.code, "default group" in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
        answer = await updated(lab, default, display_name="mine")
        assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
        assert lab.cloud.control.count("network", "DELETE") == 0


async def test_delete_refuses_and_lists_the_ports_that_use_the_group(member: Lab) -> None:
    """And goes once they are gone; again it is done as well."""
    group = await a_group(member)
    project = (await member.session.scope(member.call())).project_id
    network = next(row["id"] for row in member.cloud.store.networks if row["project_id"] == project)
    port = {"network_id": network, "security_groups": [group.name.rpartition("/")[2]]}
    made = (await member.native("POST", "network", "/ports", {"port": port}))["port"]["id"]
    request = security_group_pb2.DeleteSecurityGroupRequest(name=group.name)
    answer = await member.operate(member.network.delete_security_group, request)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"in use by 1 ports, remove them first: {PARENT}/ports/{made}" in answer.error.message
    await member.native("DELETE", "network", f"/ports/{made}")
    for _ in range(2):
        assert not (await member.operate(member.network.delete_security_group, request)).HasField("error")
    assert groups(member) == []


# ---------------------------------------------------------------------- changing its rules


async def test_rules_are_replaced_by_as_few_changes_as_it_takes(member: Lab) -> None:
    """Those that stay keep their ids; missing ones come before surplus ones go."""
    group = await a_group(member, tcp(22), tcp(80))
    ids = {(r.direction, r.port_range_min): r.id for r in group.rules}
    member.cloud.control.clear_requests()
    told = await replaced(member, group, [tcp(443), tcp(80), Rule(direction=OUT), Rule(direction=OUT, ip_version=V6)])
    assert (writes(member), told.etag != group.etag) == (["POST 443", "DELETE"], True)
    assert kept(member) == OWN | {("ingress", "IPv4", "tcp", 80), ("ingress", "IPv4", "tcp", 443)}
    assert {r.port_range_min: r.id for r in told.rules if r.direction == IN}[80] == ids[IN, 80]
    member.cloud.control.clear_requests()
    await replaced(member, told, told.rules)
    assert writes(member) == []
    assert list((await replaced(member, told, [])).rules) == []


async def test_a_rule_in_another_spelling_is_not_taken_away(member: Lab) -> None:
    """Neutron calls icmp of IPv6 ipv6-icmp, and says which rule is the same."""
    ping = Rule(direction=IN, protocol="icmp", ip_version=V6)
    group = await replaced(member, await a_group(member), [ping])
    [rule] = group.rules
    assert rule.protocol == "ipv6-icmp"
    assert [r.id for r in (await replaced(member, group, [ping, tcp(22)])).rules] == [rule.id, *(
        r["id"] for r in groups(member)[0]["security_group_rules"][1:]
    )]  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.CLOSE])
async def test_a_rule_whose_change_got_no_reply_is_changed_once(member: Lab, fault: Kind, method: str) -> None:
    """Added twice it is a 409, removed twice a 404; both are done."""
    group = await a_group(member, tcp(22))
    member.cloud.control.fault(
        fault, service="network", method=method, path="security-group-rules", count=1, seconds=0.5
    )
    await replaced(member, group, [tcp(80), tcp(443)])
    assert kept(member) == {("ingress", "IPv4", "tcp", 80), ("ingress", "IPv4", "tcp", 443)}


async def test_a_replacement_that_is_begun_again_goes_by_what_it_saw_first(member: Lab) -> None:
    """After each step the next one is taken by another process that knows the cursor only."""
    group = await a_group(member, tcp(22))
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=[tcp(80), tcp(443)])

    def restarted(step: Any) -> None:
        step.attempt += 1

    answer = await member.operate(member.network.replace_rules, request, meanwhile=restarted)
    assert not answer.HasField("error")
    assert kept(member) == {("ingress", "IPv4", "tcp", 80), ("ingress", "IPv4", "tcp", 443)}


async def test_added_rules_leave_the_others_and_those_that_are_there(member: Lab) -> None:
    """One that is there already is no write."""
    group = await a_group(member, tcp(22))
    member.cloud.control.clear_requests()
    request = security_group_pb2.AddRulesRequest(name=group.name, rules=[tcp(22), tcp(80)])
    added = await member.made(member.network.add_rules, request, Group)
    assert (writes(member), len(added.rules)) == (["POST 80"], 4)


async def test_a_rule_may_name_another_group_and_an_address_group(member: Lab) -> None:
    """As the far side."""
    web = await a_group(member, display_name="web")
    group = await a_group(
        member, tcp(1, remote_security_group=web.name), tcp(2, remote_address_group=f"{PARENT}/addressGroups/a")
    )
    assert [r.remote_security_group for r in group.rules if r.port_range_min == 1] == [web.name]
    assert [r.remote_address_group for r in group.rules if r.port_range_min == 2] == [f"{PARENT}/addressGroups/a"]


ADDRESS_GROUP = "22222222-2222-4222-8222-222222222222"


@pytest.mark.parametrize(
    ("told", "shown", "unsupported"),
    [
        (
            {"remote_address_group_id": ADDRESS_GROUP},
            {"remote_address_group": f"{PARENT}/addressGroups/{ADDRESS_GROUP}"},
            {},
        ),
        ({"remote_fqdn_id": "f1"}, {}, {"remote_fqdn_id": "f1"}),
        ({"multiport": "22,80-90"}, {}, {"multiport": "22,80-90"}),
        ({"schedule": {"days": [1]}, "vendor": None, "more": []}, {}, {"schedule": '{"days":[1]}'}),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "remote_address_group_id": "a"},
            {"remote_address_group": f"{PARENT}/addressGroups/a"},
            {"remote_ip_prefix": "10.0.0.0/8"},
        ),
        ({"port_range_min": "22", "port_range_max": "22"}, {"port_range_min": 22, "port_range_max": 22}, {}),
        (
            {"port_range_min": 1 << 70, "port_range_max": 1 << 40},
            {},
            {"port_range_min": str(1 << 70), "port_range_max": str(1 << 40)},
        ),
        ({"port_range_min": "ssh"}, {}, {"port_range_min": "ssh"}),
        ({"protocol": 1 << 70}, {"protocol": str(1 << 70)}, {}),
        ({"action": "deny", "priority": 3}, {"action": Rule.ACTION_DROP, "priority": 3}, {}),
        ({"action": "mirror"}, {"action": Rule.ACTION_UNKNOWN}, {}),
        ({"enabled": False}, {"enabled": False}, {}),
        ({"belongs_to_default_sg": True, "standard_attr_id": 7, "tags": ["x"]}, {}, {}),
    ],
)
async def test_a_rule_is_never_shown_as_wider_than_it_is(
    member: Lab, told: dict[str, Any], shown: dict[str, Any], unsupported: dict[str, str]
) -> None:
    """What narrows it and has no field, or isn't known at all, is told as the cloud tells it."""
    group = await a_group(member, Rule(direction=IN))
    (rule,) = (rule for rule in groups(member)[0]["security_group_rules"] if rule["direction"] == "ingress")
    rule |= told
    listed = await member.everything(member.network.list_security_groups, Group, f'name = "{group.name}"')
    got = await member.network.get_security_group(member.call(group.name), None)  # type: ignore[arg-type]
    whole = await member.network.get_security_group(member.call(group.name, full=True), None)  # type: ignore[arg-type]
    expected = {"action": Rule.ACTION_ALLOW, "enabled": True} | shown
    for one in (*listed, got, whole):
        (found,) = (rule for rule in one.rules if rule.direction == IN)
        assert dict(found.unsupported_match) == unsupported
        for field in ("remote_address_group", "remote_cidr", "port_range_min", "protocol", "action", "enabled"):
            assert getattr(found, field) == expected.get(field, getattr(Rule(), field)), field


async def test_a_rule_that_cannot_be_told_whole_is_kept_when_it_is_given_back(member: Lab) -> None:
    """By its id; it goes when it isn't, and is never added."""
    group = await a_group(member, tcp(22))
    (ssh,) = (rule for rule in groups(member)[0]["security_group_rules"] if rule["direction"] == "ingress")
    ssh["remote_fqdn_id"] = "f1"
    (told,) = (
        r for r in (await member.network.get_security_group(member.call(group.name), None)).rules if r.direction == IN
    )
    member.cloud.control.clear_requests()
    await replaced(member, group, [told, tcp(80)])
    assert writes(member) == ["POST 80", "DELETE", "DELETE"]
    assert ssh in groups(member)[0]["security_group_rules"]
    await replaced(member, group, [tcp(80)])
    assert kept(member) == {("ingress", "IPv4", "tcp", 80)}
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=[told])
    answer = await member.operate(member.network.replace_rules, request)
    assert answer.error.code == Code.INVALID_ARGUMENT.value[0]
    assert "can only be kept, by its id, and the group has none of that id" in answer.error.message
    assert kept(member) == {("ingress", "IPv4", "tcp", 80)}


async def test_rules_are_removed_by_their_ids(member: Lab) -> None:
    """One that the group does not have is not found, and nothing is removed, unless it may be missing."""
    group, other = await a_group(member, tcp(22)), await a_group(member, tcp(22), display_name="other")
    [ssh] = [rule.id for rule in group.rules if rule.direction == IN]
    [foreign] = [rule.id for rule in other.rules if rule.direction == IN]
    request = security_group_pb2.RemoveRulesRequest(name=group.name, rule_ids=[ssh, foreign, ssh])
    answer = await member.operate(member.network.remove_rules, request)
    assert (answer.error.code, foreign in answer.error.message) == (Code.NOT_FOUND.value[0], True)
    assert len(kept(member)) == 3
    request.allow_missing = True
    assert len((await member.made(member.network.remove_rules, request, Group)).rules) == 2
    assert (kept(member), len(groups(member, "other")[0]["security_group_rules"])) == (OWN, 3)
