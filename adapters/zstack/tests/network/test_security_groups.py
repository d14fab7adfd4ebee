"""Security groups and their rules: made once, changed by as few native writes as it takes, deleted when unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import read_rows
from cloudspan_zstack.network.security_rules import RuleRow, Rules
from cloudspan_zstack_fake import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.zstack.tests.lab import Lab

PARENT = "platforms/zstack/clusters/lab"
Code = grpc.StatusCode
Group = security_group_pb2.SecurityGroup
Rule = Group.Rule
IN, OUT = Rule.DIRECTION_INGRESS, Rule.DIRECTION_EGRESS
V6 = common_pb2.IP_VERSION_IPV6


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


async def added(lab: Lab, group: Any, *rules: Rule) -> Any:
    request = security_group_pb2.AddRulesRequest(name=group.name, rules=rules)
    return await lab.made(lab.network.add_rules, request, Group)


def groups(lab: Lab, name: str = "g") -> list[Any]:
    return lab.cloud.store.security_groups.where(name=name)


def kept(lab: Lab) -> list[tuple[Any, ...]]:
    """What the cloud keeps of the group `g` beside its default rules, in order."""
    [group] = groups(lab)
    rows = lab.cloud.store.security_group_rules.some(group["_rules"])
    rows = sorted((row for row in rows if row["priority"]), key=lambda row: (row["type"], row["priority"]))
    return [(r["type"], r["protocol"], r["dstPortRange"]) for r in rows]


def ports(*numbers: int) -> list[tuple[Any, ...]]:
    return [("Ingress", "TCP", str(number)) for number in numbers]


def own(group: Any) -> list[Rule]:
    return [rule for rule in group.rules if not rule.built_in]


def writes(lab: Lab) -> list[str]:
    """The changes that were asked for, in order."""
    asked = [request.call for request in lab.cloud.control.requests() if request.method != "GET"]
    return [call for call in asked if not call.startswith(("Get", "LogIn"))]


# ---------------------------------------------------------------------- reading


async def test_a_groups_rule_is_one_of_ours_and_never_wider(member: Lab) -> None:
    """Lists of ports and addresses don't fit and are told as they are; what drops, and what is built in, is there."""
    (group,) = await member.native("/security-groups", "name=web")
    rules = [
        {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22,80-90", "srcIpRange": "10.0.0.0/8", "ipVersion": 4},
        {"type": "Egress", "protocol": "ALL", "ipVersion": 4, "dstIpRange": "192.0.2.4-192.0.2.6"},
        {"type": "Ingress", "protocol": "ICMP", "ipVersion": 4, "action": "DROP"},
    ]
    await member.act("POST", f"/security-groups/{group['uuid']}/rules", rules=rules)
    (found,) = await member.everything(member.network.list_security_groups, Group)
    told = [
        (r.direction, r.protocol, r.port_range_min, r.remote_cidr, r.action, dict(r.unsupported_match))
        for r in found.rules
        if not r.built_in
    ]
    allow, drop = Rule.ACTION_ALLOW, Rule.ACTION_DROP
    assert told == [
        (2, "", 0, "", allow, {"dstIpRange": "192.0.2.4-192.0.2.6"}),
        (1, "tcp", 0, "10.0.0.0/8", allow, {"dstPortRange": "22,80-90"}),
        (1, "icmp", 0, "", drop, {}),
    ]
    assert len({r.id for r in found.rules}) == len(found.rules) == 7
    assert {r.remote_security_group for r in found.rules if r.built_in} == {found.name}
    assert (found.stateful, found.enabled, found.HasField("port_count")) == (True, True, False)
    assert [r.priority for r in found.rules if not r.built_in] == [1, 1, 2]


@pytest.mark.parametrize(
    ("told", "unsupported"),
    [
        ({"remoteAddressSetUuid": "a"}, {"remoteAddressSetUuid": "a"}),
        ({"startPort": 1 << 40, "endPort": 1 << 70}, {"startPort": str(1 << 40), "endPort": str(1 << 70)}),
        ({"dstPortRange": "22-99999999999"}, {"dstPortRange": "22-99999999999"}),
    ],
)
def test_a_rule_with_what_is_not_known_is_never_wider(told: dict[str, Any], unsupported: dict[str, str]) -> None:
    """A field of a newer platform, or a port that is none, may restrict it."""
    ports = {"startPort": 22, "endPort": 22} | told
    row = {"uuid": "r", "type": "Ingress", "protocol": "TCP", "state": "Enabled", **ports}
    found = read_rows([row], RuleRow, "uuid")
    (rule,) = Rules(ClusterRef("zstack", "lab")).of(found.rows, "g")
    assert (dict(rule.unsupported_match), found.unread) == (unsupported, [])


async def test_a_rule_that_is_switched_off_says_so(member: Lab) -> None:
    """Nobody shall take it for one that works."""
    (group,) = await member.native("/security-groups", "name=web")
    rule = {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22", "ipVersion": 4, "state": "Disabled"}
    await member.act("POST", f"/security-groups/{group['uuid']}/rules", rules=[rule])
    (found,) = await member.everything(member.network.list_security_groups, Group)
    assert [(r.port_range_min, r.port_range_max) for r in found.rules if not r.enabled] == [(22, 22)]


# ---------------------------------------------------------------------- creating


async def test_a_new_group_has_what_was_asked_beside_the_platforms_own_rules(member: Lab) -> None:
    """All rules come in one call, by priority; twice the same is once."""
    asked = [tcp(22), tcp(22), Rule(direction=OUT, remote_cidr="10.0.0.7/8"), tcp(80, priority=1)]
    group = await a_group(member, *asked, description="mine", labels={"team": "db"})
    assert (group.display_name, group.description, dict(group.labels)) == ("g", "mine", {"team": "db"})
    assert kept(member) == [("Egress", "ALL", None), *ports(80, 22)]
    assert [rule.remote_cidr for rule in own(group)] == ["10.0.0.0/8", "", ""]
    assert writes(member) == ["CreateSecurityGroup", "AddSecurityGroupRule"]
    read = await member.network.get_security_group(
        member.call(group.name), security_group_pb2.GetSecurityGroupRequest()
    )
    assert (read, len(group.rules)) == (group, 7)


@pytest.mark.parametrize("call", ["CreateSecurityGroup", "AddSecurityGroupRule"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_create_whose_outcome_was_lost_leaves_one_group(member: Lab, fault: Kind, call: str) -> None:
    """The group by its id, which is ours, its rules by what they do."""
    member.cloud.control.fault(fault, call=call, count=1, seconds=3)
    group = await a_group(member, tcp(22), tcp(80))
    assert ([row["uuid"] for row in groups(member)], kept(member)) == ([group.name[-32:]], ports(22, 80))


async def test_a_gateway_that_forgets_every_answer_makes_one_group(member: Lab) -> None:
    """Every step is taken twice."""
    request = new_group(tcp(22), tcp(80))
    answer = await member.operate(member.network.create_security_group, request, forgetful=True)
    assert (answer.HasField("error"), kept(member)) == (False, ports(22, 80))
    assert writes(member).count("AddSecurityGroupRule") == 1


async def test_a_rule_that_is_refused_takes_the_new_group_back(member: Lab) -> None:
    """When one can't be added nothing stays."""
    nowhere = f"{PARENT}/securityGroups/{'0' * 32}"
    request = new_group(tcp(22), tcp(80, remote_security_group=nowhere))
    answer = await member.operate(member.network.create_security_group, request)
    assert (answer.HasField("error"), "0" * 32 in answer.error.message) == (True, True)
    assert (groups(member), [left.removed for left in answer.left_overs]) == ([], [True])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(direction=IN, protocol="sctp"), "rules[1].protocol"),
        (Rule(direction=IN, protocol="icmp", port_range_min=8), "rules[1].port_range_min"),
        (Rule(direction=IN, protocol="icmpv6"), "rules[1].ip_version"),
        (Rule(direction=IN, protocol="tcp", port_range_min=8), "rules[1].port_range_max"),
        (tcp(22, remote_address_group=f"{PARENT}/addressGroups/a"), "rules[1].remote_address_group"),
        (tcp(22, remote_security_group="web"), "rules[1].remote_security_group"),
        (tcp(22, action=Rule.ACTION_UNKNOWN), "rules[1].action"),
        (tcp(22, ip_version=common_pb2.IP_VERSION_UNKNOWN), "rules[1].ip_version"),
        (tcp(22, priority=0), "rules[1].priority"),
        (tcp(22, unsupported_match={"dstPortRange": "22,80"}), "unsupported_match"),
        (tcp(70_000), "rules[1].port_range_min"),
        (Rule(protocol="tcp"), "rules[1].direction"),
    ],
)
async def test_a_rule_that_the_platform_cannot_keep_is_refused_before_anything_is_made(
    member: Lab, rule: Rule, words: str
) -> None:
    """Else it would match more than was asked for."""
    answer = await member.operate(member.network.create_security_group, new_group(tcp(80), rule))
    assert (answer.error.code, writes(member)) == (Code.INVALID_ARGUMENT.value[0], [])
    assert words in answer.error.message


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_all_ports_are_a_range_of_them(member: Lab, protocol: str) -> None:
    """The platform has no other word for it, and the rule is found again by it."""
    group = await a_group(
        member, Rule(direction=IN, protocol=protocol), Rule(direction=IN, protocol="icmpv6", ip_version=V6)
    )
    assert kept(member) == [("Ingress", protocol.upper(), "1-65535"), ("Ingress", "ICMP", None)]
    member.cloud.control.clear_requests()
    await replaced(
        member, group, [Rule(direction=IN, protocol="58", ip_version=V6), Rule(direction=IN, protocol=protocol)]
    )
    assert writes(member) == []


# ---------------------------------------------------------------------- changing the group


async def updated(lab: Lab, group: Any, *paths: str, **fields: Any) -> Any:
    request = security_group_pb2.UpdateSecurityGroupRequest(security_group=Group(name=group.name, **fields))
    request.update_mask.paths.extend(paths)
    return await lab.operate(lab.network.update_security_group, request)


async def test_an_update_changes_what_is_named_and_keeps_the_mark(member: Lab) -> None:
    """Its rules and the rest stay; a label of another value is another tag."""
    group = await a_group(member, tcp(22), description="old", labels={"a": "1", "b": "2"})
    answer = await updated(member, group, display_name="g ", description="", labels={"b": "3", "c": ""}, stateful=True)
    assert not answer.HasField("error")
    [row] = [one for one in member.cloud.store.security_groups if one["uuid"] == group.name[-32:]]
    tags = sorted(member.cloud.store.tags(row["uuid"], member.cloud.store.user_tags))
    assert tags[:1] == ["b::3"]
    assert (row["description"], tags[1:2], [tag[:19] for tag in tags[2:]]) == ("old", ["c::"], ["cloudspan::marker::"])
    assert not (await updated(member, group, "display_name", "description", "labels", display_name="h")).HasField(
        "error"
    )
    assert (row["name"], row["description"], len(row["_rules"])) == ("h", "", 5)
    assert len(member.cloud.store.tags(row["uuid"], member.cloud.store.user_tags)) == 1


@pytest.mark.parametrize("call", ["UpdateSecurityGroup", "CreateUserTag", "DeleteTag"])
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.STUCK_JOB])
async def test_an_update_whose_outcome_was_lost_is_done_once(member: Lab, fault: Kind, call: str) -> None:
    """Whether it was done the group itself tells."""
    group = await a_group(member, labels={"a": "1"})
    more: dict[str, Any] = {"carried_out": True} if fault is Kind.STUCK_JOB else {"seconds": 3.0}
    member.cloud.control.fault(fault, call=call, count=1, **more)
    answer = await updated(member, group, description="new", labels={"b": "2"})
    assert not answer.HasField("error")
    told = Group()
    answer.response.Unpack(told)
    assert (told.description, dict(told.labels)) == ("new", {"b": "2"})


