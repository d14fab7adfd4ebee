"""ProjectService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.project_pb2 import GetProjectRequest, Project
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class ProjectDriver(Driver, Protocol):
    """Functions of ProjectService; those that a driver leaves out are not served."""

    async def get_project(self, call: Call, request: GetProjectRequest) -> Project:
        raise not_driven("get_project")

    async def list_projects(self, call: Call, query: Query) -> Page[Project]:
        raise not_driven("list_projects")
