"""Projects: accounts. Every account is shown all accounts of the installation, and what they may use and use."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import project_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import ProjectDriver
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class AccountRow(Row, kw_only=True):
    type: str = ""


PROJECTS = Kind(
    collection="projects",
    message=project_pb2.Project,
    row=AccountRow,
    source=ZStackSource("/accounts"),
    sort={"display_name": "name"},
    changes_since="lastOpDate",
    push={"name": push.ref("uuid", "projects"), "display_name": push.text("name")},
)


class Projects(KindDriver[AccountRow, project_pb2.Project], ProjectDriver):
    """ProjectService."""

    kind = PROJECTS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_projects": Capability(
            fields={
                "domain": (ABSENT, "accounts are in no domain"),
                "parent_project": (ABSENT, "accounts are not nested"),
            }
        )
    }

    async def messages(self, call: Call, rows: Sequence[AccountRow]) -> Sequence[project_pb2.Project]:
        labels = await read_labels(session_of(call), call, "AccountVO", [row.uuid for row in rows])
        return [
            project_pb2.Project(
                name=self._ref.resource("projects", row.uuid),
                display_name=row.name,
                labels=labels.get(row.uuid),
                description=row.description,
                enabled=True,
            )
            for row in rows
        ]
