"""The query API of the fake ZStack."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("name=web-1", ["web-1"]),
        ("name=WEB-1", ["web-1"]),
        ("name!=web-1", ["batch-1", "cache-1", "db-1", "web-2"]),
        ("name~=web-%", ["web-1", "web-2"]),
        ("name!~=%-1", ["web-2"]),
        ("name?=db-1,web-2,none", ["db-1", "web-2"]),
        ("name!?=db-1,web-1,web-2", ["batch-1", "cache-1"]),
        ("cpuNum>2", ["db-1"]),
        ("cpuNum>=2", ["batch-1", "db-1", "web-2"]),
        ("cpuNum<2", ["cache-1", "web-1"]),
        ("cpuNum<=1", ["cache-1", "web-1"]),
        ("hostUuid is null", ["batch-1"]),
        ("hostUuid not null", ["cache-1", "db-1", "web-1", "web-2"]),
        ("hostUuid!=0", ["cache-1", "db-1", "web-1", "web-2"]),
        ("image.name~=ubuntu%", ["batch-1", "cache-1", "db-1", "web-1", "web-2"]),
        ("vmNics.ip=10.10.0.3", ["web-2"]),
        ("zone.name=elsewhere", []),
    ],
)
async def test_every_operator_selects(demo, condition, names):
    """Null meets no comparison, as in SQL; text is compared without regard to case."""
    rows = await demo.rows("/vm-instances", condition)
    assert sorted(row["name"] for row in rows) == names


async def test_conditions_are_joined_with_and(demo):
    """There is no or."""
    rows = await demo.rows("/vm-instances", "state=Running", "cpuNum=1", sort="name")
    assert [row["name"] for row in rows] == ["cache-1", "web-1"]


async def test_the_first_operator_found_anywhere_splits(demo):
    """A value that holds one is misread."""
    refused = await demo.send("GET", "/vm-instances", params={"q": "name=a!=b"})
    assert (refused.status, refused.error["code"]) == (503, "SYS.1000")
    assert "name=a" in refused.error["details"]


async def test_a_bad_operator_is_malformed_and_an_unknown_field_a_failure(demo):
    """400 in text, 503 in JSON that names the field."""
    assert (await demo.send("GET", "/vm-instances", params={"q": "name"})).status == 400
    refused = await demo.send("GET", "/vm-instances", params={"q": "flavour=1"})
    assert "flavour" in refused.error["details"]


async def test_a_thousand_rows_end_a_list_silently(demo, cloud):
    """Only a count tells that there are more."""
    cloud.control.seed(volumes=1100)
    assert len(await demo.rows("/volumes")) == 1000
    answer = await demo.send("GET", "/volumes", params={"replyWithCount": "true", "limit": "2"})
    assert (len(answer.rows), answer.document["total"]) == (2, 1108)
    assert (await demo.send("GET", "/volumes", params={"count": "true"})).document == {"schema": {}, "total": 1108}


async def test_pages_are_by_offset_and_sorted_by_choice(demo):
    """Without a sort the rows come by uuid."""
    down = await demo.rows("/vm-instances", sort="-name", limit="2")
    assert [row["name"] for row in down] == ["web-2", "web-1"]
    rest = await demo.rows("/vm-instances", sort="+name", start="3", limit="2")
    assert [row["name"] for row in rest] == ["web-1", "web-2"]
    uuids = [row["uuid"] for row in await demo.rows("/vm-instances")]
    assert uuids == sorted(uuids)


async def test_chosen_fields_are_all_that_is_told(demo):
    """A null one is left out."""
    rows = await demo.rows("/vm-instances", "name=batch-1", fields="name,hostUuid,state")
    assert rows == [{"name": "batch-1", "state": "Stopped"}]


async def test_one_by_uuid_is_a_list_of_one_or_none(demo):
    """A missing resource is an empty list and no error."""
    vm = await demo.named("/vm-instances", "web-1")
    assert (await demo.rows(f"/vm-instances/{vm['uuid']}")) == [vm]
    assert (await demo.rows(f"/vm-instances/{'0' * 32}")) == []


async def test_nulls_are_left_out(demo):
    """Absent, not null."""
    vm = await demo.named("/vm-instances", "batch-1")
    assert "hostUuid" not in vm
    assert vm["lastHostUuid"]
    answer = await demo.send("GET", "/vm-instances")
    assert "null" not in answer.text
    assert answer.document["schema"]["inventories[0]"].endswith("VmInstanceInventory")


async def test_an_account_sees_its_own_and_what_is_shared(demo, admin, anonymous):
    """The administrator sees all, routers too."""
    await anonymous.log_in("demo2")
    assert await anonymous.rows("/vm-instances") == []
    assert {row["name"] for row in await anonymous.rows("/images")} == {"ubuntu-24.04", "installer", "vrouter"}
    types = {row["type"] for row in await admin.rows("/vm-instances")}
    assert types == {"UserVm", "ApplianceVm"}
    vm = await demo.named("/vm-instances", "web-1")
    stolen = await anonymous.run("PUT", f"/vm-instances/{vm['uuid']}/actions", {"stopVmInstance": {}})
    assert (stolen.error["code"], "is not the owner" in stolen.error["details"]) == ("SYS.1006", True)


async def test_tags_are_conditions(demo):
    """User and system tags, on the resource that has them."""
    vm = await demo.named("/vm-instances", "web-1")
    tag = {"params": {"resourceType": "VmInstanceVO", "resourceUuid": vm["uuid"], "tag": "team::db"}}
    await demo.made("POST", "/user-tags", tag)
    assert [row["name"] for row in await demo.rows("/vm-instances", "__userTag__=team::db")] == ["web-1"]
    assert await demo.rows("/vm-instances", "__systemTag__~=team%") == []


async def test_dates_are_conditions_in_the_servers_zone(demo, cloud):
    """Written as the database writes them."""
    await cloud.control.advance(60)
    await demo.made("POST", "/security-groups", {"params": {"name": "late"}})
    rows = await demo.rows("/security-groups", "createDate>2023-11-15 06:14:00")
    assert [row["name"] for row in rows] == ["late"]


PATHS = {
    "Zone": "/zones", "Cluster": "/clusters", "Host": "/hosts", "Image": "/images", "VmInstance": "/vm-instances",
    "VmNic": "/vm-instances/nics", "Volume": "/volumes", "L2Network": "/l2-networks", "L3Network": "/l3-networks",
    "L2VlanNetwork": "/l2-networks/vlan", "IpRange": "/l3-networks/ip-ranges", "UsedIp": "/l3-networks/ip-address",
    "InstanceOffering": "/instance-offerings", "DiskOffering": "/disk-offerings", "SshKeyPair": "/ssh-key-pair",
    "SecurityGroup": "/security-groups", "SecurityGroupRule": "/security-groups/rules", "Account": "/accounts",
    "VmNicSecurityGroupRef": "/security-groups/vm-instances/nics", "Quota": "/accounts/quotas",
    "NetworkServiceProvider": "/network-services/providers", "PrimaryStorage": "/primary-storage",
    "NetworkServiceL3NetworkRef": "/l3-networks/network-services/refs", "BackupStorage": "/backup-storage",
    "VpcRouterVm": "/vpc/virtual-routers", "AccountResourceRef": "/accounts/resources/refs",
    "ManagementNode": "/management-nodes", "GlobalConfig": "/global-configurations", "AccessKey": "/accesskeys",
    "User": "/accounts/users",
}  # fmt: skip


@pytest.mark.parametrize(("inventory", "path"), PATHS.items())
async def test_rows_hold_no_field_that_the_reference_does_not_know(admin, cloud, inventory, path):
    """Every kind of row that a cloud starts with, its children included."""
    known = cloud._building.gate._reference.inventories
    rows = await admin.rows(path)
    assert rows
    for row in rows:
        assert set(row) <= set(known[f"{inventory}Inventory"])
        for nic in row.get("vmNics", ()):
            assert set(nic) <= set(known["VmNicInventory"])


@pytest.mark.parametrize("params", [{"limit": "-1"}, {"start": "-1"}, {"sort": "nofield"}, {"fields": "nofield"}])
async def test_paging_that_makes_no_sense_is_an_internal_error(demo, params):
    """In JSON, as every failure."""
    refused = await demo.send("GET", "/vm-instances", params=params)
    assert (refused.status, refused.error["code"]) == (503, "SYS.1000")


async def test_network_service_providers_are_never_counted(demo):
    """Whatever is asked for."""
    for params in ({"replyWithCount": "true"}, {"count": "true"}):
        assert "total" not in (await demo.send("GET", "/network-services/providers", params=params)).document
