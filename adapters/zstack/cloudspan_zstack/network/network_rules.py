"""Security group rules in our words. `network_mapping` calls it for every group.

A rule of ZStack's names several ranges of addresses and of ports at once, by lists; ours has one of each, so one of
theirs becomes several of ours with the same id. What drops packets, or is switched off, lets nothing through: it is no
rule in our sense and is left out (view FULL shows it).
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING

from cloudspan.v1 import security_group_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudspan_zstack.network.network_rows import RuleRow, SecurityGroupRow

Rule = security_group_pb2.SecurityGroup.Rule

_INGRESS = "Ingress"
_DIRECTIONS = {_INGRESS: Rule.DIRECTION_INGRESS, "Egress": Rule.DIRECTION_EGRESS}
_ANYWHERE = ("0.0.0.0/0", "::/0")


def rules_of(group: SecurityGroupRow, prefix: str) -> Iterator[Rule]:
    """Iterate the rules that let something through; `prefix` is that of security groups' names, with its slash."""
    for row in group.rules:
        is_default = row.priority == 0 and row.remote_security_group_uuid == group.uuid
        # Every group has four of these, between its members; nobody made them and nobody can change them.
        if not is_default and row.state != "Disabled" and row.action in ("", "ACCEPT"):
            yield from _single(row, prefix)


def _single(row: RuleRow, prefix: str) -> Iterator[Rule]:
    remote = row.remote_security_group_uuid
    for cidr in _cidrs(row):
        for first, last in _ports(row):
            yield Rule(
                id=row.uuid,
                direction=_DIRECTIONS.get(row.type, Rule.DIRECTION_UNSPECIFIED),
                ip_version=row.ip_version,
                protocol=None if row.protocol in ("", "ALL") else row.protocol.lower(),
                port_range_min=first,
                port_range_max=last,
                has_port_range=first is not None,
                remote_cidr=cidr,
                remote_security_group=prefix + remote if remote else None,
                description=row.description,
            )


def _cidrs(row: RuleRow) -> list[str | None]:
    """Return the far side's ranges; a single None for any."""
    told = (row.src_ip_range if row.type == _INGRESS else row.dst_ip_range) or row.allowed_cidr
    found = [cidr for part in told.split(",") for cidr in _networks(part.strip())]
    return [cidr for cidr in found if cidr not in _ANYWHERE] or [None]


def _networks(part: str) -> list[str]:
    """Return what one part of a list names: `10.0.0.5-10.0.0.9` is no CIDR, but a few of them."""
    first, dash, last = part.partition("-")
    try:
        if dash:
            return [str(network) for network in summarize_address_range(ip_address(first), ip_address(last))]
        return [str(ip_network(first, strict=False))] if first else []
    except (ValueError, TypeError):
        return [part]  # a new way of writing it: told as it is rather than not at all


def _ports(row: RuleRow) -> list[tuple[int | None, int | None]]:
    """Return the port ranges; a single (None, None) for all."""
    if row.dst_port_range:
        parts = [part.strip().partition("-") for part in row.dst_port_range.split(",")]
        return [(int(first), int(last or first)) for first, _, last in parts]
    if row.start_port < 0 or row.protocol == "ALL":
        return [(None, None)]
    return [(row.start_port, row.end_port)]
