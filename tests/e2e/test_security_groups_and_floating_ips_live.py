"""Security groups and floating IPs on a real Neutron: changed as asked, exactly once though replies are lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.e2e.conftest import behind_relays, build, fresh, parts_of, remove

from cloudspan.client import InvalidRequest, NotFound, PreconditionFailed
from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, security_group_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

Group, FloatingIp = security_group_pb2.SecurityGroup, floating_ip_pb2.FloatingIp
Rule = Group.Rule
LIMIT_S = 60
_RULES = r"^/v2.0/security-group-rules$"


def tcp(port, **fields):
    return Rule(direction=Rule.DIRECTION_INGRESS, protocol="tcp", port_range_min=port, port_range_max=port, **fields)


def _ports_of(group):
    return sorted(rule.port_range_min for rule in group.rules if rule.HasField("port_range_min"))


def _native(site, name):
    """Return Neutron's rules of the group of a name as (protocol, port); equal ones as often as they exist."""
    with site.connect() as sdk:
        [group] = [row for row in sdk.network.security_groups() if row.name == name]
        rules = sdk.network.security_group_rules(security_group_id=group.id)
        return sorted((rule.protocol, rule.port_range_min) for rule in rules if rule.protocol)


@asynccontextmanager
async def _group(cloud, ref, *rules, **fields):
    wanted = Group(display_name=fresh("group"), **fields)
    request = security_group_pb2.CreateSecurityGroupRequest(parent=ref, security_group=wanted, rules=rules)
    group = await (await cloud.security_groups.CreateSecurityGroup(request)).result(LIMIT_S)
    yield group
    request = security_group_pb2.DeleteSecurityGroupRequest(name=group.name)
    await (await cloud.security_groups.DeleteSecurityGroup(request)).result(LIMIT_S)
    with pytest.raises(NotFound):
        await cloud.security_groups.GetSecurityGroup(security_group_pb2.GetSecurityGroupRequest(name=group.name))


async def _replaced(cloud, group, *rules):
    request = security_group_pb2.ReplaceRulesRequest(name=group.name, rules=rules)
    return await (await cloud.security_groups.ReplaceRules(request)).result(LIMIT_S)


async def test_a_security_group_is_created_changed_and_deleted(clusters, cloud):
    """Rules that stay keep their ids; the labels, name and description are the caller's own."""
    site = clusters[0]
    labels = {"tier": "web"}
    async with _group(cloud, site.ref, tcp(22), tcp(80), description="doors", labels=labels) as group:
        assert (dict(group.labels), group.description, _ports_of(group)) == (labels, "doors", [22, 80])
        kept = {rule.id for rule in group.rules if rule.port_range_min == 80}
        changed = await _replaced(cloud, group, tcp(80), tcp(443, remote_cidr="10.0.0.0/8"))
        assert {rule.id for rule in changed.rules if rule.port_range_min == 80} == kept
        # Egress rules of Neutron's own were not asked for, so they went.
        assert (len(changed.rules), _ports_of(changed)) == (2, [80, 443])

        request = security_group_pb2.AddRulesRequest(
            name=group.name, rules=[tcp(443, remote_cidr="10.0.0.0/8"), tcp(8080)]
        )
        changed = await (await cloud.security_groups.AddRules(request)).result(LIMIT_S)
        assert _ports_of(changed) == [80, 443, 8080]

        gone = [rule.id for rule in changed.rules if rule.port_range_min == 8080]
        remove = security_group_pb2.RemoveRulesRequest(name=group.name, rule_ids=gone)
        changed = await (await cloud.security_groups.RemoveRules(remove)).result(LIMIT_S)
        assert _ports_of(changed) == [80, 443]
        with pytest.raises(NotFound, match=gone[0]):
            await (await cloud.security_groups.RemoveRules(remove)).result(LIMIT_S)

        wanted = Group(name=group.name, display_name=fresh("renamed"), labels={"tier": "db"})
        update = security_group_pb2.UpdateSecurityGroupRequest(security_group=wanted)
        update.update_mask.paths.extend(["display_name", "labels"])
        changed = await (await cloud.security_groups.UpdateSecurityGroup(update)).result(LIMIT_S)
        assert (changed.display_name, dict(changed.labels)) == (wanted.display_name, {"tier": "db"})
        assert (changed.description, _ports_of(changed)) == ("doors", [80, 443])


async def test_a_security_group_in_use_is_not_deleted_and_its_ports_are_named(clusters, cloud):
    """Nor is the default group, whoever asks."""
    site = clusters[0]
    parts = await parts_of(cloud, site.ref)
    async with _group(cloud, site.ref) as group:
        server = await build(cloud, parts.server(security_groups=[group.name]))
        try:
            request = security_group_pb2.DeleteSecurityGroupRequest(name=group.name)
            with pytest.raises(PreconditionFailed, match="/ports/"):
                await (await cloud.security_groups.DeleteSecurityGroup(request)).result(LIMIT_S)
        finally:
            await remove(cloud, server.name)
    listing = security_group_pb2.ListSecurityGroupsRequest(parent=site.ref, filter='display_name = "default"')
    groups = [one async for one in cloud.each(cloud.security_groups.ListSecurityGroups, listing)]
    assert [one.is_default for one in groups] == [True]
    request = security_group_pb2.DeleteSecurityGroupRequest(name=groups[0].name)
    with pytest.raises(PreconditionFailed, match="default group"):
        await (await cloud.security_groups.DeleteSecurityGroup(request)).result(LIMIT_S)


