"""Rules of security groups, as the platform tells and takes them; `security_groups` changes them.

One rule of ZStack's is one of ours. It may name several ranges of addresses and of ports at once, by lists, and ours
has one of each: what does not fit is told as it is in `unsupported_match`, so that nobody takes the rule for wider than
it is. Every group has four rules between its members that nobody made and nobody can change: they are `built_in`.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_kit import OTHERS, check_rules, key_of, native_id, version_of
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan_common.names import ClusterRef

Rule = security_group_pb2.SecurityGroup.Rule

INGRESS, EGRESS = "Ingress", "Egress"
DIRECTIONS = {INGRESS: Rule.DIRECTION_INGRESS, EGRESS: Rule.DIRECTION_EGRESS}
_DIRECTION_WORDS = {direction: word for word, direction in DIRECTIONS.items()}
_ACTIONS = {"ACCEPT": Rule.ACTION_ALLOW, "": Rule.ACTION_ALLOW, "DROP": Rule.ACTION_DROP}
_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}
_VERSION_NUMBERS = {version: number for number, version in _VERSIONS.items()}
_ICMP_OF_IPV6 = ("icmpv6", "ipv6-icmp", "58")
_PROTOCOLS = {
    "": "", "any": "", "tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp",
    **dict.fromkeys(_ICMP_OF_IPV6, "icmp"),
}  # fmt: skip
"""Names and numbers of protocols -> what the platform's rules call them; empty is any."""
_WITH_PORTS = ("tcp", "udp")
_ALL_PORTS = (1, 65535)
_ANYWHERE = ("0.0.0.0/0", "::/0")


class RuleRow(Row, kw_only=True, forbid_unknown_fields=True):
    """One rule. What isn't known here may restrict it, so it is kept in `others`, and numbers are kept as texts."""

    type: str = ""
    ip_version: int = 4
    protocol: str = ""
    state: str = ""
    action: str = ""
    priority: int = -1
    src_ip_range: str = ""
    dst_ip_range: str = ""
    src_port_range: str = ""
    dst_port_range: str = ""
    remote_security_group_uuid: str = ""
    allowed_cidr: str = ""
    start_port: int | str = -1
    end_port: int | str = -1
    security_group_uuid: Any = None
    others: dict[str, Any] = msgspec.field(name=OTHERS, default_factory=dict)


class Rules:
    """Rules of one cluster's groups."""

    def __init__(self, ref: ClusterRef) -> None:
        self._ref, self._groups = ref, f"{ref}/securityGroups/"

    def of(self, rows: Iterable[RuleRow], group: str) -> list[Rule]:
        """Return a group's rules by direction and priority: the platform's order differs from call to call."""
        return [self._rule(row, group) for row in sorted(rows, key=lambda row: (row.type, row.priority, row.uuid))]

    def _rule(self, row: RuleRow, group: str) -> Rule:
        unsupported = {name: str(value) for name, value in row.others.items()}
        remote = row.remote_security_group_uuid
        first, last = _ports(row, unsupported)
        cidr = _cidr(row, unsupported)
        return Rule(
            id=row.uuid,
            direction=DIRECTIONS.get(row.type, Rule.DIRECTION_UNKNOWN),
            ip_version=_VERSIONS.get(row.ip_version, common_pb2.IP_VERSION_UNKNOWN),
            protocol="" if row.protocol == "ALL" else row.protocol.lower(),
            port_range_min=first,
            port_range_max=last,
            # Only one of them can be set: with a group, a range narrows it further.
            remote_cidr=None if remote else cidr,
            remote_security_group=self._groups + remote if remote else None,
            description=row.description,
            action=_ACTIONS.get(row.action, Rule.ACTION_UNKNOWN),
            enabled=row.state == "Enabled" if row.state else None,
            priority=row.priority if row.priority >= 0 else None,
            built_in=row.priority == 0 and remote == group,
            unsupported_match=unsupported | ({"allowedCidr": cidr} if remote and cidr else {}),
        )

    def wanted(self, rules: Sequence[Rule]) -> list[Rule]:
        """Return the rules of a request as they are read once they are there, without `built_in` ones.

        Raises:
            InvalidRequest: One contradicts itself, or does what the platform's rules can't do.
        """
        check_rules(rules)
        wrong = [
            Violation(f"rules[{i}].{field}", text) for i, rule in enumerate(rules) for field, text in _beyond(rule)
        ]
        if wrong:
            text = "; ".join(f"{violation.field} {violation.description}" for violation in wrong)
            raise InvalidRequest(text, reason="BAD_RULE", violations=wrong)
        for i, rule in enumerate(rules):
            native_id(self._ref, "securityGroups", rule.remote_security_group, f"rules[{i}].remote_security_group")
        return [_as_read(rule) for rule in rules if not rule.built_in]

    def native(self, rule: Rule) -> dict[str, Any]:
        """Return a rule of `wanted` as the platform takes it."""
        far = "srcIpRange" if rule.direction == Rule.DIRECTION_INGRESS else "dstIpRange"
        cidr = str(ip_network(rule.remote_cidr, strict=False)) if rule.remote_cidr else ""
        fields = {
            "type": _DIRECTION_WORDS[rule.direction],
            "ipVersion": _VERSION_NUMBERS[rule.ip_version],
            "protocol": rule.protocol.upper() or "ALL",
            "action": "DROP" if rule.action == Rule.ACTION_DROP else "ACCEPT",
            "state": "Enabled" if rule.enabled else "Disabled",
            "description": rule.description,
            "dstPortRange": _range(rule.port_range_min, rule.port_range_max) if rule.protocol in _WITH_PORTS else "",
            far: cidr if cidr not in _ANYWHERE else "",
            "remoteSecurityGroupUuid": rule.remote_security_group.removeprefix(self._groups),
        }
        return {name: value for name, value in fields.items() if value}


