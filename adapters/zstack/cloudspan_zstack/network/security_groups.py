"""Security groups and what is done to their rules, in as few calls as it takes.

A rule takes no id of ours, and the platform refuses a second one that matches and does the same: what is still to do is
looked at before each call.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import security_group_pb2
from cloudspan_common.errors import NotFound, PreconditionFailed, Unsupported, Violation
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    EMULATED,
    Call,
    Capability,
    Kind,
    KindDriver,
    Made,
    Operation,
    difference,
    listed,
    push,
    refuse_unsupported,
)
from cloudspan_kit.drivers import SecurityGroupDriver
from cloudspan_zstack.cloud.beside import every, read_marks
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import tags_of
from cloudspan_zstack.cloud.queries import batches
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import UserTags, ZStackSource, session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.network.ports import NicGroupRef
from cloudspan_zstack.network.security_rules import DIRECTIONS, Rule, RuleRow, Rules, effect_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

Group = security_group_pb2.SecurityGroup

_PATH, _TYPE = "/security-groups", "SecurityGroupVO"
_STATES = ("Enabled", "Disabled")
_MOST_NAMED = 3
_STATEFUL = "security groups of this platform let replies through without a rule; leave stateful out"


class SecurityGroupRow(Row, kw_only=True):
    state: str = ""
    rules: list[RuleRow] = msgspec.field(default_factory=list)


_GROUPS = ZStackSource(_PATH)
SECURITY_GROUPS = Kind(
    collection="securityGroups",
    message=Group,
    row=SecurityGroupRow,
    source=_GROUPS,
    sort={"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"},
    changes_since="lastOpDate",
    push={"name": push.ref("uuid", "securityGroups"), "display_name": push.text("name")},
    safety=BY_KEY,
    marker=UserTags(_TYPE),
)


class SecurityGroups(KindDriver[SecurityGroupRow, Group], SecurityGroupDriver):
    """SecurityGroupService."""

    kind = SECURITY_GROUPS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_security_groups": Capability(
            fields={
                "is_default": (ABSENT, "the platform gives no group to servers that name none"),
                "port_count": (ABSENT, "that would take another call; list ports"),
                "rules.remote_address_group": (ABSENT, "the platform has no address groups"),
            }
        ),
        "update_security_group": Capability(
            fields={"security_group.labels": (EMULATED, "labels are tags, which are changed one by one")}
        ),
        "replace_rules": Capability(EMULATED, "rules are added, enabled and removed by a call each"),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time, self._rules = zone.timestamp, Rules(ref)
        self._groups = f"{ref}/securityGroups/"

    async def messages(self, call: Call, rows: Sequence[SecurityGroupRow]) -> Sequence[Group]:
        marks = await read_marks(session_of(call), call, self._ref, _TYPE, rows)
        return [self._message(row, marks) for row in rows]

    def _message(self, row: SecurityGroupRow, marks: Marks) -> Group:
        return Group(
            name=self._groups + row.uuid,
            display_name=row.name,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            stateful=True,
            rules=self._rules.of(row.rules, row.uuid),
            enabled=row.state == "Enabled" if row.state else None,
        )

    # ------------------------------------------------------------------ the group

    async def create_security_group(
        self, op: Operation, request: security_group_pb2.CreateSecurityGroupRequest
    ) -> Group:
        check_texts(request)
        wanted, rules = request.security_group, self._rules.wanted(request.rules)
        _refuse_stateless(wanted)
        refuse_unsupported(rules)
        tags = tags_of(wanted.labels, "security_group.labels")
        params = {"name": wanted.display_name or "security-group", "description": wanted.description or None}

        def change(uuid: str) -> Change:
            return Change("POST", _PATH, params={**params, "resourceUuid": uuid}, user_tags=tags)

        made = await op.create(SECURITY_GROUPS, change)
        if rules:
            await self._add(op, made.id, difference((), rules).missing, undone=True)
        return await self._now(op, made.id)

    async def update_security_group(
        self, op: Operation, request: security_group_pb2.UpdateSecurityGroupRequest
    ) -> Group:
        check_texts(request)
        changed, wanted = changed_fields(request, "security_group"), request.security_group
        if "stateful" in changed:
            _refuse_stateless(wanted)
        asked = {"display_name": ("name", wanted.display_name), "description": ("description", wanted.description)}
        fields = dict(native for field, native in asked.items() if field in changed)
        tags = tags_of(wanted.labels, "security_group.labels") if "labels" in changed else None
        op.set_resource(self._groups + op.call.id)
        await _GROUPS.update(op, SECURITY_GROUPS, "updateSecurityGroup", fields)
        await _GROUPS.relabel(op, _TYPE, tags)
        return await self._now(op, op.call.id)

    async def delete_security_group(
        self, op: Operation, request: security_group_pb2.DeleteSecurityGroupRequest
    ) -> None:
        await op.delete(SECURITY_GROUPS, op.call.id, check=self.refuse_users)

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Refuse while NICs are in the group: the platform would take them out of it without a word.

        Raises:
            PreconditionFailed: They are listed.
        """
        of_it = [f"securityGroupUuid={native_id}"]
        refs = await every(session_of(call), call, f"{_PATH}/vm-instances/nics", NicGroupRef, of_it)
        if refs:
            name, ports = self._groups + native_id, sorted({ref.vm_nic_uuid for ref in refs})
            shown = listed((self._ref.resource("ports", port) for port in ports), _MOST_NAMED)
            text = f"{name} is in use by {len(ports)} ports, remove them first: {shown}"
            raise PreconditionFailed(text, reason="IN_USE", resource=name)

    # ------------------------------------------------------------------ its rules

    async def replace_rules(self, op: Operation, request: security_group_pb2.ReplaceRulesRequest) -> Group:
        check_texts(request)
        return await self._change_rules(op, request.rules, replace=True)

    async def add_rules(self, op: Operation, request: security_group_pb2.AddRulesRequest) -> Group:
        check_texts(request)
        return await self._change_rules(op, request.rules, replace=False)

    async def remove_rules(self, op: Operation, request: security_group_pb2.RemoveRulesRequest) -> Group:
        async def look() -> dict[str, list[str]]:
            there = {rule.id: rule for rule in await self._of(op, op.call.id)}
            missing = [rule_id for rule_id in request.rule_ids if rule_id not in there]
            if missing and not request.allow_missing:
                text = f"{request.name} has no rule {', '.join(missing)}; GetSecurityGroup shows which it has"
                raise NotFound(text, reason="RULE_UNKNOWN", resource=request.name)
            asked = [rule_id for rule_id in dict.fromkeys(request.rule_ids) if rule_id in there]
            kept = [rule_id for rule_id in asked if there[rule_id].built_in]
            if kept:
                text = f"the platform keeps {', '.join(kept)} in each group (built_in); leave them out of rule_ids"
                raise PreconditionFailed(text, reason="OPERATION_REFUSED", resource=request.name)
            return {"remove": asked}

        op.set_resource(request.name)
        plan = await op.read_once("rules", look)
        await self._remove(op, plan["remove"])
        return await self._now(op, op.call.id)

    async def _change_rules(self, op: Operation, asked: Sequence[Rule], *, replace: bool) -> Group:
        wanted = self._rules.wanted(asked)

        async def look() -> dict[str, list[str]]:
            there = await self._of(op, op.call.id)
            found = difference(there, wanted)
            # One that differs in `enabled` only is changed in that.
            same = {effect_of(rule): rule.id for rule in there if not rule.built_in}
            missing = [rule for rule in found.missing if effect_of(rule) not in same]
            refuse_unsupported(missing)
            others = {same[effect_of(rule)]: rule.enabled for rule in found.missing if effect_of(rule) in same}
            return {
                "add": [str(number) for number, rule in enumerate(wanted) if any(rule is one for one in missing)],
                "Enabled": [rule_id for rule_id, enabled in others.items() if enabled],
                "Disabled": [rule_id for rule_id, enabled in others.items() if not enabled],
                "remove": [rule.id for rule in found.surplus if replace and rule.id not in others],
            }

        op.set_resource(self._groups + op.call.id)
        plan = await op.read_once("rules", look)
        await self._add(op, op.call.id, [wanted[int(number)] for number in plan["add"]])
        for state in _STATES:
            await self._enable(op, plan[state], state)
        await self._remove(op, plan["remove"])
        await self._order(op, wanted)
        return await self._now(op, op.call.id)

    async def _add(self, op: Operation, group: str, rules: Sequence[Rule], *, undone: bool = False) -> None:
        """Add rules behind those that are there: by priority, those without one last."""
        in_order = sorted(rules, key=lambda rule: (not rule.HasField("priority"), rule.priority))

        async def left() -> Change | None:
            there = {effect_of(rule) for rule in await self._of(op, group)}
            missing = [self._rules.native(rule) for rule in in_order if effect_of(rule) not in there]
            args, params = {"uuid": group}, {"rules": missing}
            return Change("POST", f"{_PATH}/{{uuid}}/rules", args, params=params) if missing else None

        if rules:
            await Creation(session_of(op.call)).complete(op, "add", left, undone=undone)

    async def _enable(self, op: Operation, rule_ids: Sequence[str], state: str) -> None:
        async def left() -> Change | None:
            rows = (await self._row(op, op.call.id)).rules
            others = sorted(rule.uuid for rule in rows if rule.uuid in rule_ids and rule.state != state)
            args, params = {"uuid": op.call.id}, {"ruleUuids": others, "state": state}
            template, action = f"{_PATH}/{{uuid}}/rules/state/actions", "changeSecurityGroupRuleState"
            return Change("PUT", template, args, action, params) if others else None

        if rule_ids:
            await Creation(session_of(op.call)).complete(op, state, left)

    async def _remove(self, op: Operation, rule_ids: Sequence[str]) -> None:
        async def left(part: Sequence[str]) -> Change | None:
            there = {rule.uuid for rule in (await self._row(op, op.call.id)).rules}
            found = [rule_id for rule_id in part if rule_id in there]
            return Change("DELETE", f"{_PATH}/rules", params={"ruleUuids": found}) if found else None

        for number, part in enumerate(batches(rule_ids)):
            await Creation(session_of(op.call)).complete(op, f"remove-{number}", partial(left, part))

    async def _order(self, op: Operation, wanted: Sequence[Rule]) -> None:
        """Give rules the places that were asked for; each direction has an order of its own."""

        async def look() -> dict[str, list[str]]:
            there = await self._of(op, op.call.id)
            return {way: _places(there, wanted, way) for way in DIRECTIONS}

        async def left(way: str) -> Change | None:
            order = _places(await self._of(op, op.call.id), wanted, way)
            places = [{"ruleUuid": rule_id, "priority": place} for place, rule_id in enumerate(order, 1)]
            args, params = {"uuid": op.call.id}, {"type": way, "rules": places}
            template, action = f"{_PATH}/{{uuid}}/rules/priority/actions", "updateSecurityGroupRulePriority"
            return Change("PUT", template, args, action, params) if order else None

        if any(rule.HasField("priority") for rule in wanted):
            moved = await op.read_once("order", look)
            for way in DIRECTIONS:
                if moved[way]:
                    await Creation(session_of(op.call)).complete(op, f"order-{way}", partial(left, way))

    async def _row(self, op: Operation, group: str) -> SecurityGroupRow:
        return await _GROUPS.row(op.call, SECURITY_GROUPS, group)

    async def _of(self, op: Operation, group: str) -> list[Rule]:
        return self._rules.of((await self._row(op, group)).rules, group)

    async def _now(self, op: Operation, group: str) -> Group:
        return await self.to_message(op.call, await op.ready(SECURITY_GROUPS, Made(group), step="readable", percent=90))


def _places(there: Sequence[Rule], wanted: Sequence[Rule], way: str) -> list[str]:
    """Return the ids of a direction's rules in the order that is wanted; empty where they have it."""
    rules = [rule for rule in there if rule.direction == DIRECTIONS[way] and not rule.built_in]
    asked = {effect_of(rule): rule.priority for rule in wanted if rule.HasField("priority")}
    order = [rule.id for rule in rules if effect_of(rule) not in asked]
    for rule in sorted((one for one in rules if effect_of(one) in asked), key=lambda one: asked[effect_of(one)]):
        order.insert(asked[effect_of(rule)] - 1, rule.id)
    return order if order != [rule.id for rule in rules] else []


def _refuse_stateless(group: Group) -> None:
    if group.HasField("stateful") and not group.stateful:
        violations = [Violation("security_group.stateful", _STATEFUL)]
        raise Unsupported(_STATEFUL, reason="FIELD_ABSENT", violations=violations)
