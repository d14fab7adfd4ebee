"""Rules of security groups: which are the same, what is missing and surplus, and which make no sense anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_kit import check_rules, difference, key_of, refuse_unsupported

Rule = security_group_pb2.SecurityGroup.Rule
IN, OUT = Rule.DIRECTION_INGRESS, Rule.DIRECTION_EGRESS
V6 = common_pb2.IP_VERSION_IPV6


def rule(**fields: Any) -> Any:
    return Rule(**({"direction": IN} | fields))


def tcp(port: int, **fields: Any) -> Any:
    return rule(protocol="tcp", port_range_min=port, port_range_max=port, **fields)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tcp(22, id="1", description="ssh"), tcp(22, id="2")),
        (rule(protocol="TCP"), rule(protocol="6")),
        (rule(protocol="any"), rule()),
        (rule(protocol="icmpv6", ip_version=V6), rule(protocol="ipv6-icmp", remote_cidr="::/0")),
        (tcp(22, remote_cidr="0.0.0.0/0"), tcp(22)),
        (tcp(22, remote_cidr="10.0.0.7/24"), tcp(22, remote_cidr="10.0.0.0/24")),
        (tcp(22, action=Rule.ACTION_ALLOW, enabled=True), tcp(22)),
    ],
)
def test_two_spellings_of_a_rule_are_the_same(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    "other",
    [
        tcp(23),
        rule(direction=OUT, protocol="tcp", port_range_min=22, port_range_max=22),
        tcp(22, ip_version=V6),
        tcp(22, remote_cidr="10.0.0.0/8"),
        tcp(22, remote_security_group="g"),
        tcp(22, action=Rule.ACTION_DROP),
        tcp(22, enabled=False),
        rule(protocol="udp", port_range_min=22, port_range_max=22),
    ],
)
def test_rules_that_match_or_do_something_else_are_not_the_same(other: Any) -> None:
    assert key_of(tcp(22)) != key_of(other)


def test_a_difference_names_what_to_add_and_what_to_remove() -> None:
    """What stays is in neither, nor what the platform keeps in every group; a rule asked for twice is one."""
    current = [tcp(22, id="a"), tcp(80, id="b"), rule(id="c", built_in=True)]
    found = difference(current, [tcp(80), tcp(443), tcp(443)])
    assert [one.port_range_min for one in found.missing] == [443]
    assert [one.id for one in found.surplus] == ["a"]


def test_a_rule_that_can_not_be_shown_whole_is_only_the_same_as_itself() -> None:
    """It matches more than the contract can say, so one that looks alike does not replace it."""
    strange = tcp(22, id="a", unsupported_match={"icmp_type": "8"})
    assert [one.id for one in difference([strange], [tcp(22)]).surplus] == ["a"]
    assert difference([strange], [strange]).surplus == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Rule(protocol="tcp"), "rules[1].direction"),
        (rule(port_range_min=1, port_range_max=2), "rules[1].port_range_min"),
        (rule(protocol="tcp", port_range_max=2), "rules[1].port_range_min"),
        (tcp(70000), "rules[1].port_range_min"),
        (rule(protocol="icmp", port_range_min=256), "rules[1].port_range_min"),
        (rule(protocol="tcp", port_range_min=9, port_range_max=2), "rules[1].port_range_max"),
        (rule(remote_cidr="10.0.0.0/33"), "rules[1].remote_cidr"),
        (rule(remote_cidr="10.0.0.0/8", ip_version=V6), "rules[1].ip_version"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_place_and_field(wrong: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_rules([tcp(22), wrong])
    assert refused.value.reason == "BAD_RULE"
    assert field in [violation.field for violation in refused.value.violations]


def test_a_rule_that_is_told_in_part_can_be_kept_and_never_added() -> None:
    """Its other fields need not make sense."""
    told = Rule(id="a", port_range_min=9, unsupported_match={"direction": "sideways"})
    check_rules([told])
    refuse_unsupported([tcp(22)])
    with pytest.raises(InvalidRequest, match="can only be kept, by its id"):
        refuse_unsupported([tcp(22), told])
