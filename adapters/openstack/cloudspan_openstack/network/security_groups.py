"""Security groups: Neutron's, with their rules, which all let packets through."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import common_pb2, security_group_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, NotFound, PreconditionFailed, Violation
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import (
    BY_MARKER,
    OTHERS,
    Call,
    Capability,
    Kind,
    KindDriver,
    Made,
    Operation,
    check_rules,
    difference,
    native_id,
    push,
    refuse_unsupported,
    version_of,
)
from cloudspan_kit.drivers import SecurityGroupDriver
from cloudspan_openstack.cloud.neutron import Neutron, NeutronBody, Row, goes_with_it, in_tags
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import check_text, description_of, labels_of, tags_of, timestamp
from cloudspan_openstack.network.ports import name_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cloudspan_common.names import ClusterRef

Group = security_group_pb2.SecurityGroup
Rule = Group.Rule

_DIRECTIONS = {"ingress": Rule.DIRECTION_INGRESS, "egress": Rule.DIRECTION_EGRESS}
_DIRECTION_WORDS = {direction: word for word, direction in _DIRECTIONS.items()}
_VERSIONS = {"IPv4": common_pb2.IP_VERSION_IPV4, "IPv6": common_pb2.IP_VERSION_IPV6}
_VERSION_WORDS = {version: word for word, version in _VERSIONS.items()}
_ACTIONS = {
    **dict.fromkeys(("allow", "accept", "permit"), Rule.ACTION_ALLOW),
    **dict.fromkeys(("deny", "drop", "reject"), Rule.ACTION_DROP),
}
_MAX_PORT, _PORT = 65535, re.compile(r"\d{1,5}")
_DEFAULT = "default"
"""The name that Neutron keeps for the group that it makes for each project."""
_SAME_RULE = re.compile(r"Rule id is ([0-9a-f-]+)")


class RuleRow(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One rule. What isn't known here may restrict it, so it is kept in `others`, and numbers are kept as texts."""

    id: str
    direction: str | None = None
    ethertype: str | None = None
    protocol: str | int | None = None
    port_range_min: int | str | None = None
    port_range_max: int | str | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    description: str | None = None
    # Not Neutron's own: clouds that also drop packets tell it here.
    action: str | None = None
    enabled: bool | None = None
    priority: int | None = None
    # These restrict nothing.
    normalized_cidr: Any = None
    security_group_id: Any = None
    belongs_to_default_sg: Any = None
    tenant_id: Any = None
    project_id: Any = None
    created_at: Any = None
    updated_at: Any = None
    revision_number: Any = None
    standard_attr_id: Any = None
    tags: Any = None
    others: dict[str, Any] = msgspec.field(name=OTHERS, default_factory=dict)


class SecurityGroupRow(Row, kw_only=True):
    stateful: bool | None = None
    rules: list[RuleRow] = msgspec.field(name="security_group_rules", default_factory=list)


_GROUPS = Neutron("/security-groups", "security_group", shared=True)
_RULES = Neutron("/security-group-rules", "security_group_rule")

SECURITY_GROUPS = Kind(
    collection="securityGroups",
    message=Group,
    row=SecurityGroupRow,
    source=_GROUPS,
    sort={"display_name": "name"},
    changes_since="changed_since",
    push={"name": push.ref("id", "securityGroups"), "display_name": push.text("name")},
    safety=BY_MARKER,
    marker=in_tags(),
)


