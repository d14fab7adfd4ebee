"""Quotas: limits and use of all services, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import project_pb2, quota_pb2
from cloudspan_common.errors import CloudspanError, Forbidden, NotFound
from cloudspan_common.names import ClusterRef
from cloudspan_kit import read_rows
from cloudspan_openstack.identity.quotas import QuotaRow, Quotas
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PROJECT, QUOTA = project_pb2.Project, quota_pb2.Quota


async def test_a_quota_holds_the_limits_and_the_use_of_all_services(member: Lab) -> None:
    """In our words and units; what a platform does not tell is said to be unknown."""
    member.cloud.control.seed("demo", volumes=2)
    member.cloud.control.set_quota("compute", cores=-1)
    (quota,) = await member.everything(member.identity.list_quotas, QUOTA)
    known = [item for item in quota.items if item.metric != QUOTA.METRIC_UNKNOWN]
    items = {item.metric: item for item in known}
    assert len(items) == len(known)
    assert (items[QUOTA.METRIC_VOLUMES].used, items[QUOTA.METRIC_VOLUME_BYTES].used) == (2, 2 << 30)
    assert (items[QUOTA.METRIC_VCPUS].limit, items[QUOTA.METRIC_VCPUS].native_metric) == (-1, "cores")
    wanted = ("SERVERS", "MEMORY_MIB", "NETWORKS", "PORTS", "FLOATING_IPS", "SECURITY_GROUP_RULES")
    assert {QUOTA.Metric.Value(f"METRIC_{word}") for word in wanted} <= items.keys()
    assert not items[QUOTA.METRIC_KEY_PAIRS].HasField("used")
    assert "metadata_items" in {item.native_metric for item in quota.items} - {item.native_metric for item in known}
    got = await member.identity.get_quota(member.call(quota.name, full=True), quota_pb2.GetQuotaRequest())
    assert got.project == quota.project
    assert set(got.native) == {"compute", "volume", "network"}


async def test_another_projects_quota_needs_an_administrator(member: Lab, admin: Lab) -> None:
    """A member's 403 is readable; an administrator gets it, and a not-found for a project that is none."""
    projects = await admin.everything(admin.identity.list_projects, PROJECT)
    other = next(project.name for project in projects if project.display_name == "demo2")
    with pytest.raises(Forbidden, match="may not read project"):
        await member.identity.get_quota(member.call(other), quota_pb2.GetQuotaRequest())
    quota = await admin.identity.get_quota(admin.call(other), quota_pb2.GetQuotaRequest())
    assert quota.project == other
    with pytest.raises(NotFound):
        await admin.identity.get_quota(admin.call("nosuch"), quota_pb2.GetQuotaRequest())


async def test_a_quota_fails_when_a_service_does(member: Lab) -> None:
    """A part that is missing in silence would look like no limit."""
    member.cloud.control.fault(Kind.SERVER_ERROR, service="network", path="quotas")
    with pytest.raises(CloudspanError):
        await member.everything(member.identity.list_quotas, QUOTA)


REFUSED = "Policy doesn't allow os_compute_api:os-quota-sets:detail to be performed."
DETAILS = {
    "compute": "/os-quota-sets/[^/]+/detail",
    "volume": "/os-quota-sets/[^/?]+$",
    "network": "/details.json",
}


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("service", DETAILS)
async def test_a_service_that_does_not_tell_what_is_used_tells_its_limits(
    member: Lab, service: str, status: int
) -> None:
    """All others are whole, and the list says what is missing and why."""
    (usual,) = await member.everything(member.identity.list_quotas, QUOTA)
    _refuse(member, service, DETAILS[service], status, count=1)
    page = await member.identity.list_quotas(member.call(), member.query(QUOTA))
    (quota,) = page.items
    assert {i.native_metric: i.limit for i in quota.items} == {i.native_metric: i.limit for i in usual.items}
    lacking = {i.native_metric for i in usual.items if i.HasField("used")} - {
        i.native_metric for i in quota.items if i.HasField("used")
    }
    words = {"compute": "cores", "volume": "gigabytes", "network": "port"}
    assert {word for word in words.values() if word in lacking} == {words[service]}
    assert page.partial.startswith(f"{service} does not tell what is used: ")
    _refuse(member, service, DETAILS[service], status, count=1)
    got = await member.identity.get_quota(member.call(quota.name), quota_pb2.GetQuotaRequest())
    assert got.items == quota.items


async def test_a_service_that_refuses_its_quota_costs_a_list_no_other(member: Lab) -> None:
    """The list says which and why; a Get, which can't, gives the cloud's own reason."""
    _refuse(member, "compute", "/os-quota-sets/", 403)
    page = await member.identity.list_quotas(member.call(), member.query(QUOTA))
    (quota,) = page.items
    told = {item.metric for item in quota.items}
    assert {QUOTA.METRIC_VOLUMES, QUOTA.METRIC_PORTS} <= told
    assert QUOTA.METRIC_VCPUS not in told
    assert page.partial.startswith("compute does not tell its limits: ")
    with pytest.raises(Forbidden) as refused:
        await member.identity.get_quota(member.call(quota.name), quota_pb2.GetQuotaRequest())
    assert refused.value.reason != "OTHER_PROJECT"
    assert "belong to project" not in refused.value.message


async def test_a_cloud_that_tells_no_quota_at_all_says_why(member: Lab) -> None:
    """With the cloud's reason."""
    for service in ("compute", "volume", "network"):
        _refuse(member, service, "quota", 403)
    with pytest.raises(Forbidden):
        await member.identity.list_quotas(member.call(), member.query(QUOTA))


def _refuse(lab: Lab, service: str, path: str, status: int, count: int = 0) -> None:
    more = {"count": count} if count else {}
    lab.cloud.control.fault(Kind.SERVER_ERROR, service=service, path=path, status=status, **more)


def test_odd_figures_are_read_as_far_as_they_can_be() -> None:
    """A number as text is that number; without a limit there is nothing to say."""
    figures = {"cores": {"limit": "7", "in_use": None}, "ram": {"limit": None, "in_use": 3}, "instances": {"limit": -1}}
    found = read_rows([{"id": "p", "compute": figures, "network": None}], QuotaRow, "id")
    quota = Quotas(ClusterRef("openstack", "east")).message(found.rows[0])
    assert [(item.metric, item.limit, item.HasField("used")) for item in quota.items] == [
        (QUOTA.METRIC_VCPUS, 7, False),
        (QUOTA.METRIC_SERVERS, -1, False),
    ]
    assert found.unread == []


def test_a_figure_that_cannot_be_read_leaves_the_quota_out_by_name() -> None:
    """Without it the rest would look like no limit."""
    found = read_rows([{"id": "p", "volume": {"gigabytes": {"limit": "many"}}}], QuotaRow, "id")
    assert found.rows == []
    assert found.unread == ["p was left out (volume.gigabytes.limit: 'many' is not a number)"]
