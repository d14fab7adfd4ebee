"""Projects are accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan.v1 import project_pb2
from cloudspan_common.errors import NotFound

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab


async def test_the_administrator_sees_all_accounts_and_others_themselves(admin: Lab, member: Lab) -> None:
    """Accounts are projects."""
    every = await admin.everything(admin.identity.list_projects, project_pb2.Project)
    assert {project.display_name for project in every} == {"admin", "demo", "demo2"}
    (own,) = await member.everything(member.identity.list_projects, project_pb2.Project)
    assert own.display_name == "demo"
    other = next(project for project in every if project.display_name == "demo2")
    with pytest.raises(NotFound):
        await member.identity.get_project(member.call(other.name), project_pb2.GetProjectRequest())
