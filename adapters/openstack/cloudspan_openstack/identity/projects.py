"""Projects: Keystone's."""

from __future__ import annotations

import msgspec

from cloudspan.v1 import project_pb2
from cloudspan_kit import Kind, KindDriver
from cloudspan_kit.drivers import ProjectDriver
from cloudspan_openstack.cloud import keystone
from cloudspan_openstack.cloud.values import labels_of


class ProjectRow(msgspec.Struct, kw_only=True):
    id: str
    name: str | None = None
    description: str | None = None
    enabled: bool = True
    domain_id: str | None = None
    parent_id: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)


PROJECTS = Kind(collection="projects", message=project_pb2.Project, row=ProjectRow, source=keystone.Projects())


class Projects(KindDriver[ProjectRow, project_pb2.Project], ProjectDriver):
    """ProjectService."""

    kind = PROJECTS

    def message(self, row: ProjectRow) -> project_pb2.Project:
        # The parent of a top project is its domain, which is none.
        parent = row.parent_id if row.parent_id != row.domain_id else None
        return project_pb2.Project(
            name=self._ref.resource("projects", row.id),
            display_name=row.name,
            labels=labels_of(row.tags),
            description=row.description,
            enabled=row.enabled,
            domain=row.domain_id,
            parent_project=self._ref.resource("projects", parent) if parent else None,
        )