async def test_a_group_without_state_is_refused(member: Lab) -> None:
    """The platform has none."""
    answer = await member.operate(member.network.create_security_group, new_group(stateful=False))
    assert (answer.error.code, writes(member)) == (Code.UNIMPLEMENTED.value[0], [])
    group = await a_group(member)
    assert (await updated(member, group, "stateful", stateful=False)).error.code == Code.UNIMPLEMENTED.value[0]


async def test_delete_refuses_and_lists_the_ports_that_use_the_group(member: Lab) -> None:
    """And goes once they are out of it; again it is done as well."""
    group = await a_group(member)
    nic = (await member.native_one("/vm-instances", "name=web-2"))["vmNics"][0]["uuid"]
    await member.act("POST", f"/security-groups/{group.name[-32:]}/vm-instances/nics", vmNicUuids=[nic])
    request = security_group_pb2.DeleteSecurityGroupRequest(name=group.name)
    answer = await member.operate(member.network.delete_security_group, request)
    assert answer.error.code == Code.FAILED_PRECONDITION.value[0]
    assert f"in use by 1 ports, remove them first: {PARENT}/ports/{nic}" in answer.error.message
    for ref in member.cloud.store.security_group_refs.where(securityGroupUuid=group.name[-32:]):
        member.cloud.store.security_group_refs.remove(ref["uuid"])
    for _ in range(2):
        assert not (await member.operate(member.network.delete_security_group, request)).HasField("error")
    assert groups(member) == []


