"""Networks of the fake ZStack: L2, L3, ranges, NICs, VIPs and EIPs, security groups."""

from __future__ import annotations

import pytest


@pytest.fixture
async def flat(admin):
    """An L3 network on an L2 of its own, with services and a range."""
    zone, cluster = await admin.named("/zones", "zone-1"), await admin.named("/clusters", "cluster-1")
    l2_params = {"name": "l2", "zoneUuid": zone["uuid"], "physicalInterface": "eth1", "vlan": 7}
    l2 = await admin.made("POST", "/l2-networks/vlan", {"params": l2_params})
    await admin.made("POST", f"/l2-networks/{l2['uuid']}/clusters/{cluster['uuid']}")
    l3 = await admin.made("POST", "/l3-networks", {"params": {"name": "flat", "l2NetworkUuid": l2["uuid"]}})
    providers = {row["type"]: row["uuid"] for row in await admin.rows("/network-services/providers")}
    services = {providers["Flat"]: ["DHCP", "Eip"], providers["SecurityGroup"]: ["SecurityGroup"]}
    body = {"params": {"networkServices": services}}
    await admin.made("POST", f"/l3-networks/{l3['uuid']}/network-services", body)
    cidr = {"params": {"name": "r", "networkCidr": "172.16.0.0/24"}}
    await admin.made("POST", f"/l3-networks/{l3['uuid']}/ip-ranges/by-cidr", cidr)
    return await admin.named("/l3-networks", "flat")


async def test_a_flat_network_is_built_step_by_step(flat, admin):
    """The first address is the gateway; a VLAN is told by both queries, under two names."""
    (span,) = flat["ipRanges"]
    assert (span["gateway"], span["startIp"], span["endIp"]) == ("172.16.0.1", "172.16.0.2", "172.16.0.254")
    assert {ref["networkServiceType"] for ref in flat["networkServices"]} == {"DHCP", "Eip", "SecurityGroup"}
    (l2,) = await admin.rows("/l2-networks/vlan", "name=l2")
    assert (l2["vlan"], l2["virtualNetworkId"]) == (7, 7)
    assert await admin.named("/l2-networks", "l2") == l2


async def test_repeated_network_calls_are_errors(flat, admin):
    """Attachment, service, DNS server, an overlapping range, another CIDR."""
    l3 = f"/l3-networks/{flat['uuid']}"
    cluster = await admin.named("/clusters", "cluster-1")
    again = await admin.run("POST", f"/l2-networks/{flat['l2NetworkUuid']}/clusters/{cluster['uuid']}")
    assert again.codes() == ["SYS.1006"]
    ref = flat["networkServices"][0]
    services = {ref["networkServiceProviderUuid"]: [ref["networkServiceType"]]}
    body = {"params": {"networkServices": services}}
    assert (await admin.run("POST", f"{l3}/network-services", body)).codes() == ["SYS.1006"]
    dns = {"params": {"dns": "192.0.2.1"}}
    assert (await admin.made("POST", f"{l3}/dns", dns))["dns"] == ["192.0.2.1"]
    assert (await admin.run("POST", f"{l3}/dns", dns)).codes() == ["SYS.1006"]
    assert "dns" not in await admin.made("DELETE", f"{l3}/dns/192.0.2.1")
    for cidr in ("172.16.0.0/24", "172.17.0.0/24"):
        refused = await admin.run("POST", f"{l3}/ip-ranges/by-cidr", {"params": {"name": "r", "networkCidr": cidr}})
        assert refused.codes() == ["SYS.1007"]


async def test_a_range_by_start_and_end_keeps_its_gateway_outside(admin, flat):
    """A public network needs one; a range by CIDR is split around a gateway in the middle."""
    l3 = await admin.made("POST", "/l3-networks", {"params": {"name": "b", "l2NetworkUuid": flat["l2NetworkUuid"]}})
    params = {"name": "r", "startIp": "10.9.0.10", "endIp": "10.9.0.20", "netmask": "255.255.255.0"}
    path = f"/l3-networks/{l3['uuid']}/ip-ranges"
    assert (await admin.run("POST", path, {"params": params})).codes() == ["SYS.1007"]
    inside = await admin.run("POST", path, {"params": params | {"gateway": "10.9.0.15"}})
    assert inside.codes() == ["SYS.1007"]
    span = await admin.made("POST", path, {"params": params | {"gateway": "10.9.0.1"}})
    assert (span["networkCidr"], span["prefixLen"]) == ("10.9.0.0/24", 24)
    await admin.made("DELETE", f"/l3-networks/ip-ranges/{span['uuid']}")
    split = {"params": {"name": "r", "networkCidr": "10.9.0.0/24", "gateway": "10.9.0.100"}}
    answer = await admin.run("POST", f"{path}/by-cidr", split)
    assert [row["endIp"] for row in answer.rows] == ["10.9.0.99", "10.9.0.254"]


