"""Who follows events: which of them exist for it, as long as its access stays what it is, and which it asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from cloudspan.v1 import event_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.access.access import project_name
from cloudspan_gateway.events.happened import ResourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from google.protobuf.descriptor import Descriptor

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.events.happened import Happened

READ_METHOD = "cloudspan.v1.EventService/WatchEvents"
AUDIT_METHOD = "cloudspan.v1.AuditService/ListAuditEvents"


class Follower:
    """One stream, page or webhook."""

    def __init__(self, filter_text: str, access_of: Callable[[], Access]) -> None:
        """Take a filter over Event, and what returns the access that it has now.

        Raises:
            InvalidRequest: UNKNOWN_FILTER_FIELD, MALFORMED_FILTER.
        """
        self._test = _parsed(filter_text)
        self._access_of = access_of
        self._access: Access | None = None
        self._projects: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return "<Follower>"

    def shown(self, found: Iterable[Happened | ResourceChanged]) -> Iterator[tuple[int, event_pb2.Event]]:
        """Yield what it hears of, each with its number."""
        for each in found:
            access = self._access_of()
            if access is not self._access:
                self._access, self._projects = access, {}
            event = self._seen(each, access)
            if event is not None and (self._test is None or self._test(event)):
                yield each.sequence, event

    def _seen(self, each: Happened | ResourceChanged, access: Access) -> event_pb2.Event | None:
        if isinstance(each, ResourceChanged):
            project = self._project(each.cluster, access)
            return None if project is None else each.seen_by(project)
        return each.event if self._hears_of(each, access) else None

    def _hears_of(self, each: Happened, access: Access) -> bool:
        ref = parse_cluster(each.cluster) if each.cluster else None
        if each.kind == "cluster":
            return self._project(each.cluster, access) is not None
        if each.kind == "audit":
            return access.sees(each.tenant) and access.allows(Permission.PERMISSION_ADMINISTER, AUDIT_METHOD)
        if not access.sees(each.tenant, ref) or not access.allows(Permission.PERMISSION_READ, READ_METHOD, ref):
            return False
        return ref is None or access.project(ref) in ("", each.project)

    def _project(self, cluster: str, access: Access) -> str | None:
        """Return the full name of the only project of a cluster that it sees; empty for all, None where none."""
        if cluster not in self._projects:
            self._projects[cluster] = _project_of(cluster, access)
        return self._projects[cluster]


def _project_of(cluster: str, access: Access) -> str | None:
    ref = parse_cluster(cluster)
    if not access.sees(access.tenant, ref) or not access.allows(Permission.PERMISSION_READ, READ_METHOD, ref):
        return None
    return project_name(access, ref)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Callable[[Any], bool] | None:
    wanted = Filter.parse(text, cast("Descriptor", event_pb2.Event.DESCRIPTOR))
    return None if wanted.is_empty else predicate(wanted)