# ---------------------------------------------------------------------- changing its rules


async def test_rules_are_replaced_by_as_few_changes_as_it_takes(member: Lab) -> None:
    """Those that stay keep their ids; missing ones come before surplus ones go, each in one call."""
    group = await a_group(member, tcp(22), tcp(23), tcp(80))
    ids = {rule.port_range_min: rule.id for rule in own(group)}
    member.cloud.control.clear_requests()
    told = await replaced(member, group, [tcp(443), tcp(80), tcp(8080)])
    assert (writes(member), kept(member)) == (["AddSecurityGroupRule", "DeleteSecurityGroupRule"], ports(80, 443, 8080))
    assert {rule.port_range_min: rule.id for rule in own(told)}[80] == ids[80]
    member.cloud.control.clear_requests()
    await replaced(member, told, told.rules)
    assert writes(member) == []
    assert len((await replaced(member, told, [])).rules) == 4


async def test_rules_take_the_places_that_were_asked_for(member: Lab) -> None:
    """A rule that drops works only before those that let through; what has no place stays behind."""
    group = await a_group(member, tcp(22), tcp(80))
    await added(member, group, tcp(23, action=Rule.ACTION_DROP, priority=1), Rule(direction=OUT))
    assert kept(member)[1:] == ports(23, 22, 80)
    member.cloud.control.clear_requests()
    told = await replaced(member, group, [tcp(80, priority=1), tcp(22, priority=2), tcp(443), tcp(1, priority=9)])
    assert kept(member) == ports(80, 22, 443, 1)
    assert [rule.priority for rule in own(told)] == [1, 2, 3, 4]
    assert writes(member)[-1] == "UpdateSecurityGroupRulePriority"
    member.cloud.control.clear_requests()
    await replaced(member, told, told.rules)
    assert writes(member) == []


