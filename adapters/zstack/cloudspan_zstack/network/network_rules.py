"""Security group rules in our words. `network_mapping` calls it for every group.

One rule of ZStack's is one of ours. It may name several ranges of addresses and of ports at once, by lists, and ours
has one of each: what does not fit is told as it is in `unsupported_match`, so that nobody takes the rule for wider than
it is. Every group has four rules between its members that nobody made and nobody can change: they are `built_in`.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import common_pb2, security_group_pb2

if TYPE_CHECKING:
    from cloudspan_zstack.network.network_rows import RuleRow, SecurityGroupRow

Rule = security_group_pb2.SecurityGroup.Rule

_INGRESS, _EGRESS = "Ingress", "Egress"
_DIRECTIONS = {_INGRESS: Rule.DIRECTION_INGRESS, _EGRESS: Rule.DIRECTION_EGRESS}
_ACTIONS = {"ACCEPT": Rule.ACTION_ALLOW, "": Rule.ACTION_ALLOW, "DROP": Rule.ACTION_DROP}
_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}
_ANYWHERE = ("0.0.0.0/0", "::/0")


def rules_of(group: SecurityGroupRow, prefix: str) -> list[Rule]:
    """Return all rules of a group; `prefix` is that of security groups' names, with its slash.

    The platform tells them in another order from call to call: here they stand by direction and priority.
    """
    return [_rule(row, group.uuid, prefix) for row in sorted(group.rules, key=lambda r: (r.type, r.priority, r.uuid))]


def ip_version(number: int) -> Any:
    """Return the contract's word for an IP version."""
    return _VERSIONS.get(number, common_pb2.IP_VERSION_UNKNOWN)


def _rule(row: RuleRow, group: str, prefix: str) -> Rule:
    unsupported: dict[str, str] = {}
    remote = row.remote_security_group_uuid
    first, last = _ports(row, unsupported)
    cidr = _cidr(row, unsupported)
    return Rule(
        id=row.uuid,
        direction=_DIRECTIONS.get(row.type, Rule.DIRECTION_UNKNOWN),
        ip_version=ip_version(row.ip_version),
        protocol="" if row.protocol == "ALL" else row.protocol.lower(),
        port_range_min=first,
        port_range_max=last,
        # Only one of them can be set: with a group, a range narrows it further.
        remote_cidr=None if remote else cidr,
        remote_security_group=prefix + remote if remote else None,
        description=row.description,
        action=_ACTIONS.get(row.action, Rule.ACTION_UNKNOWN),
        enabled=row.state == "Enabled" if row.state else None,
        priority=row.priority if row.priority >= 0 else None,
        built_in=row.priority == 0 and remote == group,
        unsupported_match=unsupported | ({"allowedCidr": cidr} if remote and cidr else {}),
    )


def _cidr(row: RuleRow, unsupported: dict[str, str]) -> str | None:
    """Return the far side's range; None for any, and for what is no single range, which goes to `unsupported`."""
    own, other = ("srcIpRange", row.src_ip_range), ("dstIpRange", row.dst_ip_range)
    if row.type == _EGRESS:
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
        if first.isdecimal() and (last or first).isdecimal():
            return int(first), int(last or first)
        unsupported["dstPortRange"] = row.dst_port_range
        return None, None
    if row.start_port < 0 or row.protocol == "ALL":
        return None, None
    return row.start_port, row.end_port
