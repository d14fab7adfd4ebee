"""Turns a request into where it goes: the routed field, else the caller's tags; then who serves that.

The route stage asks here once per call where it leads; dispatch, operations and lists ask who serves that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import contract, names
from cloudspan_common.contract import Kind
from cloudspan_common.errors import InvalidRequest, Unsupported
from cloudspan_common.names import WILDCARD, ClusterRef, parse_cluster
from cloudspan_common.requests import parsed
from cloudspan_gateway.access.access import OPEN
from cloudspan_gateway.call import Target
from cloudspan_gateway.metadata import CLUSTER, PLATFORM, POOL
from cloudspan_gateway.routing.describe import is_reserved
from cloudspan_gateway.routing.snapshot import check_served, nobody_serves
from cloudspan_gateway.routing.tags import Tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from google.protobuf.message import Message

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.routing.snapshot import Endpoint
    from cloudspan_gateway.routing.table import Table


class Router:
    """Finds the cluster of a request, and the instances that serve it."""

    def __init__(
        self, table: Table, narrowed: Callable[[Access, str], Access] | None = None, own: Access = OPEN
    ) -> None:
        """Make it.

        Args:
            table: The routing table.
            narrowed: Returns a caller's access in one pool; without it only the access itself knows pools.
            own: What the gateway's own work sees, such as the steps of operations.
        """
        self._table = table
        self._own = own
        self.tags = Tags(table, narrowed)
        """What x-platform, x-cluster and x-pool mean."""

    def __repr__(self) -> str:
        return f"<Router {self._table.snapshot!r}>"

    def resolve(self, method: contract.Method, body: bytes, tags: Mapping[str, str], access: Access = OPEN) -> Target:
        """Return where a request of the contract goes; `endpoints` and `check` say whether anybody serves that.

        Raises:
            InvalidRequest: Not the method's message, a malformed name, a tag that disagrees, a REQUIRED field empty.
            NotFound: A tag names a pool that is not known, or the request a second cluster that is not.
            Unreachable: The pool has no cluster that can be chosen.
        """
        message, asked = parsed(method.request, method.full_name, body), b""
        value = contract.routed_value(method, message)
        # A parent can be made from tags, a resource's name can't.
        parent_missing = not value and tags and method.routed_field == "parent"
        if parent_missing and (value := self.tags.parent(method, tags, access)):
            asked = _as_asked(method, message, tags)
            _set_routed(method, message, value)
            body = message.SerializeToString()
        contract.check_required(message)
        contract.check_routed(method, message)
        ref = parse_cluster(value, method.routed_field)
        if tags:
            self.tags.check(ref, method.routed_field, tags, access)
        if ref.is_wildcard and method.kind is not Kind.LIST:
            raise names.malformed(value, method.routed_field, "one platform and one cluster: only lists take `-`")
        also = tuple(_also(method, message)) if method.also else ()
        for name in also:
            self._check_second(name, access)
        return Target(method.full_name, ref, (value, *also), message, body, asked=asked)

    def _check_second(self, name: str, access: Access) -> None:
        """Refuse a resource of a cluster outside of the caller's pools: what waits for it would show that it exists.

        Whether a name is well formed, and of the right cluster, is the adapter's to say.
        """
        try:
            ref = parse_cluster(name)
        except InvalidRequest:
            return
        if not access.sees(access.tenant, ref):
            self.check_known(ref, access)

    def check_known(self, ref: ClusterRef, access: Access) -> None:
        """Raise NotFound unless a cluster, or a platform where `ref` has no single one, exists for the caller.

        Raises:
            NotFound: It does not, or is outside of the caller's pools: the same words for both.
            Unreachable: No instance of the platform has reported its clusters yet.
        """
        snapshot = access.view(self._table.snapshot)
        if ref.cluster and not ref.is_wildcard:
            snapshot.cluster(ref)
        elif ref.platform != WILDCARD:
            snapshot.platform(ref.platform)

    def check(self, ref: ClusterRef, method: str, access: Access) -> None:
        """Raise NotFound or Unsupported unless the platform and the cluster are known and have `method` (full name).

        Does not ask whether an instance is alive; a wildcard stands for whatever there is.
        """
        snapshot = access.view(self._table.snapshot)
        if not ref.is_wildcard:
            check_served(snapshot.cluster(ref), method)
        elif ref.platform != WILDCARD:
            snapshot.platform(ref.platform)

    def endpoints(self, ref: ClusterRef, method: str, access: Access | None = None) -> Sequence[Endpoint]:
        """Return the instances that serve `method` (`package.Service/Method`) on a cluster now; at least one.

        For the caller of that access, or for the gateway's own work.

        Raises:
            CloudspanError: Nobody does, and why: not known, not able, or not alive.
        """
        snapshot = (access or self._own).view(self._table.snapshot)
        return snapshot.endpoints(snapshot.cluster(ref), method)

    def platform_endpoints(self, ref: ClusterRef, service: str, access: Access) -> Sequence[Endpoint]:
        """Return the instances of a platform that serve a service of its own; its cluster may be left empty.

        Raises:
            CloudspanError: Nobody does, and why.
        """
        snapshot = access.view(self._table.snapshot)
        route = snapshot.platform(ref.platform)
        cluster = snapshot.cluster(ref) if ref.cluster else None
        having = cluster.endpoints if cluster else [seen.endpoint for seen in route.serving]
        if not having:
            raise nobody_serves(route, ref)
        able = {seen.endpoint for seen in route.serving if seen.description and service in seen.description.services}
        endpoints = [endpoint for endpoint in having if endpoint in able]
        if not endpoints:
            text = f"platform {ref.platform!r} serves no {service}; PlatformService.GetPlatform lists what it serves"
            raise Unsupported(text, reason="SERVICE_UNKNOWN", metadata={"platform": ref.platform, "service": service})
        return endpoints

    def tagged(self, path: str, tags: Mapping[str, str], access: Access = OPEN) -> Target:
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
        platform, cluster = self.tags.place(tags, access)
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


def _also(method: contract.Method, message: Message) -> Iterator[str]:
    return (str(name) for field in method.also if (name := getattr(message, field)))


def _as_asked(method: contract.Method, message: Message, tags: Mapping[str, str]) -> bytes:
    """What tells a change that is asked for again from another one, where the gateway chooses the cluster."""
    if POOL not in tags or method.kind is not Kind.MUTATION:
        return b""
    said = (tags.get(key, "").encode() for key in (POOL, PLATFORM, CLUSTER))
    return b"\0".join((*said, message.SerializeToString(deterministic=True)))


def _set_routed(method: contract.Method, message: Message, value: str) -> None:
    *parents, last = method.routed_field.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, value)
