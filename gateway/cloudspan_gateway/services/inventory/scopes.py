"""Which clusters a call to the inventory is about, and what of each its caller may see.

All rpcs of InventoryService go by it: the clusters of `parent`, else of the caller's metadata, as for lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.access.access import project_name
from cloudspan_gateway.access.permissions import permission_of
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.lists.fan_out import check_any_matches
from cloudspan_gateway.metadata import CLUSTER, PLATFORM, POOL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.routing.table import Table
    from cloudspan_gateway.routing.tags import Tags


@dataclass(frozen=True, slots=True)
class Seen:
    """What a call is about, as far as its caller sees it."""

    wanted: ClusterRef
    """With wildcards."""
    routes: Sequence[ClusterRoute]
    """In the order of their names; none where nothing is plugged in."""
    scope: Scope
    """The same clusters, each with the caller's project there."""
    asked: tuple[str, ...]
    """What a token is good for beside its request: the tenant, the clusters that were asked for, the pool."""

    @property
    def clusters(self) -> Sequence[str]:
        """Their names."""
        return [cluster for cluster, _ in self.scope.clusters]

    @property
    def projects(self) -> dict[str, str]:
        """The caller's project of each cluster of which it has one alone."""
        return {cluster: project for cluster, project in self.scope.clusters if project}


class Scopes:
    """Finds what calls are about."""

    def __init__(self, table: Table, tags: Tags) -> None:
        self._table = table
        self._tags = tags

    def __repr__(self) -> str:
        return f"<Scopes over {self._table.snapshot!r}>"

    def of(self, call: Call, parent: str) -> Seen:
        """Return what a call with this parent is about.

        Raises:
            InvalidRequest: A malformed parent, or one that its metadata disagrees with.
            NotFound: A cluster, platform or pool that does not exist for the caller: the same words for both.
            NotPermitted: The caller sees such clusters, and may do this on none of them.
        """
        wanted = self._wanted(call, parent)
        access = self.access(call)
        routes = self._routes(call, wanted, access)
        scope = Scope(tuple((str(route.ref), project_name(access, route.ref)) for route in routes))
        return Seen(wanted, routes, scope, (access.tenant, str(wanted), call.tags.get(POOL, "")))

    def access(self, call: Call) -> Access:
        """Return what x-pool leaves of a caller's access now; raises as `of` does for a pool."""
        return self._tags.narrowed(call.tags, call.access)

    def _wanted(self, call: Call, parent: str) -> ClusterRef:
        tagged = ClusterRef(call.tags.get(PLATFORM) or WILDCARD, call.tags.get(CLUSTER) or WILDCARD)
        name = parent or self._tags.clusters(call.tags, call.access) or str(tagged)
        ref = parse_cluster(name)
        if str(ref) != name:
            raise malformed(name, "parent", "platforms/{platform}/clusters/{cluster}")
        if parent and call.tags:
            self._tags.check(ref, "parent", call.tags, call.access)
        return ref

    def _routes(self, call: Call, wanted: ClusterRef, access: Access) -> Sequence[ClusterRoute]:
        view, method = access.view(self._table.snapshot), call.path[1:]
        permission = permission_of(call.path)
        if not wanted.is_wildcard:
            route = view.cluster(wanted)
            access.require(permission, method, wanted)
            return (route,)
        found = view.matching(wanted)
        allowed = tuple(route for route in found if access.allows(permission, method, route.ref))
        if not found:
            check_any_matches(view, wanted)
        elif not allowed:
            access.require(permission, method, found[0].ref)
        return allowed
