"""Security groups: kept with their rules, though nothing is filtered in memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from cloudspan.v1 import security_group_pb2
from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import (
    BY_KEY,
    Difference,
    Kind,
    Operation,
    check_rules,
    difference,
    key_of,
    refuse_unsupported,
    version_of,
)
from cloudspan_kit.drivers import SecurityGroupDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers, set_fields
from cloudspan_memory.cloud.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Iterable

Group = security_group_pb2.SecurityGroup
Rule = Group.Rule

SECURITY_GROUPS = Kind(
    collection="securityGroups",
    message=Group,
    row=Group,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class SecurityGroups(MemoryDriver[Group], SecurityGroupDriver):
    """SecurityGroupService."""

    kind = SECURITY_GROUPS

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        store.before_delete("securityGroups", self._refuse_used)

    def message(self, row: Group) -> Group:
        """Return it with the number of its ports."""
        shown = copied(row)
        shown.port_count = sum(row.name in port.security_groups for port in self._store.all("ports"))
        return shown

    async def create_security_group(
        self, op: Operation, request: security_group_pb2.CreateSecurityGroupRequest
    ) -> Group:
        check_rules(request.rules)
        refuse_unsupported(request.rules)  # no group here has one to keep

        def build(group_id: str) -> Group:
            group = copied(request.security_group)
            group.stateful, group.enabled = True, True
            _add(group, group_id, difference((), request.rules).missing)
            return group

        made = await op.create(SECURITY_GROUPS, New(build))
        return self.message(self._store.get("securityGroups", made.id))

    async def update_security_group(
        self, op: Operation, request: security_group_pb2.UpdateSecurityGroupRequest
    ) -> Group:
        changed, wanted = changed_fields(request, "security_group"), request.security_group
        fields = changed & {"display_name", "description", "stateful", "labels"}
        return await self._change(op, "update", lambda group: set_fields(group, wanted, fields))

    async def delete_security_group(
        self, op: Operation, request: security_group_pb2.DeleteSecurityGroupRequest
    ) -> None:
        await op.delete(SECURITY_GROUPS, op.call.id)

    # ------------------------------------------------------------------ its rules

    async def replace_rules(self, op: Operation, request: security_group_pb2.ReplaceRulesRequest) -> Group:
        check_rules(request.rules)
        refuse_unsupported(request.rules)  # no group here has one to keep

        def change(group: Group) -> None:
            _apply(group, difference(group.rules, request.rules))

        return await self._change(op, "rules", change)

    async def add_rules(self, op: Operation, request: security_group_pb2.AddRulesRequest) -> Group:
        check_rules(request.rules)
        refuse_unsupported(request.rules)  # no group here has one to keep

        def change(group: Group) -> None:
            _apply(group, Difference(difference(group.rules, request.rules).missing, ()))

        return await self._change(op, "rules", change)

    async def remove_rules(self, op: Operation, request: security_group_pb2.RemoveRulesRequest) -> Group:
        async def look() -> None:
            there = {rule.id for rule in self._store.get("securityGroups", op.call.id).rules}
            missing = [rule_id for rule_id in request.rule_ids if rule_id not in there]
            if missing and not request.allow_missing:
                text = f"{request.name} has no rule {', '.join(missing)}; GetSecurityGroup shows which it has"
                raise NotFound(text, reason="RULE_UNKNOWN", resource=request.name)

        def change(group: Group) -> None:
            _apply(group, Difference((), [rule for rule in group.rules if rule.id in request.rule_ids]))

        await op.read_once("rules there", look)
        return await self._change(op, "rules", change)

    def _refuse_used(self, group: Group) -> None:
        users = [port.name for port in self._store.all("ports") if group.name in port.security_groups]
        if users:
            raise PreconditionFailed(f"{group.name} is in use by {', '.join(users)}; take it off those first")


def _apply(group: Group, changes: Difference) -> None:
    gone = {rule.id for rule in changes.surplus}
    kept = [copied(rule) for rule in group.rules if rule.id not in gone]
    del group.rules[:]
    group.rules.extend(kept)
    _add(group, SECURITY_GROUPS.source.id_of(group), changes.missing)


def _add(group: Group, group_id: str, rules: Iterable[Rule]) -> None:
    """Give a group further rules; the same rule of the same group always has the same id."""
    for rule in rules:
        added = group.rules.add()
        added.CopyFrom(rule)
        added.ip_version, added.action = version_of(rule), rule.action or Rule.ACTION_ALLOW
        added.id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group_id} {key_of(rule)}"))
