"""Zones, projects and quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import project_pb2, quota_pb2, zone_pb2
from cloudspan_kit import Call, Capability, Page, Query
from cloudspan_memory.cloud.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNTED = (
    (quota_pb2.Quota.METRIC_SERVERS, "servers"),
    (quota_pb2.Quota.METRIC_VOLUMES, "volumes"),
    (quota_pb2.Quota.METRIC_NETWORKS, "networks"),
)


class Identity:
    """Who owns what, and how much of it there may be."""

    capabilities: Mapping[str, Capability] = {}

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get_zone(self, call: Call, _: zone_pb2.GetZoneRequest) -> zone_pb2.Zone:
        return copied(self._store.get("zones", call.id))

    async def list_zones(self, _: Call, query: Query) -> Page[zone_pb2.Zone]:
        return self._store.page("zones", query)

    async def get_project(self, call: Call, _: project_pb2.GetProjectRequest) -> project_pb2.Project:
        return copied(self._store.get("projects", call.id))

    async def list_projects(self, _: Call, query: Query) -> Page[project_pb2.Project]:
        return self._store.page("projects", query)

    async def get_quota(self, call: Call, _: quota_pb2.GetQuotaRequest) -> quota_pb2.Quota:
        self._store.get("projects", call.id)
        return self._quota(call.id)

    async def list_quotas(self, _: Call, query: Query) -> Page[quota_pb2.Quota]:
        page = self._store.page("projects", query)
        quotas = [self._quota(page.position(index)) for index in range(len(page.items))]
        return Page(quotas, page.more, page.position)

    def _quota(self, project: str) -> quota_pb2.Quota:
        """Nothing is limited here; the use is counted."""
        quota = quota_pb2.Quota(name=self._store.name("quotas", project), project=self._store.name("projects", project))
        for metric, collection in _COUNTED:
            quota.items.add(metric=metric, limit=-1, used=len(self._store.all(collection)))
        return quota
