"""Turns a request into where it goes: the routed field, else the caller's tags; then who serves that.

The route stage asks here once per call where it leads; dispatch, operations and lists ask who serves that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import contract, names
from cloudspan_common.contract import Kind
from cloudspan_common.errors import InvalidRequest, NotFound, Unsupported, Violation
from cloudspan_common.names import WILDCARD, ClusterRef, parse_cluster
from cloudspan_common.requests import parsed
from cloudspan_gateway.call import Target
from cloudspan_gateway.metadata import CLUSTER, PLATFORM, POOL
from cloudspan_gateway.routing.describe import is_reserved
from cloudspan_gateway.routing.snapshot import check_served, nobody_serves

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.protobuf.message import Message

    from cloudspan_gateway.routing.snapshot import Endpoint
    from cloudspan_gateway.routing.table import Table


class Router:
    """Finds the cluster of a request, and the instances that serve it."""

    def __init__(self, table: Table, pools: Mapping[str, ClusterRef] | None = None) -> None:
        self._table = table
        self._pools = dict(pools or {})

    def __repr__(self) -> str:
        return f"<Router {self._table.snapshot!r} | {len(self._pools)} pools>"

    def resolve(self, method: contract.Method, body: bytes, tags: Mapping[str, str]) -> Target:
        """Return where a request of the contract goes; `endpoints` and `check` say whether anybody serves that.

        Raises:
            InvalidRequest: Not the method's message, a malformed name, a tag that disagrees, a REQUIRED field empty.
            NotFound: A tag names a pool that is not known.
        """
        message = parsed(method.request, method.full_name, body)
        value = contract.routed_value(method, message)
        if not value and (value := self._from_tags(method, tags)):
            _set_routed(method, message, value)
            body = message.SerializeToString()
        contract.check_required(message)
        contract.check_routed(method, message)
        ref = parse_cluster(value, method.routed_field)
        if tags:
            self._check_tags(ref, method.routed_field, tags)
        if ref.is_wildcard and method.kind is not Kind.LIST:
            raise names.malformed(value, method.routed_field, "one platform and one cluster: only lists take `-`")
        named = (value, *_also(method, message)) if method.also else (value,)
        return Target(method.full_name, ref, named, message, body)

    def check(self, ref: ClusterRef, method: str) -> None:
        """Raise NotFound or Unsupported unless the platform and the cluster are known and have `method` (full name).

        Does not ask whether an instance is alive; a wildcard stands for whatever there is.
        """
        snapshot = self._table.snapshot
        if not ref.is_wildcard:
            check_served(snapshot.cluster(ref), method)
        elif ref.platform != WILDCARD:
            snapshot.platform(ref.platform)

    def endpoints(self, ref: ClusterRef, method: str) -> Sequence[Endpoint]:
        """Return the instances that serve `method` (`package.Service/Method`) on a cluster now; at least one.

        Raises:
            CloudspanError: Nobody does, and why: not known, not able, or not alive.
        """
        snapshot = self._table.snapshot
        return snapshot.endpoints(snapshot.cluster(ref), method)

    def platform_endpoints(self, ref: ClusterRef, service: str) -> Sequence[Endpoint]:
        """Return the instances of a platform that serve a service of its own; its cluster may be left empty.

        Raises:
            CloudspanError: Nobody does, and why.
        """
        route = self._table.snapshot.platform(ref.platform)
        cluster = self._table.snapshot.cluster(ref) if ref.cluster else None
        having = cluster.endpoints if cluster else [seen.endpoint for seen in route.serving]
        if not having:
            raise nobody_serves(route, ref)
        able = {seen.endpoint for seen in route.serving if seen.description and service in seen.description.services}
        endpoints = [endpoint for endpoint in having if endpoint in able]
        if not endpoints:
            text = f"platform {ref.platform!r} serves no {service}; PlatformService.GetPlatform lists what it serves"
            raise Unsupported(text, reason="SERVICE_UNKNOWN", metadata={"platform": ref.platform, "service": service})
        return endpoints

    def tagged(self, path: str, tags: Mapping[str, str]) -> Target:
        """Return where its tags lead a call of a service beyond the contract.

        The cluster is empty when no tag says it: then any instance of the platform will do.

        Raises:
            Unsupported: The service can't be an adapter's, or no tag says whose it is.
            InvalidRequest: Malformed tags, or tags that disagree.
        """
        method = path[1:]
        service = method.rpartition("/")[0]
        if is_reserved(service):
            text = f"this gateway has no method {method}; reflection lists those it serves"
            raise Unsupported(text, reason="METHOD_UNKNOWN", metadata={"method": method})
        platform, cluster = self._tags(tags)
        if not platform:
            text = (
                f"{service} is not a service of the contract; if it is an adapter's own, name the platform in "
                f"metadata {PLATFORM}, and the cluster in {CLUSTER}"
            )
            raise Unsupported(text, reason="SERVICE_UNKNOWN", metadata={"service": service})
        if WILDCARD in (platform, cluster):
            raise names.malformed(WILDCARD, f"metadata {PLATFORM} or {CLUSTER}", "one platform, one cluster or none")
        said = ((PLATFORM, platform), (CLUSTER, cluster))
        return Target(method, ClusterRef(platform, cluster), tags=said if cluster else said[:1])

    def _from_tags(self, method: contract.Method, tags: Mapping[str, str]) -> str:
        """A parent can be made from tags, a resource's name can't; a list without a cluster means all of them."""
        if not tags or method.routed_field != "parent":
            return ""
        return self.parent_of(tags, or_all=method.kind is Kind.LIST)

    def parent_of(self, tags: Mapping[str, str], *, or_all: bool = False) -> str:
        """Return the cluster's name that tags say, all of a platform's with `or_all`; empty where they say too little.

        Raises:
            InvalidRequest: Malformed tags, or tags that disagree.
            NotFound: The pool is not known.
        """
        platform, cluster = self._tags(tags)
        if not cluster and or_all:
            cluster = WILDCARD
        return str(ClusterRef(platform, cluster)) if platform and cluster else ""

    def _tags(self, tags: Mapping[str, str]) -> tuple[str, str]:
        """The platform and cluster that the tags say, a pool's first; empty where they say nothing."""
        platform, cluster = tags.get(PLATFORM, ""), tags.get(CLUSTER, "")
        for key, tag in ((PLATFORM, platform), (CLUSTER, cluster)):
            if tag and tag != WILDCARD and not names.is_tag(tag):
                raise names.malformed(tag, f"metadata {key}", "a tag: a lower-case letter, then letters, digits, `-`")
        if POOL not in tags:
            return platform, cluster
        ref = self._pool(tags[POOL])
        self._check_tags(ref, f"metadata {POOL}", {PLATFORM: platform, CLUSTER: cluster})
        return ref.platform, ref.cluster

    def _pool(self, name: str) -> ClusterRef:
        if name not in self._pools:
            known = ", ".join(sorted(self._pools)) or "none"
            text = f"metadata {POOL} is {name!r}, which is not a pool of this gateway; its pools are: {known}"
            raise NotFound(text, reason="POOL_UNKNOWN", metadata={"pool": name})
        return self._pools[name]

    def _check_tags(self, ref: ClusterRef, field: str, tags: Mapping[str, str]) -> None:
        """Two places that name different clusters: no guess which one was meant."""
        said = [(PLATFORM, tags.get(PLATFORM), ref.platform), (CLUSTER, tags.get(CLUSTER), ref.cluster)]
        if POOL in tags:
            pool = self._pool(tags[POOL])
            said += [(POOL, pool.platform, ref.platform), (POOL, pool.cluster, ref.cluster)]
        for key, tag, routed in said:
            if tag and tag != routed:
                text = f"{field} says {routed!r} and metadata {key} says {tag!r}; leave one out or make them agree"
                raise InvalidRequest(text, reason="TAG_DISAGREES", violations=[Violation(field, text)])


def _also(method: contract.Method, message: Message) -> Iterator[str]:
    return (str(name) for field in method.also if (name := getattr(message, field)))


def _set_routed(method: contract.Method, message: Message, value: str) -> None:
    *parents, last = method.routed_field.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, value)
