"""Makes the next snapshot out of what is known of each instance and what is remembered of those that are gone.

The table calls `assemble` on each change. Pure: no clock, no channel is touched.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.routing.snapshot import QUARANTINED, SERVING, ClusterRoute, PlatformRoute, Seen, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudspan_gateway.routing.describe import Description
    from cloudspan_gateway.routing.snapshot import Endpoint


_LOGIN_REFUSED = cluster_pb2.Cluster.STATE_LOGIN_REFUSED


@dataclass(slots=True)
class Remembered:
    """What is known of a platform beyond the life of its instances."""

    display_name: str = ""
    services: frozenset[str] = frozenset()
    clusters: dict[str, cluster_pb2.Cluster] = field(default_factory=dict)
    last_seen: float = 0.0
    """Monotonic seconds at which it last had an instance."""

    def learn(self, old: Description | None, new: Description) -> None:
        """Take in a description; a cluster that its adapter dropped is forgotten at once."""
        self.display_name = new.display_name or self.display_name
        self.services = new.services
        for tag in (old.clusters.keys() if old else set()) - new.clusters.keys():
            self.clusters.pop(tag, None)
        self.clusters.update(new.clusters)


def assemble(instances: Iterable[Seen], memory: Mapping[str, Remembered]) -> Snapshot:
    """Return the snapshot; `instances` in the order in which they described themselves first."""
    by_platform: dict[str, list[Seen]] = defaultdict(list)
    for seen in instances:
        by_platform[seen.instance.platform].append(seen)
    platforms = {
        tag: _platform(tag, _without_conflicts(by_platform[tag]), memory.get(tag, Remembered()))
        for tag in sorted(by_platform.keys() | memory.keys())
    }
    return Snapshot(MappingProxyType(platforms))


def _without_conflicts(instances: Sequence[Seen]) -> list[Seen]:
    """Of two that claim one cluster with different endpoints the later one is quarantined.

    The first may have begun operations there. Judged anew on each change, so the first one's end releases the other.
    """
    owners: dict[str, tuple[str, Seen]] = {}
    result = []
    for seen in instances:
        judged = seen
        if seen.description is not None and seen.state != QUARANTINED:
            rival = _rival(seen, owners)
            if rival:
                judged = replace(seen, state=QUARANTINED, reason=rival)
            else:
                for tag, digest in seen.description.digests.items():
                    owners.setdefault(tag, (digest, seen))
        result.append(judged)
    return result


def _rival(seen: Seen, owners: Mapping[str, tuple[str, Seen]]) -> str:
    for tag, digest in seen.description.digests.items() if seen.description else ():
        known, owner = owners.get(tag, (digest, seen))
        if known != digest:
            return (
                f"it claims the cluster {tag!r} with another endpoint or scope than {owner.instance.instance_id} at "
                f"{owner.instance.address}; rename one of the two, or stop the old one"
            )
    return ""


def _platform(tag: str, instances: Sequence[Seen], memory: Remembered) -> PlatformRoute:
    serving = [seen for seen in instances if seen.state in SERVING]
    tags = set(memory.clusters)
    for seen in serving:
        tags |= seen.description.clusters.keys() if seen.description else set()
    services: frozenset[str] = frozenset().union(*(s.description.services for s in serving if s.description))
    return PlatformRoute(
        tag=tag,
        display_name=memory.display_name,
        instances=tuple(sorted(instances, key=lambda seen: seen.instance.instance_id)),
        clusters=MappingProxyType({each: _cluster(ClusterRef(tag, each), serving, memory) for each in sorted(tags)}),
        services=services or memory.services,
    )


def _cluster(ref: ClusterRef, serving: Sequence[Seen], memory: Remembered) -> ClusterRoute:
    having = _usable(ref.cluster, list(_having(ref.cluster, serving)))
    endpoints = tuple(endpoint for endpoint, _ in having)
    absent_anywhere = {method for _, description in having for method in description.absent[ref.cluster]}
    absent, partly = {}, {}
    for method in absent_anywhere:
        able = tuple(endpoint for endpoint, description in having if method not in description.absent[ref.cluster])
        if able:
            partly[method] = able
        else:
            absent[method] = having[0][1].absent[ref.cluster][method]
    newest = max((description for _, description in having), key=lambda d: d.at, default=None)
    cluster = newest.clusters[ref.cluster] if newest else _out_of_reach(memory.clusters[ref.cluster])
    return ClusterRoute(ref, cluster, endpoints, absent, partly)


def _having(tag: str, serving: Iterable[Seen]) -> Iterator[tuple[Endpoint, Description]]:
    for seen in serving:
        if seen.description is not None and tag in seen.description.clusters:
            yield seen.endpoint, seen.description


def _usable(tag: str, having: list[tuple[Endpoint, Description]]) -> list[tuple[Endpoint, Description]]:
    """Leave out instances whose credentials for the cluster are refused, as long as another one's are not.

    Replicas read their clouds files by themselves, so one may have a wrong or an old one.
    """
    return [one for one in having if one[1].clusters[tag].state != _LOGIN_REFUSED] or having


def _out_of_reach(known: cluster_pb2.Cluster) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster()
    cluster.CopyFrom(known)
    cluster.state = cluster_pb2.Cluster.STATE_UNREACHABLE
    cluster.message = "no instance of its adapter serves it now; see PlatformService.GetPlatform"
    return cluster