async def test_a_group_and_its_rules_whose_replies_are_lost_are_there_once(clusters, apart):
    """The group is found by its mark; Neutron refuses a rule that is there already, so it is sent again."""
    site = clusters[0]
    async with behind_relays(apart, site) as (cloud, relays):
        relay = relays["network"]
        relay.lose("^POST /v2.0/security-groups ")
        async with _group(cloud, site.ref, tcp(22)) as group:
            assert relay.lost == 1
            relay.lose("^POST /v2.0/security-group-rules ")
            changed = await _replaced(cloud, group, tcp(22), tcp(443))
            assert relay.lost == 2
            assert relay.count("POST", _RULES) == 3
            assert _ports_of(changed) == [22, 443]
            assert await asyncio.to_thread(_native, site, group.display_name) == [("tcp", 22), ("tcp", 443)]
            relay.lose("^DELETE /v2.0/security-group-rules/")
            changed = await _replaced(cloud, group, tcp(443))
            assert relay.lost == 3
            assert await asyncio.to_thread(_native, site, group.display_name) == [("tcp", 443)]


async def _public(cloud, ref):
    networks = cloud.each(cloud.networks.ListNetworks, network_pb2.ListNetworksRequest(parent=ref))
    return next(iter([network.name async for network in networks if network.external]))


@asynccontextmanager
async def _floating_ip(cloud, ref, **fields):
    wanted = FloatingIp(external_network=await _public(cloud, ref), **fields)
    request = floating_ip_pb2.CreateFloatingIpRequest(parent=ref, floating_ip=wanted)
    address = await (await cloud.floating_ips.CreateFloatingIp(request)).result(LIMIT_S)
    try:
        yield address
    finally:
        request = floating_ip_pb2.DeleteFloatingIpRequest(name=address.name)
        await (await cloud.floating_ips.DeleteFloatingIp(request)).result(LIMIT_S)
    with pytest.raises(NotFound):
        await cloud.floating_ips.GetFloatingIp(floating_ip_pb2.GetFloatingIpRequest(name=address.name))


async def _associated(cloud, address, **target):
    request = floating_ip_pb2.AssociateFloatingIpRequest(name=address.name, **target)
    return await (await cloud.floating_ips.AssociateFloatingIp(request)).result(LIMIT_S)


async def _port_of(cloud, ref, server):
    listing = cloud.each(cloud.ports.ListPorts, port_pb2.ListPortsRequest(parent=ref))
    [port] = [port async for port in listing if port.server == server.name]
    return port


async def test_a_floating_ip_is_created_associated_and_released(clusters, cloud):
    """To a server, to a port, and from one server to another only where that is said."""
    site = clusters[0]
    parts = await parts_of(cloud, site.ref)
    servers = await asyncio.gather(*(build(cloud, parts.server()) for _ in range(2)))
    try:
        ports = [await _port_of(cloud, site.ref, server) for server in servers]
        async with _floating_ip(cloud, site.ref, description="door", labels={"a": "b"}) as address:
            assert (dict(address.labels), address.description, address.port) == ({"a": "b"}, "door", "")
            there = await _associated(cloud, address, server=servers[0].name)
            assert (there.port, there.server) == (ports[0].name, servers[0].name)
            assert there.ip_address == address.ip_address
            with pytest.raises(PreconditionFailed, match="reassign"):
                await _associated(cloud, address, port=ports[1].name)
            there = await _associated(cloud, address, port=ports[1].name, reassign=True)
            assert there.port == ports[1].name
            with pytest.raises(InvalidRequest, match="fixed_ip_address"):
                await _associated(cloud, address, port=ports[1].name, fixed_ip_address="192.0.2.1")
            request = floating_ip_pb2.DisassociateFloatingIpRequest(name=address.name)
            there = await (await cloud.floating_ips.DisassociateFloatingIp(request)).result(LIMIT_S)
            assert (there.port, there.fixed_ip_address) == ("", "")
            wanted = FloatingIp(name=address.name, description="gate", labels={"c": "d"})
            update = floating_ip_pb2.UpdateFloatingIpRequest(floating_ip=wanted)
            update.update_mask.paths.extend(["description", "labels"])
            there = await (await cloud.floating_ips.UpdateFloatingIp(update)).result(LIMIT_S)
            assert (there.description, dict(there.labels)) == ("gate", {"c": "d"})
    finally:
        await asyncio.gather(*(remove(cloud, server.name) for server in servers))


async def test_a_floating_ip_whose_replies_are_lost_is_there_once(clusters, apart):
    """Created, associated and disassociated; each reply is lost once."""
    site = clusters[0]
    async with behind_relays(apart, site) as (cloud, relays):
        relay = relays["network"]
        parts = await parts_of(cloud, site.ref)
        server = await build(cloud, parts.server())
        try:
            before = await asyncio.to_thread(_addresses, site)
            relay.lose("^POST /v2.0/floatingips ")
            async with _floating_ip(cloud, site.ref) as address:
                assert relay.lost == 1
                assert await asyncio.to_thread(_addresses, site) == sorted([*before, address.ip_address])
                relay.lose("^PUT /v2.0/floatingips/")
                there = await _associated(cloud, address, server=server.name)
                assert (relay.lost, there.server) == (2, server.name)
        finally:
            await remove(cloud, server.name)
        assert await asyncio.to_thread(_addresses, site) == before


def _addresses(site):
    with site.connect() as sdk:
        return sorted(row.floating_ip_address for row in sdk.network.ips())
