"""Neutron's security groups and their rules."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.network.resource import COMMON, Resource, bad_request
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.store import Store

_PROTOCOLS = [
    None, "ah", "dccp", "egp", "esp", "gre", "hopopt", "icmp", "igmp", "ip", "ipip", "ipv6-encap", "ipv6-frag",
    "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp", "udp",
    "udplite", "vrrp",
]  # fmt: skip
_SAME = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)


class SecurityGroups(Resource):
    """/v2.0/security-groups."""

    one, many = "security_group", "security_groups"
    missing_kind, missing_text = "SecurityGroupNotFound", "Security group {} does not exist"
    attributes = COMMON | {"stateful", "shared", "security_group_rules"}

    def make(self, call: Call, asked: Json) -> Json:
        if asked.get("name") == "default":
            raise Refused(409, "Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
        return new_group(self._store, self.common(call, asked)) | {"stateful": asked.get("stateful", True)}

    def change(self, call: Call, row: Json, asked: Json) -> None:
        if row["name"] == "default" and "name" in asked:
            raise Refused(409, "Updating default security group not allowed.", "SecurityGroupCannotUpdateDefault")
        row.update(asked)

    def check_deletable(self, row: Json) -> None:
        if any(row["id"] in port["security_groups"] for port in self._store.ports):
            raise Refused(409, f"Security Group {row['id']} in use.", "SecurityGroupInUse")
        if row["name"] == "default":
            text = "Insufficient rights for removing default security group."
            raise Refused(409, text, "SecurityGroupCannotRemoveDefault")

    def removed(self, row: Json) -> None:
        rules = self._store.security_group_rules
        for rule in [r for r in rules if row["id"] in (r["security_group_id"], r["remote_group_id"])]:
            rules.remove(rule["id"])
            group = self._store.security_groups.get(rule["security_group_id"])
            if group is not None:  # of another group that named this one: the database cascades
                group["security_group_rules"].remove(rule)


class SecurityGroupRules(Resource):
    """/v2.0/security-group-rules."""

    one, many = "security_group_rule", "security_group_rules"
    required = ("security_group_id", "direction")
    missing_kind, missing_text = "SecurityGroupRuleNotFound", "Security group rule {} does not exist"
    attributes = COMMON | {
        "security_group_id", "ethertype", "direction", "protocol", "port_range_min", "port_range_max",
        "remote_ip_prefix", "remote_address_group_id", "normalized_cidr", "remote_group_id",
    }  # fmt: skip

    def make(self, call: Call, asked: Json) -> Json:
        group = self._store.security_groups.get(asked["security_group_id"])
        if group is None or not self.visible(call, group):
            text = f"Security group {asked['security_group_id']} does not exist"
            raise Refused(404, text, "SecurityGroupNotFound")
        _check_rule(asked)
        row = new_rule(self._store, group, asked)
        for other in group["security_group_rules"]:
            if all(other[key] == row[key] for key in _SAME):
                text = f"Security group rule already exists. Rule id is {other['id']}."
                raise Refused(409, text, "SecurityGroupRuleExists")
        group["security_group_rules"].append(row)
        self.touched(group)
        return row

    def removed(self, row: Json) -> None:
        group = self._store.security_groups.get(row["security_group_id"])
        if group is not None:
            group["security_group_rules"].remove(row)
            self.touched(group)


def new_group(store: Store, common: Json) -> Json:
    """Return a group with the two egress rules every new one has, the rules already kept."""
    row: Json = common | {"stateful": True, "shared": False, "security_group_rules": []}
    for ethertype in ("IPv4", "IPv6"):
        rule = new_rule(store, row, {"direction": "egress", "ethertype": ethertype, "description": None})
        store.security_group_rules.add(rule["id"], rule)
        row["security_group_rules"].append(rule)
    return row


def new_rule(store: Store, group: Json, asked: Json) -> Json:
    now = store.stamp()
    prefix, version, protocol = asked.get("remote_ip_prefix"), asked.get("ethertype", "IPv4"), asked.get("protocol")
    if version == "IPv6" and protocol in ("icmp", "icmpv6"):
        protocol = "ipv6-icmp"
    return {
        "id": store.new_id(),
        "tenant_id": group["project_id"],
        "security_group_id": group["id"],
        "ethertype": version,
        "direction": asked["direction"],
        "protocol": protocol,
        "port_range_min": asked.get("port_range_min"),
        "port_range_max": asked.get("port_range_max"),
        "remote_ip_prefix": prefix,
        "remote_address_group_id": asked.get("remote_address_group_id"),
        "normalized_cidr": str(ipaddress.ip_network(prefix, strict=False)) if prefix else None,
        "remote_group_id": asked.get("remote_group_id"),
        "description": asked.get("description", ""),
        "created_at": now,
        "updated_at": now,
        "revision_number": 0,
        "project_id": group["project_id"],
    }


def _check_rule(asked: Json) -> None:
    if asked["direction"] not in ("ingress", "egress"):
        raise bad_request(f"Invalid input for direction. Reason: {asked['direction']} is not in valid_values.")
    if (kind := asked.get("ethertype", "IPv4")) not in ("IPv4", "IPv6"):
        text = f"Security group rule for ethertype '{kind}' not supported. Allowed values are ['IPv4', 'IPv6']."
        raise Refused(400, text, "SecurityGroupRuleInvalidEtherType")
    protocol = asked.get("protocol")
    if protocol not in _PROTOCOLS and not (str(protocol).isdigit() and int(str(protocol)) < 256):
        text = (
            f"Security group rule protocol {protocol} not supported. Only protocol values {_PROTOCOLS} and integer "
            "representations [0 to 255] are supported."
        )
        raise Refused(400, text, "SecurityGroupRuleInvalidProtocol")
    _check_ports_and_remote(asked, protocol)


def _check_ports_and_remote(asked: Json, protocol: str | None) -> None:
    low, high = asked.get("port_range_min"), asked.get("port_range_max")
    if low is not None and protocol is None:
        text = "Must also specify protocol if port range is given."
        raise Refused(400, text, "SecurityGroupProtocolRequiredWithPorts")
    if protocol in ("tcp", "udp") and low is not None and high is not None and low > high:
        text = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        raise Refused(400, text, "SecurityGroupInvalidPortRange")
    remotes = [key for key in ("remote_ip_prefix", "remote_group_id", "remote_address_group_id") if asked.get(key)]
    if len(remotes) > 1:
        text = "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."
        raise Refused(400, text, "SecurityGroupMultipleRemoteEntites")
    if prefix := asked.get("remote_ip_prefix"):
        try:
            ipaddress.ip_network(prefix, strict=False)
        except ValueError:
            raise Refused(400, f"Invalid CIDR {prefix} given as IP prefix.", "InvalidCIDR") from None