async def test_a_rule_is_enabled_and_disabled_in_its_place(member: Lab) -> None:
    """The platform has no two that differ in that only."""
    group = await a_group(member, tcp(22, enabled=False), tcp(80))
    ids = [rule.id for rule in own(group)]
    assert [rule.enabled for rule in own(group)] == [False, True]
    told = await replaced(member, group, [tcp(22), tcp(80, enabled=False)])
    assert [(rule.id, rule.enabled) for rule in own(told)] == [(ids[0], True), (ids[1], False)]
    assert [rule.enabled for rule in own(await added(member, group, tcp(80)))] == [True, True]


async def test_what_can_not_be_told_stays_only_by_its_id(member: Lab) -> None:
    """A rule of several ranges is never taken for a wider one."""
    group = await a_group(member)
    odd = {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22,80-90", "ipVersion": 4}
    await member.act("POST", f"/security-groups/{group.name[-32:]}/rules", rules=[odd])
    read = await member.network.get_security_group(
        member.call(group.name), security_group_pb2.GetSecurityGroupRequest()
    )
    told = await replaced(member, group, [*own(read), tcp(443)])
    assert own(told)[0] == own(read)[0]
    other = Rule(id="0" * 32, direction=IN, unsupported_match={"dstPortRange": "1,2"})
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=[other])
    answer = await member.operate(member.network.replace_rules, request)
    assert (answer.error.code, len(kept(member))) == (Code.INVALID_ARGUMENT.value[0], 2)
    await replaced(member, group, [tcp(443)])
    assert kept(member) == ports(443)


@pytest.mark.parametrize("call", ["AddSecurityGroupRule", "DeleteSecurityGroupRule", "ChangeSecurityGroupRuleState",
                                  "UpdateSecurityGroupRulePriority"])  # fmt: skip
