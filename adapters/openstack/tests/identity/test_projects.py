"""Projects: one's own, and all of them for an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import project_pb2
from cloudspan_common.errors import Forbidden, NotFound
from cloudspan_openstack_fake import Kind

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

PROJECT = project_pb2.Project


async def test_a_member_sees_its_own_project(member: Lab, admin: Lab) -> None:
    """An administrator sees all; for another one's project a member is told whose its credentials are."""
    (own,) = await member.everything(member.identity.list_projects, PROJECT)
    assert (own.display_name, own.enabled, own.domain) == ("demo", True, "default")
    everyone = await admin.everything(admin.identity.list_projects, PROJECT)
    assert own in everyone
    other = next(project for project in everyone if project.display_name == "demo2")
    member.cloud.control.fault(Kind.SERVER_ERROR, service="identity", path="projects/", status=403, count=1)
    with pytest.raises(Forbidden, match="belong to project demo") as caught:
        await member.identity.get_project(member.call(other.name), project_pb2.GetProjectRequest())
    assert caught.value.reason == "OTHER_PROJECT"
    with pytest.raises(NotFound):
        await admin.identity.get_project(admin.call("nosuch"), project_pb2.GetProjectRequest())