class SecurityGroups(KindDriver[SecurityGroupRow, Group], SecurityGroupDriver):
    """SecurityGroupService."""

    kind = SECURITY_GROUPS
    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._groups, self._projects = f"{ref}/securityGroups/", f"{ref}/projects/"
        self._address_groups = f"{ref}/addressGroups/"

    def message(self, row: SecurityGroupRow) -> Group:
        return Group(
            name=self._groups + row.id,
            display_name=row.name,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            stateful=row.stateful,
            rules=self._rules(row),
            is_default=row.name == _DEFAULT,
            etag=row.etag,
        )

    def _rules(self, row: SecurityGroupRow) -> list[Rule]:
        return [self._rule(rule) for rule in row.rules]

    def _rule(self, row: RuleRow) -> Rule:
        unsupported = {name: _text(value) for name, value in row.others.items()}
        return Rule(
            **self._remote(row, unsupported),
            id=row.id,
            direction=_DIRECTIONS.get(row.direction or "", Rule.DIRECTION_UNKNOWN),
            ip_version=_VERSIONS.get(row.ethertype or "", common_pb2.IP_VERSION_UNKNOWN),
            protocol=None if row.protocol is None else str(row.protocol),
            port_range_min=_port("port_range_min", row.port_range_min, unsupported),
            port_range_max=_port("port_range_max", row.port_range_max, unsupported),
            description=row.description,
            # All that Neutron's own rules can do is let packets through.
            action=_ACTIONS.get((row.action or "allow").lower(), Rule.ACTION_UNKNOWN),
            enabled=row.enabled is not False,
            priority=row.priority,
            unsupported_match=unsupported,
        )

    def _remote(self, row: RuleRow, unsupported: dict[str, str]) -> dict[str, Any]:
        """Return the far side; the contract has room for one, what narrows it further goes to `unsupported`."""
        told = (
            ("remote_security_group", self._groups, "remote_group_id", row.remote_group_id),
            ("remote_address_group", self._address_groups, "remote_address_group_id", row.remote_address_group_id),
            ("remote_cidr", "", "remote_ip_prefix", row.remote_ip_prefix),
        )
        found = [(field, prefix + value, native, value) for field, prefix, native, value in told if value]
        unsupported |= {native: value for _, _, native, value in found[1:]}
        return {field: value for field, value, _, _ in found[:1]}

    # ------------------------------------------------------------------ the group

    async def create_security_group(
        self, op: Operation, request: security_group_pb2.CreateSecurityGroupRequest
    ) -> Group:
        wanted, rules = request.security_group, self._bodies(request.rules)
        refuse_unsupported(request.rules)
        tags = tags_of(wanted.labels, "security_group.labels")
        check_text(wanted.description, "security_group.description")
        fields: dict[str, object] = {"name": wanted.display_name}
        if wanted.HasField("stateful"):
            fields["stateful"] = wanted.stateful
        made = await op.create(SECURITY_GROUPS, NeutronBody(fields, tags, wanted.description))
        for number, body in enumerate(rules):
            await _add(op, made.id, number, body, undo=goes_with_it)
        return await self._now(op, made.id)

    async def update_security_group(
        self, op: Operation, request: security_group_pb2.UpdateSecurityGroupRequest
    ) -> Group:
        changed, wanted = changed_fields(request, "security_group"), request.security_group
        check_text(wanted.description, "security_group.description")
        asked = {
            "display_name": ("name", wanted.display_name),
            "description": ("description", wanted.description),
            "stateful": ("stateful", wanted.stateful or not wanted.HasField("stateful")),
        }
        fields = dict(native for field, native in asked.items() if field in changed)
        tags = tags_of(wanted.labels, "security_group.labels") if "labels" in changed else None
        op.set_resource(self._groups + op.call.id)
        await _GROUPS.update(op, SECURITY_GROUPS, op.call.id, fields, tags)
        return await self._now(op, op.call.id)

    async def delete_security_group(
        self, op: Operation, request: security_group_pb2.DeleteSecurityGroupRequest
    ) -> None:
        refused = name_ports("securityGroups", "security_groups", "{id}")
        await op.delete(SECURITY_GROUPS, op.call.id, check=self._refuse_default, refused=refused)

    async def _refuse_default(self, call: Call, group_id: str) -> None:
        """Neutron refuses it to members only; an administrator's delete would take it and its rules along."""
        try:
            row = await _GROUPS.row(call, SECURITY_GROUPS, group_id)
        except NotFound:
            return
        if row.name == _DEFAULT:
            name = self._groups + group_id
            text = f"{name} is the default group of its project, which can't be deleted; remove its rules instead"
            raise PreconditionFailed(text, reason="OPERATION_REFUSED", resource=name)

    # ------------------------------------------------------------------ its rules

    async def replace_rules(self, op: Operation, request: security_group_pb2.ReplaceRulesRequest) -> Group:
        return await self._change_rules(op, request.rules, replace=True)

    async def add_rules(self, op: Operation, request: security_group_pb2.AddRulesRequest) -> Group:
        return await self._change_rules(op, request.rules, replace=False)

    async def remove_rules(self, op: Operation, request: security_group_pb2.RemoveRulesRequest) -> Group:
        async def look() -> dict[str, list[str]]:
            there = {rule.id for rule in (await _GROUPS.row(op.call, SECURITY_GROUPS, op.call.id)).rules}
            missing = [rule_id for rule_id in request.rule_ids if rule_id not in there]
            if missing and not request.allow_missing:
                text = f"{request.name} has no rule {', '.join(missing)}; GetSecurityGroup shows which it has"
                raise NotFound(text, reason="RULE_UNKNOWN", resource=request.name)
            return {"surplus": [rule_id for rule_id in dict.fromkeys(request.rule_ids) if rule_id in there]}

        op.set_resource(request.name)
        plan = await op.read_once("rules", look)
        for rule_id in plan["surplus"]:
            await _remove(op, rule_id)
        return await self._now(op, op.call.id)

    async def _change_rules(self, op: Operation, asked: Sequence[Rule], *, replace: bool) -> Group:
        bodies = self._bodies(asked)

        async def look() -> dict[str, list[str]]:
            row = await _GROUPS.row(op.call, SECURITY_GROUPS, op.call.id)
            wanted = list(asked)
            found = difference(self._rules(row), wanted)
            refuse_unsupported(found.missing)
            missing = [str(number) for number, rule in enumerate(wanted) if any(rule is one for one in found.missing)]
            return {"missing": missing, "surplus": [rule.id for rule in found.surplus] if replace else []}

        op.set_resource(self._groups + op.call.id)
        plan = await op.read_once("rules", look)
        # What Neutron finds there under another spelling, such as ipv6-icmp for icmp, is not surplus.
        kept = [await _add(op, op.call.id, int(number), bodies[int(number)]) for number in plan["missing"]]
        for rule_id in plan["surplus"]:
            if rule_id not in kept:
                await _remove(op, rule_id)
        return await self._now(op, op.call.id)

    async def _now(self, op: Operation, group_id: str) -> Group:
        row = await op.ready(SECURITY_GROUPS, Made(group_id), step="readable", percent=90)
        return await self.to_message(op.call, row)

    def _bodies(self, rules: Sequence[Rule]) -> list[dict[str, object]]:
        """Return rules as Neutron takes them; nothing for those that can only be kept.

        Raises:
            InvalidRequest: One contradicts itself, or does what Neutron's rules can't do.
        """
        check_rules(rules)
        wrong = [
            Violation(f"rules[{i}].{field}", text) for i, rule in enumerate(rules) for field, text in _beyond(rule)
        ]
        if wrong:
            text = "; ".join(f"{violation.field} {violation.description}" for violation in wrong)
            raise InvalidRequest(text, reason="BAD_RULE", violations=wrong)
        return [
            {} if rule.unsupported_match else self._body(rule, f"rules[{number}]") for number, rule in enumerate(rules)
        ]

    def _body(self, rule: Rule, field: str) -> dict[str, object]:
        check_text(rule.description, f"{field}.description")
        ref, group, addresses = self._ref, rule.remote_security_group, rule.remote_address_group
        fields: dict[str, object] = {
            "direction": _DIRECTION_WORDS[rule.direction],
            "ethertype": _VERSION_WORDS[version_of(rule)],
            "protocol": None if rule.protocol.lower() in ("", "any") else rule.protocol.lower(),
            "port_range_min": rule.port_range_min if rule.HasField("port_range_min") else None,
            "port_range_max": rule.port_range_max if rule.HasField("port_range_max") else None,
            "remote_ip_prefix": rule.remote_cidr or None,
            "remote_group_id": native_id(ref, "securityGroups", group, f"{field}.remote_security_group"),
            "remote_address_group_id": native_id(
                self._ref, "addressGroups", addresses, f"{field}.remote_address_group"
            ),
            "description": rule.description,
        }
        return {key: value for key, value in fields.items() if value not in (None, "")}


