"""Accounts, owners, sharing, quotas, tags and configuration of the fake ZStack."""

from __future__ import annotations

import hashlib

PASSWORD = hashlib.sha512(b"secret").hexdigest()


async def test_a_new_account_logs_in_with_the_default_quotas(admin, anonymous):
    """Its name is taken then."""
    body = {"params": {"name": "team", "password": PASSWORD}}
    account = await admin.made("POST", "/accounts", body)
    assert account["type"] == "Normal"
    assert (await admin.run("POST", "/accounts", body)).codes() == ["SYS.1007"]
    assert (await anonymous.log_in("team", "secret")).row["accountUuid"] == account["uuid"]
    limits = {row["name"]: row["value"] for row in await anonymous.rows("/accounts/quotas")}
    assert (limits["vm.num"], limits["vm.memorySize"]) == (20, 85899345920)


async def test_a_quota_is_changed_by_the_administrator(admin, demo):
    """Not by the account that it limits."""
    account = await demo.named("/accounts", "demo")
    change = {"updateQuota": {"identityUuid": account["uuid"], "name": "securityGroup.num", "value": 1}}
    assert (await demo.run("PUT", "/accounts/quotas/actions", change)).codes() == ["ID.1002"]
    assert (await admin.made("PUT", "/accounts/quotas/actions", change))["value"] == 1
    assert (await demo.run("POST", "/security-groups", {"params": {"name": "sg"}})).codes() == ["ID.1003"]


async def test_a_changed_owner_takes_nics_and_disks_along(admin, demo, anonymous):
    """The old one no longer sees them."""
    vm = await demo.named("/vm-instances", "web-1")
    other = await admin.named("/accounts", "demo2")
    path = f"/account/{other['uuid']}/resources"
    await admin.made("POST", path, {"params": {"resourceUuid": vm["uuid"]}})
    await anonymous.log_in("demo2")
    assert len(await anonymous.rows("/vm-instances/nics")) == len(await anonymous.rows("/volumes")) == 1
    assert await demo.rows(f"/vm-instances/{vm['uuid']}") == []
    owners = await admin.send("GET", "/resources/accounts", params={"resourceUuids": vm["uuid"]})
    assert owners.document["inventories"][vm["uuid"]]["name"] == "demo2"


async def test_what_is_shared_may_be_used_but_not_changed(admin, demo):
    """Until the sharing is revoked."""
    offering = await demo.named("/instance-offerings", "small")
    path = "/accounts/resources/actions"
    await admin.run("PUT", path, {"revokeResourceSharing": {"resourceUuids": [offering["uuid"]], "all": True}})
    assert await demo.rows("/instance-offerings", "name=small") == []
    account = await demo.named("/accounts", "demo")
    share = {"resourceUuids": [offering["uuid"]], "accountUuids": [account["uuid"]]}
    await admin.run("PUT", path, {"shareResource": share})
    assert (await demo.new_vm())["state"] == "Running"
    l3 = await demo.named("/l3-networks", "private")
    change = {"updateL3Network": {"name": "mine"}}
    assert (await demo.run("PUT", f"/l3-networks/{l3['uuid']}/actions", change)).codes() == ["SYS.1006"]


async def test_a_deleted_accounts_resources_go_to_the_administrator(admin, demo):
    """Its sessions end."""
    account = await demo.named("/accounts", "demo")
    await admin.run("DELETE", f"/accounts/{account['uuid']}")
    assert (await demo.send("GET", "/zones")).codes() == ["ID.1001"]
    assert len(await admin.rows("/vm-instances", "name~=web-%")) == 2


async def test_tags_come_and_go_with_their_resource(demo):
    """By call or in the create."""
    group = await demo.made("POST", "/security-groups", {"params": {"name": "sg"}, "userTags": ["env::test"]})
    (tag,) = await demo.rows("/user-tags", f"resourceUuid={group['uuid']}")
    assert (tag["tag"], tag["resourceType"], tag["type"]) == ("env::test", "SecurityGroupVO", "User")
    await demo.run("DELETE", f"/tags/{tag['uuid']}")
    assert await demo.rows("/security-groups", "__userTag__=env::test") == []


async def test_configuration_changes_behaviour(admin, demo):
    """A policy Direct leaves nothing to recover; an unknown name fails."""
    path = "/global-configurations/vm/deletionPolicy/actions"
    assert (await admin.made("PUT", path, {"updateGlobalConfig": {"value": "Direct"}}))["value"] == "Direct"
    vm = await demo.named("/vm-instances", "web-1")
    await demo.made("DELETE", f"/vm-instances/{vm['uuid']}")
    assert await demo.rows(f"/vm-instances/{vm['uuid']}") == []
    unknown = await admin.run("PUT", "/global-configurations/vm/nothing/actions", {"updateGlobalConfig": {}})
    assert unknown.codes() == ["SYS.1007"]


async def test_a_disabled_host_takes_no_vm(admin, demo):
    """With all of them disabled a create finds no room."""
    for host in await admin.rows("/hosts"):
        disable = {"changeHostState": {"stateEvent": "disable"}}
        assert (await admin.made("PUT", f"/hosts/{host['uuid']}/actions", disable))["state"] == "Disabled"
    vm = await demo.named("/vm-instances", "batch-1")
    failed = await demo.run("PUT", f"/vm-instances/{vm['uuid']}/actions", {"startVmInstance": {}})
    assert failed.codes() == ["VM.1001", "HOST_ALLOCATION.1000"]
    assert (await demo.named("/vm-instances", "batch-1"))["state"] == "Stopped"


async def test_the_administrator_has_no_quotas_but_is_told_what_it_uses(admin):
    """With a total of 0 of each."""
    account = (await admin.named("/accounts", "admin"))["uuid"]
    usages = (await admin.send("GET", f"/accounts/quota/{account}/usages")).document["usages"]
    assert {usage["total"] for usage in usages} == {0}
    assert "vm.num" in {usage["name"] for usage in usages}
