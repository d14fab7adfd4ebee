"""Projects: there is one, which owns everything."""

from __future__ import annotations

from cloudspan.v1 import project_pb2
from cloudspan_kit import Kind
from cloudspan_kit.drivers import ProjectDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource

Project = project_pb2.Project

PROJECTS = Kind(collection="projects", message=Project, row=Project, source=MemorySource(), changes_since="update_time")


class Projects(MemoryDriver[Project], ProjectDriver):
    """ProjectService."""

    kind = PROJECTS