async def test_a_network_takes_what_is_on_it_along(admin, flat):
    """Deleting the L2 network removes its L3 networks, their NICs and ranges."""
    vm = await admin.new_vm(l3NetworkUuids=[flat["uuid"]])
    await admin.made("DELETE", f"/l2-networks/{flat['l2NetworkUuid']}")
    assert await admin.rows(f"/l3-networks/{flat['uuid']}") == []
    assert await admin.rows("/l3-networks/ip-ranges", f"l3NetworkUuid={flat['uuid']}") == []
    (left,) = await admin.rows(f"/vm-instances/{vm['uuid']}")
    assert left["vmNics"] == []


async def test_a_nic_is_attached_by_its_network(demo, admin, flat):
    """The answer is the VM; one NIC per network by default; a wanted address in use is refused."""
    await admin.made(
        "PUT", "/accounts/resources/actions", {"shareResource": {"resourceUuids": [flat["uuid"]], "toPublic": True}}
    )
    vm = await demo.named("/vm-instances", "web-1")
    path = f"/vm-instances/{vm['uuid']}/l3-networks/{flat['uuid']}"
    wanted = {"params": {"staticIp": "172.16.0.50"}}
    changed = await demo.made("POST", path, wanted)
    new = [nic for nic in changed["vmNics"] if nic["l3NetworkUuid"] == flat["uuid"]]
    assert [nic["ip"] for nic in new] == ["172.16.0.50"]
    assert (await demo.run("POST", path, wanted)).codes() == ["SYS.1006"]
    other = await demo.named("/vm-instances", "web-2")
    taken = await demo.run("POST", f"/vm-instances/{other['uuid']}/l3-networks/{flat['uuid']}", wanted)
    assert taken.codes() == ["SYS.1007"]
    left = await demo.made("DELETE", f"/vm-instances/nics/{new[0]['uuid']}")
    assert len(left["vmNics"]) == 1


@pytest.fixture
async def vip(demo):
    """An address of the public network."""
    public = await demo.named("/l3-networks", "public")
    params = {"name": "vip", "l3NetworkUuid": public["uuid"], "requiredIp": "203.0.113.50"}
    return await demo.made("POST", "/vips", {"params": params})


async def test_an_eip_stands_on_a_vip_and_binds_a_nic(demo, vip):
    """A bound one is not bound again; deleting the EIP leaves the VIP, deleting the VIP takes the EIP."""
    vms = [await demo.named("/vm-instances", name) for name in ("web-1", "web-2")]
    first, second = (vm["vmNics"][0]["uuid"] for vm in vms)
    eip = await demo.made("POST", "/eips", {"params": {"name": "e", "vipUuid": vip["uuid"], "vmNicUuid": first}})
    assert (eip["vipIp"], eip["guestIp"]) == ("203.0.113.50", vms[0]["vmNics"][0]["ip"])
    path = f"/eips/{eip['uuid']}"
    assert (await demo.run("POST", f"{path}/vm-instances/nics/{second}", {"params": {}})).codes() == ["SYS.1006"]
    assert "vmNicUuid" not in await demo.made("DELETE", f"{path}/vm-instances/nics")
    assert (await demo.run("DELETE", f"{path}/vm-instances/nics")).codes() == ["SYS.1006"]
    bound = await demo.made("POST", f"{path}/vm-instances/nics/{second}", {"params": {}})
    assert bound["vmNicUuid"] == second
    assert (await demo.named("/vips", "vip"))["useFor"] == "Eip"
    await demo.made("DELETE", f"/vips/{vip['uuid']}")
    assert await demo.rows("/eips") == []


async def test_a_wanted_address_in_use_is_refused(demo, vip):
    """Of another VIP."""
    params = {"name": "again", "l3NetworkUuid": vip["l3NetworkUuid"], "requiredIp": vip["ip"]}
    assert (await demo.run("POST", "/vips", {"params": params})).codes() == ["SYS.1006"]


async def test_a_fresh_security_group_has_four_default_rules(demo):
    """They let members talk to each other and can't be deleted."""
    group = await demo.made("POST", "/security-groups", {"params": {"name": "sg"}})
    assert [(rule["type"], rule["ipVersion"], rule["priority"]) for rule in group["rules"]] == [
        ("Ingress", 4, 0),
        ("Ingress", 6, 0),
        ("Egress", 4, 0),
        ("Egress", 6, 0),
    ]
    assert {rule["remoteSecurityGroupUuid"] for rule in group["rules"]} == {group["uuid"]}
    rule = group["rules"][0]["uuid"]
    refused = await demo.run("DELETE", "/security-groups/rules", params={"ruleUuids": rule})
    assert refused.codes() == ["SYS.1007"]