def effect_of(rule: Rule) -> tuple[object, ...]:
    """Return what a rule matches and does, whether it is enabled or not: no group has two with the same."""
    same = Rule()
    same.CopyFrom(rule)
    same.enabled = True
    return key_of(same)


def _cidr(row: RuleRow, unsupported: dict[str, str]) -> str | None:
    """Return the far side's range; None for any, and for what is no single range, which goes to `unsupported`."""
    own, other = ("srcIpRange", row.src_ip_range), ("dstIpRange", row.dst_ip_range)
    if row.type == EGRESS:
        own, other = other, own
    if other[1]:
        unsupported[other[0]] = other[1]
    name, told = own if own[1] else ("allowedCidr", row.allowed_cidr)
    if not told or told in _ANYWHERE:
        return None
    try:
        return str(ip_network(told, strict=False))
    except ValueError:
        unsupported[name] = told  # a list, or a range that is not a CIDR: 10.0.0.5-10.0.0.9
        return None


def _ports(row: RuleRow, unsupported: dict[str, str]) -> tuple[int | None, int | None]:
    """Return first and last port; None for all, and for what is no single range, which goes to `unsupported`."""
    if row.src_port_range:
        unsupported["srcPortRange"] = row.src_port_range
    if row.dst_port_range:
        first, _, last = row.dst_port_range.partition("-")
        if _is_port(first) and _is_port(last or first):
            return int(first), int(last or first)
        unsupported["dstPortRange"] = row.dst_port_range
        return None, None
    ports = {"startPort": row.start_port, "endPort": row.end_port}
    if row.protocol == "ALL" or ports["startPort"] == -1:
        return None, None
    if not all(_is_port(str(port)) for port in ports.values()):
        unsupported |= {name: str(port) for name, port in ports.items()}
        return None, None
    return int(row.start_port), int(row.end_port)


def _is_port(text: str) -> bool:
    return text.isdecimal() and int(text) <= _ALL_PORTS[1]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _beyond(rule: Rule) -> Iterable[tuple[str, str]]:
    """Yield what the platform's rules can't do."""
    if rule.built_in or rule.unsupported_match:
        return
    protocol, version = _PROTOCOLS.get(rule.protocol.lower()), version_of(rule)
    if protocol is None:
        yield "protocol", f"is {rule.protocol!r}; rules of this platform are for tcp, udp, icmp or, when empty, any"
    if protocol == "icmp" and rule.HasField("port_range_min"):
        yield "port_range_min", "can't be matched: rules of this platform match all types of ICMP; leave it out"
    if protocol in _WITH_PORTS and rule.HasField("port_range_min") != rule.HasField("port_range_max"):
        yield "port_range_max", "is unset and port_range_min is set; set both"
    if rule.remote_address_group:
        yield "remote_address_group", "can't be matched: this platform has no address groups"
    if rule.action not in (Rule.ACTION_UNSPECIFIED, Rule.ACTION_ALLOW, Rule.ACTION_DROP):
        yield "action", "must be ACTION_ALLOW or ACTION_DROP"
    if version not in _VERSION_NUMBERS:
        yield "ip_version", "must be IP_VERSION_IPV4 or IP_VERSION_IPV6"
    elif rule.protocol.lower() in _ICMP_OF_IPV6 and version != common_pb2.IP_VERSION_IPV6:
        yield "ip_version", f"must be IP_VERSION_IPV6 for the protocol {rule.protocol}"
    if rule.HasField("priority") and rule.priority < 1:
        yield "priority", f"is {rule.priority}; the first place is 1"


def _as_read(rule: Rule) -> Rule:
    found = Rule()
    found.CopyFrom(rule)
    if rule.unsupported_match:
        return found
    found.protocol, found.ip_version = _PROTOCOLS[rule.protocol.lower()], version_of(rule)
    found.enabled = rule.enabled or not rule.HasField("enabled")
    if found.protocol in _WITH_PORTS and not rule.HasField("port_range_min"):
        found.port_range_min, found.port_range_max = _ALL_PORTS  # tcp and udp need ports, and there is no "all"
    return found
