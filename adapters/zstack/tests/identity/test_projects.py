"""Projects are accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import project_pb2, quota_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


async def test_every_account_is_shown_all_accounts(admin: Lab, member: Lab) -> None:
    """Accounts are projects; the platform hides none, nor what they use."""
    for lab in (admin, member):
        every = await lab.everything(lab.identity.list_projects, project_pb2.Project)
        assert {project.display_name for project in every} == {"admin", "demo", "demo2"}
    other = next(project for project in every if project.display_name == "demo2")
    assert await member.identity.get_project(member.call(other.name), project_pb2.GetProjectRequest()) == other
    quota = f"{other.name.replace('/projects/', '/quotas/')}"
    found = await member.identity.get_quota(member.call(quota), quota_pb2.GetQuotaRequest())
    assert (found.project, len(found.items) > 0) == (other.name, True)
