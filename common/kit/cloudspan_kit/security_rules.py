"""Rules of security groups as every platform has them: what makes two of them the same, and what to change.

Adapters call `check_rules` before anything is sent and `difference` for ReplaceRules and AddRules.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Rule = security_group_pb2.SecurityGroup.Rule

_MAX_PORT, _MAX_ICMP = 65535, 255
_NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58", "ipv6-icmp": "58"}
_ICMP = ("1", "58")
_WITH_PORTS = ("6", "17", "33", "132", "136")  # tcp, udp, dccp, sctp, udplite
_ANY = {common_pb2.IP_VERSION_IPV4: "0.0.0.0/0", common_pb2.IP_VERSION_IPV6: "::/0"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns the rules of a group into those that are wanted."""

    missing: Sequence[Rule]
    surplus: Sequence[Rule]


def version_of(rule: Rule) -> common_pb2.IpVersion:
    """Return a rule's IP version: as said, else that of its range, else 4."""
    if rule.ip_version:
        return rule.ip_version
    if rule.remote_cidr and ":" in rule.remote_cidr:
        return common_pb2.IP_VERSION_IPV6
    return common_pb2.IP_VERSION_IPV4


def key_of(rule: Rule) -> tuple[object, ...]:
    """Return what a rule matches and does: two rules with the same key are the same, whatever their ids and texts.

    A rule that can't be told whole is only the same as itself, by its id.
    """
    if rule.unsupported_match:
        return (rule.id,)
    protocol = rule.protocol.lower()
    cidr = _whole(rule)
    return (
        rule.direction,
        version_of(rule),
        _NUMBERS.get(protocol, "" if protocol == "any" else protocol),
        rule.port_range_min if rule.HasField("port_range_min") else None,
        rule.port_range_max if rule.HasField("port_range_max") else None,
        cidr,
        rule.remote_security_group,
        rule.remote_address_group,
        rule.action or Rule.ACTION_ALLOW,
        rule.enabled if rule.HasField("enabled") else True,
    )


def _whole(rule: Rule) -> str:
    """Return the range in one spelling; the range of all addresses is the same as none."""
    if not rule.remote_cidr:
        return ""
    try:
        cidr = str(ipaddress.ip_network(rule.remote_cidr, strict=False))
    except ValueError:
        return rule.remote_cidr
    return "" if cidr == _ANY[version_of(rule)] else cidr


def difference(current: Iterable[Rule], wanted: Iterable[Rule]) -> Difference:
    """Return what has to be added and removed; rules that the platform keeps in each group are neither."""
    there = {key_of(rule): rule for rule in current if not rule.built_in}
    asked = {key_of(rule): rule for rule in wanted if not rule.built_in}
    missing = [rule for key, rule in asked.items() if key not in there]
    return Difference(missing, [rule for key, rule in there.items() if key not in asked])


def check_rules(rules: Sequence[Rule], field: str = "rules") -> None:
    """Raise InvalidRequest that names everything that no platform can make sense of."""
    violations = [
        Violation(f"{field}[{number}].{path}", text) for number, rule in enumerate(rules) for path, text in _wrong(rule)
    ]
    if violations:
        text = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
        raise InvalidRequest(text, reason="BAD_RULE", violations=violations)


def refuse_unsupported(missing: Iterable[Rule]) -> None:
    """Raise InvalidRequest where a rule that is to be added can't be told whole: nobody knows what to add."""
    if any(rule.unsupported_match for rule in missing):
        text = "a rule with unsupported_match can only be kept, by its id, and the group has none of that id"
        raise InvalidRequest(text, reason="BAD_RULE", violations=[Violation("rules", text)])


def _wrong(rule: Rule) -> Iterable[tuple[str, str]]:
    if rule.unsupported_match:  # told in part, so its other fields need not make sense; it can only be kept
        return
    if rule.direction not in (Rule.DIRECTION_INGRESS, Rule.DIRECTION_EGRESS):
        yield "direction", "must be DIRECTION_INGRESS or DIRECTION_EGRESS"
    if rule.remote_cidr:
        yield from _wrong_cidr(rule)
    number = _NUMBERS.get(rule.protocol.lower(), rule.protocol.lower())
    low, high = rule.HasField("port_range_min"), rule.HasField("port_range_max")
    if (low or high) and number not in (*_ICMP, *_WITH_PORTS):
        yield "port_range_min", f"has no meaning for the protocol {rule.protocol or 'any'!r}; name tcp, udp or icmp"
        return
    if high and not low:
        yield "port_range_min", "is unset and port_range_max is set; set both"
    most = _MAX_ICMP if number in _ICMP else _MAX_PORT
    for path, is_set in (("port_range_min", low), ("port_range_max", high)):
        if is_set and not 0 <= getattr(rule, path) <= most:
            yield path, f"is {getattr(rule, path)}; expected 0 to {most}"
    if low and high and number in _WITH_PORTS and rule.port_range_min > rule.port_range_max:
        yield "port_range_max", f"is {rule.port_range_max}, below port_range_min {rule.port_range_min}"


def _wrong_cidr(rule: Rule) -> Iterable[tuple[str, str]]:
    try:
        cidr = ipaddress.ip_network(rule.remote_cidr, strict=False)
    except ValueError:
        yield "remote_cidr", f"is {rule.remote_cidr!r}; expected a range such as 10.0.0.0/24"
        return
    if rule.ip_version and rule.ip_version != cidr.version:
        yield "ip_version", f"is {common_pb2.IpVersion.Name(rule.ip_version)}, but remote_cidr is {rule.remote_cidr}"
