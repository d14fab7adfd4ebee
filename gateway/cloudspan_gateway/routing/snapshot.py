"""The route table at one moment: platforms, their clusters, and the instances that may be called. Never changes.

The table makes a new one on each change and swaps it in; the router, PlatformService, reflection and metrics read it.
It holds endpoints, no channels: those are looked up by endpoint (`channels`).
Each lookup either finds or says, in the caller's words, why not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cloudspan.v1 import platform_pb2
from cloudspan_common.errors import NotFound, Unreachable, Unsupported
from cloudspan_common.names import WILDCARD, ClusterRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudspan.v1 import cluster_pb2
    from cloudspan_common.registry import Instance
    from cloudspan_gateway.routing.describe import Description

State = platform_pb2.AdapterInstance.State
CONNECTING = platform_pb2.AdapterInstance.STATE_CONNECTING
READY = platform_pb2.AdapterInstance.STATE_READY
SUSPECT = platform_pb2.AdapterInstance.STATE_SUSPECT
EJECTED = platform_pb2.AdapterInstance.STATE_EJECTED
DRAINING = platform_pb2.AdapterInstance.STATE_DRAINING
QUARANTINED = platform_pb2.AdapterInstance.STATE_QUARANTINED
SERVING = frozenset({READY, SUSPECT})

# An ejected instance is probed at once and then each 0.1 to 1.6 s.
RETRY_AFTER_S = 1.0


def state_name(state: State) -> str:
    """`READY`, without the enum's prefix."""
    return State.Name(state).removeprefix("STATE_")


class Endpoint(NamedTuple):
    """Where one instance is called: plain data, so that more than this process can route by it."""

    instance_id: str
    address: str
    identity: str = ""
    """Whom its certificate must name; empty where no certificates are asked for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance as the table sees it."""

    instance: Instance
    endpoint: Endpoint
    state: State
    reason: str = ""
    description: Description | None = None

    def __repr__(self) -> str:
        return f"<{self.instance.instance_id} {state_name(self.state)}{': ' if self.reason else ''}{self.reason}>"


@dataclass(frozen=True, slots=True)
class ClusterRoute:
    """One cluster and who serves it."""

    ref: ClusterRef
    cluster: cluster_pb2.Cluster
    """As last described."""
    endpoints: tuple[Endpoint, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    """Methods that no instance serves here, and why."""
    partly: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    """Methods that some instances serve and others don't: two versions side by side."""


@dataclass(frozen=True, slots=True)
class PlatformRoute:
    """One platform: its instances, alive or not, and its clusters."""

    tag: str
    display_name: str = ""
    instances: tuple[Seen, ...] = ()
    clusters: Mapping[str, ClusterRoute] = field(default_factory=dict)
    services: frozenset[str] = frozenset()

    @property
    def serving(self) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.instances if seen.state in SERVING)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every platform known now, by tag; those that died lately are remembered, so that callers learn to wait."""

    platforms: Mapping[str, PlatformRoute] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        parts = (f"{p.tag} {len(p.serving)} of {len(p.instances)} up" for p in self.platforms.values())
        return f"<Snapshot {', '.join(parts) or 'empty'}>"

    def only(self, platform: Callable[[str], bool], cluster: Callable[[ClusterRef], bool]) -> Snapshot:
        """Return the same without what a caller may not see: no lookup finds it, nor names it in an error.

        Why an instance is in its state is left out: it may name addresses, and other tenants' clusters.
        """
        seen = {tag: _only(route, cluster) for tag, route in self.platforms.items() if platform(tag)}
        return Snapshot(MappingProxyType(seen))

    def platform(self, tag: str) -> PlatformRoute:
        """Return a platform.

        Raises:
            NotFound: It is not known; lists those that are.
        """
        found = self.platforms.get(tag)
        if found is None:
            known = ", ".join(sorted(self.platforms)) or "none"
            text = (
                f"platform {tag!r} is not plugged in; known now: {known}. Start an adapter for it, or correct the tag"
            )
            raise NotFound(text, reason="PLATFORM_UNKNOWN", metadata={"platform": tag}, resource=f"platforms/{tag}")
        return found

    def cluster(self, ref: ClusterRef) -> ClusterRoute:
        """Return a cluster of a concrete name.

        Raises:
            NotFound: The platform is not known, or not known to have that cluster; lists those that are.
            Unreachable: No instance of the platform has reported its clusters yet.
        """
        platform = self.platform(ref.platform)
        found = platform.clusters.get(ref.cluster)
        if found is not None:
            return found
        if not platform.serving:
            raise nobody_serves(platform, ref)
        known = ", ".join(sorted(platform.clusters)) or "none"
        text = f"platform {ref.platform!r} has no cluster {ref.cluster!r}; its clusters are: {known}"
        metadata = {"platform": ref.platform, "cluster": ref.cluster}
        raise NotFound(text, reason="CLUSTER_UNKNOWN", metadata=metadata, resource=str(ref))

    def matching(self, ref: ClusterRef) -> tuple[ClusterRoute, ...]:
        """Return the clusters that a name with wildcards means, in the order of their names.

        Raises:
            NotFound: It names a platform that is not known.
        """
        platforms = self.platforms.values() if ref.platform == WILDCARD else (self.platform(ref.platform),)
        return tuple(
            platform.clusters[tag]
            for platform in sorted(platforms, key=lambda platform: platform.tag)
            for tag in sorted(platform.clusters)
            if ref.cluster in (WILDCARD, tag)
        )

    def endpoints(self, route: ClusterRoute, method: str) -> tuple[Endpoint, ...]:
        """Return the instances that serve `method` (its full name) on a cluster; at least one.

        Raises:
            Unsupported: The cluster can't do that, with the adapter's reason.
            Unreachable: No instance serves the cluster just now.
        """
        check_served(route, method)
        endpoints = route.partly.get(method, route.endpoints)
        if not endpoints:
            raise nobody_serves(self.platform(route.ref.platform), route.ref)
        return endpoints


def _only(route: PlatformRoute, cluster: Callable[[ClusterRef], bool]) -> PlatformRoute:
    clusters = {name: found for name, found in route.clusters.items() if cluster(found.ref)}
    instances = tuple(replace(seen, reason="") for seen in route.instances)
    return replace(route, clusters=clusters, instances=instances)


def check_served(route: ClusterRoute, method: str) -> None:
    """Raise Unsupported, with the adapter's reason, if no instance serves `method` on the cluster."""
    reason = route.absent.get(method)
    if reason is not None:
        text = f"{route.ref} has no {method}: {reason or 'its adapter gives no reason'}; GetCluster lists what it has"
        metadata = {"platform": route.ref.platform, "cluster": route.ref.cluster, "method": method}
        raise Unsupported(text, reason="METHOD_ABSENT", metadata=metadata)


def nobody_serves(platform: PlatformRoute, ref: ClusterRef | None = None) -> Unreachable:
    """Return the error for a platform or cluster that is known while no instance serves it."""
    what = str(ref) if ref and ref.cluster else f"platforms/{platform.tag}"
    states = "; ".join(
        f"{seen.instance.instance_id} is {state_name(seen.state)}{seen.reason and f' ({seen.reason})'}"
        for seen in platform.instances
    )
    text = f"no instance serves {what} now: {states or 'the last one is gone'}; see PlatformService.GetPlatform"
    metadata = {"platform": platform.tag, "cluster": ref.cluster if ref else ""}
    return Unreachable(text, reason="NO_INSTANCE", metadata=metadata, retry_after_s=RETRY_AFTER_S)