async def _add(
    op: Operation,
    group_id: str,
    number: int,
    body: Mapping[str, object],
    undo: Callable[[], Awaitable[None]] | None = None,
) -> str:
    """Add the rule of that number as a step, and return its id; one that the group has already is done.

    A rule can carry no mark: its description can't be changed afterwards. It is its own key, Neutron refuses a second.
    """

    async def add() -> dict[str, str]:
        document = {_RULES.one_key: {**body, "security_group_id": group_id}}
        try:
            answer = await session_of(op.call).send(
                op.call, "POST", _RULES.service, _RULES.path, dict[str, Any], json=document
            )
        except AlreadyExists as error:
            same = _SAME_RULE.search(error.message)
            return {"id": same[1] if same else ""}
        return {"id": str(answer[_RULES.one_key]["id"])}

    return (await op.change(f"rule-{number}", add, undo=undo))["id"]


async def _remove(op: Operation, rule_id: str) -> None:
    await op.change(f"remove {rule_id}", lambda: _RULES.remove(op.call, rule_id))


def _port(name: str, told: int | str | None, unsupported: dict[str, str]) -> int | None:
    """Return a port, or a type or code of ICMP; None for any, and for what is none, which goes to `unsupported`."""
    port = int(told) if isinstance(told, str) and _PORT.fullmatch(told) else told
    if isinstance(port, int) and -1 <= port <= _MAX_PORT:
        return port
    if port not in (None, ""):
        unsupported[name] = str(told)
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _beyond(rule: Rule) -> list[tuple[str, str]]:
    """Return what Neutron's rules can't do."""
    if rule.unsupported_match:  # it can only be kept
        return []
    found = []
    if rule.action not in (Rule.ACTION_UNSPECIFIED, Rule.ACTION_ALLOW):
        found.append(("action", "must be ACTION_ALLOW: rules of this platform drop nothing"))
    if rule.HasField("enabled") and not rule.enabled:
        found.append(("enabled", "must be true: rules of this platform can't be disabled; leave it out of the group"))
    if version_of(rule) not in _VERSION_WORDS:
        found.append(("ip_version", "must be IP_VERSION_IPV4 or IP_VERSION_IPV6"))
    return found
