"""Security groups: kept with their rules, though nothing is filtered in memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from cloudspan.v1 import security_group_pb2
from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_common.update_mask import changed_fields
from cloudspan_kit import (
    BY_KEY,
    Call,
    Capability,
    Difference,
    Operation,
    Page,
    Query,
    check_rules,
    difference,
    key_of,
    version_of,
)
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.making import delete, make, marked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

Group = security_group_pb2.SecurityGroup
Rule = Group.Rule


class SecurityGroups:
    """The security groups of one cluster."""

    capabilities: Mapping[str, Capability] = {"create_security_group": Capability(create_safety=BY_KEY)}

    def __init__(self, store: Store) -> None:
        self._store = store
        store.before_delete("securityGroups", self._refuse_used)
        self.marked = {"securityGroups": marked(store, "securityGroups")}

    async def get_security_group(self, call: Call, _: security_group_pb2.GetSecurityGroupRequest) -> Group:
        return self._shown(self._store.get("securityGroups", call.id))

    async def list_security_groups(self, _: Call, query: Query) -> Page[Group]:
        page = self._store.page("securityGroups", query)
        return Page([self._shown(row) for row in page.items], page.more, page.position)

    async def create_security_group(
        self, op: Operation, request: security_group_pb2.CreateSecurityGroupRequest
    ) -> Group:
        check_rules(request.rules)

        def build(group_id: str) -> Group:
            group = copied(request.security_group)
            group.stateful, group.enabled = True, True
            _add(group, group_id, difference((), request.rules).missing)
            return group

        group_id = await make(op, self._store, "security-group", "securityGroups", build)
        op.set_resource(self._store.name("securityGroups", group_id))
        return self._shown(self._store.get("securityGroups", group_id))

    async def update_security_group(
        self, op: Operation, request: security_group_pb2.UpdateSecurityGroupRequest
    ) -> Group:
        changed = changed_fields(request, "security_group")
        asked = request.security_group

        async def change() -> None:
            group = self._store.get("securityGroups", op.call.id)
            for field in changed & {"display_name", "description", "stateful"}:
                setattr(group, field, getattr(asked, field))
            if "labels" in changed:
                group.labels.clear()
                group.labels.update(asked.labels)

        return await self._changed(op, "update", change)

    async def delete_security_group(
        self, op: Operation, request: security_group_pb2.DeleteSecurityGroupRequest
    ) -> None:
        op.set_resource(request.name)
        await op.change("delete", lambda: delete(self._store, "securityGroups", op.call.id))

    async def replace_rules(self, op: Operation, request: security_group_pb2.ReplaceRulesRequest) -> Group:
        check_rules(request.rules)

        async def change() -> None:
            group = self._store.get("securityGroups", op.call.id)
            self._apply(group, difference(group.rules, request.rules))

        return await self._changed(op, "rules", change)

    async def add_rules(self, op: Operation, request: security_group_pb2.AddRulesRequest) -> Group:
        check_rules(request.rules)

        async def change() -> None:
            group = self._store.get("securityGroups", op.call.id)
            self._apply(group, Difference(difference(group.rules, request.rules).missing, ()))

        return await self._changed(op, "rules", change)

    async def remove_rules(self, op: Operation, request: security_group_pb2.RemoveRulesRequest) -> Group:
        async def look() -> None:
            there = {rule.id for rule in self._store.get("securityGroups", op.call.id).rules}
            missing = [rule_id for rule_id in request.rule_ids if rule_id not in there]
            if missing and not request.allow_missing:
                text = f"{request.name} has no rule {', '.join(missing)}; GetSecurityGroup shows which it has"
                raise NotFound(text, reason="RULE_UNKNOWN", resource=request.name)

        async def change() -> None:
            group = self._store.get("securityGroups", op.call.id)
            self._apply(group, Difference((), [rule for rule in group.rules if rule.id in request.rule_ids]))

        await op.read_once("rules there", look)
        return await self._changed(op, "rules", change)

    async def _changed(self, op: Operation, step: str, change: Callable[[], Awaitable[None]]) -> Group:
        op.set_resource(self._store.name("securityGroups", op.call.id))
        self._store.get("securityGroups", op.call.id)  # before the first step, so that a check alone misses it too
        await op.change(step, change)
        return self._shown(self._store.get("securityGroups", op.call.id))

    def _apply(self, group: Group, changes: Difference) -> None:
        gone = {rule.id for rule in changes.surplus}
        kept = [copied(rule) for rule in group.rules if rule.id not in gone]
        del group.rules[:]
        group.rules.extend(kept)
        _add(group, group.name.rpartition("/")[2], changes.missing)

    def _refuse_used(self, group: Group) -> None:
        users = [port.name for port in self._store.all("ports") if group.name in port.security_groups]
        if users:
            raise PreconditionFailed(f"{group.name} is in use by {', '.join(users)}; take it off those first")

    def _shown(self, group: Group) -> Group:
        shown = copied(group)
        shown.port_count = sum(group.name in port.security_groups for port in self._store.all("ports"))
        return shown


def _add(group: Group, group_id: str, rules: Iterable[Rule]) -> None:
    """Give a group further rules; the same rule of the same group always has the same id."""
    for rule in rules:
        added = group.rules.add()
        added.CopyFrom(rule)
        added.ip_version, added.action = version_of(rule), rule.action or Rule.ACTION_ALLOW
        added.id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group_id} {key_of(rule)}"))
