"""Security groups, their rules and the NICs in them."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store

_MAX_RULES = 2000
_PORTS = ("TCP", "UDP")
_FIELDS = (
    "type",
    "ipVersion",
    "protocol",
    "srcIpRange",
    "dstIpRange",
    "dstPortRange",
    "action",
    "remoteSecurityGroupUuid",
)


class SecurityGroups:
    """The security group calls."""

    def __init__(self, store: Store, views: Views, quotas: Quotas) -> None:
        self._store, self._views, self._quotas = store, views, quotas
        self._numbers = 0
        self.handlers: dict[str, Handler] = {
            "CreateSecurityGroup": self._create,
            "DeleteSecurityGroup": self._delete,
            "AddSecurityGroupRule": self._add_rules,
            "DeleteSecurityGroupRule": self._delete_rules,
            "ChangeSecurityGroupRuleState": self._change_state,
            "UpdateSecurityGroupRulePriority": self._reorder,
            "AddVmNicToSecurityGroup": self._add_nics,
            "DeleteVmNicFromSecurityGroup": self._remove_nics,
            "SetVmNicSecurityGroup": self._set_groups,
            "AttachSecurityGroupToL3Network": self._attach,
            "DetachSecurityGroupFromL3Network": self._detach,
        }

    def _of(self, call: Call) -> Json:
        return self._store.security_groups.present(call.uuid())

    def _result(self, group: Json) -> Json:
        return {"inventory": self._views.security_group(group)}

    def _create(self, call: Call) -> Json:
        self._quotas.check(call, securityGroup__num=1)
        version = call.params.get("ipVersion", 4)
        fields: Json = {"ipVersion": version, **self.row()}
        group = self._store.create(self._store.security_groups, call, **fields)
        self.add_default_rules(group)
        return self._result(group)

    def row(self) -> Json:
        """Return the fields of a new group's row beside those that every resource has."""
        self._numbers += 1
        return {"state": "Enabled", "internalId": self._numbers, "attachedL3NetworkUuids": [], "_rules": []}

    def add_default_rules(self, group: Json) -> None:
        """Add the four rules, in and out of each IP version, that let members talk to each other."""
        for way in ("Ingress", "Egress"):
            for version in (4, 6):
                rule = {"type": way, "ipVersion": version, "protocol": "ALL", "remoteSecurityGroupUuid": group["uuid"]}
                self._add_rule(group, rule | {"description": "default rule"}, 0)

    def _add_rule(self, group: Json, asked: Json, priority: int) -> Json:
        rule = self._store.new_row(
            self._store.security_group_rules, group["_account"], securityGroupUuid=group["uuid"],
            **{"state": "Enabled", **both_styles(asked)}, priority=priority,
        )  # fmt: skip
        group["_rules"].append(rule["uuid"])
        return rule

    def _delete(self, call: Call) -> Json:
        store, group = self._store, self._of(call)
        for rule in group["_rules"]:
            store.drop(store.security_group_rules, rule)
        for other in store.security_group_rules.where(remoteSecurityGroupUuid=group["uuid"]):
            store.security_groups.present(other["securityGroupUuid"])["_rules"].remove(other["uuid"])
            store.drop(store.security_group_rules, other["uuid"])
        for ref in store.security_group_refs.where(securityGroupUuid=group["uuid"]):
            store.security_group_refs.remove(ref["uuid"])
        store.drop(store.security_groups, group["uuid"])
        return {}

    def _add_rules(self, call: Call) -> Json:
        group, asked = self._of(call), call.params["rules"]
        if not asked or len(asked) > _MAX_RULES:
            raise Failure("SYS.1007", f"one call adds 1 to {_MAX_RULES} rules, not {len(asked)}")
        remotes = call.params.get("remoteSecurityGroupUuids") or []
        expanded = [{**rule, "remoteSecurityGroupUuid": remote} for rule in asked for remote in remotes] or asked
        known = [_key(rule) for rule in self._store.security_group_rules.some(group["_rules"])]
        for rule in expanded:
            self._check(rule)
            if _key(both_styles(rule)) in known:
                raise Failure("SYS.1007", f"could not add rule: it duplicates a rule of group[uuid:{group['uuid']}]")
            known.append(_key(both_styles(rule)))
        self._insert(group, expanded, call.params["priority"])
        return self._result(self._store.touch(group))

    def _insert(self, group: Json, rules: list[Json], priority: int) -> None:
        """Number user rules from 1 in each direction; -1 appends, another priority moves the later ones down."""
        for rule in rules:
            same = self._users_own(group, rule["type"])
            place = len(same) + 1 if priority == -1 else min(priority, len(same) + 1)
            for row in same:
                if row["priority"] >= place:
                    row["priority"] += 1
            self._add_rule(group, rule, place)

    def _check(self, rule: Json) -> None:
        for field, choices in (("type", ("Ingress", "Egress")), ("protocol", ("TCP", "UDP", "ICMP", "ALL"))):
            if rule.get(field) not in choices:
                raise Failure("SYS.1007", f"could not add rule: {field}[{rule.get(field)}] is none of {choices}")
        if rule.get("ipVersion", 4) not in (4, 6) or rule.get("action", "ACCEPT") not in ("ACCEPT", "DROP"):
            raise Failure("SYS.1007", "could not add rule: ipVersion is 4 or 6, action is ACCEPT or DROP")
        if rule.get({"Ingress": "dstIpRange", "Egress": "srcIpRange"}[rule["type"]]):
            raise Failure("SYS.1007", "could not add rule: srcIpRange is for Ingress, dstIpRange for Egress")
        self._check_source(rule)
        old_style = "startPort" in rule or "endPort" in rule
        if bool(rule.get("dstPortRange") or old_style) is not (rule["protocol"] in _PORTS):
            raise Failure(
                "SYS.1007", f"could not add rule: ports go with TCP and UDP only, and must: {rule['protocol']}"
            )
        for part in (rule.get("dstPortRange") or "0").split(","):
            low, _, high = part.partition("-")
            if not (low.isdigit() and (high or low).isdigit() and int(low) <= int(high or low) <= 65535):
                raise Failure("SYS.1007", f"could not add rule: invalid dstPortRange[{rule.get('dstPortRange')}]")

    def _check_source(self, rule: Json) -> None:
        span, remote = rule.get("srcIpRange") or rule.get("dstIpRange"), rule.get("remoteSecurityGroupUuid")
        if span and remote:
            raise Failure("SYS.1007", "could not add rule: an IP range and a remote group exclude each other")
        if remote:
            self._store.security_groups.present(remote)
        for part in (span or "").split(",") if span else ():
            for address in part.split("-"):
                try:
                    ipaddress.ip_network(address.strip(), strict=False)
                except ValueError:
                    raise Failure("SYS.1007", f"could not add rule: invalid ip range[{span}]") from None

    def _delete_rules(self, call: Call) -> Json:
        store = self._store
        rules = [store.security_group_rules.present(uuid) for uuid in call.params["ruleUuids"]]
        groups = {rule["securityGroupUuid"] for rule in rules}
        if len(groups) != 1:
            raise Failure("SYS.1007", f"the rules are not of one security group but of {len(groups)}")
        if any(rule["priority"] == 0 for rule in rules):
            raise Failure("SYS.1007", "default rules can't be deleted")
        group = store.security_groups.present(groups.pop())
        for rule in rules:
            group["_rules"].remove(rule["uuid"])
            store.drop(store.security_group_rules, rule["uuid"])
        for way in ("Ingress", "Egress"):
            self._renumber(group, way)
        return self._result(store.touch(group))

    def _change_state(self, call: Call) -> Json:
        group = self._of(call)
        for uuid in call.params["ruleUuids"]:
            self._store.touch(self._own(group, uuid), state=call.params["state"])
        return self._result(self._store.touch(group))

    def _reorder(self, call: Call) -> Json:
        """Give all rules of a direction other places, which must be 1, 2, 3 and so on."""
        group, way = self._of(call), call.params["type"]
        places = {asked["ruleUuid"]: asked["priority"] for asked in call.params["rules"]}
        if sorted(places) != sorted(row["uuid"] for row in self._users_own(group, way)):
            raise Failure("SYS.1007", f"could not update the priority: all {way} rules must be given, default ones not")
        if sorted(places.values()) != list(range(1, len(places) + 1)):
            raise Failure("SYS.1007", f"could not update the priority: {sorted(places.values())} is not consecutive")
        for uuid, place in places.items():
            self._own(group, uuid)["priority"] = place
        return self._result(self._store.touch(group))

    def _own(self, group: Json, uuid: str) -> Json:
        if uuid not in group["_rules"] or self._store.security_group_rules.present(uuid)["priority"] == 0:
            raise Failure("SYS.1007", f"the rule[uuid:{uuid}] is not of group[uuid:{group['uuid']}], or a default rule")
        return self._store.security_group_rules.present(uuid)

    def _users_own(self, group: Json, way: str) -> list[Json]:
        """Return the rules of a direction without the default ones."""
        rules = self._store.security_group_rules.some(group["_rules"])
        return [row for row in rules if row["type"] == way and row["priority"] > 0]

    def _renumber(self, group: Json, way: str) -> None:
        for place, row in enumerate(sorted(self._users_own(group, way), key=lambda row: int(row["priority"])), 1):
            row["priority"] = place

    def join(self, nic: Json, groups: list[str]) -> None:
        """Put a NIC into groups, behind those that it is in.

        Raises:
            Failure: Its L3 network has no SecurityGroup service, or a group is unknown.
        """
        store = self._store
        if groups and not any(
            ref["networkServiceType"] == "SecurityGroup"
            for ref in store.l3_networks.present(nic["l3NetworkUuid"])["_services"]
        ):
            raise Failure(
                "SYS.1007", f"the L3 network of nic[uuid:{nic['uuid']}] doesn't have the security group service"
            )
        present = {ref["securityGroupUuid"] for ref in store.security_group_refs.where(vmNicUuid=nic["uuid"])}
        for uuid in groups:
            group = store.security_groups.present(uuid)
            if uuid in present:
                continue
            present.add(uuid)
            if nic["l3NetworkUuid"] not in group["attachedL3NetworkUuids"]:
                group["attachedL3NetworkUuids"].append(nic["l3NetworkUuid"])
            store.new_row(
                store.security_group_refs, nic["_account"], priority=len(present), vmNicUuid=nic["uuid"],
                securityGroupUuid=uuid, vmInstanceUuid=nic["vmInstanceUuid"],
            )  # fmt: skip

    def _add_nics(self, call: Call) -> Json:
        group = self._of(call)
        for nic in call.params["vmNicUuids"]:
            self.join(self._store.nics.present(nic), [group["uuid"]])
        return {}

    def _remove_nics(self, call: Call) -> Json:
        refs = self._store.security_group_refs
        for nic in call.params["vmNicUuids"]:
            for ref in refs.where(vmNicUuid=nic, securityGroupUuid=call.uuid()):
                refs.remove(ref["uuid"])
        return {}

    def _set_groups(self, call: Call) -> Json:
        store = self._store
        nic = store.nics.present(call.uuid())
        wanted = sorted(call.params["refs"], key=lambda ref: int(ref["priority"]))
        for ref in wanted:
            store.security_groups.present(ref["securityGroupUuid"])
        for old in store.security_group_refs.where(vmNicUuid=nic["uuid"]):
            store.security_group_refs.remove(old["uuid"])
        self.join(nic, [ref["securityGroupUuid"] for ref in wanted])
        rows = store.security_group_refs.where(vmNicUuid=nic["uuid"])
        return {"inventory": [self._views.show("VmNicSecurityGroupRefInventory", row) for row in rows]}

    def _attach(self, call: Call) -> Json:
        group, l3 = self._of(call), call.params["l3NetworkUuid"]
        if l3 in group["attachedL3NetworkUuids"]:
            raise Failure("SYS.1006", f"security group has been attached to l3Network[uuid:{l3}], can't attach again")
        group["attachedL3NetworkUuids"].append(l3)
        return self._result(self._store.touch(group))

    def _detach(self, call: Call) -> Json:
        group, l3 = self._of(call), call.params["l3NetworkUuid"]
        if l3 in group["attachedL3NetworkUuids"]:
            group["attachedL3NetworkUuids"].remove(l3)
        return self._result(self._store.touch(group))


def both_styles(asked: Json) -> Json:
    """Return a rule as the server keeps it: with defaults, its ports and its CIDR in the old style and in the new."""
    version = asked.get("ipVersion", 4)
    everyone = "0.0.0.0/0" if version == 4 else "::/0"
    ports, cidr = asked.get("dstPortRange"), asked.get("allowedCidr", everyone)
    first, last = asked.get("startPort", -1), asked.get("endPort", -1)
    if ports is None and first >= 0:
        ports = str(first) if first == last else f"{first}-{last}"
    elif ports is not None and re.fullmatch(r"\d+(-\d+)?", ports):
        first, last = int(ports.partition("-")[0]), int(ports.rpartition("-")[2])
    side = "srcIpRange" if asked["type"] == "Ingress" else "dstIpRange"
    return {
        "ipVersion": version, "action": "ACCEPT", **asked, "dstPortRange": ports, "startPort": first, "endPort": last,
        "allowedCidr": cidr, side: asked.get(side) or (cidr if cidr != everyone else None),
    }  # fmt: skip


def _key(rule: Json) -> tuple[object, ...]:
    defaults = {"ipVersion": 4, "action": "ACCEPT"}
    return tuple(rule.get(name) or defaults.get(name) for name in _FIELDS)
