"""Security groups: their rules, and who uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from adapters.memory.tests.steps import MAIN, changed

from cloudspan.client import errors as client_errors
from cloudspan.v1 import port_pb2, security_group_pb2

if TYPE_CHECKING:
    from cloudspan.client import AsyncClient
    from cloudspan_memory.cluster import MemoryCluster

Group = security_group_pb2.SecurityGroup


def rule(port: int) -> Group.Rule:
    ports = {"port_range_min": port, "port_range_max": port}
    return Group.Rule(direction=Group.Rule.DIRECTION_INGRESS, protocol="tcp", remote_cidr="10.0.0.0/8", **ports)


def ports_of(group: Group) -> list[int]:
    return [rule.port_range_min for rule in group.rules]


async def create(client: AsyncClient, *rules: Group.Rule, **fields: Any) -> Group:
    request = security_group_pb2.CreateSecurityGroupRequest(parent=MAIN, security_group=fields, rules=rules)
    return await changed(client.security_groups.CreateSecurityGroup(request))


async def test_rules_are_added_once_replaced_by_difference_and_removed_by_id(client: AsyncClient) -> None:
    """A rule that stays keeps its id."""
    groups = client.security_groups
    made = await create(client, rule(22), display_name="web")
    added = await changed(
        groups.AddRules(security_group_pb2.AddRulesRequest(name=made.name, rules=[rule(22), rule(80)]))
    )
    assert ports_of(added) == [22, 80]
    assert added.rules[0] == made.rules[0]
    replace = security_group_pb2.ReplaceRulesRequest(name=made.name, rules=[rule(80), rule(443)])
    replaced = await changed(groups.ReplaceRules(replace))
    assert ports_of(replaced) == [80, 443]
    assert replaced.rules[0] == added.rules[1]
    remove = security_group_pb2.RemoveRulesRequest(name=made.name, rule_ids=[replaced.rules[0].id])
    assert ports_of(await changed(groups.RemoveRules(remove))) == [443]
    with pytest.raises(client_errors.NotFound) as caught:
        await changed(groups.RemoveRules(remove))
    assert caught.value.reason == "RULE_UNKNOWN"
    remove.allow_missing = True
    assert ports_of(await changed(groups.RemoveRules(remove))) == [443]


async def test_an_update_changes_the_fields_that_are_set(client: AsyncClient) -> None:
    """Rules stay."""
    made = await create(client, rule(22), display_name="old", labels={"a": "1"})
    wanted = Group(name=made.name, display_name="new", labels={"b": "2"})
    request = security_group_pb2.UpdateSecurityGroupRequest(security_group=wanted)
    updated = await changed(client.security_groups.UpdateSecurityGroup(request))
    assert (updated.display_name, dict(updated.labels), list(updated.rules)) == ("new", {"b": "2"}, list(made.rules))


async def test_a_group_in_use_is_not_deleted(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Its ports are counted and named."""
    made = await create(client, display_name="web")
    cluster.store.put("ports", "p", port_pb2.Port(security_groups=[made.name]))
    got = await client.security_groups.GetSecurityGroup(security_group_pb2.GetSecurityGroupRequest(name=made.name))
    assert got.port_count == 1
    delete = security_group_pb2.DeleteSecurityGroupRequest(name=made.name)
    with pytest.raises(client_errors.PreconditionFailed, match=f"in use by {MAIN}/ports/p"):
        await changed(client.security_groups.DeleteSecurityGroup(delete))
    cluster.store.delete("ports", "p")
    await changed(client.security_groups.DeleteSecurityGroup(delete))
