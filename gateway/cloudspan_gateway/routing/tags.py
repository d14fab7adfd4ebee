"""Where a caller's metadata sends a request that names no cluster: x-platform with x-cluster, or x-pool.

Asked by the router. Of a pool's clusters a list means all, a create the least busy one that can do it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cloudspan_common import names
from cloudspan_common.contract import Kind
from cloudspan_common.errors import InvalidRequest, Unreachable, Violation
from cloudspan_common.names import WILDCARD, ClusterRef
from cloudspan_gateway.access.access import OPEN
from cloudspan_gateway.metadata import CLUSTER, PLATFORM, POOL
from cloudspan_gateway.routing.snapshot import RETRY_AFTER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.contract import Method
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.routing.table import Table

_EVERY_CLUSTER = ClusterRef(WILDCARD, WILDCARD)


class Tags:
    """What x-platform, x-cluster and x-pool mean, for one caller or another."""

    def __init__(self, table: Table, narrowed: Callable[[Access, str], Access] | None = None) -> None:
        """Take what returns a caller's access in one pool; without it only the access itself knows pools."""
        self._table = table
        self._narrowed = narrowed or (lambda access, pool: access.narrowed(pool))

    def __repr__(self) -> str:
        return f"<Tags over {self._table.snapshot!r}>"

    def narrowed(self, tags: Mapping[str, str], access: Access) -> Access:
        """Return what x-pool leaves of a caller's access; all of it without one.

        Raises:
            NotFound: The caller has no such pool.
        """
        return self._narrowed(access, tags[POOL]) if POOL in tags else access

    def parent(self, method: Method, tags: Mapping[str, str], access: Access) -> str:
        """Return the cluster's name that the tags say for a request without a parent; empty where they say too little.

        Raises:
            InvalidRequest: Malformed tags, or tags that disagree.
            NotFound: The pool is not known.
            Unreachable: The pool has no cluster that can be chosen.
        """
        if method.kind is Kind.LIST:
            return self.clusters(tags, access)
        if POOL in tags and method.kind is Kind.MUTATION:
            return str(self._chosen(method, tags, access).ref)
        return self.cluster(tags, access)

    def cluster(self, tags: Mapping[str, str], access: Access = OPEN) -> str:
        """Return the one cluster's name that the tags say; raises as `parent` does, and for a pool of several."""
        platform, cluster = self.place(tags, access)
        return str(ClusterRef(platform, cluster)) if platform and cluster else ""

    def place(self, tags: Mapping[str, str], access: Access) -> tuple[str, str]:
        """Return the platform and the cluster that the tags say, either empty; raises as `cluster` does."""
        _check_form(tags)
        if POOL not in tags:
            return tags.get(PLATFORM, ""), tags.get(CLUSTER, "")
        found = self._of_pool(tags, access)
        if len(found) > 1:
            clusters = ", ".join(str(route.ref) for route in found)
            text = f"metadata {POOL} says {tags[POOL]!r}, which has several clusters; name one of them: {clusters}"
            violation = Violation(f"metadata {POOL}", text)
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[violation])
        return found[0].ref.platform, found[0].ref.cluster

    def check(self, ref: ClusterRef, field: str, tags: Mapping[str, str], access: Access) -> None:
        """Raise InvalidRequest if tags and a field name different clusters: no guess which one was meant."""
        for key, said in ((PLATFORM, ref.platform), (CLUSTER, ref.cluster)):
            if tags.get(key) and tags[key] != said:
                raise _disagree(field, said, key, tags[key])
        if POOL in tags and access.sees(access.tenant, ref):
            pool = self.narrowed(tags, access)
            if not pool.sees(pool.tenant, ref):
                raise _disagree(field, str(ref), POOL, tags[POOL])

    def clusters(self, tags: Mapping[str, str], access: Access) -> str:
        """Return the name of the clusters that the tags say, all of a platform or a pool where they say no cluster.

        Empty where they say too little; raises as `parent` does.
        """
        _check_form(tags)
        if POOL in tags:
            found = self._of_pool(tags, access)
            return str(found[0].ref if len(found) == 1 else _wanted(tags))
        platform = tags.get(PLATFORM, "")
        return str(ClusterRef(platform, tags.get(CLUSTER) or WILDCARD)) if platform else ""

    def _chosen(self, method: Method, tags: Mapping[str, str], access: Access) -> ClusterRoute:
        """Choose where something new is made: where the caller may, on a cluster that serves, the least busy one."""
        able = [route for route in self._of_pool(tags, access) if method.full_name not in route.absent]
        if not able:
            raise _none_to_choose(tags[POOL], f"none of its clusters has {method.full_name}")
        pool = self.narrowed(tags, access)
        allowed = [route for route in able if pool.allows(method.permission, method.full_name, route.ref)] or able
        # Without one that serves, any: a request that was accepted before is answered from the store all the same.
        serving = [route for route in allowed if route.endpoints] or allowed
        return min(serving, key=lambda route: (self._busy(route), random.random()))  # noqa: S311 - keeps no secret

    def _busy(self, route: ClusterRoute) -> float:
        """Calls on the way to the instances that serve a cluster, on average."""
        calls = sum(self._table.channels.in_flight(endpoint) for endpoint in route.endpoints)
        return calls / max(1, len(route.endpoints))

    def _of_pool(self, tags: Mapping[str, str], access: Access) -> Sequence[ClusterRoute]:
        """The clusters of the pool that are known now, those that the other tags leave; at least one."""
        view = self.narrowed(tags, access).view(self._table.snapshot)
        known, wanted = view.matching(_EVERY_CLUSTER), _wanted(tags)
        found = [
            route
            for route in known
            if wanted.platform in (WILDCARD, route.ref.platform) and wanted.cluster in (WILDCARD, route.ref.cluster)
        ]
        if not known:
            raise _none_to_choose(tags[POOL], "none of its clusters is known now")
        if not found:
            raise _disagree(f"metadata {POOL}", tags[POOL], f"{PLATFORM} and {CLUSTER}", f"{wanted}")
        return found


def _wanted(tags: Mapping[str, str]) -> ClusterRef:
    return ClusterRef(tags.get(PLATFORM) or WILDCARD, tags.get(CLUSTER) or WILDCARD)


def _check_form(tags: Mapping[str, str]) -> None:
    for key in (PLATFORM, CLUSTER):
        tag = tags.get(key)
        if tag and tag != WILDCARD and not names.is_tag(tag):
            raise names.malformed(tag, f"metadata {key}", "a tag: a lower-case letter, then letters, digits, `-`")


def _disagree(field: str, said: str, key: str, tag: str) -> InvalidRequest:
    text = f"{field} says {said!r} and metadata {key} says {tag!r}; leave one out or make them agree"
    return InvalidRequest(text, reason="TAG_DISAGREES", violations=[Violation(field, text)])


def _none_to_choose(pool: str, why: str) -> Unreachable:
    text = (
        f"no cluster of pool {pool[:60]!r} can be chosen: {why}; ClusterService.ListClusters lists the pool's clusters"
    )
    return Unreachable(text, reason="CLUSTER_NOT_CHOSEN", metadata={"pool": pool[:60]}, retry_after_s=RETRY_AFTER_S)