async def test_rules_are_added_numbered_and_removed(demo):
    """An exact duplicate is refused; so are ports where they do not belong."""
    group = await demo.named("/security-groups", "web")
    path = f"/security-groups/{group['uuid']}/rules"
    ssh = {"type": "Ingress", "protocol": "TCP", "dstPortRange": "22", "srcIpRange": "10.0.0.0/8"}
    web = ssh | {"dstPortRange": "80,443"}
    changed = await demo.made("POST", path, {"params": {"rules": [ssh, web]}})
    own = [rule for rule in changed["rules"] if rule["priority"] > 0]
    assert [(rule["priority"], rule["dstPortRange"]) for rule in own] == [(1, "22"), (2, "80,443")]
    for bad in (
        ssh,
        {"type": "Ingress", "protocol": "TCP"},
        {"type": "Ingress", "protocol": "ICMP", "dstPortRange": "1"},
        {"type": "Egress", "protocol": "ALL", "srcIpRange": "10.0.0.0/8"},
    ):
        assert (await demo.run("POST", path, {"params": {"rules": [bad]}})).codes() == ["SYS.1007"]
    left = await demo.made("DELETE", "/security-groups/rules", params={"ruleUuids": own[0]["uuid"]})
    assert [rule["dstPortRange"] for rule in left["rules"] if rule["priority"] == 1] == ["80,443"]


async def test_groups_bind_to_nics(demo):
    """The answer holds nothing; membership is asked by relation."""
    group = await demo.named("/security-groups", "web")
    vm = await demo.named("/vm-instances", "web-2")
    nic = vm["vmNics"][0]["uuid"]
    path = f"/security-groups/{group['uuid']}/vm-instances/nics"
    assert (await demo.run("POST", path, {"params": {"vmNicUuids": [nic]}})).document == {}
    assert await demo.rows("/security-groups", f"vmNic.vmInstanceUuid={vm['uuid']}") == [
        await demo.named("/security-groups", "web")
    ]
    assert (await demo.run("DELETE", path, params={"vmNicUuids": nic})).document == {}
    assert await demo.rows("/security-groups", f"vmNic.vmInstanceUuid={vm['uuid']}") == []


async def test_addresses_are_counted_and_checked(demo):
    """Free ones, one by one or all together; the DHCP server takes one."""
    l3 = await demo.named("/l3-networks", "private")
    free = await demo.send("GET", "/l3-networks/ip/free", params={"l3NetworkUuid": l3["uuid"], "limit": "2"})
    assert [row["ip"] for row in free.rows] == ["10.10.0.7", "10.10.0.8"]
    path = f"/l3-networks/{l3['uuid']}"
    assert (await demo.send("GET", f"{path}/ip/10.10.0.2/availability")).document["available"] is False
    assert (await demo.send("GET", f"{path}/ip/10.10.0.8/availability")).document == {"available": True}
    assert (await demo.send("GET", f"{path}/dhcp-ip")).document == {"ip": "10.10.0.7"}
    counted = await demo.send("GET", "/ip-capacity", params={"l3NetworkUuids": l3["uuid"]})
    assert (counted.document["usedIpAddressNumber"], counted.document["totalCapacity"]) == (6, 65533)


async def test_a_nic_may_be_made_apart_and_plugged_in_later(demo):
    """With a chosen uuid and address."""
    l3, vm = (
        await demo.named("/l3-networks", "private"),
        await demo.new_vm(l3NetworkUuids=[], clusterUuid=(await demo.named("/clusters", "cluster-1"))["uuid"]),
    )
    chosen = "44444444444444448444444444444444"
    params = {"l3NetworkUuid": l3["uuid"], "ip": "10.10.7.7", "resourceUuid": chosen}
    nic = await demo.made("POST", "/nics", {"params": params})
    assert (nic["uuid"], nic["ip"], "vmInstanceUuid" in nic) == (chosen, "10.10.7.7", False)
    plugged = await demo.made("POST", f"/vm-instances/{vm['uuid']}/nices/{chosen}", {"params": {}})
    assert [one["uuid"] for one in plugged["vmNics"]] == [chosen]
    assert (await demo.run("DELETE", f"/nics/{chosen}")).document == {}
    assert (await demo.rows(f"/vm-instances/{vm['uuid']}"))[0]["vmNics"] == []


async def test_a_router_shows_as_an_appliance(admin):
    """Its own query tells more than the VM's."""
    (router,) = await admin.rows("/vpc/virtual-routers", "status=Connected")
    assert (router["applianceVmType"], len(router["vmNics"])) == ("vpcvrouter", 2)
    (vm,) = await admin.rows(f"/vm-instances/{router['uuid']}")
    assert "applianceVmType" not in vm
