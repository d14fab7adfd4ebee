"""Quotas: nothing is limited in memory; what each project uses is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import project_pb2, quota_pb2
from cloudspan_kit import Kind, KindDriver
from cloudspan_kit.drivers import QuotaDriver
from cloudspan_memory.cloud.source import MemorySource

if TYPE_CHECKING:
    from cloudspan_memory.cloud.store import Store

Quota = quota_pb2.Quota
Project = project_pb2.Project

_COUNTED = {
    Quota.METRIC_SERVERS: "servers",
    Quota.METRIC_VOLUMES: "volumes",
    Quota.METRIC_NETWORKS: "networks",
}
_UNLIMITED = -1

# A project has one, of its id.
QUOTAS = Kind(collection="quotas", message=Quota, row=Project, source=MemorySource(collection="projects"))


class Quotas(KindDriver[Project, Quota], QuotaDriver):
    """QuotaService."""

    kind = QUOTAS

    def __init__(self, store: Store) -> None:
        super().__init__(store.ref)
        self._store = store

    def message(self, row: Project) -> Quota:
        quota = Quota(name=self._store.name("quotas", QUOTAS.source.id_of(row)), project=row.name)
        for metric, collection in _COUNTED.items():
            quota.items.add(metric=metric, limit=_UNLIMITED, used=len(self._store.all(collection)))
        return quota
