"""Quotas are read in the contract's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import project_pb2, quota_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

PARENT = "platforms/zstack/clusters/lab"
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
Q = quota_pb2.Quota


async def test_a_quota_tells_limits_and_use_in_our_units(member: Lab) -> None:
    """Memory is MiB, and the platform's own words stay where we have none."""
    (quota,) = await member.everything(member.identity.list_quotas, quota_pb2.Quota)
    items = {item.native_metric: item for item in quota.items}
    servers = items["vm.totalNum"]
    assert (servers.metric, servers.limit, servers.used, servers.HasField("used")) == (Q.METRIC_SERVERS, 20, 5, True)
    assert (items["vm.memorySize"].metric, items["vm.memorySize"].limit) == (Q.METRIC_MEMORY_MIB, 80 * 1024)
    assert (items["volume.data.num"].metric, items["volume.data.num"].used) == (Q.METRIC_VOLUMES, 3)
    assert (items["vm.num"].metric, items["vm.num"].limit) == (Q.METRIC_UNKNOWN, 20)
    assert not any(item.HasField("reserved") for item in quota.items)
    assert quota.project == quota.name.replace("quotas", "projects")
    assert quota == await member.identity.get_quota(member.call(quota.name), quota_pb2.GetQuotaRequest())


async def test_the_administrator_has_no_quota(admin: Lab) -> None:
    """It reads those of others."""
    (own,) = await admin.everything(admin.identity.list_quotas, quota_pb2.Quota)
    assert (own.name, len(own.items)) == (f"{PARENT}/quotas/{ADMIN}", 0)
    accounts = await admin.everything(admin.identity.list_projects, project_pb2.Project, 'display_name = "demo"')
    name = accounts[0].name.replace("projects", "quotas")
    assert (await admin.identity.get_quota(admin.call(name), quota_pb2.GetQuotaRequest())).items


async def test_a_quotas_document_is_the_platforms_own(member: Lab) -> None:
    """Under view FULL."""
    (quota,) = await member.everything(member.identity.list_quotas, Q)
    got = await member.identity.get_quota(member.call(quota.name, full=True), quota_pb2.GetQuotaRequest())
    assert [one["name"] for one in got.native["usages"]] == [item.native_metric for item in got.items]
