"""A pool's clusters: which of them it has, of which project, and what limits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.names import WILDCARD, ClusterRef, parse_cluster
from cloudspan_gateway.access.names import last

if TYPE_CHECKING:
    from cloudspan.v1 import tenant_pb2


class PoolClusters:
    """The clusters of one pool, some of them by patterns; never changes."""

    def __init__(self, pool: tenant_pb2.Pool) -> None:
        self.name = pool.name
        self.id = last(pool.name)
        self.limits = pool.limits
        """What callers may use of it at the same time."""
        found = [(parse_cluster(each.cluster), each.project_id) for each in pool.clusters]
        # The more exact one decides where several fit: of a cluster named by itself, the project that stands there.
        self._patterns = tuple(sorted(found, key=lambda each: (each[0].platform, each[0].cluster).count(WILDCARD)))
        self._exact = {ref: project for ref, project in found if not ref.is_wildcard}

    def __repr__(self) -> str:
        return f"<PoolClusters {self.name}: {', '.join(str(ref) for ref, _ in self._patterns)}>"

    def project(self, ref: ClusterRef) -> str | None:
        """Return the id of the only project that the pool has of a cluster, empty for all; None without the cluster."""
        if ref in self._exact:
            return self._exact[ref]
        return next((project for pattern, project in self._patterns if _meet(pattern, ref)), None)

    def meets(self, ref: ClusterRef) -> bool:
        """Whether a name, which may hold wildcards, can mean one of its clusters."""
        return any(_meet(pattern, ref) for pattern, _ in self._patterns)

    def names_platform(self, platform: str) -> bool:
        """Whether one of its clusters can be of a platform."""
        return any(pattern.platform in (WILDCARD, platform) for pattern, _ in self._patterns)

    def has_all_of(self, platform: str) -> bool:
        """Whether it has every cluster of a platform, whole: needed where nothing says which cluster a call is for."""
        found = [(ref, project) for ref, project in self._patterns if ref.platform in (WILDCARD, platform)]
        return any(ref.cluster == WILDCARD for ref, _ in found) and not any(project for _, project in found)


def _meet(one: ClusterRef, other: ClusterRef) -> bool:
    return _same(one.platform, other.platform) and _same(one.cluster, other.cluster)


def _same(one: str, other: str) -> bool:
    return one == other or WILDCARD in (one, other)
