"""The identity area: what stands above single services: projects, zones and quotas.

`cluster` lists it among its areas; the kit calls the functions by their names. Zones and quotas are merged from
Nova, Cinder and Neutron, as far as the cloud has them.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import project_pb2
from cloudspan_common.errors import Forbidden, NotFound
from cloudspan_kit import Capability, Page, converted, listed
from cloudspan_openstack.cloud.values import labels_of
from cloudspan_openstack.identity.identity_quotas import read_quota
from cloudspan_openstack.identity.identity_zones import read_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import quota_pb2, zone_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session


class ProjectRow(msgspec.Struct, kw_only=True):
    id: str
    name: str | None = None
    description: str | None = None
    enabled: bool = True
    domain_id: str | None = None
    parent_id: str | None = None
    is_domain: bool = False
    tags: list[str] = []


class Identity:
    """Projects, zones and quotas of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref

    def __repr__(self) -> str:
        return f"<Identity {self._ref}>"

    async def get_project(self, call: Call, _request: project_pb2.GetProjectRequest) -> project_pb2.Project:
        return self._project(call, await self._project_document(call))

    async def list_projects(self, call: Call, query: Query) -> Page[project_pb2.Project]:
        """List the credentials' own project, or for an administrator all of them."""
        documents, partial = await self._project_documents(call)
        by_id = sorted(documents, key=lambda document: str(document.get("id")))
        ids = [str(document.get("id")) for document in by_id]
        rest = by_id[bisect.bisect_right(ids, query.cursor) :]
        items = [self._project(call, document) for document in rest]
        return Page(items, more=False, position=lambda index: str(rest[index].get("id")), partial=partial)

    async def get_zone(self, call: Call, _request: zone_pb2.GetZoneRequest) -> zone_pb2.Zone:
        zones, unread = await read_zones(self._session, call, self._ref)
        if call.id not in zones:
            known = listed(sorted(zones)) or "none"
            raise unread or NotFound(f"{self._ref} has no zone {call.id!r}; it has: {known}")
        return zones[call.id]

    async def list_zones(self, call: Call, query: Query) -> Page[zone_pb2.Zone]:
        zones, unread = await read_zones(self._session, call, self._ref)
        names = sorted(zones)
        rest = names[bisect.bisect_right(names, query.cursor) :]
        return Page(
            [zones[name] for name in rest],
            more=False,
            position=rest.__getitem__,
            partial=unread.message if unread else "",
        )

    async def get_quota(self, call: Call, _request: quota_pb2.GetQuotaRequest) -> quota_pb2.Quota:
        document = await self._project_document(call)
        try:
            return await read_quota(self._session, call, self._ref, call.id, str(document.get("name") or ""))
        except Forbidden as error:
            raise await self._other_project(call, error) from error

    async def list_quotas(self, call: Call, query: Query) -> Page[quota_pb2.Quota]:
        """List the quota of the credentials' own project; others are read one by one."""
        login = await self._session.scope(call)
        wanted: Sequence[str] = [login.project_id] if query.cursor < login.project_id else []
        quotas = [await read_quota(self._session, call, self._ref, p, login.project_name) for p in wanted]
        return Page(quotas, more=False, position=wanted.__getitem__)

    async def _project_document(self, call: Call) -> dict[str, Any]:
        """Return the project `call.id`; Keystone answers a member 403 for another, there or not."""
        try:
            body = await self._session.get(call, "identity", "/projects/{id}", dict[str, Any], args={"id": call.id})
        except Forbidden as error:
            raise await self._other_project(call, error) from error
        document: dict[str, Any] = body["project"]
        return document

    async def _other_project(self, call: Call, error: Forbidden) -> Forbidden:
        """Say whose the credentials are; the cloud only says that a policy forbids it."""
        login = await self._session.scope(call)
        text = (
            f"the credentials of {self._ref} belong to project {login.project_name} ({login.project_id}) and may not "
            f"read project {call.id}; ask for their own, or give the cluster an administrator's credentials"
        )
        return Forbidden(text, reason="OTHER_PROJECT", metadata=error.metadata)

    async def _project_documents(self, call: Call) -> tuple[list[dict[str, Any]], str]:
        login = await self._session.scope(call)
        if login.is_admin:
            try:
                return _listed(await self._session.get(call, "identity", "/projects", dict[str, Any]))
            except Forbidden:
                # An administrator of one project only, by this cloud's policy: a member here.
                return await self._own_document(call, login.project_id)
        return await self._own_document(call, login.project_id)

    async def _own_document(self, call: Call, project_id: str) -> tuple[list[dict[str, Any]], str]:
        body = await self._session.get(call, "identity", "/projects/{id}", dict[str, Any], args={"id": project_id})
        return [body["project"]], ""

    def _project(self, call: Call, document: dict[str, Any]) -> project_pb2.Project:
        row = converted(document, ProjectRow)
        # The parent of a top project is its domain, which is none.
        parent = row.parent_id if row.parent_id != row.domain_id else None
        message = project_pb2.Project(
            name=self._ref.resource("projects", row.id),
            display_name=row.name,
            labels=labels_of(row.tags),
            description=row.description,
            enabled=row.enabled,
            domain=row.domain_id,
            parent_project=self._ref.resource("projects", parent) if parent else None,
        )
        if call.full:
            message.native.update(document)
        return message


def _listed(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Keystone knows no pages: a listing above its `list_limit` is cut, and says so by `truncated`."""
    cut = "Keystone cut the list at its list_limit; ask for projects by name" if body.get("truncated") else ""
    return body.get("projects", []), cut