@pytest.mark.parametrize("fault", [Kind.LOST_REPLY, Kind.LATE_COMMIT, Kind.LOST_JOB, Kind.CLOSE])
async def test_a_change_of_rules_without_a_reply_is_done_once(member: Lab, fault: Kind, call: str) -> None:
    """What is left to do is looked at before each call."""
    group = await a_group(member, tcp(22), tcp(80, enabled=False))
    rule = member.cloud.control.fault(fault, call=call, count=1, seconds=3)
    told = await replaced(member, group, [tcp(443, priority=1), tcp(80, priority=2)])
    assert (rule.hits, kept(member), [one.enabled for one in own(told)]) == (1, ports(443, 80), [True, True])


async def test_a_replacement_that_is_begun_again_goes_by_what_it_saw_first(member: Lab) -> None:
    """After each step the next one is taken by another process; what others added meanwhile stays."""
    group = await a_group(member, tcp(22))
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=[tcp(80), tcp(443)])
    answer = await member.operate(member.network.replace_rules, request, forgetful=True)
    assert (answer.HasField("error"), kept(member)) == (False, ports(80, 443))


async def test_a_rule_that_others_add_or_remove_meanwhile_is_no_failure(
    member: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform refuses the whole call for it, and the rest is sent again."""
    group = await a_group(member, tcp(22), tcp(23))
    send, uuid, others = member.session.send, group.name[-32:], []

    async def late(call: Any, change: Any, *, job: str) -> Any:
        if change.template.endswith("/rules") and change.method not in others:
            others.append(change.method)
            if change.method == "POST":
                await member.act("POST", f"/security-groups/{uuid}/rules", rules=change.params["rules"][:1])
            else:
                await member.act("DELETE", f"/security-groups/rules?ruleUuids={change.params['ruleUuids'][0]}")
        return await send(call, change, job=job)

    monkeypatch.setattr(member.session, "send", late)
    await replaced(member, group, [tcp(80), tcp(443)])
    assert (others, kept(member)) == (["POST", "DELETE"], ports(80, 443))


async def test_added_rules_leave_the_others_and_those_that_are_there(member: Lab) -> None:
    """One that is there already is no write."""
    group = await a_group(member, tcp(22))
    member.cloud.control.clear_requests()
    assert len(own(await added(member, group, tcp(22), tcp(80)))) == 2
    assert [request.body["params"]["rules"][0]["dstPortRange"] for request in
            member.cloud.control.requests(call="AddSecurityGroupRule")] == ["80"]  # fmt: skip
    await added(member, group, tcp(22), tcp(80))
    assert writes(member) == ["AddSecurityGroupRule"]


async def test_a_rule_may_name_another_group(member: Lab) -> None:
    """As the far side."""
    web = await a_group(member, display_name="web-servers")
    group = await a_group(member, tcp(1, remote_security_group=web.name))
    assert [rule.remote_security_group for rule in own(group)] == [web.name]


async def test_rules_are_removed_by_their_ids(member: Lab) -> None:
    """One that the group does not have is not found, and nothing is removed, unless it may be missing."""
    group, other = await a_group(member, tcp(22)), await a_group(member, tcp(22), display_name="other")
    [ssh], [foreign] = ([rule.id for rule in own(one)] for one in (group, other))
    request = security_group_pb2.RemoveRulesRequest(name=group.name, rule_ids=[ssh, foreign, ssh])
    answer = await member.operate(member.network.remove_rules, request)
    assert (answer.error.code, foreign in answer.error.message) == (Code.NOT_FOUND.value[0], True)
    assert kept(member) == ports(22)
    request.allow_missing = True
    assert own(await member.made(member.network.remove_rules, request, Group)) == []
    assert [len(row["_rules"]) for row in groups(member, "other")] == [5]


async def test_the_platforms_own_rules_are_not_removed(member: Lab) -> None:
    """It refuses that; so nothing is tried."""
    group = await a_group(member)
    request = security_group_pb2.RemoveRulesRequest(name=group.name, rule_ids=[group.rules[0].id])
    answer = await member.operate(member.network.remove_rules, request)
    assert (answer.error.code, "built_in" in answer.error.message) == (Code.FAILED_PRECONDITION.value[0], True)
